"""Reads a symbol table with Python's own lzma and json, and prints every fact of it as a line; names in hex."""

import json
import lzma
import sys

table = json.loads(lzma.open(sys.argv[1]).read())
bases = table["base_types"]


def text(name):
    return name.encode().hex()


def base(name):
    it = bases.get(name)
    if it is None:
        return f"unknown:{text(name)}"
    if it["kind"] == "void":
        return "void"
    return f"base:{text(name)}:{it['size']}:{int(it['signed'])}:{it['kind']}"


def described(it):
    kind = it["kind"]
    if kind == "base":
        return base(it["name"])
    if kind in ("struct", "union", "enum"):
        return f"{kind}:{text(it['name'])}"
    if kind == "pointer":
        return f"pointer:{bases[it.get('base', 'pointer')]['size']}({described(it['subtype'])})"
    if kind == "array":
        return f"array:{it['count']}({described(it['subtype'])})"
    if kind == "bitfield":
        return f"bits:{it['bit_position']}:{it['bit_length']}({described(it['type'])})"
    return kind


pdb = table["metadata"]["windows"]["pdb"]
print("identity", pdb["GUID"], pdb["age"], pdb["database"], pdb["machine_type"], table["metadata"]["format"])
for name, it in table["symbols"].items():
    print("symbol", text(name), it["address"], text(it.get("linkage_name", name)))
for name, it in table["user_types"].items():
    print("type", text(name), it["kind"], it["size"], len(it["fields"]))
    for field, that in it["fields"].items():
        anonymous = int(that.get("anonymous", False))
        print("field", text(name), text(field), that["offset"], anonymous, described(that["type"]))
for name, it in table["enums"].items():
    print("enum", text(name), it["size"], base(it["base"]), len(it["constants"]))
    for constant, value in it["constants"].items():
        print("constant", text(name), text(constant), value)

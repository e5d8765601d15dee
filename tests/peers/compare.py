"""Holds readers by other hands against the test machines: every page, every known address, everything that is mapped.

    compare.py FOLDER

FOLDER is what `make-machines` wrote. What the testkit wrote and what our own readers found is in its index.json and has been
compared already; here kdmp-parser (the C++ reader's Python package) and Volatility 3's layers join. Each reader says
below which files it refuses and why; a file that it should refuse and reads, or the reverse, is a failure like a
wrong byte. Needs no network.
"""

import json
import os
import pathlib
import sys

from readers import PAGE, Kdmp, Refused, Volatility


class Machine:
    """A test machine: its pages as the testkit has them."""

    def __init__(self, folder, description):
        self.name = description["name"]
        self.paging = description["paging"]
        self.wide = description["wide"]
        self.dumps = description["dumps"]
        content = (folder / description["pages"]).read_bytes()
        numbers = [first + at for first, count in description["runs"] for at in range(count)]
        assert len(content) == len(numbers) * PAGE, f"{self.name}: the file of pages has another length"
        self.pages = {pfn: content[at * PAGE : (at + 1) * PAGE] for at, pfn in enumerate(numbers)}


class Wrong(Exception):
    """A reader differs from the testkit and from us."""


def same(what, found, expected):
    if found != expected:
        shown = [f"{value:#x}" if isinstance(value, int) else str(value)[:200] for value in (found, expected)]
        raise Wrong(f"{what}: it says {shown[0]}, expected is {shown[1]}")


def compare(reader, machine, dump):
    """Compares one file; returns how many pages, known addresses and mapped pages agree."""
    for name, value in reader.header().items():
        same(name, value, dump["header"][name])

    expected = reader.expected_pages(machine, dump)
    numbers = reader.page_numbers()
    same("pages", len(numbers), len(expected))
    for pfn in numbers:
        if reader.page(pfn) != expected.get(pfn):
            raise Wrong(f"page {pfn:#x} differs")

    marks = mapped = 0
    for space in dump["spaces"] if reader.translates(machine) else []:
        reader.enter(space["root"])
        who = space["name"]
        for name, va, value, via in space["marks"]:
            found = reader.read(va, 8)
            number = None if found is None else int.from_bytes(found, "little")
            same(f"{who}, {name} at {va:#x}", number, value if via in reader.follows else None)
            marks += 1
        for va, pa, length, via in space["pieces"]:
            first = pa // PAGE
            for step in range(0, length, PAGE):
                place = f"{who}, page {va + step:#x} ({via})"
                if via not in reader.follows:
                    same(place, reader.read(va + step, PAGE), None)
                    continue
                same(f"{place}: physical address", reader.translate(va + step), pa + step)
                if reader.read(va + step, PAGE) != expected.get(first + step // PAGE):
                    raise Wrong(f"{place}: content differs")
                mapped += 1
        for va in space["borders"]:
            same(f"{who}, unmapped {va:#x}", reader.read(va, 8), None)
    return len(numbers), marks, mapped


def own_output():
    """kdmp-parser reports every refusal on standard output, below Python: what Python prints gets a way of its own."""
    sys.stdout = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def main():
    own_output()
    folder = pathlib.Path(sys.argv[1])
    index = json.loads((folder / "index.json").read_text())
    machines = [Machine(folder, description) for description in index["machines"]]
    failures = []
    for kind in (Kdmp, Volatility):
        print(f"{kind.title()}:")
        print(f"  {'form':<14} {'machines':>8} {'pages':>7} {'marks':>6} {'mapped':>7}")
        refused = {}
        for form in [dump["form"] for dump in machines[0].dumps]:
            total = [0, 0, 0, 0]
            for machine in machines:
                dump = next(dump for dump in machine.dumps if dump["form"] == form)
                reason = kind.refuses(machine, dump)
                try:
                    with kind(folder / dump["file"], machine, dump) as reader:
                        if reason:
                            raise Wrong(f"it reads what it should refuse ({reason})")
                        counts = compare(reader, machine, dump)
                    total = [sum(pair) for pair in zip(total, (1, *counts))]
                except Refused as error:
                    if reason is None:
                        failures.append(f"{kind.name} refuses {machine.name} as {form}: {error}")
                    refused.setdefault(reason, []).append(f"{machine.name}.{form}")
                except Wrong as wrong:
                    failures.append(f"{kind.name} on {machine.name} as {form}: {wrong}")
            if total[0]:
                print(f"  {form:<14} {total[0]:>8} {total[1]:>7} {total[2]:>6} {total[3]:>7}")
        for reason, names in refused.items():
            print(f"  not read, {len(names)} files: {reason}")
        for note in kind.notes:
            print(f"  {note}")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

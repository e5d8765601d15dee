"""The readers that compare.py holds against the test machines, each behind the same few methods."""

import importlib.metadata

import kdmp_parser
from volatility3.framework import contexts, exceptions
from volatility3.framework.layers import crash, elf, intel, physical

PAGE = 0x1000


class Refused(Exception):
    """The reader does not open the file."""


class Kdmp:
    """kdmp-parser: 64-bit dumps, x64 tables."""

    name = "kdmp-parser"
    # Pages in transition are refused, unlike by the Rust crate of the same name.
    follows = ("hardware",)
    notes = (
        "LA57, ARM64: pages and header only; it walks four levels of x64 tables",
        "a bitmap's last bits are lost to it when their number is no multiple of 8 (here: the machines with holes)",
    )

    @classmethod
    def title(cls):
        return f"kdmp-parser {importlib.metadata.version('kdmp-parser')} (C++, PyPI)"

    @staticmethod
    def refuses(machine, dump):
        if dump["type"] is None:
            return "it reads files with a dump header only"
        if not machine.wide:
            return "it reads the 64-bit header only"
        if dump["type"] == 2:
            return "it does not know type 2, the kernel dump up to Windows 7"
        return None

    def __init__(self, path, machine, _dump):
        self.machine = machine
        try:
            self.dump = kdmp_parser.KernelDumpParser(path)
        except RuntimeError as error:
            raise Refused(str(error)) from error

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        return False

    def header(self):
        header, context = self.dump.header, self.dump.context
        fields = {
            "type": int(self.dump.type),
            "build": header.MinorVersion,
            "directory table base": header.DirectoryTableBase,
            "page frame database": header.PfnDatabase,
            "module list": header.PsLoadedModuleList,
            "process list": header.PsActiveProcessHead,
            "processors": header.NumberProcessors,
            "bug check": header.BugCheckCode,
            "debugger data": header.KdDebuggerDataBlock,
            "time": header.SystemTime,
            "up time": header.SystemUpTime,
        }
        for index, value in enumerate(header.BugCheckCodeParameter):
            fields[f"parameter {index + 1}"] = value
        fields["exception code"] = header.Exception.ExceptionCode
        fields["exception address"] = header.Exception.ExceptionAddress
        if self.machine.paging != "arm64":
            fields["instruction pointer"] = context.Rip
            fields["stack pointer"] = context.Rsp
        return fields

    @staticmethod
    def expected_pages(machine, dump):
        if dump["form"].startswith("bitmap"):
            # It reads bits / 8 bytes of a bitmap, rounded down; the Rust crate rounds up, as Volatility and we do.
            end = (max(machine.pages) + 1) // 8 * 8
            return {pfn: page for pfn, page in machine.pages.items() if pfn < end}
        return machine.pages

    def page_numbers(self):
        return [address // PAGE for address in self.dump.pages.keys()]

    def page(self, pfn):
        return self.dump.read_physical_page(pfn * PAGE)

    @staticmethod
    def translates(machine):
        return machine.paging == "x64"

    def enter(self, root):
        self.root = root

    def translate(self, va):
        return self.dump.translate_virtual(va, self.root)

    def read(self, va, length):
        """It reads whole pages."""
        found = bytearray()
        for page in range(va // PAGE, (va + length - 1) // PAGE + 1):
            content = self.dump.read_virtual_page(page * PAGE, self.root)
            if content is None:
                return None
            found += content
        start = va % PAGE
        return found[start : start + length]


def as_type_5(kind):
    """A crash layer of Volatility's, told that type 6 is stored like type 5: it has the reader, but not the number."""

    class BitmapKernel(kind):
        supported_dumptypes = [6]
        dump_type = property(lambda _self: 5, lambda _self, _number: None)

    return BitmapKernel


class FiveLevels(intel.WindowsIntel32e):
    """Volatility's walk, told of one more level: it has no class of its own for that."""

    _maxvirtaddr = 57
    _structure = [("page map layer 5", 9, False), *intel.Intel32e._structure]


class Volatility:
    """Volatility 3: its crash layers, its ELF layer, its file layer for raw images, and Windows' Intel layers above."""

    name = "volatility3"
    follows = ("hardware", "transition")
    notes = (
        "ARM64: pages and header only; this version has no layer that translates it",
        "type 6 and LA57: its own code, told of the type's number and of the fifth level; as it is, it knows neither",
    )
    layers = {
        "x86": intel.WindowsIntel,
        "pae": intel.WindowsIntelPAE,
        "x64": intel.WindowsIntel32e,
        "la57": FiveLevels,
    }

    @classmethod
    def title(cls):
        return f"volatility3 {importlib.metadata.version('volatility3')}"

    @staticmethod
    def refuses(_machine, dump):
        if dump["type"] not in (None, 1, 5, 6):
            return "its crash layers know runs and the bitmap of types 5 and 6, not types 2, 8, 9 and 10"
        return None

    def __init__(self, path, machine, dump):
        self.machine, self.dump, self.spaces = machine, dump, 0
        self.context = contexts.Context()
        self.context.config["file.location"] = path.absolute().as_uri()
        self.below = self.add(physical.FileLayer, "file")
        if dump["form"] == "raw":
            return
        if dump["form"] == "elf":
            kind = elf.Elf64Layer
        else:
            kind = crash.WindowsCrashDump64Layer if machine.wide else crash.WindowsCrashDump32Layer
            kind = as_type_5(kind) if dump["type"] == 6 else kind
        self.context.config["below.base_layer"] = "file"
        try:
            self.below = self.add(kind, "below")
        except crash.WindowsCrashDumpFormatException as error:
            raise Refused(str(error)) from error

    def add(self, kind, name):
        layer = kind(self.context, name, name)
        self.context.add_layer(layer)
        return layer

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        self.context.layers["file"].destroy()

    def header(self):
        """It does not read registers: its header type holds the context as bytes."""
        if self.dump["type"] is None:
            return {}
        header = self.below.get_header()
        fields = {
            "type": header.DumpType,
            "build": header.MinorVersion,
            "directory table base": header.DirectoryTableBase,
            "page frame database": header.PfnDataBase,
            "module list": header.PsLoadedModuleList,
            "process list": header.PsActiveProcessHead,
            "processors": header.NumberProcessors,
            "bug check": header.BugCheckCode,
            "debugger data": header.KdDebuggerDataBlock,
            "time": header.SystemTime,
            "up time": header.SystemUpTime,
        }
        for index, value in enumerate(header.BugCheckCodeParameter):
            fields[f"parameter {index + 1}"] = value
        if self.machine.wide:
            # Its type for the code is signed.
            fields["exception code"] = int(header.Exception.ExceptionCode) & 0xFFFF_FFFF
            fields["exception address"] = header.Exception.ExceptionAddress
        return {name: int(value) for name, value in fields.items()}

    @staticmethod
    def expected_pages(machine, dump):
        if dump["form"] == "raw":
            return {pfn: machine.pages.get(pfn, bytes(PAGE)) for pfn in range(max(machine.pages) + 1)}
        return machine.pages

    def page_numbers(self):
        if self.dump["form"] == "raw":
            return list(range((self.below.maximum_address + 1) // PAGE))
        runs = self.below.mapping(0, self.below.maximum_address + 1, ignore_errors=True)
        return [page for start, length, *_ in runs for page in range(start // PAGE, (start + length) // PAGE)]

    def page(self, pfn):
        return self.below.read(pfn * PAGE, PAGE)

    def translates(self, machine):
        return machine.paging in self.layers

    def enter(self, root):
        self.spaces += 1
        name = f"space{self.spaces}"
        self.context.config[f"{name}.memory_layer"] = self.below.name
        self.context.config[f"{name}.page_map_offset"] = root
        self.space = self.add(self.layers[self.machine.paging], name)

    def translate(self, va):
        try:
            return self.space.translate(va)[0]
        except exceptions.InvalidAddressException:
            return None

    def read(self, va, length):
        try:
            return self.space.read(va, length)
        except exceptions.InvalidAddressException:
            return None

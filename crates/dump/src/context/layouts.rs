//! Where each register stands in each `CONTEXT` layout.
//!
//! Offsets from Microsoft's public `winnt.h` and, for the old ARM64 form, Breakpad's published `minidump_cpu_arm64.h`;
//! x64 and ARM64 were checked against real dumps.

use super::RegisterGroup::{self, Control, Debug, General, Segment};

/// One `CONTEXT` layout.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes a record must have to hold all fields that Windows defines, extended state aside.
    pub(super) minimum_size: usize,
    /// Where `ContextFlags` stands.
    pub(super) flags_offset: usize,
    /// The `ContextFlags` bit that names the architecture.
    pub(super) machine_flag: u32,
    /// The `ContextFlags` bit that says that debug registers were captured.
    pub(super) debug_flag: u32,
    pub(super) ip: &'static str,
    pub(super) sp: &'static str,
    pub(super) fp: &'static str,
    pub(super) lr: Option<&'static str>,
    /// Registers in display order.
    pub(super) fields: &'static [Field],
}

/// One register in a layout.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) offset: u16,
    pub(super) width: u8,
    pub(super) group: RegisterGroup,
}

const fn field(name: &'static str, offset: u16, width: u8, group: RegisterGroup) -> Field {
    Field { name, offset, width, group }
}

/// `CONTEXT` of x64; `cs` and `ss` belong to its control group.
pub(super) static X64: Layout = Layout {
    minimum_size: 0x4d0,
    flags_offset: 0x30,
    machine_flag: 0x100000,
    debug_flag: 0x10,
    ip: "rip",
    sp: "rsp",
    fp: "rbp",
    lr: None,
    fields: &[
        field("rax", 0x78, 8, General),
        field("rbx", 0x90, 8, General),
        field("rcx", 0x80, 8, General),
        field("rdx", 0x88, 8, General),
        field("rsi", 0xa8, 8, General),
        field("rdi", 0xb0, 8, General),
        field("rip", 0xf8, 8, Control),
        field("rsp", 0x98, 8, Control),
        field("rbp", 0xa0, 8, General),
        field("r8", 0xb8, 8, General),
        field("r9", 0xc0, 8, General),
        field("r10", 0xc8, 8, General),
        field("r11", 0xd0, 8, General),
        field("r12", 0xd8, 8, General),
        field("r13", 0xe0, 8, General),
        field("r14", 0xe8, 8, General),
        field("r15", 0xf0, 8, General),
        field("efl", 0x44, 4, Control),
        field("cs", 0x38, 2, Control),
        field("ss", 0x42, 2, Control),
        field("ds", 0x3a, 2, Segment),
        field("es", 0x3c, 2, Segment),
        field("fs", 0x3e, 2, Segment),
        field("gs", 0x40, 2, Segment),
        field("dr0", 0x48, 8, Debug),
        field("dr1", 0x50, 8, Debug),
        field("dr2", 0x58, 8, Debug),
        field("dr3", 0x60, 8, Debug),
        field("dr6", 0x68, 8, Debug),
        field("dr7", 0x70, 8, Debug),
    ],
};

/// `CONTEXT` of x86 up to `SegSs`: minidumps may leave out the extended registers that follow.
pub(super) static X86: Layout = Layout {
    minimum_size: 0xcc,
    flags_offset: 0x0,
    machine_flag: 0x10000,
    debug_flag: 0x10,
    ip: "eip",
    sp: "esp",
    fp: "ebp",
    lr: None,
    fields: &[
        field("eax", 0xb0, 4, General),
        field("ebx", 0xa4, 4, General),
        field("ecx", 0xac, 4, General),
        field("edx", 0xa8, 4, General),
        field("esi", 0xa0, 4, General),
        field("edi", 0x9c, 4, General),
        field("eip", 0xb8, 4, Control),
        field("esp", 0xc4, 4, Control),
        field("ebp", 0xb4, 4, Control),
        field("efl", 0xc0, 4, Control),
        field("cs", 0xbc, 4, Control),
        field("ss", 0xc8, 4, Control),
        field("ds", 0x98, 4, Segment),
        field("es", 0x94, 4, Segment),
        field("fs", 0x90, 4, Segment),
        field("gs", 0x8c, 4, Segment),
        field("dr0", 0x4, 4, Debug),
        field("dr1", 0x8, 4, Debug),
        field("dr2", 0xc, 4, Debug),
        field("dr3", 0x10, 4, Debug),
        field("dr6", 0x14, 4, Debug),
        field("dr7", 0x18, 4, Debug),
    ],
};

/// `CONTEXT` of ARM64.
pub(super) static ARM64: Layout = Layout {
    minimum_size: 0x390,
    flags_offset: 0x0,
    machine_flag: 0x400000,
    debug_flag: 0x8,
    ip: "pc",
    sp: "sp",
    fp: "fp",
    lr: Some("lr"),
    fields: &[
        field("x0", 0x8, 8, General),
        field("x1", 0x10, 8, General),
        field("x2", 0x18, 8, General),
        field("x3", 0x20, 8, General),
        field("x4", 0x28, 8, General),
        field("x5", 0x30, 8, General),
        field("x6", 0x38, 8, General),
        field("x7", 0x40, 8, General),
        field("x8", 0x48, 8, General),
        field("x9", 0x50, 8, General),
        field("x10", 0x58, 8, General),
        field("x11", 0x60, 8, General),
        field("x12", 0x68, 8, General),
        field("x13", 0x70, 8, General),
        field("x14", 0x78, 8, General),
        field("x15", 0x80, 8, General),
        field("x16", 0x88, 8, General),
        field("x17", 0x90, 8, General),
        field("x18", 0x98, 8, General),
        field("x19", 0xa0, 8, General),
        field("x20", 0xa8, 8, General),
        field("x21", 0xb0, 8, General),
        field("x22", 0xb8, 8, General),
        field("x23", 0xc0, 8, General),
        field("x24", 0xc8, 8, General),
        field("x25", 0xd0, 8, General),
        field("x26", 0xd8, 8, General),
        field("x27", 0xe0, 8, General),
        field("x28", 0xe8, 8, General),
        field("fp", 0xf0, 8, Control),
        field("lr", 0xf8, 8, Control),
        field("sp", 0x100, 8, Control),
        field("pc", 0x108, 8, Control),
        field("cpsr", 0x4, 4, Control),
    ],
};

/// The ARM64 record of older Breakpad writers; the architecture bit is the top bit of 32.
pub(super) static ARM64_BREAKPAD: Layout = Layout {
    minimum_size: 0x114,
    flags_offset: 0x0,
    machine_flag: 0x80000000,
    debug_flag: 0x8,
    ip: "pc",
    sp: "sp",
    fp: "fp",
    lr: Some("lr"),
    fields: &[
        field("x0", 0x8, 8, General),
        field("x1", 0x10, 8, General),
        field("x2", 0x18, 8, General),
        field("x3", 0x20, 8, General),
        field("x4", 0x28, 8, General),
        field("x5", 0x30, 8, General),
        field("x6", 0x38, 8, General),
        field("x7", 0x40, 8, General),
        field("x8", 0x48, 8, General),
        field("x9", 0x50, 8, General),
        field("x10", 0x58, 8, General),
        field("x11", 0x60, 8, General),
        field("x12", 0x68, 8, General),
        field("x13", 0x70, 8, General),
        field("x14", 0x78, 8, General),
        field("x15", 0x80, 8, General),
        field("x16", 0x88, 8, General),
        field("x17", 0x90, 8, General),
        field("x18", 0x98, 8, General),
        field("x19", 0xa0, 8, General),
        field("x20", 0xa8, 8, General),
        field("x21", 0xb0, 8, General),
        field("x22", 0xb8, 8, General),
        field("x23", 0xc0, 8, General),
        field("x24", 0xc8, 8, General),
        field("x25", 0xd0, 8, General),
        field("x26", 0xd8, 8, General),
        field("x27", 0xe0, 8, General),
        field("x28", 0xe8, 8, General),
        field("fp", 0xf0, 8, Control),
        field("lr", 0xf8, 8, Control),
        field("sp", 0x100, 8, Control),
        field("pc", 0x108, 8, Control),
        field("cpsr", 0x110, 4, Control),
    ],
};

/// `CONTEXT` of 32-bit ARM up to `Cpsr`; Windows uses bit 0x200000, Breakpad 0x40000000.
pub(super) static ARM: Layout = Layout {
    minimum_size: 0x48,
    flags_offset: 0x0,
    machine_flag: 0x40200000,
    debug_flag: 0x8,
    ip: "pc",
    sp: "sp",
    fp: "r11",
    lr: Some("lr"),
    fields: &[
        field("r0", 0x4, 4, General),
        field("r1", 0x8, 4, General),
        field("r2", 0xc, 4, General),
        field("r3", 0x10, 4, General),
        field("r4", 0x14, 4, General),
        field("r5", 0x18, 4, General),
        field("r6", 0x1c, 4, General),
        field("r7", 0x20, 4, General),
        field("r8", 0x24, 4, General),
        field("r9", 0x28, 4, General),
        field("r10", 0x2c, 4, General),
        field("r11", 0x30, 4, General),
        field("r12", 0x34, 4, General),
        field("sp", 0x38, 4, Control),
        field("lr", 0x3c, 4, Control),
        field("pc", 0x40, 4, Control),
        field("cpsr", 0x44, 4, Control),
    ],
};

/// Where a `KTRAP_FRAME` saves registers, and which of the context's registers it does not save or saves only at times.
#[derive(Debug)]
pub(super) struct TrapFrame {
    /// In two parts: builds differ in the first.
    pub(super) registers: [&'static [(&'static str, u16)]; 2],
    pub(super) absent: &'static [&'static str],
    /// Where the stack pointer of an interrupted user thread stands, on x86; a kernel thread's is this very address.
    pub(super) stack_pointer_slot: Option<u16>,
}

/// `KTRAP_FRAME` of x64, the same from Server 2003 to Windows 11. `rbx`, `rdi` and `rsi` have slots that only some entry
/// paths fill; debuggers warn of them, so they are left out.
pub(super) static TRAP_FRAME_X64: TrapFrame = TrapFrame {
    registers: [
        &[],
        &[
            ("rax", 0x30),
            ("rcx", 0x38),
            ("rdx", 0x40),
            ("r8", 0x48),
            ("r9", 0x50),
            ("r10", 0x58),
            ("r11", 0x60),
            ("rbp", 0x158),
            ("rip", 0x168),
            ("cs", 0x170),
            ("efl", 0x178),
            ("rsp", 0x180),
            ("ss", 0x188),
        ],
    ],
    absent: &["rbx", "rsi", "rdi", "r12", "r13", "r14", "r15"],
    stack_pointer_slot: None,
};

/// What stands at the same place in the `KTRAP_FRAME` of every x86 build.
const TRAP_FRAME_X86_TAIL: &[(&str, u16)] =
    &[("edi", 0x54), ("esi", 0x58), ("ebx", 0x5c), ("ebp", 0x60), ("eip", 0x68), ("cs", 0x6c), ("efl", 0x70)];

/// `KTRAP_FRAME` of x86 from Windows 8.1 on: three registers moved down by a word.
pub(super) static TRAP_FRAME_X86_9600: TrapFrame =
    TrapFrame { registers: [&[("edx", 0x38), ("ecx", 0x3c), ("eax", 0x40)], TRAP_FRAME_X86_TAIL], ..TRAP_FRAME_X86 };

/// `KTRAP_FRAME` of x86 up to Windows 8.
pub(super) const TRAP_FRAME_X86: TrapFrame = TrapFrame {
    registers: [&[("edx", 0x3c), ("ecx", 0x40), ("eax", 0x44)], TRAP_FRAME_X86_TAIL],
    absent: &["ss"],
    stack_pointer_slot: Some(0x74),
};

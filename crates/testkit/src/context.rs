//! `CONTEXT` records.

use crate::asm::structure;

/// Architecture of a test machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 32-bit x86.
    X86,
    /// x64.
    X64,
    /// ARM64.
    Arm64,
}

/// The registers that tests care for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    /// Instruction pointer.
    pub ip: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer.
    pub fp: u64,
    /// Link register (ARM64).
    pub lr: u64,
    /// First general register: `rax`, `eax`, `x0`.
    pub first: u64,
}

/// A `CONTEXT` with all groups but extended state.
#[must_use]
pub fn context(arch: Arch, registers: Registers) -> Vec<u8> {
    let Registers { ip, sp, fp, lr, first } = registers;
    match arch {
        Arch::X64 => structure(
            0x4d0,
            &[
                (0x30, 0x10_001f, 4),
                (0x34, 0x1f80, 4),
                (0x38, 0x10, 2),
                (0x42, 0x18, 2),
                (0x44, 0x5_0246, 4),
                (0x78, first, 8),
                (0x98, sp, 8),
                (0xa0, fp, 8),
                (0xf8, ip, 8),
                (0x118, 0x1f80, 4),
            ],
        ),
        Arch::X86 => structure(
            0x2cc,
            &[(0, 0x1_003f, 4), (0xb0, first, 4), (0xb4, fp, 4), (0xb8, ip, 4), (0xbc, 0x23, 4), (0xc4, sp, 4)],
        ),
        Arch::Arm64 => structure(
            0x390,
            &[(0, 0x40_000f, 4), (8, first, 8), (0xf0, fp, 8), (0xf8, lr, 8), (0x100, sp, 8), (0x108, ip, 8)],
        ),
    }
}

/// A 64-bit `EXCEPTION_RECORD`.
#[must_use]
pub fn exception_record(code: u32, address: u64, parameters: &[u64]) -> Vec<u8> {
    let mut fields = vec![(0, u64::from(code), 4), (0x10, address, 8), (0x18, parameters.len() as u64, 4)];
    fields.extend(parameters.iter().enumerate().map(|(index, value)| (0x20 + index * 8, *value, 8)));
    structure(0x98, &fields)
}

//! Frames that the processor or the system made, and not code with a prologue.

use dumplens_base::{Memory, MemoryExt, Va};

use super::{PAC_MASK, Register, Registers, Stop, strip};

/// `CONTEXT` of ARM64: `x0` to `lr` from 8 on, then `sp` and `pc`.
const CONTEXT: (u64, u64, u64) = (8, 0x100, 0x108);

/// Where the context of ARM64EC, in the layout of x64, keeps what a walk needs.
const EC_CONTEXT: [(u8, u64); 11] = [
    (19, 0xd8),
    (20, 0xe0),
    (21, 0xe8),
    (22, 0xf0),
    (25, 0xa8),
    (26, 0xb0),
    (27, 0x90),
    (29, 0xa0),
    (30, 0x120),
    (0, 0x80),
    (1, 0x88),
];
const EC_SP: u64 = 0x98;
const EC_PC: u64 = 0xf8;

/// `KTRAP_FRAME` of ARM64: flags, stack pointer, `x0` to `x18`, link register, frame pointer, instruction pointer.
const TRAP_SPSR: u64 = 0x90;
const TRAP_SP: u64 = 0x98;
const TRAP_X: u64 = 0xa0;
const TRAP_LR: u64 = 0x138;
const TRAP_FP: u64 = 0x140;
const TRAP_PC: u64 = 0x148;

/// Reads 64-bit words of a structure.
struct Words<'a>(&'a dyn Memory, Va);

impl Words<'_> {
    fn at(&self, offset: u64) -> Result<u64, Stop> {
        let va = self.1.checked_add(offset).ok_or(Stop::Overflow(self.1))?;
        self.0.read_u64(va).map_err(Stop::Stack)
    }
}

/// What the pair {stack pointer, instruction pointer} says was interrupted.
pub(super) fn machine_frame(memory: &dyn Memory, registers: &mut Registers) -> Result<(), Stop> {
    let words = Words(memory, registers.sp);
    (registers.sp, registers.pc) = (Va(words.at(0)?), Va(words.at(8)?));
    Ok(())
}

/// What a context record says was interrupted.
pub(super) fn context(memory: &dyn Memory, registers: &mut Registers) -> Result<(), Stop> {
    let words = Words(memory, registers.sp);
    let (general, sp, pc) = CONTEXT;
    for register in Register::all() {
        registers.set(register, words.at(general + u64::from(register.number()) * 8)?);
    }
    (registers.sp, registers.pc) = (Va(words.at(sp)?), Va(words.at(pc)?));
    Ok(())
}

/// What a context record of ARM64EC says was interrupted.
pub(super) fn ec_context(memory: &dyn Memory, registers: &mut Registers) -> Result<(), Stop> {
    let words = Words(memory, registers.sp);
    let mut found = Registers::new(Va(words.at(EC_PC)?), Va(words.at(EC_SP)?));
    for (number, offset) in EC_CONTEXT {
        if let Some(register) = Register::new(number) {
            found.set(register, words.at(offset)?);
        }
    }
    *registers = found;
    Ok(())
}

/// What a trap frame says was interrupted. Its layout is not documented: what makes no sense is refused.
pub(super) fn trap_frame(memory: &dyn Memory, registers: &mut Registers, rva: u32) -> Result<(), Stop> {
    let words = Words(memory, registers.sp);
    let (spsr, sp, pc) = (words.at(TRAP_SPSR)?, words.at(TRAP_SP)?, words.at(TRAP_PC)?);
    // User mode, or the kernel's with one of its two stack pointers.
    let mode = matches!(spsr & 0x1f, 0 | 4 | 5);
    let user = spsr & 0x1f == 0;
    let places = pc & 3 == 0 && sp & 7 == 0 && sp != 0 && strip(pc, PAC_MASK) == pc && strip(sp, PAC_MASK) == sp;
    if !mode || !places || (user && (pc | sp) >> 63 == 1) {
        return Err(Stop::Invalid { rva, what: "it names a trap frame that holds none" });
    }
    for register in Register::all() {
        let offset = match register.number() {
            number @ 0..=18 => TRAP_X + u64::from(number) * 8,
            29 => TRAP_FP,
            30 => TRAP_LR,
            _ => continue,
        };
        registers.set(register, words.at(offset)?);
    }
    (registers.sp, registers.pc) = (Va(sp), Va(pc));
    Ok(())
}

//! What code does to the stack at the edges of a function, where frame data does not hold.

use alloc::vec::Vec;

use super::Register;

/// Most bytes of a prologue or an epilogue that are read.
pub(crate) const LONGEST: usize = 64;
/// Most registers that are pushed: a function has four to save.
const MOST_PUSHES: usize = 8;

/// What a function has done to the stack when it has come so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prologue {
    /// Bytes from the stack pointer up to the return address. `None` once `ebp` knows the frame better.
    pub depth: Option<u32>,
    /// Registers on the stack, and how many bytes below the return address each stands.
    pub saved: Vec<(Register, u32)>,
    /// How far below the return address `ebp` points, once it is the frame pointer.
    pub frame: Option<u32>,
}

impl Prologue {
    /// Takes room for locals. `None` if that is more than an address space has.
    fn allocate(&mut self, size: u32) -> Option<()> {
        if let Some(depth) = &mut self.depth {
            *depth = depth.checked_add(size)?;
        }
        Some(())
    }
}

/// Follows a prologue: `code` is what runs from a function's first instruction up to the one that was interrupted.
/// `None` if any of it is not what prologues are made of, or is cut.
#[must_use]
pub fn prologue(code: &[u8]) -> Option<Prologue> {
    let mut done = Prologue { depth: Some(0), ..Prologue::default() };
    let mut rest = code;
    while !rest.is_empty() {
        rest = match rest {
            // mov edi, edi: room for a patch
            [0x8b, 0xff, rest @ ..] => rest,
            // push register
            [byte @ 0x50..=0x57, rest @ ..] => {
                let depth = done.depth?.checked_add(4)?;
                done.depth = Some(depth);
                let register = Register::new(byte & 7);
                if !register.is_volatile() && done.saved.iter().all(|(known, _)| *known != register) {
                    done.saved.push((register, depth));
                }
                if done.saved.len() > MOST_PUSHES {
                    return None;
                }
                rest
            }
            // push imm8
            [0x6a, _, rest @ ..] => {
                done.depth = Some(done.depth?.checked_add(4)?);
                rest
            }
            // push imm32
            [0x68, _, _, _, _, rest @ ..] => {
                done.depth = Some(done.depth?.checked_add(4)?);
                rest
            }
            // mov ebp, esp
            [0x8b, 0xec, rest @ ..] | [0x89, 0xe5, rest @ ..] => {
                done.frame = done.depth;
                rest
            }
            // sub esp, imm8
            [0x83, 0xec, size @ 0..=0x7f, rest @ ..] => {
                done.allocate((*size).into())?;
                rest
            }
            // sub esp, imm32
            [0x81, 0xec, a, b, c, d, rest @ ..] => {
                done.allocate(u32::from_le_bytes([*a, *b, *c, *d]))?;
                rest
            }
            // and esp, imm: how much is cut off is not known, but ebp knows the frame
            [0x83, 0xe4, _, rest @ ..] if done.frame.is_some() => {
                done.depth = None;
                rest
            }
            _ => return None,
        };
    }
    Some(done)
}

/// How a function gets back to its caller from where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epilogue {
    /// Whether `esp` is taken from `ebp` first (`leave`, or `mov esp, ebp`).
    pub from_frame: bool,
    /// Bytes from there up to the return address.
    pub depth: u32,
    /// Registers that are popped, and how many bytes from there each stands.
    pub saved: Vec<(Register, u32)>,
}

/// Reads an epilogue that begins at the instruction that comes next: registers are popped, `esp` and `ebp` put back, and
/// the function returns. `None` if `code` does something else first, or is cut.
#[must_use]
pub fn epilogue(code: &[u8]) -> Option<Epilogue> {
    let mut exit = Epilogue::default();
    let mut rest = code;
    // What is popped before esp is taken from ebp has its place from the old esp: no compiler does so.
    while exit.saved.len() <= MOST_PUSHES {
        let begun = exit != Epilogue::default();
        rest = match rest {
            // ret, ret imm16
            [0xc3 | 0xc2, ..] => return Some(exit),
            // leave
            [0xc9, rest @ ..] if !begun => {
                exit = Epilogue { from_frame: true, depth: 4, saved: alloc::vec![(Register::EBP, 0)] };
                rest
            }
            // mov esp, ebp
            [0x8b, 0xe5, rest @ ..] | [0x89, 0xec, rest @ ..] if !begun => {
                exit.from_frame = true;
                rest
            }
            // pop register
            [byte @ 0x58..=0x5f, rest @ ..] if *byte != 0x5c => {
                let register = Register::new(byte & 7);
                if !register.is_volatile() {
                    exit.saved.push((register, exit.depth));
                }
                exit.depth = exit.depth.checked_add(4)?;
                rest
            }
            // add esp, imm8
            [0x83, 0xc4, size @ 0..=0x7f, rest @ ..] => {
                exit.depth = exit.depth.checked_add(u32::from(*size))?;
                rest
            }
            // add esp, imm32
            [0x81, 0xc4, a, b, c, d, rest @ ..] => {
                exit.depth = exit.depth.checked_add(u32::from_le_bytes([*a, *b, *c, *d]))?;
                rest
            }
            _ => return None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_prologue_is_followed_instruction_by_instruction() {
        // mov edi, edi; push ebp; mov ebp, esp; sub esp, 10h; push esi
        let code = [0x8b, 0xff, 0x55, 0x8b, 0xec, 0x83, 0xec, 0x10, 0x56];
        let at = |len: usize| prologue(&code[..len]).unwrap();
        assert_eq!((at(0).depth, at(2).depth, at(3).depth), (Some(0), Some(0), Some(4)));
        assert_eq!((at(3).frame, at(5).frame), (None, Some(4)));
        assert_eq!(at(8).depth, Some(0x14));
        assert_eq!(
            at(9),
            Prologue { depth: Some(0x18), saved: vec![(Register::EBP, 4), (Register::ESI, 0x18)], frame: Some(4) }
        );
        assert_eq!(prologue(&code[..4]), None, "in the middle of an instruction");
        assert_eq!(prologue(&[0x55, 0xe8, 0, 0, 0, 0]), None, "a call is no part of one");
    }

    #[test]
    fn an_epilogue_is_read_up_to_the_return() {
        // add esp, 8; pop esi; pop ecx; pop ebp; ret 8
        let exit = epilogue(&[0x83, 0xc4, 8, 0x5e, 0x59, 0x5d, 0xc2, 8, 0]).unwrap();
        let saved = vec![(Register::ESI, 8), (Register::EBP, 16)];
        assert_eq!(exit, Epilogue { from_frame: false, depth: 20, saved });
        let saved = vec![(Register::EBP, 0)];
        assert_eq!(epilogue(&[0xc9, 0xc3]), Some(Epilogue { from_frame: true, depth: 4, saved }));
        assert_eq!(epilogue(&[0x8b, 0xe5, 0x5d, 0xc3]).unwrap(), epilogue(&[0xc9, 0xc3]).unwrap());
        assert_eq!(epilogue(&[0x5e, 0x90]), None);
        assert_eq!(epilogue(&[0x5e, 0xc9, 0xc3]), None, "what is popped first would be lost");
        assert_eq!(epilogue(&[0x5f; 64]), None);
    }
}

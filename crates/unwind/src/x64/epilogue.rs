//! Epilogues, told by their instructions.
//!
//! Unwind data of version 1 does not say where epilogues are. The ABI allows them few instructions for that reason:
//! `add rsp, n` or `lea rsp, [frame pointer + n]`, pops, and a return or a jump out of the function. Source: "x64
//! prolog and epilog" in Microsoft's C++ documentation.
//!
//! What ends in a return needs no further proof: it is what the processor was about to do. A jump may stay within the
//! function, its frame in place; where it goes and what came before it decide.

use alloc::vec::Vec;

use super::{
    CodeImage, Register, RuntimeFunction, UnwindInfo,
    info::{self, MAX_CHAIN, Op, Tail},
};

/// Most bytes of an epilogue: the longest `lea`, two bytes for each pop, the longest jump.
pub(super) const LONGEST: u32 = 64;

/// The rest of an epilogue, from some instruction on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) free: Option<Free>,
    pub(super) pops: Vec<Register>,
    /// Bytes that the return takes off the stack beside the return address.
    pub(super) extra: u16,
    pub(super) jump: Option<Jump>,
}

/// How the fixed part of the frame is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Free {
    Add(u32),
    /// The stack pointer becomes a register plus a displacement.
    From(Register, i32),
}

/// The jump that ends an epilogue in place of a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Jump {
    /// To this many bytes after the start of the code that was decoded.
    Relative(i64),
    Indirect,
}

/// Takes the code at an instruction pointer for the rest of an epilogue. `None` if it is something else.
pub(super) fn decode(code: &[u8]) -> Option<Exit> {
    let (free, mut rest) = free(code);
    let mut pops = Vec::new();
    loop {
        let (number, after) = match rest {
            [0x5c, ..] => return None, // pop rsp
            [op @ 0x58..=0x5f, after @ ..] => (op & 7, after),
            [0x41, op @ 0x58..=0x5f, after @ ..] => (op & 7 | 8, after),
            _ => break,
        };
        pops.push(Register::new(number));
        rest = after;
    }
    let mut extra = 0;
    // A `bnd` prefix on a return or a jump changes nothing here.
    if let [0xf2, after @ ..] = rest {
        rest = after;
    }
    let from_start = |after: &[u8], relative: i64| {
        let length = i64::try_from(code.len().saturating_sub(after.len())).unwrap_or_default();
        Some(Jump::Relative(length.saturating_add(relative)))
    };
    let jump = match rest {
        [0xc3, ..] | [0xf3, 0xc3, ..] => None,
        [0xc2, low, high, ..] => {
            extra = u16::from_le_bytes([*low, *high]);
            None
        }
        [0xeb, relative, after @ ..] => from_start(after, i64::from(i8::from_le_bytes([*relative]))),
        [0xe9, a, b, c, d, after @ ..] => from_start(after, i64::from(i32::from_le_bytes([*a, *b, *c, *d]))),
        // Through memory addressed without displacement, or relative to the instruction.
        [0xff, modrm, ..] | [0x40..=0x4f, 0xff, modrm, ..] if modrm >> 3 == 4 => Some(Jump::Indirect),
        // Through anything, with the prefix (`rex.w`) that marks a tail call; without it, it is the jump of a `switch`.
        [0x48..=0x4f, 0xff, modrm, ..] if modrm >> 3 & 7 == 4 => Some(Jump::Indirect),
        _ => return None,
    };
    Some(Exit { free, pops, extra, jump })
}

/// The instruction that frees the fixed part of the frame, if the code begins with one.
fn free(code: &[u8]) -> (Option<Free>, &[u8]) {
    match code {
        [0x48, 0x83, 0xc4, imm @ 0..=0x7f, rest @ ..] => (Some(Free::Add(u32::from(*imm))), rest),
        [0x48, 0x81, 0xc4, a, b, c, d @ 0..=0x7f, rest @ ..] => {
            (Some(Free::Add(u32::from_le_bytes([*a, *b, *c, *d]))), rest)
        }
        // lea rsp, [register + displacement]
        [rex @ (0x48 | 0x49), 0x8d, modrm, rest @ ..] if modrm >> 3 & 7 == 4 => {
            let register = Register::new(modrm & 7 | (rex & 1) << 3);
            let rest = match (modrm & 7, rest) {
                (4, [0x24, rest @ ..]) => rest,
                (4, _) => return (None, code),
                _ => rest,
            };
            match (modrm >> 6, rest) {
                (0, rest) if modrm & 7 != 5 => (Some(Free::From(register, 0)), rest),
                (1, [a, rest @ ..]) => (Some(Free::From(register, i32::from(i8::from_le_bytes([*a])))), rest),
                (2, [a, b, c, d, rest @ ..]) => {
                    (Some(Free::From(register, i32::from_le_bytes([*a, *b, *c, *d]))), rest)
                }
                _ => (None, code),
            }
        }
        _ => (None, code),
    }
}

/// What a prologue did and an epilogue takes back, in the epilogue's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undo {
    Free(u32),
    Pop(Register),
}

impl Exit {
    /// Whether this can be what is left of the epilogue of the function that `infos` describe, outermost last.
    pub(super) fn fits(&self, infos: &[UnwindInfo]) -> bool {
        let mut undo: Vec<Undo> = Vec::new();
        for code in infos.iter().flat_map(|info| &info.codes) {
            match code.op {
                Op::Push(register) => undo.push(Undo::Pop(register)),
                Op::Alloc(size) => match undo.last_mut() {
                    Some(Undo::Free(total)) => *total = total.saturating_add(size),
                    _ => undo.push(Undo::Free(size)),
                },
                Op::MachineFrame(_) => return false,
                _ => {}
            }
        }
        let pops = |undo: &[Undo]| {
            undo.len() == self.pops.len()
                && undo.iter().zip(&self.pops).all(|(undo, pop)| match undo {
                    Undo::Pop(register) => register == pop,
                    // `pop rcx` is the shortest way to free eight bytes.
                    Undo::Free(size) => *size == 8 && pop.is_volatile(),
                })
        };
        match self.free {
            Some(Free::Add(size)) => match undo.split_first() {
                Some((Undo::Free(total), rest)) => *total == size && pops(rest),
                _ => false,
            },
            Some(Free::From(register, _)) => {
                let frame = infos.iter().find_map(|info| info.frame);
                undo.retain(|undo| matches!(undo, Undo::Pop(_)));
                frame.is_some_and(|(frame, _)| frame == register) && pops(&undo)
            }
            None => {
                let left = undo.len().checked_sub(self.pops.len()).and_then(|done| undo.get(done..));
                left.is_some_and(pops)
            }
        }
    }
}

/// The rest of an epilogue of `size` bytes that version 2 lists, from `into` bytes on, without its code: it pops what
/// the prologue pushed, one byte for each of the first eight registers, two for the others, and returns. `None` if it
/// is not made of that.
pub(super) fn of_codes(infos: &[UnwindInfo], into: u32, size: u32) -> Option<Exit> {
    let mut at = 0_u32;
    let mut pops = Vec::new();
    for code in infos.iter().flat_map(|info| &info.codes) {
        let Op::Push(register) = code.op else { continue };
        if at >= into {
            pops.push(register);
        }
        at = at.saturating_add(if register.number() < 8 { 1 } else { 2 });
    }
    (at.checked_add(1)? == size).then_some(Exit { free: None, pops, extra: 0, jump: None })
}

/// Whether a jump from `function` to `target` leaves it for good, its frame freed. A jump to another part of the same
/// function, or into the middle of any other, does not.
pub(super) fn leaves(image: &dyn CodeImage, function: RuntimeFunction, info: &UnwindInfo, target: i64) -> bool {
    let Ok(target) = u32::try_from(target) else { return true };
    if target >= image.size() {
        return true;
    }
    if function.contains(target) {
        return target == function.begin && !matches!(info.tail, Tail::Chained(_));
    }
    match image.function(target) {
        Ok(Some(other)) if other.begin == target => {
            let (Ok(other), Ok(own)) = (primary(image, other), primary(image, function)) else { return false };
            // A part that finds its frame made for it has codes, but no prologue of its own.
            let starts_bare = UnwindInfo::read(image, other.unwind)
                .is_ok_and(|info| info.prolog_size != 0 || info.codes.iter().all(|code| is_epilogue(code.op)));
            other.begin == target && other.begin != own.begin && starts_bare
        }
        Ok(Some(_)) | Err(_) => false,
        Ok(None) => true,
    }
}

const fn is_epilogue(op: Op) -> bool {
    matches!(op, Op::Epilogue(_) | Op::Spare)
}

/// The function that a part of it belongs to.
fn primary(image: &dyn CodeImage, mut function: RuntimeFunction) -> Result<RuntimeFunction, super::Stop> {
    for _ in 0..MAX_CHAIN {
        function = info::direct(image, function)?;
        match UnwindInfo::read(image, function.unwind)?.tail {
            Tail::Chained(parent) => function = parent,
            _ => return Ok(function),
        }
    }
    Err(super::Stop::Loop { rva: function.unwind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_of_epilogues_are_known() {
        let exit = decode(&[0x48, 0x83, 0xc4, 0x28, 0x41, 0x5e, 0x5f, 0xc3]).unwrap();
        assert_eq!(exit.free, Some(Free::Add(0x28)));
        assert_eq!(exit.pops, [Register::new(14), Register::RDI]);
        let exit = decode(&[0x48, 0x8d, 0x65, 0x10, 0x5d, 0xc2, 8, 0]).unwrap();
        assert_eq!((exit.free, exit.extra), (Some(Free::From(Register::RBP, 0x10)), 8));
        let exit = decode(&[0x49, 0x8d, 0xa4, 0x24, 0, 1, 0, 0, 0x41, 0x5c, 0xf3, 0xc3]).unwrap();
        assert_eq!(exit.free, Some(Free::From(Register::new(12), 0x100)));
        assert_eq!(decode(&[0x5b, 0xeb, 0x10]).unwrap().jump, Some(Jump::Relative(0x13)));
        assert_eq!(decode(&[0xe9, 0xfb, 0xff, 0xff, 0xff]).unwrap().jump, Some(Jump::Relative(0)));
        assert_eq!(decode(&[0x48, 0xff, 0x25, 0, 0, 0, 0]).unwrap().jump, Some(Jump::Indirect));
        assert_eq!(decode(&[0x48, 0xff, 0xa0, 8, 1, 0, 0]).unwrap().jump, Some(Jump::Indirect));
        assert_eq!(decode(&[0x48, 0xff, 0xe0]).unwrap().jump, Some(Jump::Indirect));
    }

    #[test]
    fn other_code_is_no_epilogue() {
        for code in [
            &[0x90][..],                     // nop
            &[0xff, 0xe0],                   // jmp rax
            &[0xff, 0x60, 8],                // jmp [rax+8]
            &[0x5c, 0xc3],                   // pop rsp
            &[0x48, 0x83, 0xc4, 0x28],       // cut off
            &[0x48, 0x83, 0xec, 0x28],       // sub rsp
            &[0x48, 0x83, 0xc4, 0xf8, 0xc3], // add rsp, -8
            &[],
        ] {
            assert_eq!(decode(code), None, "{code:02x?}");
        }
    }
}

//! Unwind data of version 3, which code for Intel APX has.
//!
//! Source: "x64 unwind information v3" in Microsoft's C++ documentation, a preview of May 2026 that may still change.
//! The types of a canonical frame are not published: a record that has one is refused.

use alloc::vec::Vec;

use super::{
    Register, Stop,
    info::{Body, Code, Exit, Op},
};

/// What lies between the head and the handler. `head` is the record's first four bytes.
pub(super) fn body(payload: &[u8], head: [u8; 4], rva: u32) -> Result<Body, Stop> {
    let [first, prolog_size, _, counts] = head;
    let large = first >> 3 & 8 != 0;
    let mut rest = Reader { bytes: payload, rva };
    let high = if large { rest.byte()? } else { 0 };
    let prologue = rest.offsets(counts & 31, large)?;
    let mut described = Vec::new();
    let mut last: Option<Described> = None;
    for _ in 0..counts >> 5 {
        let epilogue = Described::read(&mut rest, last.as_ref())?;
        described.push(epilogue.clone());
        last = Some(epilogue);
    }
    let pool = rest.bytes;
    let mut frame = None;
    // An instruction of the prologue has run when the instruction pointer is past its begin.
    let ran = |offset: &u16| u32::from(*offset).saturating_add(1);
    let codes = operations(Reader { bytes: pool, rva }, prologue.iter().map(ran), &mut frame)?;
    let mut exits = Vec::new();
    for Described { start, last, to_parent, first, offsets } in described {
        let pool = pool.get(usize::from(first)..).ok_or(too_short(rva))?;
        let codes =
            operations(Reader { bytes: pool, rva }, offsets.iter().map(|offset| u32::from(*offset)), &mut frame)?;
        exits.push(Exit { start, last: last.into(), to_parent, codes });
    }
    Ok(Body { prolog_size: u16::from_le_bytes([prolog_size, high]), frame, codes, exits })
}

const fn too_short(rva: u32) -> Stop {
    Stop::Invalid { rva, what: "its payload is too short" }
}

/// `EPILOG_INFO_V3` and what extends it.
#[derive(Clone)]
struct Described {
    start: i32,
    last: u16,
    to_parent: bool,
    first: u16,
    offsets: Vec<u16>,
}

impl Described {
    fn read(rest: &mut Reader<'_>, before: Option<&Self>) -> Result<Self, Stop> {
        let invalid = Stop::Invalid { rva: rest.rva, what: "its first epilogue inherits from none" };
        let flags = rest.byte()?;
        let start = i32::from(rest.word()?.cast_signed());
        // Later ones count from the one before.
        let start = before.map_or(start, |before| before.start.saturating_add(start));
        if flags >> 3 == 0 {
            return Ok(Self { start, ..before.ok_or(invalid)?.clone() });
        }
        let large = flags & 2 != 0;
        let first = rest.word()?;
        let last = if large { rest.word()? } else { rest.byte()?.into() };
        Ok(Self { start, last, to_parent: flags & 1 != 0, first, offsets: rest.offsets(flags >> 3, large)? })
    }
}

/// Takes one operation for each offset. Two pushes of one instruction become two codes.
fn operations(
    mut pool: Reader<'_>,
    offsets: impl Iterator<Item = u32>,
    frame: &mut Option<(Register, u32)>,
) -> Result<Vec<Code>, Stop> {
    let mut codes = Vec::new();
    for offset in offsets {
        let first = pool.byte()?;
        let high = first >> 3;
        let mut push = |op| codes.push(Code { offset, op });
        match first {
            0 => {
                let byte = pool.byte()?;
                let named = (Register::new(byte), u32::from(byte >> 4).saturating_mul(16));
                if frame.is_some_and(|frame| frame != named) {
                    return Err(Stop::Invalid { rva: pool.rva, what: "it names two frame pointers" });
                }
                *frame = Some(named);
                push(Op::SetFrame);
            }
            1 => push(Op::Alloc(pool.long()?)),
            2 => push(Op::Alloc(u32::from(pool.word()?).saturating_mul(8))),
            3 => return Err(Stop::Invalid { rva: pool.rva, what: "its type of canonical frame is not known" }),
            _ if first & 7 == 4 => push(pushed(high)),
            _ if first & 7 == 5 => push(saved(high, pool.long()?)),
            _ if first & 7 == 6 => push(saved(high, u32::from(pool.word()?).saturating_mul(8))),
            // What was pushed last is taken back first.
            _ if first & 7 == 7 => {
                push(pushed(high.saturating_add(1)));
                push(pushed(high));
            }
            _ if first & 15 == 8 => push(Op::Alloc(u32::from(first >> 4).saturating_mul(8).saturating_add(8))),
            _ if first & 15 == 9 => push(Op::SaveXmm(first >> 4, pool.long()?)),
            _ if first & 15 == 10 => push(Op::SaveXmm(first >> 4, u32::from(pool.word()?).saturating_mul(16))),
            _ if first & 63 == 32 => {
                let second = pool.byte()?;
                push(pushed(second >> 3));
                push(pushed(first >> 6 | (second & 7) << 2));
            }
            _ => return Err(Stop::Invalid { rva: pool.rva, what: "an unwind code that is not defined" }),
        }
    }
    Ok(codes)
}

/// Registers 16 to 31 are volatile: only the place that they take counts.
const fn pushed(register: u8) -> Op {
    if register < 16 { Op::Push(Register::new(register)) } else { Op::Alloc(8) }
}

const fn saved(register: u8, offset: u32) -> Op {
    if register < 16 { Op::Save(Register::new(register), offset) } else { Op::Spare }
}

struct Reader<'a> {
    bytes: &'a [u8],
    rva: u32,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        let (first, rest) = self.bytes.split_first().ok_or(too_short(self.rva))?;
        self.bytes = rest;
        Ok(*first)
    }

    fn word(&mut self) -> Result<u16, Stop> {
        Ok(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn long(&mut self) -> Result<u32, Stop> {
        Ok(u32::from(self.word()?) | u32::from(self.word()?) << 16)
    }

    fn offsets(&mut self, count: u8, large: bool) -> Result<Vec<u16>, Stop> {
        (0..count).map(|_| if large { self.word() } else { self.byte().map(u16::from) }).collect()
    }
}

use alloc::vec::Vec;

use super::{Absent, CodeImage, Register, RuntimeFunction, Stop, v3};

/// Most records that are followed from one function to its primary one. Compilers write two or three.
pub(super) const MAX_CHAIN: usize = 32;

/// Bytes in front of the codes.
const HEAD: usize = 4;

/// `UNWIND_INFO`.
///
/// Source: "x64 exception handling" and, for version 3, "x64 unwind information v3" in Microsoft's C++ documentation;
/// version 2 as LLVM's `Win64EH.h` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwindInfo {
    /// Its RVA.
    pub rva: u32,
    /// 1, 2 or 3.
    pub version: u8,
    /// `UNW_FLAG_*`: 1 exception handler, 2 termination handler, 4 chained; of version 3 also 8, large.
    pub flags: u8,
    /// Length of the prologue in bytes.
    pub prolog_size: u16,
    /// The frame pointer and what lies between it and the stack pointer at that time, in bytes.
    pub frame: Option<(Register, u32)>,
    /// Number of 16-bit words between the head and what follows.
    pub slots: u8,
    /// The codes, the last action of the prologue first.
    pub codes: Vec<Code>,
    /// The epilogues that version 3 describes.
    pub exits: Vec<Exit>,
    /// What follows the codes.
    pub tail: Tail,
}

/// An epilogue as version 3 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Where it starts: in bytes from the function's begin, or from its end if negative.
    pub start: i32,
    /// Bytes from its start to the begin of its last instruction.
    pub last: u32,
    /// Whether it goes on in the function that the record continues, and not in the caller.
    pub to_parent: bool,
    /// What each instruction takes back, in the order of the code. [`Code::offset`] counts from the epilogue's start.
    pub codes: Vec<Code>,
}

/// What follows the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    None,
    /// RVA of the language's handler.
    Handler(u32),
    /// The function that this record continues.
    Chained(RuntimeFunction),
}

/// One unwind code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The instruction that did this has run when the instruction pointer is this many bytes into the function, or
    /// further.
    pub offset: u32,
    /// What it did.
    pub op: Op,
}

/// What an instruction of the prologue did. Sizes and offsets are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Pushed a register.
    Push(Register),
    /// Moved the stack pointer down.
    Alloc(u32),
    /// Set the frame pointer.
    SetFrame,
    /// Stored a register at this offset in the frame.
    Save(Register, u32),
    /// Stored an XMM register, or its low half, at this offset in the frame. Nothing to undo for a stack walk.
    SaveXmm(u8, u32),
    /// Version 2: where epilogues are; see [`UnwindInfo::epilogues`]. The 8 bits of the offset field are in
    /// [`Code::offset`], these are the other four.
    Epilogue(u8),
    /// Version 2: has no meaning yet.
    Spare,
    /// The processor pushed a machine frame, with an error code or without.
    MachineFrame(bool),
}

impl UnwindInfo {
    /// Reads the record at `rva`.
    ///
    /// # Errors
    /// [`Stop::InfoUnreadable`], [`Stop::Version`], or [`Stop::Invalid`] for codes that are not defined or run over
    /// the end of the record.
    pub fn read(image: &(impl CodeImage + ?Sized), rva: u32) -> Result<Self, Stop> {
        /// Most records are no longer: one read does.
        const SHORT: usize = 32;
        let absent = |absent: Absent| Stop::InfoUnreadable { rva: absent.rva };
        let mut room = [0; HEAD + 2 * u8::MAX as usize];
        let mut known = SHORT;
        if image.read(rva, room.get_mut(..known).unwrap_or_default()).is_err() {
            known = HEAD;
            image.read(rva, room.get_mut(..known).unwrap_or_default()).map_err(absent)?;
        }
        let [first, prolog_size, slots, frame, ..] = room;
        let head = [first, prolog_size, slots, frame];
        let (version, flags) = (first & 7, first >> 3);
        if !matches!(version, 1..=3) {
            return Err(Stop::Version { rva, version });
        }
        let overflow = Stop::Invalid { rva, what: "it runs over the end of the image" };
        let codes_rva = rva.checked_add(HEAD as u32).ok_or(overflow)?;
        let end = usize::from(slots).saturating_mul(2).saturating_add(HEAD);
        if end > known {
            image.read(codes_rva, room.get_mut(HEAD..end).unwrap_or_default()).map_err(absent)?;
        }
        let bytes = room.get(HEAD..end).unwrap_or_default();
        let body = match version {
            3 => v3::body(bytes, head, rva)?,
            _ => Body {
                prolog_size: prolog_size.into(),
                frame: frame_register(frame),
                codes: codes(bytes, version, rva)?,
                exits: Vec::new(),
            },
        };
        // The codes are padded to an even number of slots.
        let padded = u32::from(slots).next_multiple_of(2).saturating_mul(2);
        let tail_rva = codes_rva.checked_add(padded).ok_or(overflow)?;
        let tail = if flags & 4 != 0 {
            let mut entry = [0; 12];
            image.read(tail_rva, &mut entry).map_err(absent)?;
            Tail::Chained(RuntimeFunction::parse(entry))
        } else if flags & 3 != 0 {
            let mut handler = [0; 4];
            image.read(tail_rva, &mut handler).map_err(absent)?;
            Tail::Handler(u32::from_le_bytes(handler))
        } else {
            Tail::None
        };
        let Body { prolog_size, frame, codes, exits } = body;
        Ok(Self { rva, version, flags, prolog_size, frame, slots, codes, exits, tail })
    }

    /// The epilogues that a record of version 2 lists for its function: first RVA and length in bytes.
    ///
    /// A listed epilogue starts behind the instruction that frees the fixed part of the frame: it is the pops and the
    /// return alone.
    pub fn epilogues(&self, function: RuntimeFunction) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut codes = self.codes.iter().filter_map(|code| match code.op {
            Op::Epilogue(high) => Some((code.offset, u32::from(high))),
            _ => None,
        });
        // The first code holds the length of all of them, and whether one stands at the function's end.
        let (size, flags) = codes.next().unwrap_or((0, 0));
        let at_end = (flags & 1 != 0).then_some(size);
        let listed = codes.map(|(low, high)| low | high << 8).filter(|offset| *offset != 0);
        at_end.into_iter().chain(listed).filter_map(move |offset| Some((function.end.checked_sub(offset)?, size)))
    }
}

/// What the versions write differently.
pub(super) struct Body {
    pub(super) prolog_size: u16,
    pub(super) frame: Option<(Register, u32)>,
    pub(super) codes: Vec<Code>,
    pub(super) exits: Vec<Exit>,
}

/// A frame pointer and its offset from the stack pointer; register 0 means that there is none.
fn frame_register(byte: u8) -> Option<(Register, u32)> {
    (byte & 15 != 0).then(|| (Register::new(byte), u32::from(byte >> 4).saturating_mul(16)))
}

fn codes(bytes: &[u8], version: u8, rva: u32) -> Result<Vec<Code>, Stop> {
    let (slots, _) = bytes.as_chunks::<2>();
    let mut slots = slots.iter().copied();
    let mut codes = Vec::with_capacity(slots.len());
    while let Some([offset, second]) = slots.next() {
        let (op, info) = (second & 15, second >> 4);
        let register = Register::new(info);
        let mut short = || {
            let slot = slots.next().ok_or(Stop::Invalid { rva, what: "a code runs over the end of the codes" })?;
            Ok(u32::from(u16::from_le_bytes(slot)))
        };
        let op = match (op, version) {
            (0, _) => Op::Push(register),
            (1, _) if info == 0 => Op::Alloc(short()?.saturating_mul(8)),
            (1, _) if info == 1 => Op::Alloc(short()? | short()? << 16),
            (2, _) => Op::Alloc(u32::from(info).saturating_mul(8).saturating_add(8)),
            (3, _) => Op::SetFrame,
            (4, _) => Op::Save(register, short()?.saturating_mul(8)),
            (5, _) => Op::Save(register, short()? | short()? << 16),
            (6, 1) => Op::SaveXmm(info, short()?.saturating_mul(8)),
            (6, _) => Op::Epilogue(info),
            (7, 1) => Op::SaveXmm(info, short()? | short()? << 16),
            (7, _) => {
                short()?;
                short()?;
                Op::Spare
            }
            (8, _) => Op::SaveXmm(info, short()?.saturating_mul(16)),
            (9, _) => Op::SaveXmm(info, short()? | short()? << 16),
            (10, _) if info <= 1 => Op::MachineFrame(info == 1),
            _ => return Err(Stop::Invalid { rva, what: "an unwind code that is not defined" }),
        };
        codes.push(Code { offset: offset.into(), op });
    }
    Ok(codes)
}

/// Follows entries whose unwind data is that of another entry.
///
/// # Errors
/// As [`UnwindInfo::read`], and [`Stop::Loop`].
pub(super) fn direct(
    image: &(impl CodeImage + ?Sized),
    mut function: RuntimeFunction,
) -> Result<RuntimeFunction, Stop> {
    for _ in 0..MAX_CHAIN {
        if function.unwind & 1 == 0 {
            return Ok(function);
        }
        let mut bytes = [0; 12];
        let rva = function.unwind & !1;
        image.read(rva, &mut bytes).map_err(|absent| Stop::InfoUnreadable { rva: absent.rva })?;
        function = RuntimeFunction::parse(bytes);
    }
    Err(Stop::Loop { rva: function.unwind })
}

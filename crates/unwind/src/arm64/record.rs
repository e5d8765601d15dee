use alloc::{vec, vec::Vec};

use super::{CodeImage, Op, Stop};

/// Most epilogues of one record. A function has at most 2^18 instructions, and compilers write few returns.
const MAX_SCOPES: usize = 8192;

/// Unwind data of its own, for what does not fit into an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its RVA.
    pub rva: u32,
    /// Length of the function in bytes.
    pub length: u32,
    /// Version; 0 is the only one.
    pub version: u8,
    /// RVA of the language's handler.
    pub handler: Option<u32>,
    /// For a function with one epilogue, at its end: the index of its first code.
    pub last: Option<u16>,
    /// The epilogues otherwise, in order.
    pub scopes: Vec<Scope>,
    /// The codes: those of the prologue, its last instruction first, then those of epilogues that differ from it.
    pub codes: Vec<u8>,
}

/// An epilogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Where it starts, in bytes from the function's begin.
    pub start: u32,
    /// Index of its first code.
    pub index: u16,
}

fn words(image: &(impl CodeImage + ?Sized), rva: u32, count: usize) -> Result<Vec<u32>, Stop> {
    let mut bytes = vec![0; count.saturating_mul(4)];
    image.read(rva, &mut bytes).map_err(|absent| Stop::InfoUnreadable { rva: absent.rva })?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

fn word(image: &(impl CodeImage + ?Sized), rva: u32) -> Result<u32, Stop> {
    Ok(words(image, rva, 1)?.first().copied().unwrap_or_default())
}

const fn length(head: u32) -> u32 {
    (head & 0x3_ffff) * 4
}

impl Record {
    /// The length of the function that the record at `rva` is for.
    pub(super) fn length_at(image: &(impl CodeImage + ?Sized), rva: u32) -> Result<u32, Stop> {
        word(image, rva).map(length)
    }

    /// Reads the record at `rva`.
    ///
    /// # Errors
    /// [`Stop`] if it is absent or its version is not known.
    pub fn read(image: &(impl CodeImage + ?Sized), rva: u32) -> Result<Self, Stop> {
        let wrong = |what| Stop::Invalid { rva, what };
        let after = |words: usize| {
            let bytes = u32::try_from(words.saturating_mul(4)).ok();
            bytes.and_then(|bytes| rva.checked_add(bytes)).ok_or_else(|| wrong("it leaves the image"))
        };
        let head = word(image, rva)?;
        let version = (head >> 18 & 3) as u8;
        if version != 0 {
            return Err(Stop::Version { rva, version });
        }
        let (mut count, mut code_words, mut at) = ((head >> 22 & 0x1f) as u16, (head >> 27) as usize, 1);
        if count == 0 && code_words == 0 {
            let extension = word(image, after(1)?)?;
            (count, code_words, at) = ((extension & 0xffff) as u16, (extension >> 16 & 0xff) as usize, 2);
        }
        let last = (head >> 21 & 1 == 1).then_some(count);
        let mut scopes = Vec::new();
        if last.is_none() {
            if usize::from(count) > MAX_SCOPES {
                return Err(wrong("it has too many epilogues"));
            }
            let read = words(image, after(at)?, count.into())?;
            scopes.extend(read.iter().map(|scope| Scope { start: length(*scope), index: (scope >> 22) as u16 }));
            at = at.saturating_add(count.into());
        }
        let mut codes = vec![0; code_words.saturating_mul(4)];
        image.read(after(at)?, &mut codes).map_err(|absent| Stop::InfoUnreadable { rva: absent.rva })?;
        at = at.saturating_add(code_words);
        // What a walk does not need may be missing without harm.
        let handler = if head >> 20 & 1 == 1 { Some(word(image, after(at)?).unwrap_or_default()) } else { None };
        Ok(Self { rva, length: length(head), version, handler, last, scopes, codes })
    }

    /// The codes from `index` up to and with the end.
    #[must_use]
    pub fn ops(&self, index: u16) -> Vec<Op> {
        let mut rest = self.codes.get(usize::from(index)..).unwrap_or_default();
        let mut ops = Vec::new();
        while let Some((op, after)) = Op::decode(rest) {
            ops.push(op);
            if op == Op::End {
                break;
            }
            rest = after;
        }
        ops
    }

    /// The codes of the epilogue that holds the instruction `inside`, and where it starts, in bytes from the function's
    /// begin.
    pub(super) fn epilogue(&self, inside: u32) -> Option<(u32, Vec<Op>)> {
        if let Some(index) = self.last {
            let ops = self.ops(index);
            let start = self.length.checked_sub(epilogue_length(&ops))?;
            return (inside >= start).then_some((start, ops));
        }
        // They do not overlap: only the last that starts before can hold it.
        let scope = self.scopes.iter().filter(|scope| scope.start <= inside).max_by_key(|scope| scope.start)?;
        let ops = self.ops(scope.index);
        let into = inside.checked_sub(scope.start)?;
        (into < epilogue_length(&ops)).then_some((scope.start, ops))
    }
}

/// Bytes of the instructions that an epilogue's codes stand for, with the return.
fn epilogue_length(ops: &[Op]) -> u32 {
    instructions(ops).saturating_add(1).saturating_mul(4)
}

/// How many instructions codes stand for, up to the first end.
pub(super) fn instructions(ops: &[Op]) -> u32 {
    let own = ops.iter().take_while(|op| !matches!(op, Op::End | Op::EndChained));
    u32::try_from(own.filter(|op| op.is_instruction()).count()).unwrap_or(u32::MAX)
}

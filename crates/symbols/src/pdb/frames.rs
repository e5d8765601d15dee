//! How x86 functions lay out their frames: the `FrameData` and `FPO_DATA` streams.

use std::rc::Rc;

use dumplens_base::{
    ByteSource as _, Bytes,
    frame::{CountedFrame, FrameAt, FrameData, FrameRule},
};

use super::{
    PdbFile, filled,
    stream::{PdbStream, Window},
};
use crate::{SymbolError, cache::Cache};

/// Longest program. Compilers' have some hundred bytes.
const PROGRAM: usize = 4 << 10;
/// Most records that are looked at before the one that holds an address. Those of one function begin one behind the other
/// and end together; a function has some dozens at most.
const BACK: u64 = 4 << 10;

/// The two kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `FRAMEDATA`.
    Program,
    /// `FPO_DATA`.
    Counts,
}

impl Form {
    const fn size(self) -> u64 {
        match self {
            Self::Program => 32,
            Self::Counts => 16,
        }
    }
}

/// A table of records, each of which begins with where its code begins and how long it is.
struct Table {
    stream: PdbStream,
    form: Form,
    /// Where the first record stands.
    first: u64,
    count: u64,
    /// The length of the longest range.
    longest: u32,
    /// Start and number of each record by start, if the file does not have them in this order.
    order: Option<Vec<(u32, u32)>>,
}

impl Table {
    /// Reads through all records once, to know in which order they are. Keeps `budget` bytes at most.
    fn open(stream: PdbStream, form: Form, budget: usize) -> Result<Self, SymbolError> {
        let first = match form {
            // A relocation may stand in front, as it does in object files.
            Form::Program if stream.len() % form.size() == 4 => 4,
            _ => 0,
        };
        let count = stream.len().saturating_sub(first) / form.size();
        let mut table = Self { stream, form, first, count, longest: 0, order: None };
        let (mut before, mut sorted) = (0, true);
        let mut window = Window::new(&table.stream, table.stream.len());
        for index in 0..count {
            let (start, size) = range(&mut window, table.offset(index))?;
            sorted &= before <= start;
            before = start;
            table.longest = table.longest.max(size);
        }
        if !sorted {
            let most = (budget / size_of::<(u32, u32)>()) as u64;
            if count > most {
                let offset = table.stream.file_offset(first);
                return Err(SymbolError::too_many("number of unsorted frame records", offset, count, most));
            }
            let mut order = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
            for index in 0..count {
                let (start, _) = range(&mut window, table.offset(index))?;
                order.push((start, u32::try_from(index).unwrap_or(u32::MAX)));
            }
            order.sort_unstable();
            table.order = Some(order);
        }
        Ok(table)
    }

    const fn offset(&self, index: u64) -> u64 {
        self.first.saturating_add(index.saturating_mul(self.form.size()))
    }

    /// Where record number `place`, by start, stands in the file's order.
    fn index(&self, place: u64) -> u64 {
        let listed = usize::try_from(place).ok().and_then(|place| self.order.as_ref()?.get(place));
        listed.map_or(place, |(_, index)| u64::from(*index))
    }

    /// The narrowest record that holds a linked RVA. Records that overlap without one being inside the other are no
    /// compiler's; of such the one that begins last counts.
    fn find(&self, rva: u32) -> Result<Option<u64>, SymbolError> {
        let at = |place| {
            let [a, b, c, d, e, f, g, h] = self.stream.array::<8>(self.offset(self.index(place)), "frame record")?;
            Ok::<_, SymbolError>((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
        };
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if at(middle)?.0 <= rva { low = middle.saturating_add(1) } else { high = middle }
        }
        let mut best: Option<(u32, u32, u64)> = None;
        for place in (low.saturating_sub(BACK)..low).rev() {
            let (start, size) = at(place)?;
            let into = rva.wrapping_sub(start);
            if into >= self.longest || best.is_some_and(|(known, ..)| known != start) {
                break;
            }
            if into < size && best.is_none_or(|(_, known, _)| size < known) {
                best = Some((start, size, place));
            }
        }
        Ok(best.map(|(.., place)| self.index(place)))
    }
}

/// Where the range of the record at `at` begins, and how long it is.
fn range(window: &mut Window<'_>, at: u64) -> Result<(u32, u32), SymbolError> {
    let mut bytes = Bytes::new(window.get(at, 8, "frame record")?, 0);
    Ok((bytes.u32("start")?, bytes.u32("size")?))
}

/// Both tables.
pub(crate) struct Frames {
    programs: Option<Table>,
    counts: Option<Table>,
    /// Texts of programs, by offset: few are different.
    texts: Cache<Rc<str>>,
}

impl PdbFile {
    fn frames(&self) -> Result<&Frames, SymbolError> {
        filled(&self.frames, || {
            let extra = self.dbi()?.extra;
            let open = |index, form| {
                let stream = self.stream(index)?.filter(|stream| !stream.is_empty());
                stream.map(|stream| Table::open(stream, form, self.budget / 8)).transpose()
            };
            let (programs, counts) = (open(extra.frames, Form::Program)?, open(extra.counts, Form::Counts)?);
            Ok(Frames { programs, counts, texts: Cache::new(self.budget / 16) })
        })
    }

    /// How code at an RVA of the image as it is lays out its frame; `None` if the PDB does not say, as those of other
    /// architectures than x86 do not. Where both forms have a record, the program counts.
    ///
    /// # Errors
    /// [`SymbolError`] if what decides it is damaged or missing.
    pub fn frame(&self, rva: u32) -> Result<Option<FrameAt>, SymbolError> {
        let frames = self.frames()?;
        if frames.programs.is_none() && frames.counts.is_none() {
            return Ok(None);
        }
        let Some((linked, _)) = self.places()?.linked(rva)? else { return Ok(None) };
        for table in [&frames.programs, &frames.counts].into_iter().flatten() {
            let Some(index) = table.find(linked)? else { continue };
            let data = self.frame_record(table, index)?;
            let offset = linked.wrapping_sub(data.start);
            let contiguous =
                self.places()?.current(data.start)?.and_then(|start| start.checked_add(offset)) == Some(rva);
            return Ok(Some(FrameAt { data, offset, contiguous }));
        }
        Ok(None)
    }

    fn frame_record(&self, table: &Table, index: u64) -> Result<FrameData, SymbolError> {
        let at = table.offset(index);
        match table.form {
            Form::Program => self.program_record(&table.stream.array::<32>(at, "frame record")?, &table.stream, at),
            Form::Counts => counts_record(&table.stream.array::<16>(at, "frame record")?),
        }
    }

    fn program_record(&self, bytes: &[u8], stream: &PdbStream, at: u64) -> Result<FrameData, SymbolError> {
        let mut bytes = Bytes::new(bytes, stream.file_offset(at));
        let (start, size) = (bytes.u32("start")?, bytes.u32("size")?);
        let (locals, arguments) = (bytes.u32("locals")?, bytes.u32("arguments")?);
        bytes.skip(4, "size of the stack")?;
        let program = bytes.u32("program")?;
        let (prologue, saved) = (bytes.u16("prologue")?, bytes.u16("saved registers")?);
        let flags = bytes.u32("flags")?;
        let text = self.program(program)?;
        let rule = FrameRule::Program { text, seh: flags & 1 != 0, eh: flags & 2 != 0, function_start: flags & 4 != 0 };
        Ok(FrameData { start, size, locals, arguments, saved: saved.into(), prologue: prologue.into(), rule })
    }

    fn program(&self, at: u32) -> Result<Rc<str>, SymbolError> {
        let texts = &self.frames()?.texts;
        if let Some(text) = texts.get(at) {
            return Ok(text);
        }
        let text = self.text(at, PROGRAM, "frame program")?.ok_or(SymbolError::missing("names (/names)"))?;
        texts.insert(at, Rc::clone(&text), text.len());
        Ok(text)
    }

    /// All records of frames as they stand in the file: programs, then counts.
    ///
    /// # Errors
    /// If the tables are damaged.
    pub fn frame_records(&self) -> Result<FrameRecords<'_>, SymbolError> {
        let frames = self.frames()?;
        Ok(FrameRecords { pdb: self, tables: [frames.programs.as_ref(), frames.counts.as_ref()], next: 0 })
    }
}

/// Sizes in `FPO_DATA` are in words of four bytes, but that of the prologue.
fn counts_record(bytes: &[u8]) -> Result<FrameData, SymbolError> {
    let mut bytes = Bytes::new(bytes, 0);
    let (start, size, locals) = (bytes.u32("start")?, bytes.u32("size")?, bytes.u32("locals")?);
    let (arguments, prologue, packed) = (bytes.u16("arguments")?, bytes.u8("prologue")?, bytes.u8("registers")?);
    let kind = match packed >> 6 {
        0 => CountedFrame::NoPointer,
        1 => CountedFrame::Trap,
        2 => CountedFrame::Task,
        _ => CountedFrame::Pointer,
    };
    let rule = FrameRule::Counts { kind, uses_ebp: packed & 0x10 != 0, seh: packed & 8 != 0 };
    let (locals, arguments) = (locals.saturating_mul(4), u32::from(arguments).saturating_mul(4));
    let saved = u32::from(packed & 7).saturating_mul(4);
    Ok(FrameData { start, size, locals, arguments, saved, prologue: prologue.into(), rule })
}

/// All records of frames.
pub struct FrameRecords<'a> {
    pdb: &'a PdbFile,
    tables: [Option<&'a Table>; 2],
    next: u64,
}

impl Iterator for FrameRecords<'_> {
    type Item = Result<FrameData, SymbolError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut index = self.next;
        for table in self.tables.into_iter().flatten() {
            if index < table.count {
                self.next = self.next.saturating_add(1);
                return Some(self.pdb.frame_record(table, index));
            }
            index = index.saturating_sub(table.count);
        }
        None
    }
}

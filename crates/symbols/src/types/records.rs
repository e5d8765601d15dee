//! Type records by number.
//!
//! The stream numbers its records in order. An index in another stream leads to every 8 KiB of them, so that one record
//! costs one short read; without a sound index, one pass makes one of the same size.

use std::rc::Rc;

use dumplens_base::{ByteSource as _, Bytes};

use crate::{
    SymbolError,
    cache::Cache,
    pdb::{PdbStream, Window},
};

/// The oldest version whose records are numbered in 32 bits (`impv50`, VC++ 5.0).
const OLDEST: u32 = 19_961_031;
/// Bytes between two entries of an index that is made here.
const STEP: u64 = 8 << 10;
/// Most bytes between two entries of an index that is believed.
const BLOCK: u64 = 128 << 10;

/// Where a piece of the stream begins: the number of its first record, and its offset behind the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    number: u32,
    at: u32,
}

/// A piece of the stream, and where its records begin.
struct Block {
    bytes: Vec<u8>,
    starts: Vec<u32>,
    /// Where it stands in the stream.
    at: u64,
}

/// One record, without its length.
pub(crate) struct Raw {
    block: Rc<Block>,
    start: usize,
    end: usize,
    /// Where it stands in the file.
    pub(crate) origin: u64,
}

impl Raw {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.block.bytes.get(self.start..self.end).unwrap_or_default()
    }
}

/// The table of hash values: for each record the bucket that its name is in.
pub(crate) struct Hashes {
    pub(crate) stream: PdbStream,
    /// First byte and number of values.
    pub(crate) at: u64,
    pub(crate) count: u32,
    /// Bytes of a value.
    pub(crate) size: u64,
    pub(crate) buckets: u32,
    /// First byte and size of the table of names whose newest type is not the first of its bucket.
    pub(crate) newest: (u64, u64),
}

/// A stream of numbered records.
pub(crate) struct Records {
    stream: PdbStream,
    header: u64,
    /// Bytes of all records.
    pub(crate) len: u64,
    pub(crate) first: u32,
    pub(crate) end: u32,
    /// The last one stands behind the last record.
    marks: Vec<Mark>,
    pub(crate) hashes: Option<Hashes>,
    blocks: Cache<Rc<Block>>,
}

impl Records {
    /// Reads header and index. `open` opens the stream of that number; `budget` bounds what is kept of the records.
    pub(crate) fn open(
        stream: PdbStream,
        open: impl FnOnce(u16) -> Result<Option<PdbStream>, SymbolError>,
        budget: usize,
    ) -> Result<Self, SymbolError> {
        let head = stream.array::<56>(0, "type stream header")?;
        let mut head = Bytes::new(&head, stream.file_offset(0));
        let version = head.u32("version of the type stream")?;
        let header = head.u32("size of the type stream's header")?;
        let (first, end) = (head.u32("first type number")?, head.u32("last type number")?);
        let size = head.u32("size of the type records")?;
        let number = head.u16("number of the type hash stream")?;
        head.skip(2, "type stream header")?;
        let (key, buckets) = (head.u32("size of a type hash")?, head.u32("number of type hash buckets")?);
        let values = (head.u32("type hashes")?, head.u32("size of the type hashes")?);
        let index = (head.u32("index of types")?, head.u32("size of the index of types")?);
        let newest = (head.u32("newest types")?.into(), head.u32("size of the newest types")?.into());
        let start = stream.file_offset(0);
        if version < OLDEST {
            return Err(SymbolError::invalid("version of the type stream", start, version.into()));
        }
        if !(56..=1024).contains(&header) {
            return Err(SymbolError::invalid("size of the type stream's header", start, header.into()));
        }
        // Each record has four bytes at least.
        let available = stream.len().saturating_sub(header.into());
        let len = u64::from(size).min(available);
        let most = u64::from(first).saturating_add(len / 4);
        if first < super::primitive::END || end < first || u64::from(end) > most {
            return Err(SymbolError::invalid("last type number", start, end.into()));
        }
        // A PDB whose hash stream is damaged can still be read from front to back.
        let hash_stream = open(number).ok().flatten();
        let mut records = Self {
            stream,
            header: header.into(),
            len,
            first,
            end,
            marks: Vec::new(),
            hashes: None,
            blocks: Cache::new(budget),
        };
        if let Some(stream) = hash_stream {
            records.marks = records.read_marks(&stream, index).unwrap_or_default();
            let (at, count, bytes) = (u64::from(values.0), end.saturating_sub(first), u64::from(values.1));
            let fits = bytes == u64::from(count).saturating_mul(key.into()) && at.saturating_add(bytes) <= stream.len();
            if fits && matches!(key, 2 | 4) && (1..=1 << 20).contains(&buckets) {
                records.hashes = Some(Hashes { stream, at, count, size: key.into(), buckets, newest });
            }
        }
        if records.marks.is_empty() {
            records.make_marks()?;
        }
        Ok(records)
    }

    /// The index, if it is in order and leads everywhere in small steps.
    fn read_marks(&self, stream: &PdbStream, (at, size): (u32, u32)) -> Option<Vec<Mark>> {
        let bytes = stream.vec(at.into(), size.into(), self.len, "index of types").ok()?;
        let mut marks = Vec::with_capacity(bytes.len() / 8 + 1);
        for entry in bytes.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *entry;
            marks.push(Mark { number: u32::from_le_bytes([a, b, c, d]), at: u32::from_le_bytes([e, f, g, h]) });
        }
        marks.push(Mark { number: self.end, at: u32::try_from(self.len).ok()? });
        let sound = |pair: &[Mark]| match pair {
            [a, b] => a.number < b.number && a.at < b.at && u64::from(b.at.wrapping_sub(a.at)) <= BLOCK,
            _ => false,
        };
        let begins = marks.first().is_some_and(|mark| *mark == Mark { number: self.first, at: 0 });
        (begins && marks.windows(2).all(sound)).then_some(marks)
    }

    /// One pass over all records.
    fn make_marks(&mut self) -> Result<(), SymbolError> {
        let mut marks = Vec::new();
        let mut last = None;
        self.walk(|number, at, _, _| {
            let at = at.saturating_sub(self.header);
            if last.is_none_or(|last| at >= STEP.saturating_add(last)) {
                last = Some(at);
                marks.push(Mark { number, at: u32::try_from(at).unwrap_or(u32::MAX) });
            }
            Ok(true)
        })?;
        marks.push(Mark { number: self.end, at: u32::try_from(self.len).unwrap_or(u32::MAX) });
        self.marks = marks;
        Ok(())
    }

    /// Calls `each` with the number, the place in the stream, the bytes and the place in the file of every record until
    /// it says no.
    pub(crate) fn walk(
        &self,
        mut each: impl FnMut(u32, u64, &[u8], u64) -> Result<bool, SymbolError>,
    ) -> Result<(), SymbolError> {
        let mut window = Window::new(&self.stream, self.header.saturating_add(self.len));
        let mut at = self.header;
        for number in self.first..self.end {
            let origin = window.file_offset(at);
            let len = match window.get(at, 2, "length of a type")? {
                [low, high] => u64::from(u16::from_le_bytes([*low, *high])),
                _ => 0,
            };
            if len < 2 {
                return Err(SymbolError::invalid("length of a type", origin, len));
            }
            let bytes = window.get(at.saturating_add(2), len, "type")?;
            if !each(number, at, bytes, origin.saturating_add(2))? {
                break;
            }
            at = at.saturating_add(2).saturating_add(len);
        }
        Ok(())
    }

    /// The record of that number; `None` if there is none.
    pub(crate) fn get(&self, number: u32) -> Result<Option<Raw>, SymbolError> {
        if !(self.first..self.end).contains(&number) {
            return Ok(None);
        }
        let next = self.marks.partition_point(|mark| mark.number <= number);
        let Some(index) = next.checked_sub(1) else { return Ok(None) };
        let (Some(mark), Some(end)) = (self.marks.get(index), self.marks.get(next)) else { return Ok(None) };
        let block = match self.blocks.get(mark.number) {
            Some(block) => block,
            None => {
                let block = Rc::new(self.read(*mark, *end)?);
                let cost = block.bytes.len().saturating_add(block.starts.len().saturating_mul(4));
                self.blocks.insert(mark.number, Rc::clone(&block), cost);
                block
            }
        };
        let within = number.saturating_sub(mark.number) as usize;
        let start = block.starts.get(within).map_or(usize::MAX, |start| *start as usize);
        let end = block
            .starts
            .get(within.saturating_add(1))
            .map_or(block.bytes.len(), |next| (*next as usize).saturating_sub(2));
        let origin = self.stream.file_offset(block.at.saturating_add(start as u64));
        Ok(Some(Raw { block, start, end, origin }))
    }

    fn read(&self, mark: Mark, end: Mark) -> Result<Block, SymbolError> {
        let at = self.header.saturating_add(mark.at.into());
        let bytes = self.stream.vec(at, end.at.saturating_sub(mark.at).into(), BLOCK, "types")?;
        let (mut starts, mut position) = (Vec::new(), 0_usize);
        for _ in mark.number..end.number {
            let len = match bytes.get(position..).and_then(|rest| rest.first_chunk::<2>()) {
                Some(len) => u16::from_le_bytes(*len),
                None => 0,
            };
            let next = position.saturating_add(2).saturating_add(len.into());
            if len < 2 || next > bytes.len() {
                let origin = self.stream.file_offset(at.saturating_add(position as u64));
                return Err(SymbolError::invalid("length of a type", origin, len.into()));
            }
            starts.push(u32::try_from(position.saturating_add(2)).unwrap_or(u32::MAX));
            position = next;
        }
        Ok(Block { bytes, starts, at })
    }
}

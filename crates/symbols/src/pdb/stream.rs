//! Streams, read piece by piece.

use std::{cell::RefCell, rc::Rc};

use dumplens_base::{ByteSource, Source, SourceError, SourceErrorKind};
use pdb2::SourceSlice;

use crate::SymbolError;

/// Bytes of a cached block: the page of most PDBs, and what a cache for files in front of this one does not keep again.
const BLOCK: usize = 4 << 10;

/// A run of a stream that is contiguous in the file.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// First byte, in the stream.
    start: u32,
    /// First byte in the file, in units of the map.
    unit: u32,
}

/// Where a stream's bytes are in the file.
#[derive(Debug, Default)]
pub(crate) struct PageMap {
    extents: Box<[Extent]>,
    len: u32,
    /// Binary logarithm of the unit that extents count in: all begin at pages, whose numbers have 32 bits.
    unit: u32,
}

impl PageMap {
    /// # Errors
    /// If the stream is larger than the file: its pages are used more than once.
    pub(crate) fn new(slices: &[SourceSlice], file: u64) -> Result<Self, SymbolError> {
        let zeros = slices.iter().fold(u64::BITS, |least, slice| least.min(slice.offset.trailing_zeros()));
        let unit = zeros.min(u32::BITS);
        let mut len: u64 = 0;
        let mut extents = Vec::with_capacity(slices.len());
        for slice in slices {
            let page = u32::try_from(slice.offset >> unit);
            let page = page.map_err(|_| SymbolError::container(slice.offset, "page of a stream"))?;
            // What begins behind 4 GiB is refused below.
            extents.push(Extent { start: u32::try_from(len).unwrap_or(u32::MAX), unit: page });
            len = len.saturating_add(slice.size as u64);
        }
        let most = file.min(u32::MAX.into());
        if len > most {
            return Err(SymbolError::too_many("size of a stream", 0, len, most));
        }
        Ok(Self { extents: extents.into(), len: u32::try_from(len).unwrap_or(u32::MAX), unit })
    }

    /// Where byte `at` of the stream stands in the file, and how many bytes follow it there.
    fn place(&self, at: u64) -> Option<(u64, u64)> {
        let next = self.extents.partition_point(|extent| u64::from(extent.start) <= at);
        let extent = self.extents.get(next.checked_sub(1)?)?;
        let end = self.extents.get(next).map_or(self.len, |next| next.start);
        let left = u64::from(end).checked_sub(at).filter(|left| *left > 0)?;
        let start = u64::from(extent.unit) << self.unit;
        Some((start.saturating_add(at.saturating_sub(extent.start.into())), left))
    }
}

/// A block of the file.
struct Block {
    /// Its number; that of no block if it could not be read.
    number: u64,
    bytes: Vec<u8>,
    /// Whether it was used after the other one of its pair.
    recent: bool,
}

/// The file, behind a bounded cache of small blocks. Long reads pass it by: they are not asked for twice.
///
/// Each block has two places where it may be kept, and the one that was not used last makes room: finding a block takes
/// next to nothing, and its memory serves the next one.
pub(crate) struct Pages {
    file: Source,
    pairs: RefCell<Vec<[Block; 2]>>,
}

impl Pages {
    /// `budget`: most bytes that are kept, but no fewer than two blocks.
    pub(crate) fn new(file: Source, budget: usize) -> Self {
        let none = || Block { number: u64::MAX, bytes: Vec::new(), recent: false };
        let pairs = (0..(budget / BLOCK / 2).max(1)).map(|_| [none(), none()]).collect();
        Self { pairs: RefCell::new(pairs), file }
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.file.len()
    }

    /// Fills `buf` from the file.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        if buf.len() >= BLOCK {
            return self.file.read_at(offset, buf);
        }
        let out_of_range = SourceError { offset, len: buf.len() as u64, kind: SourceErrorKind::OutOfRange };
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.file.len()) {
            return Err(out_of_range);
        }
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (number, within) = (at / BLOCK as u64, (at % BLOCK as u64) as usize);
            let step = rest.len().min(BLOCK.saturating_sub(within));
            let (now, later) = rest.split_at_mut(step);
            let pairs = &mut *self.pairs.borrow_mut();
            let bytes = self.block(pairs, number)?.get(within..).and_then(|bytes| bytes.get(..step));
            now.copy_from_slice(bytes.ok_or(out_of_range)?);
            rest = later;
            at = at.saturating_add(step as u64);
        }
        Ok(())
    }

    fn block<'a>(&self, pairs: &'a mut [[Block; 2]], number: u64) -> Result<&'a [u8], SourceError> {
        let count = (pairs.len() as u64).max(1);
        let pair = usize::try_from(number % count).ok().and_then(|index| pairs.get_mut(index));
        let Some([first, second]) = pair else { return Ok(&[]) };
        let (block, other) = match (first.number == number, second.number == number) {
            (true, _) => (first, second),
            (_, true) => (second, first),
            _ if first.recent => (second, first),
            _ => (first, second),
        };
        if block.number != number {
            let start = number.saturating_mul(BLOCK as u64);
            let len = usize::try_from(self.file.len().saturating_sub(start)).unwrap_or(BLOCK).min(BLOCK);
            block.number = u64::MAX;
            block.bytes.resize(len, 0);
            self.file.read_at(start, &mut block.bytes)?;
            block.number = number;
        }
        (block.recent, other.recent) = (true, false);
        Ok(&block.bytes)
    }
}

/// One stream of a PDB.
#[derive(Clone)]
pub struct PdbStream {
    map: Rc<PageMap>,
    pages: Rc<Pages>,
}

impl core::fmt::Debug for PdbStream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PdbStream({} bytes)", self.map.len)
    }
}

impl PdbStream {
    pub(crate) fn new(map: PageMap, pages: Rc<Pages>) -> Self {
        Self { map: Rc::new(map), pages }
    }

    /// Bytes that its map of pages takes.
    pub(crate) fn cost(&self) -> usize {
        size_of::<PageMap>().saturating_add(size_of_val(&*self.map.extents))
    }

    /// Where byte `at` of the stream stands in the file, for error messages; the end of the stream if it is behind it.
    #[must_use]
    pub fn file_offset(&self, at: u64) -> u64 {
        match self.map.place(at.min(self.len().saturating_sub(1))) {
            Some((offset, _)) => offset,
            None => 0,
        }
    }

    /// Fills `buf` from byte `at` of the stream; `what` names it in the error.
    ///
    /// # Errors
    /// If the stream ends before, or the file does.
    pub fn read(&self, at: u64, buf: &mut [u8], what: &'static str) -> Result<(), SymbolError> {
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let Some((offset, left)) = self.map.place(at) else {
                let available = self.len().saturating_sub(at);
                return Err(SymbolError::truncated(what, self.file_offset(at), rest.len() as u64, available));
            };
            let step = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (now, later) = rest.split_at_mut(step);
            self.pages.read_at(offset, now).map_err(|error| match error.kind {
                SourceErrorKind::OutOfRange => SymbolError::container(offset, what),
                _ => error.into(),
            })?;
            rest = later;
            at = at.saturating_add(step as u64);
        }
        Ok(())
    }

    /// `N` bytes from byte `at`.
    ///
    /// # Errors
    /// As [`PdbStream::read`].
    pub fn array<const N: usize>(&self, at: u64, what: &'static str) -> Result<[u8; N], SymbolError> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes, what)?;
        Ok(bytes)
    }

    /// The number at byte `at`.
    ///
    /// # Errors
    /// As [`PdbStream::read`].
    pub fn u32(&self, at: u64, what: &'static str) -> Result<u32, SymbolError> {
        self.array(at, what).map(u32::from_le_bytes)
    }

    /// `len` bytes from byte `at`, at most `limit`.
    ///
    /// # Errors
    /// As [`PdbStream::read`]; nothing is allocated for what is not there or passes the limit.
    pub fn vec(&self, at: u64, len: u64, limit: u64, what: &'static str) -> Result<Vec<u8>, SymbolError> {
        let available = self.len().saturating_sub(at);
        if len > limit {
            return Err(SymbolError::too_many(what, self.file_offset(at), len, limit));
        }
        if len > available {
            return Err(SymbolError::truncated(what, self.file_offset(at), len, available));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        self.read(at, &mut bytes, what)?;
        Ok(bytes)
    }

    /// The bytes from `at` up to a NUL, which must come within `limit` bytes or at the end of the stream.
    ///
    /// # Errors
    /// As [`PdbStream::read`].
    pub fn text(&self, at: u64, limit: usize, what: &'static str) -> Result<Vec<u8>, SymbolError> {
        let mut text = Vec::new();
        let mut at = at;
        while text.len() < limit {
            let mut piece = [0; 64];
            let left = usize::try_from(self.len().saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
            let piece = piece.get_mut(..left).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            self.read(at, piece, what)?;
            if let Some(end) = piece.iter().position(|byte| *byte == 0) {
                text.extend_from_slice(piece.get(..end).unwrap_or_default());
                return Ok(text);
            }
            text.extend_from_slice(piece);
            at = at.saturating_add(left as u64);
        }
        Err(SymbolError::truncated(what, self.file_offset(at), 1, 0))
    }
}

/// Offsets are those of the stream.
impl ByteSource for PdbStream {
    fn len(&self) -> u64 {
        self.map.len.into()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let len = buf.len() as u64;
        self.read(offset, buf, "stream").map_err(|error| match error.kind {
            crate::SymbolErrorKind::Source(error) => error,
            _ => SourceError { offset, len, kind: SourceErrorKind::OutOfRange },
        })
    }
}

/// A stream read from front to back through one window, so that small records cost no look-up each.
pub(crate) struct Window<'a> {
    stream: &'a PdbStream,
    end: u64,
    start: u64,
    bytes: Vec<u8>,
    /// Bytes that are fetched at once.
    size: u64,
}

impl<'a> Window<'a> {
    /// Bytes that are fetched at once, unless fewer are wanted.
    const SIZE: u64 = 32 << 10;

    /// A window on the stream up to `end`.
    pub(crate) fn new(stream: &'a PdbStream, end: u64) -> Self {
        Self { stream, end: end.min(stream.len()), start: 0, bytes: Vec::new(), size: Self::SIZE }
    }

    /// The same, fetching fewer bytes at once.
    pub(crate) fn of(self, size: u64) -> Self {
        Self { size, ..self }
    }

    /// Where the bytes end that may be looked at.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// `len` bytes from byte `at`.
    pub(crate) fn get(&mut self, at: u64, len: u64, what: &'static str) -> Result<&[u8], SymbolError> {
        let end = at.saturating_add(len);
        if end > self.end {
            let left = self.end.saturating_sub(at);
            return Err(SymbolError::truncated(what, self.stream.file_offset(at), len, left));
        }
        if at < self.start || end > self.start.saturating_add(self.bytes.len() as u64) {
            let size = len.max(self.size).min(self.end.saturating_sub(at));
            self.bytes.clear();
            self.bytes.resize(usize::try_from(size).unwrap_or(0), 0);
            self.start = at;
            if let Err(error) = self.stream.read(at, &mut self.bytes, what) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let from = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let bytes = self.bytes.get(from..).and_then(|bytes| bytes.get(..usize::try_from(len).ok()?));
        Ok(bytes.unwrap_or_default())
    }

    /// Where byte `at` stands in the file.
    pub(crate) fn file_offset(&self, at: u64) -> u64 {
        self.stream.file_offset(at)
    }
}

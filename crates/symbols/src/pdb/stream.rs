//! Streams, read piece by piece.

use std::rc::Rc;

use dumplens_base::{BlockCache, ByteSource, Source, SourceError, SourceErrorKind};
use pdb2::SourceSlice;

use crate::SymbolError;

/// Bytes of a cached block. Pages of a PDB have 512 bytes to 8 KiB and mostly stand in a row.
const BLOCK: usize = 8 << 10;

/// A run of a stream that is contiguous in the file.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// First byte, in the stream.
    start: u64,
    /// First byte, in the file.
    offset: u64,
}

/// Where a stream's bytes are in the file.
#[derive(Debug, Default)]
pub(crate) struct PageMap {
    extents: Vec<Extent>,
    len: u64,
}

impl PageMap {
    /// # Errors
    /// If the stream is larger than the file: its pages are used more than once.
    pub(crate) fn new(slices: &[SourceSlice], file: u64) -> Result<Self, SymbolError> {
        let mut len: u64 = 0;
        let mut extents = Vec::with_capacity(slices.len());
        for slice in slices {
            extents.push(Extent { start: len, offset: slice.offset });
            len = len.saturating_add(slice.size as u64);
        }
        if len > file {
            return Err(SymbolError::too_many("size of a stream", 0, len, file));
        }
        Ok(Self { extents, len })
    }

    /// Where byte `at` of the stream stands in the file, and how many bytes follow it there.
    fn place(&self, at: u64) -> Option<(u64, u64)> {
        let next = self.extents.partition_point(|extent| extent.start <= at);
        let extent = self.extents.get(next.checked_sub(1)?)?;
        let end = self.extents.get(next).map_or(self.len, |next| next.start);
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        Some((extent.offset.saturating_add(at.saturating_sub(extent.start)), left))
    }
}

/// The file, behind a bounded cache of small blocks. Long reads pass it by: they are not asked for twice.
pub(crate) struct Pages {
    file: Source,
    cache: BlockCache<Source>,
}

impl Pages {
    /// `budget`: most bytes that are kept.
    pub(crate) fn new(file: Source, budget: usize) -> Self {
        Self { cache: BlockCache::new(Rc::clone(&file), BLOCK, budget / BLOCK), file }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        if buf.len() >= BLOCK { self.file.read_at(offset, buf) } else { self.cache.read_at(offset, buf) }
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

    /// Where byte `at` of the stream stands in the file, for error messages; the end of the stream if it is behind it.
    #[must_use]
    pub fn file_offset(&self, at: u64) -> u64 {
        match self.map.place(at.min(self.map.len.saturating_sub(1))) {
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
                let available = self.map.len.saturating_sub(at);
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
        let available = self.map.len.saturating_sub(at);
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
            let left = usize::try_from(self.map.len.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
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
        self.map.len
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

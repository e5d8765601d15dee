use core::ops::Range;
use std::io;

use dumplens_base::Source;

use crate::ArchiveError;

/// Bytes fetched from the source at once.
const PIECE: usize = 64 * 1024;

/// A range of the archive, read once from front to back through a bounded buffer.
pub(crate) struct Input {
    source: Source,
    start: u64,
    end: u64,
    /// Next byte to fetch into the buffer.
    fetched: u64,
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that have been consumed.
    used: usize,
    /// Why the source failed while a foreign decoder was reading; its own error cannot carry that.
    failure: Option<ArchiveError>,
}

impl Input {
    /// Reads `range` of `source`, clamped to what there is.
    pub(crate) fn new(source: Source, range: Range<u64>) -> Self {
        let end = range.end.min(source.len());
        let start = range.start.min(end);
        Self { source, start, end, fetched: start, buffer: Vec::new(), used: 0, failure: None }
    }

    /// Absolute offset of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.fetched.saturating_sub(self.ahead() as u64)
    }

    /// Bytes consumed so far.
    pub(crate) fn consumed(&self) -> u64 {
        self.offset().saturating_sub(self.start)
    }

    /// Bytes left.
    pub(crate) fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.offset())
    }

    fn ahead(&self) -> usize {
        self.buffer.len().saturating_sub(self.used)
    }

    /// The bytes that come next: at least `wanted` (at most 64 KiB) unless the input ends before. Consumes nothing.
    pub(crate) fn peek(&mut self, wanted: usize) -> Result<&[u8], ArchiveError> {
        let wanted = wanted.min(PIECE);
        if self.ahead() < wanted && self.fetched < self.end {
            self.buffer.drain(..self.used);
            self.used = 0;
            let held = self.buffer.len();
            let left = usize::try_from(self.end.saturating_sub(self.fetched)).unwrap_or(usize::MAX);
            let more = left.min(PIECE.saturating_sub(held));
            self.buffer.resize(held.saturating_add(more), 0);
            let fresh = self.buffer.get_mut(held..).unwrap_or_default();
            if let Err(error) = self.source.read_at(self.fetched, fresh) {
                self.buffer.truncate(held);
                return Err(error.into());
            }
            self.fetched = self.fetched.saturating_add(more as u64);
        }
        Ok(self.buffer.get(self.used..).unwrap_or_default())
    }

    /// Consumes `count` bytes that [`Input::peek`] showed.
    pub(crate) fn consume(&mut self, count: usize) {
        self.used = self.used.saturating_add(count).min(self.buffer.len());
    }

    /// Passes over `count` bytes without fetching them.
    pub(crate) fn skip(&mut self, count: u64, what: &'static str) -> Result<(), ArchiveError> {
        if count > self.remaining() {
            return Err(ArchiveError::truncated(self.offset(), what));
        }
        let ahead = self.ahead() as u64;
        if count <= ahead {
            self.consume(usize::try_from(count).unwrap_or(usize::MAX));
        } else {
            self.fetched = self.fetched.saturating_add(count.saturating_sub(ahead));
            self.buffer.clear();
            self.used = 0;
        }
        Ok(())
    }

    /// Takes a structure of `N` bytes.
    pub(crate) fn record<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ArchiveError> {
        let offset = self.offset();
        let Some(taken) = self.peek(N)?.first_chunk::<N>().copied() else {
            return Err(ArchiveError::truncated(offset, what));
        };
        self.consume(N);
        Ok(taken)
    }

    /// Replaces the content of `into` with the next `len` bytes (`len` comes from a 16-bit field).
    pub(crate) fn take_into(&mut self, len: u16, into: &mut Vec<u8>, what: &'static str) -> Result<(), ArchiveError> {
        let (offset, len) = (self.offset(), usize::from(len));
        let Some(taken) = self.peek(len)?.get(..len) else {
            return Err(ArchiveError::truncated(offset, what));
        };
        into.clear();
        into.extend_from_slice(taken);
        self.consume(len);
        Ok(())
    }

    /// Takes text up to a NUL, which is consumed too, of at most `limit` bytes.
    pub(crate) fn take_until_nul(&mut self, limit: usize, what: &'static str) -> Result<Vec<u8>, ArchiveError> {
        let offset = self.offset();
        let shown = self.peek(limit.saturating_add(1))?;
        let whole = shown.len() > limit;
        let Some(len) = shown.iter().take(limit.saturating_add(1)).position(|byte| *byte == 0) else {
            let error = if whole { ArchiveError::damaged } else { ArchiveError::truncated };
            return Err(error(offset, what));
        };
        let text = shown.get(..len).unwrap_or_default().to_vec();
        self.consume(len.saturating_add(1));
        Ok(text)
    }

    /// The source's error that a foreign decoder has swallowed, if any.
    pub(crate) fn failure(&mut self) -> Option<ArchiveError> {
        self.failure.take()
    }
}

impl io::Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let shown = match self.peek(1) {
            Ok(shown) => shown,
            Err(error) => {
                self.failure = Some(error);
                return Err(io::Error::other(error));
            }
        };
        let count = shown.len().min(buf.len());
        buf.iter_mut().zip(shown).for_each(|(to, from)| *to = *from);
        self.consume(count);
        Ok(count)
    }
}

use std::io::{self, BufRead, Read};

use dumplens_base::{ByteSource, SourceError};

/// Bytes fetched from the source at once.
const PIECE: usize = 64 * 1024;

/// The file, read once from front to back through a bounded buffer.
pub(crate) struct Input<'a> {
    source: &'a dyn ByteSource,
    /// Next byte to fetch into the buffer.
    fetched: u64,
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that have been consumed.
    used: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(source: &'a dyn ByteSource) -> Self {
        Self { source, fetched: 0, buffer: Vec::new(), used: 0 }
    }

    /// What has been fetched and not consumed.
    pub(crate) fn ahead(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    /// Consumes `count` bytes of [`Input::ahead`].
    pub(crate) fn skip(&mut self, count: usize) {
        self.used = self.used.saturating_add(count).min(self.buffer.len());
    }

    /// Fetches another piece behind what is ahead. Answers whether there was any.
    pub(crate) fn fetch(&mut self) -> Result<bool, SourceError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let left = usize::try_from(self.source.len().saturating_sub(self.fetched)).unwrap_or(usize::MAX);
        // What is ahead is a few bytes that a decoder could not use alone; it never grows past two pieces.
        let more = left.min(PIECE).min((2 * PIECE).saturating_sub(self.buffer.len()));
        let held = self.buffer.len();
        self.buffer.resize(held.saturating_add(more), 0);
        if let Err(error) = self.source.read_at(self.fetched, self.buffer.get_mut(held..).unwrap_or_default()) {
            self.buffer.truncate(held);
            return Err(error);
        }
        self.fetched = self.fetched.saturating_add(more as u64);
        Ok(more > 0)
    }
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(out.len());
        for (to, from) in out.iter_mut().zip(ready) {
            *to = *from;
        }
        self.skip(count);
        Ok(count)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead().is_empty() {
            self.fetch().map_err(io::Error::other)?;
        }
        Ok(self.ahead())
    }

    fn consume(&mut self, count: usize) {
        self.skip(count);
    }
}

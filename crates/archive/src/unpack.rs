use core::fmt;

use crate::{ArchiveError, ArchiveErrorKind, input::Input};

/// Most bytes that one call of [`Unpacker::next_chunk`] yields.
pub const CHUNK: usize = 256 * 1024;

/// What one bounded piece of work brought.
pub(crate) enum Step {
    /// So many bytes were written. None is no end: a header was read, or a piece in front of the member was passed.
    Bytes(usize),
    /// All is done.
    End,
}

/// A decoder that works in bounded pieces.
pub(crate) trait Decode {
    /// Does a bounded piece of work and writes to the front of `out`, which is not empty.
    fn step(&mut self, out: &mut [u8]) -> Result<Step, ArchiveError>;

    /// Where the compressed bytes come from.
    fn input(&self) -> &Input;
}

/// What the directory says about a member's content.
#[derive(Default)]
pub(crate) struct Promise {
    /// Size in bytes.
    pub(crate) size: Option<u64>,
    /// CRC-32.
    pub(crate) checksum: Option<u32>,
}

/// Unpacks one member piece by piece. Dropping it is cancelling.
pub struct Unpacker {
    decoder: Box<dyn Decode>,
    buffer: Vec<u8>,
    promise: Promise,
    hasher: crc32fast::Hasher,
    compressed_total: u64,
    limit: u64,
    written: u64,
    ended: bool,
    error: Option<ArchiveError>,
}

impl Unpacker {
    pub(crate) fn new(
        decoder: Box<dyn Decode>,
        promise: Promise,
        compressed_total: u64,
        limit: u64,
    ) -> Result<Self, ArchiveError> {
        if promise.size.is_some_and(|size| size > limit) {
            return Err(ArchiveError::new(decoder.input().offset(), ArchiveErrorKind::Limit { limit }));
        }
        Ok(Self {
            decoder,
            buffer: vec![0; CHUNK],
            promise,
            hasher: crc32fast::Hasher::new(),
            compressed_total,
            limit,
            written: 0,
            ended: false,
            error: None,
        })
    }

    /// Unpacks the next piece, at most [`CHUNK`] bytes. `None` at the end, once size and checksum have been verified.
    ///
    /// A piece may be empty: work was done and nothing came out yet, as when a member stands far behind the start of
    /// its cabinet folder. Call again.
    ///
    /// # Errors
    /// Damage, truncation, the limit, a size or checksum that does not hold, a failing source. After an error every
    /// further call answers the same error. Bytes yielded before an error are not verified.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, ArchiveError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.ended {
            return Ok(None);
        }
        match self.step() {
            Ok(Some(count)) => Ok(Some(self.buffer.get(..count).unwrap_or_default())),
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(error) => {
                self.error = Some(error);
                Err(error)
            }
        }
    }

    fn step(&mut self) -> Result<Option<usize>, ArchiveError> {
        // One byte more than may come, so that passing the limit or the promised size shows at once.
        let most = self.promise.size.unwrap_or(u64::MAX).min(self.limit);
        let room = usize::try_from(most.saturating_sub(self.written)).unwrap_or(usize::MAX).saturating_add(1);
        let out = self.buffer.get_mut(..room.min(CHUNK)).unwrap_or_default();
        let count = match self.decoder.step(out)? {
            Step::Bytes(count) => count,
            Step::End => return self.verify().map(|()| None),
        };
        if self.promise.checksum.is_some() {
            self.hasher.update(out.get(..count).unwrap_or_default());
        }
        self.written = self.written.saturating_add(count as u64);
        if let Some(expected) = self.promise.size
            && self.written > expected
        {
            return Err(self.fail(ArchiveErrorKind::Size { expected, actual: self.written }));
        }
        if self.written > self.limit {
            return Err(self.fail(ArchiveErrorKind::Limit { limit: self.limit }));
        }
        Ok(Some(count))
    }

    fn verify(&self) -> Result<(), ArchiveError> {
        if let Some(expected) = self.promise.size
            && self.written != expected
        {
            return Err(self.fail(ArchiveErrorKind::Size { expected, actual: self.written }));
        }
        if let Some(expected) = self.promise.checksum {
            let actual = self.hasher.clone().finalize();
            if actual != expected {
                return Err(self.fail(ArchiveErrorKind::Checksum { expected, actual }));
            }
        }
        Ok(())
    }

    fn fail(&self, kind: ArchiveErrorKind) -> ArchiveError {
        ArchiveError::new(self.decoder.input().offset(), kind)
    }

    /// Compressed bytes read so far, for progress.
    #[must_use]
    pub fn compressed_read(&self) -> u64 {
        self.decoder.input().consumed().min(self.compressed_total)
    }

    /// Compressed bytes there are to read, for progress. In a cabinet this is an estimate that counts what stands in
    /// front of the member in its folder.
    #[must_use]
    pub const fn compressed_total(&self) -> u64 {
        self.compressed_total
    }

    /// Bytes yielded so far.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").field("written", &self.written).field("limit", &self.limit).finish_non_exhaustive()
    }
}

use std::io::Read;

use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use crate::{
    ArchiveError, ArchiveErrorKind,
    input::Input,
    unpack::{Decode, Step},
};

/// Most bytes of window that a Zstandard frame may ask for: what `zstd` itself unpacks without being told to.
pub const MOST_WINDOW: u64 = 128 << 20;

const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE: u32 = 0x184d_2a50;

/// Zstandard frames whose contents follow each other, perhaps with skippable frames between them.
pub(crate) struct Zstandard {
    input: Input,
    decoder: FrameDecoder,
    in_frame: bool,
    /// Whether a whole frame has been read, so that the end may come.
    complete: bool,
    frame_start: u64,
    frame_written: u64,
}

impl Zstandard {
    pub(crate) fn new(input: Input) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MOST_WINDOW);
        Self { input, decoder, in_frame: false, complete: false, frame_start: 0, frame_written: 0 }
    }

    /// Begins the next frame or passes over a skippable one. Answers whether there was any.
    fn begin(&mut self) -> Result<bool, ArchiveError> {
        self.frame_start = self.input.offset();
        if self.complete && self.input.remaining() == 0 {
            return Ok(false);
        }
        let Some(magic) = self.input.peek(4)?.first_chunk().copied().map(u32::from_le_bytes) else {
            return Err(ArchiveError::truncated(self.frame_start, "Zstandard frame header"));
        };
        if magic & 0xffff_fff0 == SKIPPABLE {
            self.input.skip(4, "skippable frame")?;
            let len = u32::from_le_bytes(self.input.record("skippable frame")?);
            self.input.skip(len.into(), "skippable frame")?;
            self.complete = true;
            return Ok(true);
        }
        if magic != MAGIC {
            return Err(ArchiveError::damaged(self.frame_start, "Zstandard frame header"));
        }
        if let Err(error) = self.decoder.reset(&mut self.input) {
            return Err(self.explain(&error, "Zstandard frame header"));
        }
        self.in_frame = true;
        self.frame_written = 0;
        Ok(true)
    }

    fn explain(&mut self, error: &FrameDecoderError, what: &'static str) -> ArchiveError {
        if let Some(failure) = self.input.failure() {
            return failure;
        }
        let kind = match error {
            FrameDecoderError::WindowSizeTooBig { requested, max } => {
                ArchiveErrorKind::Window { size: *requested, limit: *max }
            }
            FrameDecoderError::DictNotProvided { dict_id } => ArchiveErrorKind::Dictionary { id: *dict_id },
            FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_)) => {
                ArchiveErrorKind::Damaged { what }
            }
            // The decoder reads to the end only if the frame says that there is more.
            _ if self.input.remaining() == 0 => ArchiveErrorKind::Truncated { what },
            _ => ArchiveErrorKind::Damaged { what },
        };
        ArchiveError::new(self.frame_start, kind)
    }

    fn finish(&mut self) -> Result<(), ArchiveError> {
        let size = self.decoder.content_size();
        // Zero stands for "not told" as well.
        if size != 0 && size != self.frame_written {
            let kind = ArchiveErrorKind::Size { expected: size, actual: self.frame_written };
            return Err(ArchiveError::new(self.frame_start, kind));
        }
        if let Some(expected) = self.decoder.get_checksum_from_data()
            && let Some(actual) = self.decoder.get_calculated_checksum()
            && expected != actual
        {
            return Err(ArchiveError::new(self.frame_start, ArchiveErrorKind::Checksum { expected, actual }));
        }
        self.in_frame = false;
        self.complete = true;
        Ok(())
    }
}

impl Decode for Zstandard {
    fn step(&mut self, out: &mut [u8]) -> Result<Step, ArchiveError> {
        if !self.in_frame {
            return Ok(if self.begin()? { Step::Bytes(0) } else { Step::End });
        }
        if self.decoder.can_collect() == 0 {
            if self.decoder.is_finished() {
                self.finish()?;
                return Ok(Step::Bytes(0));
            }
            if let Err(error) = self.decoder.decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1)) {
                return Err(self.explain(&error, "Zstandard frame"));
            }
        }
        let Ok(count) = self.decoder.read(out) else {
            return Err(ArchiveError::damaged(self.frame_start, "Zstandard frame"));
        };
        self.frame_written = self.frame_written.saturating_add(count as u64);
        Ok(Step::Bytes(count))
    }

    fn input(&self) -> &Input {
        &self.input
    }
}

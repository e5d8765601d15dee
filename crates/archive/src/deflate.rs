use miniz_oxide::{
    DataFormat, MZError, MZFlush, MZStatus,
    inflate::stream::{InflateState, MinReset, inflate},
};

use crate::{
    ArchiveError,
    input::Input,
    unpack::{Decode, Step},
};

/// One raw deflate stream. The input stands behind its last byte when it has ended.
pub(crate) struct Deflate {
    pub(crate) input: Input,
    state: Box<InflateState>,
    ended: bool,
}

impl Deflate {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, state: InflateState::new_boxed(DataFormat::Raw), ended: false }
    }

    /// Makes ready for another stream where the input stands.
    pub(crate) fn restart(&mut self) {
        self.state.reset_as(MinReset);
        self.ended = false;
    }
}

impl Decode for Deflate {
    fn step(&mut self, out: &mut [u8]) -> Result<Step, ArchiveError> {
        if self.ended {
            return Ok(Step::End);
        }
        let offset = self.input.offset();
        let shown = self.input.peek(1)?;
        let at_end = shown.is_empty();
        let result = inflate(&mut self.state, shown, out, MZFlush::None);
        self.input.consume(result.bytes_consumed);
        match result.status {
            Ok(MZStatus::StreamEnd) => self.ended = true,
            Ok(_) | Err(MZError::Buf) => {}
            Err(_) => return Err(ArchiveError::damaged(offset, "deflate stream")),
        }
        // Whoever neither reads nor writes waits for bytes that will never come.
        if !self.ended && result.bytes_consumed == 0 && result.bytes_written == 0 {
            let error = if at_end { ArchiveError::truncated } else { ArchiveError::damaged };
            return Err(error(offset, "deflate stream"));
        }
        Ok(Step::Bytes(result.bytes_written))
    }

    fn input(&self) -> &Input {
        &self.input
    }
}

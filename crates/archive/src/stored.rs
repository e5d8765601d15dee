use crate::{
    ArchiveError,
    input::Input,
    unpack::{Decode, Step},
};

/// Bytes that are in the archive as they are.
pub(crate) struct Stored(pub(crate) Input);

impl Decode for Stored {
    fn step(&mut self, out: &mut [u8]) -> Result<Step, ArchiveError> {
        let shown = self.0.peek(1)?;
        let count = shown.len().min(out.len());
        out.iter_mut().zip(shown).for_each(|(to, from)| *to = *from);
        self.0.consume(count);
        Ok(if count == 0 { Step::End } else { Step::Bytes(count) })
    }

    fn input(&self) -> &Input {
        &self.0
    }
}

use crate::{
    ArchiveError, ArchiveErrorKind,
    deflate::Deflate,
    input::Input,
    names::latin1,
    unpack::{Decode, Step},
};

/// Most bytes of a name or comment in a gzip header.
const MOST_NAME: usize = 4096;

const HEADER_CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
/// Bits that no version of the format has given a meaning.
const RESERVED: u8 = 0xe0;

/// Reads one gzip header; answers the name in it, or an empty text.
pub(crate) fn read_header(input: &mut Input) -> Result<String, ArchiveError> {
    let offset = input.offset();
    let [one, two, method, flags, ..] = input.record::<10>("gzip header")?;
    if [one, two] != [0x1f, 0x8b] || flags & RESERVED != 0 {
        return Err(ArchiveError::damaged(offset, "gzip header"));
    }
    if method != 8 {
        let kind = ArchiveErrorKind::Method { number: method.into(), name: "unknown" };
        return Err(ArchiveError::new(offset, kind));
    }
    if flags & EXTRA != 0 {
        let len = u16::from_le_bytes(input.record("gzip extra field")?);
        input.skip(len.into(), "gzip extra field")?;
    }
    let name = if flags & NAME != 0 { input.take_until_nul(MOST_NAME, "gzip name")? } else { Vec::new() };
    if flags & COMMENT != 0 {
        input.take_until_nul(MOST_NAME, "gzip comment")?;
    }
    if flags & HEADER_CHECKSUM != 0 {
        input.skip(2, "gzip header checksum")?;
    }
    Ok(latin1(&name))
}

enum State {
    Header,
    Body,
    End,
}

/// A gzip file: one or more members whose contents follow each other.
pub(crate) struct Gzip {
    deflate: Deflate,
    state: State,
    hasher: crc32fast::Hasher,
    written: u64,
    /// Whether a whole member has been read, so that the end may come.
    complete: bool,
}

impl Gzip {
    pub(crate) fn new(input: Input) -> Self {
        let hasher = crc32fast::Hasher::new();
        Self { deflate: Deflate::new(input), state: State::Header, hasher, written: 0, complete: false }
    }

    fn header(&mut self) -> Result<(), ArchiveError> {
        let input = &mut self.deflate.input;
        if self.complete {
            match input.peek(1)?.first() {
                // The end, or zeros that fill up a tape's or a disk's last block.
                None | Some(0) => {
                    self.state = State::End;
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        read_header(input)?;
        self.deflate.restart();
        self.hasher = crc32fast::Hasher::new();
        self.written = 0;
        self.state = State::Body;
        Ok(())
    }

    fn trailer(&mut self) -> Result<(), ArchiveError> {
        let offset = self.deflate.input.offset();
        let expected = u32::from_le_bytes(self.deflate.input.record("gzip trailer")?);
        let size = u32::from_le_bytes(self.deflate.input.record("gzip trailer")?);
        let actual = self.hasher.clone().finalize();
        if expected != actual {
            return Err(ArchiveError::new(offset, ArchiveErrorKind::Checksum { expected, actual }));
        }
        // The trailer has the size's low 32 bits only.
        if u64::from(size) != self.written & 0xffff_ffff {
            let kind = ArchiveErrorKind::Size { expected: size.into(), actual: self.written };
            return Err(ArchiveError::new(offset, kind));
        }
        self.complete = true;
        self.state = State::Header;
        Ok(())
    }
}

impl Decode for Gzip {
    fn step(&mut self, out: &mut [u8]) -> Result<Step, ArchiveError> {
        match self.state {
            State::End => return Ok(Step::End),
            State::Header => self.header()?,
            State::Body => match self.deflate.step(out)? {
                Step::Bytes(count) => {
                    self.hasher.update(out.get(..count).unwrap_or_default());
                    self.written = self.written.saturating_add(count as u64);
                    return Ok(Step::Bytes(count));
                }
                Step::End => self.trailer()?,
            },
        }
        Ok(Step::Bytes(0))
    }

    fn input(&self) -> &Input {
        &self.deflate.input
    }
}

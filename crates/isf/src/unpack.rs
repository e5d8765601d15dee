use std::io::{self, Read};

use dumplens_base::{ByteSource, SourceError};
use flate2::bufread::MultiGzDecoder;
use xz4rust::{XzDecoder, XzError, XzNextBlockResult};

use crate::{IsfErrorKind, Packing, input::Input};

/// The JSON of a table, unpacked as it is read.
pub(crate) enum Unpack<'a> {
    Plain(Input<'a>),
    Gzip(Box<MultiGzDecoder<Input<'a>>>),
    Xz(Box<Xz<'a>>),
}

impl<'a> Unpack<'a> {
    pub(crate) fn new(source: &'a dyn ByteSource, packing: Packing, dictionary: usize) -> Self {
        let input = Input::new(source);
        match packing {
            Packing::Plain => Self::Plain(input),
            Packing::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(input))),
            Packing::Xz => Self::Xz(Box::new(Xz::new(input, dictionary))),
        }
    }

    /// Fills the start of `out`, which is not empty. Zero at the end, once every checksum has been verified.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize, IsfErrorKind> {
        match self {
            Self::Plain(input) => input.read(out).map_err(|error| explain(&error, Packing::Plain)),
            Self::Gzip(decoder) => decoder.read(out).map_err(|error| explain(&error, Packing::Gzip)),
            Self::Xz(decoder) => decoder.read(out),
        }
    }
}

fn explain(error: &io::Error, packing: Packing) -> IsfErrorKind {
    if let Some(source) = error.get_ref().and_then(|inner| inner.downcast_ref::<SourceError>()) {
        return IsfErrorKind::Source(*source);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => IsfErrorKind::PackedTruncated { packing },
        _ => IsfErrorKind::PackedDamaged { packing },
    }
}

/// An xz file: one or more streams whose contents follow each other, perhaps with zeros between them.
pub(crate) struct Xz<'a> {
    input: Input<'a>,
    decoder: XzDecoder<'static>,
    dictionary: usize,
    /// Whether a stream has ended and the next, if any, has not begun.
    between: bool,
}

impl<'a> Xz<'a> {
    fn new(input: Input<'a>, dictionary: usize) -> Self {
        // The dictionary grows to what the file asks for, and no further than it may.
        let decoder = XzDecoder::with_alloc_dict_size(4096, dictionary);
        Self { input, decoder, dictionary, between: false }
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, IsfErrorKind> {
        loop {
            if self.between && !self.begin()? {
                return Ok(0);
            }
            let (consumed, produced) = match self.decoder.decode(self.input.ahead(), out) {
                Ok(XzNextBlockResult::NeedMoreData(consumed, produced)) => (consumed, produced),
                Ok(XzNextBlockResult::EndOfStream(consumed, produced)) => {
                    self.between = true;
                    (consumed, produced)
                }
                Err(XzError::NeedsLargerInputBuffer) => (0, 0),
                Err(error) => return Err(self.explain(&error)),
            };
            self.input.skip(consumed);
            if produced > 0 {
                return Ok(produced);
            }
            if consumed == 0 && !self.between && !self.input.fetch().map_err(IsfErrorKind::Source)? {
                return Err(IsfErrorKind::PackedTruncated { packing: Packing::Xz });
            }
        }
    }

    /// Passes over zeros behind a stream. Answers whether another stream begins.
    fn begin(&mut self) -> Result<bool, IsfErrorKind> {
        loop {
            match self.input.ahead().first().copied() {
                Some(0) => self.input.skip(1),
                Some(_) => {
                    self.decoder.reset();
                    self.between = false;
                    return Ok(true);
                }
                None if self.input.fetch().map_err(IsfErrorKind::Source)? => {}
                None => return Ok(false),
            }
        }
    }

    fn explain(&self, error: &XzError) -> IsfErrorKind {
        match error {
            XzError::DictionaryTooLarge(size) => {
                IsfErrorKind::Dictionary { size: *size, limit: self.dictionary as u64 }
            }
            XzError::UnsupportedCheckType(_)
            | XzError::Sha256NotSupported
            | XzError::BcjFilterNotSupported
            | XzError::DeltaFilterUnsupported
            | XzError::UnsupportedStreamHeaderOption
            | XzError::UnsupportedBlockHeaderOption => IsfErrorKind::Unsupported,
            _ => IsfErrorKind::PackedDamaged { packing: Packing::Xz },
        }
    }
}

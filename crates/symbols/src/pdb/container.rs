//! The container (MSF 7), read by the crate `pdb2`.
//!
//! `pdb2` wants every stream as one slice, and its source to be `Send`. Here it is given neither the file nor the
//! streams: it says which pieces of the file it wants, is told to wait, and is asked again once they are at hand. The
//! header and the directory are fetched that way. What it then wants for a stream is that stream's map of pages, and
//! streams are read by that map, piece by piece ([`super::stream`]).

use std::{
    io,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use pdb2::{PDB, SourceSlice, SourceView, StreamIndex};

use super::stream::{PageMap, Pages};
use crate::{SymbolError, SymbolErrorKind};

/// Most bytes of a stream directory: that of a file of 64 GiB in pages of 4 KiB.
const DIRECTORY_LIMIT: u64 = 64 << 20;

/// Bytes that `pdb2` looks at first.
const HEAD: u64 = 4096;

#[derive(Debug, Default)]
struct Talk {
    wanted: Vec<SourceSlice>,
    given: Option<Vec<u8>>,
}

/// The end of the conversation that `pdb2` holds.
#[derive(Clone, Debug, Default)]
struct Feed(Arc<Mutex<Talk>>);

#[derive(Debug)]
struct View(Vec<u8>);

impl SourceView<'_> for View {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes in all pieces together.
fn total(slices: &[SourceSlice]) -> u64 {
    slices.iter().fold(0, |sum, slice| sum.saturating_add(slice.size as u64))
}

impl<'s> pdb2::Source<'s> for Feed {
    fn view(&mut self, slices: &[SourceSlice]) -> Result<Box<dyn SourceView<'s> + Send + Sync>, io::Error> {
        let len = total(slices);
        if len == 0 {
            return Ok(Box::new(View(Vec::new())));
        }
        let mut talk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // `pdb2` asserts that it gets what it asked for, so nothing else is ever handed out.
        match talk.given.take() {
            Some(bytes) if bytes.len() as u64 == len && talk.wanted == slices => Ok(Box::new(View(bytes))),
            _ => {
                talk.wanted = slices.to_vec();
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}

/// The header and the directory of a PDB.
#[derive(Debug)]
pub(crate) struct Container {
    pdb: PDB<'static, Feed>,
    feed: Feed,
}

fn waits(error: &pdb2::Error) -> bool {
    matches!(error, pdb2::Error::IoError(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn refused(error: &pdb2::Error) -> SymbolError {
    let what = match error {
        pdb2::Error::InvalidPageSize(_) => "page size in the header",
        pdb2::Error::PageReferenceOutOfRange(_) => "page number in the stream directory",
        _ => "stream directory",
    };
    SymbolError::container(0, what)
}

/// What the first bytes say the file is.
fn refuse(head: &[u8]) -> Result<(), SymbolError> {
    let kind = if head.starts_with(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0") {
        return Ok(());
    } else if head.starts_with(b"Microsoft C/C++ program database 2.00\r\n\x1aJG\0\0") {
        SymbolErrorKind::OldPdb
    } else if head.starts_with(b"Microsoft MSFZ Container\r\n\x1aALD\0\0") {
        SymbolErrorKind::CompressedPdb
    } else if head.starts_with(b"BSJB") {
        SymbolErrorKind::PortablePdb
    } else {
        SymbolErrorKind::NotAPdb
    };
    Err(SymbolError::new(0, kind))
}

impl Container {
    /// Reads the header and the directory.
    ///
    /// # Errors
    /// Files that are no PDB of version 7 are refused by name; a directory that does not fit the file is damaged.
    pub(crate) fn open(source: &Pages) -> Result<Self, SymbolError> {
        let mut head = vec![0; usize::try_from(source.len().min(HEAD)).unwrap_or(0)];
        source.read_at(0, &mut head)?;
        refuse(&head)?;
        if (head.len() as u64) < HEAD {
            return Err(SymbolError::container(source.len(), "header"));
        }
        let feed = Feed::default();
        let slices = [SourceSlice { offset: 0, size: head.len() }];
        feed.offer(&slices, head);
        let mut pdb = PDB::open(feed.clone()).map_err(|error| refused(&error))?;
        // Two things more, each found by the one before: where the directory is, and the directory. Asking for a stream
        // makes `pdb2` want them; what it wants third is the stream.
        for left in [true, true, false] {
            match pdb.raw_stream(StreamIndex(1)) {
                Err(error) if waits(&error) && left => feed.answer(source)?,
                Err(error) if waits(&error) => {}
                Err(error) => return Err(refused(&error)),
                Ok(_) => break,
            }
        }
        Ok(Self { pdb, feed })
    }

    /// Where stream `index` stands in the file; `None` if there is no such stream.
    ///
    /// # Errors
    /// If the directory is damaged there.
    pub(crate) fn pages(&mut self, index: u16, file: u64) -> Result<Option<PageMap>, SymbolError> {
        self.feed.forget();
        match self.pdb.raw_stream(StreamIndex(index)) {
            Err(error) if waits(&error) => PageMap::new(&self.feed.wanted(), file).map(Some),
            Err(pdb2::Error::StreamNotFound(_)) | Ok(None) => Ok(None),
            // Only an empty stream is had without a wait.
            Ok(Some(_)) => Ok(Some(PageMap::default())),
            Err(error) => Err(refused(&error)),
        }
    }
}

impl Feed {
    fn with<T>(&self, f: impl FnOnce(&mut Talk) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wanted(&self) -> Rc<[SourceSlice]> {
        self.with(|talk| std::mem::take(&mut talk.wanted)).into()
    }

    fn forget(&self) {
        self.with(|talk| *talk = Talk::default());
    }

    fn offer(&self, slices: &[SourceSlice], bytes: Vec<u8>) {
        self.with(|talk| *talk = Talk { wanted: slices.to_vec(), given: Some(bytes) });
    }

    /// Fetches what is wanted.
    fn answer(&self, source: &Pages) -> Result<(), SymbolError> {
        let slices = self.wanted();
        let len = total(&slices);
        // No page serves twice: what is larger than the file, or lies behind its end, is not there.
        if len > source.len() || len > DIRECTORY_LIMIT {
            return Err(SymbolError::too_many(
                "size of the stream directory",
                0,
                len,
                source.len().min(DIRECTORY_LIMIT),
            ));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let mut rest = bytes.as_mut_slice();
        for slice in slices.iter() {
            let Some((piece, more)) = rest.split_at_mut_checked(slice.size) else { break };
            if slice.offset.saturating_add(slice.size as u64) > source.len() {
                return Err(SymbolError::container(slice.offset, "page of the stream directory"));
            }
            source.read_at(slice.offset, piece)?;
            rest = more;
        }
        self.offer(&slices, bytes);
        Ok(())
    }
}

use core::{fmt, ops::Range};
use std::rc::Rc;

use dumplens_base::Source;

use crate::{
    ArchiveError, ArchiveErrorKind, Format, Unpacker,
    cabinet::Cabinet,
    gzip::{self, Gzip},
    input::Input,
    sniff,
    unpack::Promise,
    zip::Zip,
    zstandard::Zstandard,
};

/// Most members that are listed. What stands behind them is left out, and [`Archive::is_cut`] says so.
pub const MOST_MEMBERS: usize = 65_536;

/// One file or folder in an archive, as the directory describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name, as text and never as a path: it may hold anything. Empty if the format has none to tell.
    pub name: String,
    /// Bytes in the archive. In a cabinet this is the member's share of its folder, an estimate.
    pub compressed_size: u64,
    /// Bytes once unpacked, as the directory claims; `None` if the format does not tell before the end.
    pub size: Option<u64>,
    /// Whether a password is needed, which means it cannot be unpacked here.
    pub encrypted: bool,
    /// Whether it is a folder, which has no content.
    pub folder: bool,
    /// The packing method's name: "deflate".
    pub method: String,
}

enum Directory {
    Zip(Zip),
    Cabinet(Cabinet),
    Gzip,
    Zstandard,
}

/// An archive's directory. Nothing is unpacked to read it.
pub struct Archive {
    source: Source,
    format: Format,
    members: Vec<Member>,
    directory: Directory,
    cut: bool,
}

impl Archive {
    /// Reads the directory of the archive in `source`.
    ///
    /// # Errors
    /// [`ArchiveErrorKind::NotAnArchive`] if the content is none of ours, [`ArchiveErrorKind::Source`] if it cannot be
    /// read, [`ArchiveErrorKind::NoDirectory`] or
    /// [`ArchiveErrorKind::Spanned`] for part of a zip archive, otherwise what is damaged and where.
    pub fn open(source: Source) -> Result<Self, ArchiveError> {
        let Some(format) = sniff(&source) else {
            // What could not be read is not thereby something else.
            let mut first = [0; 4];
            let len = source.len().min(4);
            source.read_at(0, first.get_mut(..usize::try_from(len).unwrap_or(0)).unwrap_or_default())?;
            return Err(ArchiveError::new(0, ArchiveErrorKind::NotAnArchive));
        };
        let whole = 0..source.len();
        let single = |name: String, method: &str| Member {
            name,
            compressed_size: source.len(),
            size: None,
            encrypted: false,
            folder: false,
            method: method.into(),
        };
        let (members, cut, directory) = match format {
            Format::Zip => {
                let (zip, members, cut) = Zip::open(&source)?;
                (members, cut, Directory::Zip(zip))
            }
            Format::Cabinet => {
                let (cabinet, members) = Cabinet::open(&source)?;
                (members, false, Directory::Cabinet(cabinet))
            }
            Format::Gzip => {
                let name = gzip::read_header(&mut Input::new(Rc::clone(&source), whole))?;
                (vec![single(name, "deflate")], false, Directory::Gzip)
            }
            Format::Zstandard => (vec![single(String::new(), "Zstandard")], false, Directory::Zstandard),
        };
        Ok(Self { source, format, members, directory, cut })
    }

    /// What kind of archive it is.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The members in the directory's order. A gzip or Zstandard file has one.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether the archive has more members than [`Archive::members`] lists: over [`MOST_MEMBERS`], or with names of
    /// over 16 MiB.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// Where a stored (uncompressed) member's bytes stand in the file, so that it can be read in place without being
    /// unpacked, through [`crate::SubSource`]. `None` for all others and if the member's own header is damaged. Its
    /// checksum is not verified.
    #[must_use]
    pub fn stored_range(&self, index: usize) -> Option<Range<u64>> {
        let Directory::Zip(zip) = &self.directory else { return None };
        if self.members.get(index)?.folder {
            return None;
        }
        zip.stored_range(&self.source, index)
    }

    /// Starts to unpack member `index`, of which at most `limit` bytes may come out.
    ///
    /// # Errors
    /// [`ArchiveErrorKind::NoMember`] for a number without a file, [`ArchiveErrorKind::Encrypted`],
    /// [`ArchiveErrorKind::Spanned`], [`ArchiveErrorKind::Method`] for what cannot be unpacked here,
    /// [`ArchiveErrorKind::Limit`] if the directory already says that the member is larger, damage otherwise.
    pub fn unpack(&self, index: usize, limit: u64) -> Result<Unpacker, ArchiveError> {
        if self.members.get(index).is_none_or(|member| member.folder) {
            return Err(ArchiveError::new(0, ArchiveErrorKind::NoMember { index }));
        }
        let len = self.source.len();
        let whole = || Input::new(Rc::clone(&self.source), 0..len);
        match &self.directory {
            Directory::Zip(zip) => zip.unpack(&self.source, index, limit),
            Directory::Cabinet(cabinet) => cabinet.unpack(&self.source, index, limit),
            Directory::Gzip => Unpacker::new(Box::new(Gzip::new(whole())), Promise::default(), len, limit),
            Directory::Zstandard => Unpacker::new(Box::new(Zstandard::new(whole())), Promise::default(), len, limit),
        }
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members.len();
        f.debug_struct("Archive").field("format", &self.format).field("members", &members).finish_non_exhaustive()
    }
}

//! Members of archives: listed, and unpacked a piece at a time.

use std::rc::Rc;

use dumplens_archive::{
    Archive, ArchiveError, ArchiveErrorKind, MOST_LEVELS, SubSource, Unpacker, could_be_dump, sniff,
};
use dumplens_base::{BlockCache, Source};
use dumplens_engine::{START_BYTES, worth_unpacking};
use dumplens_report::{
    protocol::{ArchiveListing, ArchiveMember, Failure, FailureKind, Progress},
    text,
};

use crate::scratch::{Scratch, WriteError};

/// Most that is unpacked into memory where the browser has no storage for it.
pub(crate) const MOST_IN_MEMORY: u64 = 256 << 20;

/// What is unpacked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be opened.
    Dump,
    /// To be added to the open dump.
    Symbols,
}

impl Purpose {
    /// What to do where there is no room.
    const fn elsewhere(self) -> &'static str {
        match self {
            Self::Dump => "unpack it yourself and open the dump, or use the command line (dumplens analyze)",
            Self::Symbols => {
                "unpack it yourself and add the files, or use the command line (dumplens analyze --symbols)"
            }
        }
    }

    /// Whether what begins like this is worth the room it takes.
    pub(crate) fn judge(self, head: &[u8], size: Option<u64>, name: &str) -> Result<(), Failure> {
        const SYMBOLS: [&[u8]; 5] = [b"MZ", b"Microsoft C/C++", b"BSJB", b"{", b"\xfd7zXZ\0"];
        match self {
            Self::Dump => worth_unpacking(head, size, could_be_dump(name)),
            Self::Symbols if SYMBOLS.iter().any(|magic| head.starts_with(magic)) => Ok(()),
            Self::Symbols => Err(failure(FailureKind::NotADump, "not a symbol file")),
        }
    }
}

pub(crate) fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into() }
}

/// A file, or what was found in one.
pub(crate) struct Content {
    pub(crate) source: Source,
    /// The file's name, and the names of the members on the way, outermost first.
    pub(crate) names: Vec<String>,
}

impl Content {
    /// What to call it: `ARCHIVE › member`.
    pub(crate) fn name(&self) -> String {
        self.names.join(" › ")
    }

    /// The page names the file itself; a member is named here.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        match self.names.get(1..) {
            None | Some([]) => failure,
            Some(members) => Failure { message: format!("{}: {}", members.join(" › "), failure.message), ..failure },
        }
    }
}

/// An archive whose members can be opened.
pub(crate) struct OpenArchive {
    content: Content,
    archive: Archive,
}

impl OpenArchive {
    /// Reads the directory. Decoders read small pieces from front to back: they get larger ones from the file.
    pub(crate) fn open(content: Content) -> Result<Self, Failure> {
        if content.names.len() > MOST_LEVELS {
            return Err(content.explain(failure(FailureKind::NotADump, TOO_DEEP)));
        }
        let cache = BlockCache::new(Rc::clone(&content.source), 1 << 20, 4);
        match Archive::open(Rc::new(cache)) {
            Ok(archive) => Ok(Self { content, archive }),
            Err(error) => Err(content.explain(failure(FailureKind::Damaged, error.to_string()))),
        }
    }

    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// An error about the archive itself.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        self.content.explain(failure)
    }

    pub(crate) fn listing(&self) -> ArchiveListing {
        let members = self.archive.files().filter_map(|index| {
            let member = self.archive.members().get(index)?;
            Some(ArchiveMember {
                index: u32::try_from(index).ok()?,
                name: member.name.clone(),
                size: member.size,
                compressed_size: member.compressed_size,
                method: member.method.clone(),
                problem: member.encrypted.then(|| "needs a password; unpack it yourself and open the dump".into()),
            })
        });
        ArchiveListing {
            format: self.archive.format().to_string(),
            members: members.collect(),
            is_cut: self.archive.is_cut(),
        }
    }

    /// What the archive is called.
    pub(crate) fn name(&self) -> String {
        self.content.name()
    }

    /// What a member takes once unpacked, where the archive says.
    pub(crate) fn size(&self, index: usize) -> Option<u64> {
        self.archive.members().get(index).and_then(|member| member.size)
    }

    fn names(&self, index: usize) -> Vec<String> {
        let archive = self.content.names.last().map(String::as_str).unwrap_or_default();
        let member = self.archive.member_name(index, archive);
        self.content.names.iter().cloned().chain([member]).collect()
    }

    /// A member that is only stored, read where it is.
    pub(crate) fn stored(&self, index: usize) -> Option<Content> {
        let range = self.archive.stored_range(index)?;
        let part = SubSource::new(Rc::clone(&self.content.source), range)?;
        Some(Content { source: Rc::new(part), names: self.names(index) })
    }
}

const TOO_DEEP: &str = "this is an archive in an archive in an archive; unpack it and open the dump inside";

/// Where there is room for unpacked bytes, and how many.
pub(crate) enum Room {
    /// In the browser's storage.
    File(Box<Scratch>, u64),
    /// In memory.
    Memory(u64),
}

/// Where unpacked bytes go.
enum Place {
    File(Box<Scratch>),
    Memory(Vec<u8>),
}

/// A member on its way out of its archive. Dropping it cancels, and removes what was written.
pub(crate) struct Unpack {
    unpacker: Unpacker,
    place: Place,
    room: u64,
    /// The first bytes, until they have been judged.
    head: Option<Vec<u8>>,
    size: Option<u64>,
    names: Vec<String>,
    purpose: Purpose,
}

impl std::fmt::Debug for Unpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpack").field("names", &self.names).field("unpacker", &self.unpacker).finish_non_exhaustive()
    }
}

impl Unpack {
    /// Begins to unpack member `index`.
    pub(crate) fn new(archive: &OpenArchive, index: usize, room: Room, purpose: Purpose) -> Result<Self, Failure> {
        let (place, room) = match room {
            Room::File(scratch, room) => (Place::File(scratch), room),
            Room::Memory(room) => (Place::Memory(Vec::new()), room),
        };
        let size = archive.size(index);
        let names = archive.names(index);
        let named = |failure| Content { source: Rc::new(Vec::new()), names: names.clone() }.explain(failure);
        match archive.archive.unpack(index, room) {
            Ok(unpacker) => Ok(Self { unpacker, place, room, head: Some(Vec::new()), size, names, purpose }),
            Err(error) => Err(named(explain(&error, &place, size, room, purpose))),
        }
    }

    /// Unpacks one piece. Whether it was the last.
    pub(crate) fn step(&mut self) -> Result<bool, Failure> {
        let chunk = match self.unpacker.next_chunk() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                if let Some(head) = self.head.take() {
                    self.judge(&head).map_err(|failure| self.named(failure))?;
                }
                return Ok(true);
            }
            Err(error) => return Err(self.named(explain(&error, &self.place, self.size, self.room, self.purpose))),
        };
        let mut judged = None;
        if let Some(head) = &mut self.head {
            head.extend(chunk.iter().take(START_BYTES.saturating_sub(head.len())));
            judged = (head.len() >= START_BYTES).then(|| self.head.take()).flatten();
        }
        let written = match &mut self.place {
            Place::File(scratch) => scratch.append(chunk),
            Place::Memory(bytes) => {
                bytes.extend_from_slice(chunk);
                Ok(())
            }
        };
        if let Some(head) = judged {
            self.judge(&head).map_err(|failure| self.named(failure))?;
        }
        match written {
            Ok(()) => Ok(false),
            Err(WriteError::Full) => {
                let room = self.unpacker.written();
                Err(self.named(failure(FailureKind::BadRequest, no_room(&self.place, self.size, room, self.purpose))))
            }
            Err(WriteError::Failed) => {
                let elsewhere = self.purpose.elsewhere();
                let message = format!("the browser cannot write to its storage: {elsewhere}");
                Err(self.named(failure(FailureKind::BadRequest, message)))
            }
        }
    }

    /// Whether what begins like this is worth the room it takes.
    fn judge(&self, head: &[u8]) -> Result<(), Failure> {
        match sniff(&head) {
            Some(_) if self.names.len() > MOST_LEVELS => Err(failure(FailureKind::NotADump, TOO_DEEP)),
            Some(_) => Ok(()),
            None => self.purpose.judge(head, self.size, self.names.last().map(String::as_str).unwrap_or_default()),
        }
    }

    fn named(&self, failure: Failure) -> Failure {
        Content { source: Rc::new(Vec::new()), names: self.names.clone() }.explain(failure)
    }

    /// Where the size is not known beforehand, the packed bytes tell how far it is.
    pub(crate) fn progress(&self) -> Progress {
        let (done, total) = match self.size {
            Some(size) => (self.unpacker.written(), size),
            None => (self.unpacker.compressed_read(), self.unpacker.compressed_total()),
        };
        let name = self.names.last().map(String::as_str).unwrap_or_default();
        Progress { phase: format!("unpacking {name}"), done, total }
    }

    /// Bytes of memory that are filled.
    pub(crate) fn in_memory(&self) -> u64 {
        match &self.place {
            Place::File(_) => 0,
            Place::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// What was unpacked.
    pub(crate) fn finish(self) -> Content {
        let source: Source = match self.place {
            Place::File(scratch) => Rc::new(*scratch),
            Place::Memory(bytes) => Rc::new(bytes),
        };
        Content { source, names: self.names }
    }
}

fn explain(error: &ArchiveError, place: &Place, size: Option<u64>, room: u64, purpose: Purpose) -> Failure {
    match error.kind {
        ArchiveErrorKind::Limit { .. } => failure(FailureKind::BadRequest, no_room(place, size, room, purpose)),
        _ => failure(FailureKind::Damaged, error.to_string()),
    }
}

/// How much is needed, how much there is, and what to do.
fn no_room(place: &Place, size: Option<u64>, room: u64, purpose: Purpose) -> String {
    let elsewhere = purpose.elsewhere();
    let room = text::size(room);
    let needed = size.map_or_else(|| format!("more than {room}"), text::size);
    match place {
        Place::File(_) => format!(
            "unpacking it takes {needed}, and the browser lets this site store {room}; make room on the disk, {elsewhere}"
        ),
        Place::Memory(_) => format!(
            "unpacking it takes {needed}, and without private storage, which this browser refuses here (as in private \
             windows), {room} are the most; {elsewhere}"
        ),
    }
}

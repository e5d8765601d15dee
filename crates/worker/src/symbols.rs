//! Symbol files in archives: the members that are wanted are unpacked and added one after the other.

use std::{collections::BTreeSet, rc::Rc};

use dumplens_archive::{Format, MOST_LEVELS, sniff};
use dumplens_base::{BlockCache, Source};
use dumplens_engine::{Job, Session, Step};
use dumplens_report::{
    model::SymbolStatus,
    protocol::{Failure, FailureKind, Progress, Reply, Request},
    symbols::{AddedSymbols, packed},
};

use crate::{
    scratch::Scratch,
    unpack::{Content, MOST_IN_MEMORY, OpenArchive, Purpose, Room, Unpack, failure},
};

/// Blocks of each symbol file that are kept: 2 MiB.
const SYMBOL_BLOCKS: usize = 32;
/// An archive with at most so many files is tried whole; of a larger one, the members that are wanted by name.
const MOST_UNASKED: usize = 64;
/// An image names its PDB, which may lie in the same archive: so often the wanted names are asked for again.
const MOST_ROUNDS: u8 = 3;
/// Members up to this size are unpacked into memory: an open file for each would be dearer.
const SMALL: u64 = 1 << 20;
/// Names that the answer lists.
const MOST_NAMES: usize = 6;

/// Adds one file that is no archive. Symbol files are read in few places: a small cache of its own for each is enough.
fn add(session: &mut Session, source: Source, name: &str) -> Result<AddedSymbols, Failure> {
    let cache = BlockCache::new(source, BlockCache::<Source>::DEFAULT_BLOCK, SYMBOL_BLOCKS);
    session
        .add_symbols(Rc::new(cache), name)
        .map_err(|error| failure(FailureKind::BadRequest, format!("{name}: {error}")))
}

/// What there is to do with a file that was offered.
pub(crate) enum Offered {
    /// It was added, or was refused.
    Ended(Result<Reply, Failure>),
    /// It is an archive.
    Pack(Box<Pack>),
}

/// Adds a file, or looks into it if it is an archive.
pub(crate) fn offer(session: &mut Session, source: Source, name: String) -> Offered {
    let format = sniff(&source);
    // Tables of kernel symbols come packed with gzip, and the engine reads them like that.
    if matches!(format, None | Some(Format::Gzip)) {
        let added = add(session, Rc::clone(&source), &name).map(Reply::SymbolsAdded);
        if format.is_none() || added.is_ok() {
            return Offered::Ended(added);
        }
    }
    match OpenArchive::open(Content { source, names: vec![name] }) {
        Ok(archive) => Offered::Pack(Box::new(Pack::new(Rc::new(archive)))),
        Err(failure) => Offered::Ended(Err(failure)),
    }
}

/// What comes next.
pub(crate) enum Next {
    /// More of the same.
    Working(Progress),
    /// The next member needs a place to be unpacked to.
    Place,
    /// All is done.
    Done(Result<Reply, Failure>),
}

/// An archive of symbol files on its way into the session. Dropping it cancels; what was added stays.
pub(crate) struct Pack {
    archive: Rc<OpenArchive>,
    /// Members to come, the next one last.
    todo: Vec<(Rc<OpenArchive>, usize)>,
    /// Members of the outer archive that were taken.
    taken: BTreeSet<usize>,
    rounds: u8,
    now: Option<Unpack>,
    /// The member that waits for a place.
    placing: Option<(Rc<OpenArchive>, usize)>,
    /// Bytes of memory that may still be filled.
    memory: u64,
    added: Vec<AddedSymbols>,
    refused: Vec<String>,
    /// Whether a member looked like a symbol file, readable or not.
    is_symbols: bool,
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("todo", &self.todo.len()).field("added", &self.added).finish_non_exhaustive()
    }
}

impl Pack {
    fn new(archive: Rc<OpenArchive>) -> Self {
        Self {
            archive,
            todo: Vec::new(),
            taken: BTreeSet::new(),
            rounds: 0,
            now: None,
            placing: None,
            memory: MOST_IN_MEMORY,
            added: Vec::new(),
            refused: Vec::new(),
            is_symbols: false,
        }
    }

    /// Does a bounded piece of work.
    pub(crate) fn step(&mut self, session: &mut Session) -> Next {
        if let Some(mut unpack) = self.now.take() {
            match unpack.step() {
                Ok(false) => {
                    let progress = unpack.progress();
                    self.now = Some(unpack);
                    return Next::Working(progress);
                }
                Ok(true) => {
                    self.memory = self.memory.saturating_sub(unpack.in_memory());
                    self.take(unpack.finish(), session);
                }
                Err(failure) => self.refuse(failure),
            }
            return Next::Working(self.progress());
        }
        match self.todo.pop() {
            Some((archive, index)) => match archive.stored(index) {
                Some(content) => self.take(content, session),
                None if archive.size(index).is_some_and(|size| size <= SMALL.min(self.memory)) => {
                    self.begin(&archive, index, Room::Memory(self.memory));
                }
                None => {
                    self.placing = Some((archive, index));
                    return Next::Place;
                }
            },
            None if self.rounds < MOST_ROUNDS && self.select(session) => self.rounds += 1,
            None => return Next::Done(self.outcome()),
        }
        Next::Working(self.progress())
    }

    /// The browser gave a place for the next member, or none: then memory must do.
    pub(crate) fn placed(&mut self, scratch: Option<(Scratch, u64)>) {
        if let Some((archive, index)) = self.placing.take() {
            let room = scratch.map_or(Room::Memory(self.memory), |(scratch, room)| Room::File(Box::new(scratch), room));
            self.begin(&archive, index, room);
        }
    }

    fn begin(&mut self, archive: &OpenArchive, index: usize, room: Room) {
        match Unpack::new(archive, index, room, Purpose::Symbols) {
            Ok(unpack) => self.now = Some(unpack),
            Err(failure) => self.refuse(failure),
        }
    }

    fn refuse(&mut self, failure: Failure) {
        // A text file beside the symbols is no fault of theirs.
        self.is_symbols |= failure.kind != FailureKind::NotADump;
        self.refused.push(failure.message);
    }

    /// Adds what was unpacked, or goes down into it.
    fn take(&mut self, content: Content, session: &mut Session) {
        let name = content.names.last().cloned().unwrap_or_default();
        let format = sniff(&content.source);
        if matches!(format, None | Some(Format::Gzip)) {
            match add(session, Rc::clone(&content.source), &name) {
                Ok(added) => {
                    self.is_symbols = true;
                    return self.added.push(added);
                }
                Err(failure) if format.is_none() => {
                    self.is_symbols |= Purpose::Symbols.judge(&start(&content.source), None, "").is_ok();
                    return self.refused.push(failure.message);
                }
                Err(_) => {}
            }
        }
        if content.names.len() > MOST_LEVELS {
            return self.refused.push(format!("{name}: an archive in an archive in an archive"));
        }
        match OpenArchive::open(content) {
            Ok(inner) => {
                let inner = Rc::new(inner);
                let files: Vec<usize> = inner.archive().files().take(MOST_UNASKED).collect();
                self.todo.extend(files.into_iter().rev().map(|index| (Rc::clone(&inner), index)));
            }
            Err(failure) => self.refuse(failure),
        }
    }

    /// Finds members to take. Whether there are any.
    fn select(&mut self, session: &mut Session) -> bool {
        let archive = self.archive.archive();
        let files: Vec<usize> = archive.files().collect();
        let all = files.len() <= MOST_UNASKED && !archive.is_cut();
        let wanted = if all { BTreeSet::new() } else { wanted_names(session) };
        let is_wanted = |index: &usize| {
            let name = archive.members().get(*index).map(|member| last_part(&member.name).to_lowercase());
            all || name.is_some_and(|name| wanted.contains(&name))
        };
        let chosen: Vec<usize> =
            files.into_iter().filter(|index| !self.taken.contains(index)).filter(is_wanted).collect();
        self.taken.extend(&chosen);
        self.todo.extend(chosen.into_iter().rev().map(|index| (Rc::clone(&self.archive), index)));
        !self.todo.is_empty()
    }

    fn progress(&self) -> Progress {
        let done = self.taken.len().saturating_sub(self.todo.len()) as u64;
        Progress { phase: "adding symbols".into(), done, total: self.taken.len() as u64 }
    }

    fn outcome(&self) -> Result<Reply, Failure> {
        let archive = self.archive.name();
        if self.added.is_empty() {
            let kind = if self.is_symbols { FailureKind::BadRequest } else { FailureKind::NotFound };
            let why = self.refused.first().map(|why| format!(" ({why})")).unwrap_or_default();
            return Err(failure(kind, format!("{archive}: no symbol file for this dump is in it{why}")));
        }
        let names = self.added.iter().map(|added| added.name.as_str());
        let mut listed = names.take(MOST_NAMES).collect::<Vec<_>>().join(", ");
        if self.added.len() > MOST_NAMES {
            listed.push_str(", …");
        }
        let count = match self.added.len() {
            1 => "1 symbol file".into(),
            count => format!("{count} symbol files"),
        };
        let modules: BTreeSet<&String> = self.added.iter().flat_map(|added| &added.modules).collect();
        Ok(Reply::SymbolsAdded(AddedSymbols {
            name: archive,
            identity: format!("{} with {count}: {listed}", self.archive.archive().format()),
            modules: modules.into_iter().cloned().collect(),
            again: self.added.iter().all(|added| added.again),
        }))
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

fn start(source: &Source) -> Vec<u8> {
    let mut head = vec![0; usize::try_from(source.len()).unwrap_or(usize::MAX).min(64)];
    // What cannot be read looks like nothing.
    let _ = source.read_at(0, &mut head);
    head
}

/// Names of wanted files in lower case, and those of their packed twins: `ntkrnlmp.pd_`.
fn wanted_names(session: &mut Session) -> BTreeSet<String> {
    let mut job = Job::new(Request::Symbols);
    let needs = loop {
        match job.step(session) {
            Step::Working(_) => {}
            Step::Done(Ok(Reply::Symbols(needs))) => break needs,
            Step::Done(_) => return BTreeSet::new(),
        }
    };
    let missing = needs.iter().filter(|need| need.symbols != SymbolStatus::Loaded);
    let names = missing.flat_map(|need| need.files.iter().map(|file| &file.name).chain([&need.image]));
    names.map(|name| name.to_lowercase()).flat_map(|name| [packed(&name), name]).collect()
}

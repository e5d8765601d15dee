//! Dumps in archives: which member is meant, and where its bytes go.
//!
//! A member that is only stored is read in place. All others are unpacked into a temporary file that has no name and
//! that the system deletes with its last user, however the command ends.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write as _},
    iter::Peekable,
    path::Path,
    rc::Rc,
    slice::Iter,
    time::{Duration, Instant},
};

use dumplens_archive::{
    Archive, ArchiveError, ArchiveErrorKind, Choice, MOST_LEVELS, SubSource, Unpacker, could_be_dump, sniff,
};
use dumplens_base::Source;
use dumplens_engine::{START_BYTES, worth_unpacking};
use dumplens_report::text::{clean, size as text_size};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{args::Unpacking, source::FileSource};

/// Members that are printed before the rest is only counted.
const MOST_LISTED: usize = 200;

/// What is opened: the file itself, or what was found in it.
pub(crate) struct Content {
    /// Its bytes.
    pub(crate) source: Source,
    /// The members on the way to it, outermost first. Empty for a file that is no archive.
    pub(crate) members: Vec<String>,
}

impl Content {
    /// What to call it: `ARCHIVE › member`.
    pub(crate) fn name(&self, file: &str) -> String {
        self.members.iter().fold(file.into(), |name, member| format!("{name} › {member}"))
    }
}

/// Goes down into archives until something else is found. `file` is what the archive is called, `path` where it is.
///
/// # Errors
/// The content it was reached with, and what to say about it.
pub(crate) fn enter(file: FileSource, path: &Path, options: &Unpacking) -> Result<Content, (Content, String)> {
    let mut content = Content { source: Rc::new(file), members: Vec::new() };
    let mut wanted = options.member.iter().peekable();
    while sniff(&content.source).is_some() {
        if let Err(reason) = descend(&mut content, path, &mut wanted, options.max_unpacked) {
            return Err((content, reason));
        }
    }
    match wanted.next() {
        Some(wanted) => {
            let reason = format!("there is no archive left to look for member `{}` in", clean(wanted));
            Err((content, reason))
        }
        None => Ok(content),
    }
}

/// Replaces an archive by one of its members.
fn descend(
    content: &mut Content,
    path: &Path,
    wanted: &mut Peekable<Iter<'_, String>>,
    most: u64,
) -> Result<(), String> {
    if content.members.len() >= MOST_LEVELS {
        return Err(TOO_DEEP.into());
    }
    let archive = Archive::open(Rc::clone(&content.source)).map_err(|error| error.to_string())?;
    let index = choose(&archive, path, wanted)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = archive.member_name(index, content.members.last().map_or(&*file, |name| name));
    content.members.push(name.clone());
    let stored = archive.stored_range(index).and_then(|range| SubSource::new(Rc::clone(&content.source), range));
    content.source = match stored {
        Some(part) => Rc::new(part),
        None => {
            let unpacker = archive.unpack(index, most).map_err(|error| explain(&error))?;
            let size = archive.members().get(index).and_then(|member| member.size);
            Rc::new(unpack(unpacker, &name, size, content.members.len())?)
        }
    };
    Ok(())
}

const TOO_DEEP: &str = "this is an archive in an archive in an archive; unpack it and open the dump inside";

/// The member that is meant. Where there is only one it need not be named, and what is named is then looked for deeper.
fn choose(archive: &Archive, path: &Path, wanted: &mut Peekable<Iter<'_, String>>) -> Result<usize, String> {
    let several = archive.files().nth(1).is_some();
    if let Some(text) = wanted.peek() {
        match find(archive, text) {
            Ok(index) => {
                wanted.next();
                return Ok(index);
            }
            Err(reason) if several => return Err(reason),
            Err(_) => {}
        }
    }
    match archive.choice() {
        Choice::Nothing => Err(format!("there is no file in this {}", archive.format())),
        Choice::One(index) => Ok(index),
        Choice::Several => Err(listing(archive, path)),
    }
}

/// The member that `text` names: its name, its number in the list, or the last part of its name.
fn find(archive: &Archive, text: &str) -> Result<usize, String> {
    let name = |index: usize| archive.members().get(index).map(|member| member.name.as_str()).unwrap_or_default();
    // What is printed may be copied, and there control characters have been replaced.
    if let Some(index) = archive.files().find(|index| name(*index) == text || clean(name(*index)) == text) {
        return Ok(index);
    }
    if let Some(index) = text.parse::<usize>().ok().and_then(|number| archive.files().nth(number.checked_sub(1)?)) {
        return Ok(index);
    }
    let last =
        |index: &usize| name(*index).rsplit(['/', '\\']).next().is_some_and(|last| last.eq_ignore_ascii_case(text));
    let mut matching = archive.files().filter(last);
    match (matching.next(), matching.next()) {
        (Some(index), None) => Ok(index),
        (Some(_), Some(_)) => Err(format!("several members are called `{}`; choose one by its number", clean(text))),
        (None, _) => Err(format!("there is no member `{}` in it; without --member the list is shown", clean(text))),
    }
}

/// All members, and how to choose one.
fn listing(archive: &Archive, path: &Path) -> String {
    let count = archive.files().count();
    let mut text = format!(
        "this {} holds {count} files; choose one with `dumplens analyze {} --member NAME-OR-NUMBER`",
        archive.format(),
        path.display()
    );
    // Writing to a string does not fail.
    let _ = write!(text, "\n{:>7} {:>12} {:>12}  {:<10} name", "number", "size", "packed", "method");
    let files = archive.files().filter_map(|index| archive.members().get(index));
    for (number, member) in files.enumerate().take(MOST_LISTED) {
        let size = member.size.map_or_else(|| "?".into(), text_size);
        let packed = text_size(member.compressed_size);
        let locked = if member.encrypted { "  (needs a password)" } else { "" };
        let (method, name) = (&member.method, clean(&member.name));
        let _ = write!(text, "\n{:>7} {size:>12} {packed:>12}  {method:<10} {name}{locked}", number.saturating_add(1));
    }
    if count > MOST_LISTED || archive.is_cut() {
        let more = if archive.is_cut() { " and more that are not listed" } else { "" };
        let _ = write!(text, "\n… {} more{more}", count.saturating_sub(MOST_LISTED));
    }
    text
}

/// Unpacks into a temporary file, and stops as soon as the content turns out to be of no use.
fn unpack(mut unpacker: Unpacker, name: &str, size: Option<u64>, level: usize) -> Result<FileSource, String> {
    let mut file = tempfile::tempfile().map_err(|error| disk(&error, 0))?;
    let mut head = Some(Vec::new());
    let mut bar = Bar::new(name);
    let judge = |head: &[u8]| match sniff(&head) {
        Some(_) if level >= MOST_LEVELS => Err(TOO_DEEP.into()),
        Some(_) => Ok(()),
        None => worth_unpacking(head, size, could_be_dump(name)).map_err(|failure| failure.message),
    };
    loop {
        let before = unpacker.written();
        let Some(chunk) = unpacker.next_chunk().map_err(|error| explain(&error))? else { break };
        if let Some(bytes) = &mut head {
            bytes.extend(chunk.iter().take(START_BYTES.saturating_sub(bytes.len())));
            if bytes.len() >= START_BYTES {
                judge(bytes)?;
                head = None;
            }
        }
        file.write_all(chunk).map_err(|error| disk(&error, before))?;
        bar.show(&unpacker, size);
    }
    if let Some(bytes) = &head {
        judge(bytes)?;
    }
    finish(file).map_err(|error| disk(&error, unpacker.written()))
}

pub(crate) fn finish(mut file: File) -> io::Result<FileSource> {
    file.flush()?;
    FileSource::new(file)
}

/// An error of the archive, with the option that helps.
pub(crate) fn explain(error: &ArchiveError) -> String {
    match error.kind {
        ArchiveErrorKind::Limit { limit } => format!(
            "unpacking stopped: the content passes {}, the most that is unpacked; raise it with --max-unpacked if the \
             disk has room",
            text_size(limit)
        ),
        _ => error.to_string(),
    }
}

/// An error of the temporary file.
pub(crate) fn disk(error: &io::Error, written: u64) -> String {
    let folder = std::env::temp_dir();
    let folder = folder.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!(
            "the disk is full: {} were unpacked into {folder} and more follows; make room, or name a folder with more \
             room in TMPDIR (on Windows TEMP)",
            text_size(written)
        ),
        _ => format!("cannot unpack into a temporary file in {folder}: {error}"),
    }
}

/// A progress bar on standard error that appears only if unpacking takes long enough to wonder.
struct Bar {
    name: String,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    const PATIENCE: Duration = Duration::from_millis(300);

    fn new(name: &str) -> Self {
        Self { name: clean(name).into_owned(), started: Instant::now(), bar: None }
    }

    /// Where the size is not known beforehand, the packed bytes tell how far it is.
    fn show(&mut self, unpacker: &Unpacker, size: Option<u64>) {
        if self.bar.is_none() && self.started.elapsed() >= Self::PATIENCE {
            let style = ProgressStyle::with_template("unpacking {msg} {bar:40} {bytes} of {total_bytes}, {eta} left");
            let total = size.unwrap_or(unpacker.compressed_total());
            self.bar =
                style.ok().map(|style| ProgressBar::new(total).with_style(style).with_message(self.name.clone()));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(size.map_or_else(|| unpacker.compressed_read(), |_| unpacker.written()));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

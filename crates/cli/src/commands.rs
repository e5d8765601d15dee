//! What each command does.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

use dumplens_base::BlockCache;
use dumplens_engine::{Job, ReportJob, Session, Step};
use dumplens_report::{
    model::{NoteKind, Report},
    protocol::{Failure, Progress, Reply, Request},
    symbols::ScriptKind,
    text,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    archive::{self, Content},
    args::{Args, Command, List, Script, Unpacking},
    lookup, memory,
    source::FileSource,
    stack, symbols, types,
};

/// What a run came to; the process's exit code. The worst of all files counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Outcome {
    /// Everything was read.
    Complete = 0,
    /// Parts are missing or damaged.
    Partial = 1,
    /// Not readable as a dump.
    Unreadable = 2,
}

/// Carries out a command.
///
/// # Errors
/// Only if the answer cannot be written.
pub(crate) fn run(args: Args) -> io::Result<Outcome> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let unpacking = &args.unpacking;
    let outcome = match args.command {
        Command::Analyze { json, symbols, force, files } => {
            analyze(&mut out, json, &symbols, &force, &files, unpacking)?
        }
        Command::Read { space, file, address, length } => {
            memory::read(&mut out, &space, &file, address, length, unpacking)?
        }
        Command::Translate { space, json, file, addresses } => {
            memory::translate(&mut out, &space, json, &file, &addresses, unpacking)?
        }
        Command::Regions { space, json, from, file } => {
            memory::regions(&mut out, &space, json, from, &file, unpacking)?
        }
        Command::Stack(stack) => stack::stack(&mut out, &stack, unpacking)?,
        Command::Modules(list) => lists(&mut out, &list, unpacking, &[Request::Modules, Request::UnloadedModules])?,
        Command::Threads(list) => lists(&mut out, &list, unpacking, &[Request::Threads])?,
        Command::Processes(list) => lists(&mut out, &list, unpacking, &[Request::Processes])?,
        Command::Streams(list) => lists(&mut out, &list, unpacking, &[Request::Streams])?,
        Command::Symbols { script, symbols: folders, force, list } => {
            let kind = script.map(|script| match script {
                Script::Powershell => ScriptKind::PowerShell,
                Script::Sh => ScriptKind::Shell,
                Script::Symchk => ScriptKind::SymChk,
            });
            let request = kind.map_or(Request::Symbols, |kind| Request::SymbolScript { kind });
            let Some(mut session) = open(&list.file, unpacking) else { return Ok(Outcome::Unreadable) };
            symbols::add(&mut session, &folders);
            symbols::force(&mut session, &force);
            answers(&mut out, &mut session, &list, &[request])?
        }
        Command::Lookup { json, file, rvas } => lookup::lookup(&mut out, json, &file, &rvas)?,
        Command::Types(types) => types::types(&mut out, &types, unpacking)?,
    };
    out.flush()?;
    Ok(outcome)
}

/// Opens a dump, in an archive or not, or says why not.
pub(crate) fn open(path: &Path, unpacking: &Unpacking) -> Option<Session> {
    let explain =
        |name: &dyn std::fmt::Display, reason: &dyn std::fmt::Display| eprintln!("dumplens: {name}: {reason}");
    let shown = path.display();
    let file = match FileSource::open(path) {
        Ok(file) => file,
        Err(error) => {
            explain(&shown, &format_args!("cannot open the file: {error}"));
            return None;
        }
    };
    let in_path = |content: &Content| text::clean(&content.name(&shown.to_string())).into_owned();
    match archive::enter(file, path, unpacking) {
        Ok(content) => {
            let name = path.file_name().map(|name| content.name(&name.to_string_lossy()));
            let source = Rc::new(BlockCache::for_files(Rc::clone(&content.source)));
            Session::open(source, name).map_err(|failure| explain(&in_path(&content), &failure)).ok()
        }
        Err((content, reason)) => {
            explain(&in_path(&content), &reason);
            None
        }
    }
}

fn analyze(
    out: &mut impl Write,
    json: bool,
    folders: &[PathBuf],
    forced: &[String],
    files: &[PathBuf],
    unpacking: &Unpacking,
) -> io::Result<Outcome> {
    let mut worst = Outcome::Complete;
    for (index, path) in files.iter().enumerate() {
        let Some(mut session) = open(path, unpacking) else {
            worst = Outcome::Unreadable;
            continue;
        };
        symbols::add(&mut session, folders);
        symbols::force(&mut session, forced);
        let report = whole_report(&mut session);
        if json {
            writeln!(out, "{}", dumplens_report::to_json(&report).map_err(io::Error::other)?)?;
        } else {
            if index > 0 {
                writeln!(out, "\n{}", "=".repeat(80))?;
            }
            out.write_all(render(|text| text::report(text, &report)).as_bytes())?;
        }
        worst = worst.max(if report.is_partial() { Outcome::Partial } else { Outcome::Complete });
    }
    Ok(worst)
}

fn whole_report(session: &mut Session) -> Report {
    let mut job = ReportJob::new();
    let mut bar = Bar::new();
    loop {
        match job.step(session) {
            Ok(report) => return report,
            Err(progress) => bar.show(&progress),
        }
    }
}

pub(crate) fn answer(session: &mut Session, request: Request) -> Result<Reply, Failure> {
    let mut job = Job::new(request);
    let mut bar = Bar::new();
    loop {
        match job.step(session) {
            Step::Done(result) => return result,
            Step::Working(progress) => bar.show(&progress),
        }
    }
}

/// A progress bar on standard error that appears only if the work takes long enough to wonder.
struct Bar {
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    const PATIENCE: Duration = Duration::from_millis(300);

    fn new() -> Self {
        Self { started: Instant::now(), bar: None }
    }

    fn show(&mut self, progress: &Progress) {
        if self.bar.is_none() && self.started.elapsed() >= Self::PATIENCE {
            let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len}");
            self.bar = style.ok().map(|style| ProgressBar::new(progress.total).with_style(style));
        }
        if let Some(bar) = &self.bar {
            bar.set_message(progress.phase.clone());
            bar.set_length(progress.total);
            bar.set_position(progress.done);
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

/// Text that is printed to a string first; writing to a string does not fail.
pub(crate) fn render(write: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
    let mut text = String::new();
    let _ = write(&mut text);
    text
}

fn lists(out: &mut impl Write, list: &List, unpacking: &Unpacking, requests: &[Request]) -> io::Result<Outcome> {
    match open(&list.file, unpacking) {
        Some(mut session) => answers(out, &mut session, list, requests),
        None => Ok(Outcome::Unreadable),
    }
}

/// Writes the answers to some requests, each a list.
fn answers(out: &mut impl Write, session: &mut Session, list: &List, requests: &[Request]) -> io::Result<Outcome> {
    for request in requests {
        let reply = answer(session, request.clone());
        let json = |value: serde_json::Result<String>| value.map_err(io::Error::other);
        let text = match (reply, list.json) {
            (Ok(Reply::Modules(rows)), true) => json(serde_json::to_string(&rows))?,
            (Ok(Reply::Modules(rows)), false) => render(|text| text::modules(text, &rows)),
            // Kernel and user dumps keep a short list of what was unloaded; without one there is nothing to head.
            (Ok(Reply::UnloadedModules(rows)), false) if rows.is_empty() => continue,
            (Ok(Reply::UnloadedModules(rows)), true) => json(serde_json::to_string(&rows))?,
            (Ok(Reply::UnloadedModules(rows)), false) => {
                format!("\nUnloaded modules\n{}", render(|text| text::unloaded_modules(text, &rows)))
            }
            (Ok(Reply::Threads(rows)), true) => json(serde_json::to_string(&rows))?,
            (Ok(Reply::Threads(rows)), false) => render(|text| text::threads(text, &rows)),
            (Ok(Reply::Processes(rows)), true) => json(serde_json::to_string(&rows))?,
            (Ok(Reply::Processes(rows)), false) => render(|text| text::processes(text, &rows)),
            (Ok(Reply::Streams(rows)), true) => json(serde_json::to_string(&rows))?,
            (Ok(Reply::Streams(rows)), false) => render(|text| text::streams(text, &rows)),
            (Ok(Reply::Symbols(rows)), true) => json(serde_json::to_string(&rows))?,
            (Ok(Reply::Symbols(rows)), false) => render(|text| text::symbol_needs(text, &rows)),
            (Ok(Reply::Export(text)), _) => text,
            (other, _) => return Ok(unexpected(&list.file, other)),
        };
        out.write_all(text.as_bytes())?;
        if list.json {
            // Loaded modules on the first line, unloaded ones on the second.
            writeln!(out)?;
        }
    }
    let partial = session.notes().iter().any(|note| note.kind != NoteKind::Info);
    Ok(if partial { Outcome::Partial } else { Outcome::Complete })
}

pub(crate) fn unexpected(path: &Path, reply: Result<Reply, Failure>) -> Outcome {
    match reply {
        Err(failure) => eprintln!("dumplens: {}: {failure}", path.display()),
        Ok(_) => eprintln!("dumplens: {}: the engine gave another answer than was asked for", path.display()),
    }
    Outcome::Unreadable
}

use alloc::{boxed::Box, rc::Rc, string::String, vec::Vec};
use core::fmt;

use dumplens_base::{Source, Va};
use dumplens_dump::{Dump, OpenError, open};
use dumplens_report::{
    Hex, model,
    protocol::{Failure, FailureKind, Progress, Reply, Request, Summary},
    symbols::AddedSymbols,
};

use crate::{
    facts::World,
    kernel, memory_view, minidump,
    spaces::not_found,
    summary,
    symbols::{self, AddError, SymbolFile},
    text::note_model,
};

/// An open dump.
pub struct Session {
    world: World,
    summary: Option<Box<Summary>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("dump", &self.world.dump).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a dump. `file_name` is what reports call it.
    ///
    /// # Errors
    /// If the file is not a dump, or its header or directory cannot be read.
    pub fn open(source: Source, file_name: Option<String>) -> Result<Self, Failure> {
        let size = source.len();
        let world = match open(source) {
            Ok(Dump::Minidump(dump)) => minidump::gather(dump, file_name, size),
            Ok(Dump::Kernel(dump)) => kernel::gather(dump, file_name, size),
            Ok(Dump::Physical(image, kind)) => {
                kernel::gather_image(&image, file_name, size).map_err(|reason| not_an_image(kind, &reason))?
            }
            Err(error) => {
                let kind = match error {
                    OpenError::NotADump(_) => FailureKind::NotADump,
                    OpenError::Damaged(_) => FailureKind::Damaged,
                };
                return Err(Failure { kind, message: alloc::format!("{error}") });
            }
        };
        Ok(Self { world, summary: None })
    }

    /// What the reader should know about the dump as a whole.
    #[must_use]
    pub fn notes(&self) -> Vec<model::Note> {
        self.world.notes.iter().map(note_model).collect()
    }

    /// Reads a piece of what symbol files are matched against: in dumps of whole memories the images say which PDB is theirs.
    /// `None` when all of it is there. Who has no time to wait calls this before [`Session::add_symbols`].
    pub fn prepare_symbols(&mut self) -> Option<Progress> {
        self.world.load_modules()
    }

    /// Adds a symbol file: an image, a PDB or a table of kernel symbols. Names change at once; nothing is read again.
    ///
    /// # Errors
    /// If the file is no symbol file or cannot be read. The session goes on as before.
    pub fn add_symbols(&mut self, source: Source, name: &str) -> Result<AddedSymbols, AddError> {
        let file = Rc::new(SymbolFile::open(source, name)?);
        while self.prepare_symbols().is_some() {}
        let again = self.world.symbols.add(&file);
        self.rematch();
        Ok(symbols::added(&file, again, &self.world.modules))
    }

    /// Uses a symbol file for a module whatever its identity, or stops doing so.
    fn force_symbols(&mut self, module: Hex, file: Option<&str>) -> Result<(), Failure> {
        let base = Va(module.0);
        if self.world.modules.find(base).is_none_or(|named| named.module.base != base) {
            return Err(not_found(alloc::format!("there is no module at {module}")));
        }
        match file {
            None => drop(self.world.symbols.forced.remove(&base)),
            Some(name) => {
                let file = self.world.symbols.to_force(name, &self.world.modules, base);
                let file = file.ok_or_else(|| not_found(alloc::format!("no symbol file {name} was added")))?;
                self.world.symbols.forced.insert(base, file);
            }
        }
        self.rematch();
        Ok(())
    }

    /// Finds anew which files belong to which modules.
    fn rematch(&mut self) {
        symbols::rematch(&self.world.symbols, &mut self.world.modules, &self.world.landmarks);
        if let Some(full) = &self.world.full {
            full.forget_halves();
        }
        self.summary = None;
    }

    pub(crate) const fn world(&self) -> &World {
        &self.world
    }

    /// For the jobs that read lists piece by piece.
    pub(crate) const fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// The summary; reached once and kept.
    pub(crate) fn summary(&mut self) -> &Summary {
        let world = &self.world;
        self.summary.get_or_insert_with(|| Box::new(summary::summary(world)))
    }

    /// Answers a request that takes one step.
    pub(crate) fn answer(&mut self, request: &Request) -> Result<Reply, Failure> {
        Ok(match request {
            Request::Summary => Reply::Summary(Box::new(self.summary().clone())),
            Request::Modules => Reply::Modules(self.world.modules.rows()),
            Request::UnloadedModules => Reply::UnloadedModules(self.world.modules.unloaded_rows()),
            Request::Threads => {
                Reply::Threads(self.world.lists.threads.iter().map(|thread| thread.row.clone()).collect())
            }
            Request::ProcessThreads { object } => Reply::Threads(self.process_threads(*object)?),
            Request::Processes => Reply::Processes(self.world.lists.processes.clone()),
            Request::Stack { of, arguments } => Reply::Stack(self.stack(*of, *arguments)?),
            Request::Contexts => Reply::Contexts(self.contexts()),
            Request::Streams => Reply::Streams(self.world.parts.list().to_vec()),
            Request::StreamDetails { index } => {
                let details = usize::try_from(*index)
                    .ok()
                    .and_then(|index| self.world.parts.details(index, self.world.full.as_deref()));
                let details = details.ok_or_else(|| {
                    not_found(alloc::format!("part {index} cannot be shown: it is absent or damaged"))
                })?;
                Reply::StreamDetails(details)
            }
            Request::Memory { space, address, length } => {
                Reply::Memory(memory_view::read(&*self.memory(*space)?, *address, *length))
            }
            Request::Regions { space, from, count } => Reply::Regions(self.regions(*space, *from, *count)?),
            Request::Translate { space, address } => Reply::Translation(self.translate(*space, *address)?),
            Request::Symbols => Reply::Symbols(symbols::needs::needs(self)),
            Request::ForceSymbols { module, file } => {
                self.force_symbols(*module, file.as_deref())?;
                Reply::Symbols(symbols::needs::needs(self))
            }
            Request::SymbolScript { kind } => {
                Reply::Export(dumplens_report::symbols::script(&symbols::needs::needs(self), *kind))
            }
            Request::Statistics => Reply::Statistics(dumplens_report::protocol::Statistics::default()),
            Request::Export { .. } | Request::Stacks => {
                let message = String::from("this takes several steps; run it as a job");
                return Err(Failure { kind: FailureKind::BadRequest, message });
            }
        })
    }
}

/// What an image without a kernel is called.
fn not_an_image(kind: dumplens_dump::FileKind, reason: &str) -> Failure {
    use dumplens_dump::FileKind;
    let message = match kind {
        FileKind::ElfCore => alloc::format!("not a Windows crash dump: {kind} ({reason})"),
        _ => alloc::format!(
            "not a Windows crash dump: {kind}. As a raw image of memory it makes no sense either: {reason}"
        ),
    };
    Failure { kind: FailureKind::NotADump, message }
}

use alloc::{string::String, vec::Vec};

use dumplens_report::{
    StackGroup, StackGroups,
    model::{Report, SCHEMA, Thread},
    protocol::{ExportFormat, Failure, FailureKind, Progress, Reply, Request, StackOf},
    text, to_json,
};

use crate::Session;

/// One request being worked on.
///
/// Call [`Job::step`] until it is done. Dropping a job cancels it; the session stays usable.
#[derive(Debug)]
pub struct Job {
    request: Request,
    report: Option<ReportJob>,
    stacks: StacksJob,
}

/// What a step of a [`Job`] came to.
#[derive(Debug)]
pub enum Step {
    /// There is more to do; show this.
    Working(Progress),
    /// The request is answered or cannot be.
    Done(Result<Reply, Failure>),
}

impl Job {
    /// A job that will answer `request`.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self { request, report: None, stacks: StacksJob::default() }
    }

    /// Does a bounded piece of work, a few milliseconds on a desktop machine.
    pub fn step(&mut self, session: &mut Session) -> Step {
        if let Some(progress) = prepare(&self.request, session) {
            return Step::Working(progress);
        }
        let format = match self.request {
            Request::Export { format } => format,
            Request::Stacks => {
                return match self.stacks.step(session) {
                    Err(progress) => Step::Working(progress),
                    Ok(groups) => Step::Done(Ok(Reply::Stacks(groups))),
                };
            }
            _ => return Step::Done(session.answer(&self.request)),
        };
        match self.report.get_or_insert_with(ReportJob::new).step(session) {
            Err(progress) => Step::Working(progress),
            Ok(report) => Step::Done(export(&report, format).map(Reply::Export)),
        }
    }
}

/// Reads a piece of the lists that a request needs. `None` when they are there.
///
/// What was read stays with the session: a cancelled request costs nothing when it is asked again.
fn prepare(request: &Request, session: &mut Session) -> Option<Progress> {
    match request {
        Request::Modules | Request::Symbols | Request::SymbolScript { .. } => session.world_mut().load_modules(),
        Request::Processes => session.world_mut().load_processes(),
        Request::Threads => session.world_mut().load_threads(),
        // The threads that ran are known from the start.
        Request::Stack { of: StackOf::Thread { id }, .. } if session.world().thread(*id).is_none() => {
            session.world_mut().load_threads()
        }
        Request::Stacks => session.world_mut().load_threads(),
        _ => None,
    }
}

fn export(report: &Report, format: ExportFormat) -> Result<String, Failure> {
    match format {
        ExportFormat::Text => {
            let mut out = String::new();
            // Writing to a String cannot fail.
            let _ = text::report(&mut out, report);
            Ok(out)
        }
        ExportFormat::Json => to_json(report).map_err(|error| Failure {
            kind: FailureKind::BadRequest,
            message: alloc::format!("the report cannot be written as JSON: {error}"),
        }),
    }
}

/// Reads a piece of the lists that a report needs. `None` when they are there.
fn load_all(session: &mut Session) -> Option<Progress> {
    let world = session.world_mut();
    world.load_modules().or_else(|| world.load_threads())
}

/// Threads whose stacks are walked in one step.
const THREADS_PER_STEP: usize = 16;

/// All stacks, thread by thread; those that are the same are put together as they come.
#[derive(Debug, Default)]
struct StacksJob {
    done: usize,
    groups: StackGroups,
}

impl StacksJob {
    /// Walks a few more stacks; the thread list must be complete.
    fn step(&mut self, session: &Session) -> Result<Vec<StackGroup>, Progress> {
        let threads = &session.world().lists.threads;
        for entry in threads.iter().skip(self.done).take(THREADS_PER_STEP) {
            self.groups.add(entry.row.id, entry.row.object, session.world().thread_stack(entry, false).stack);
        }
        self.done = self.done.saturating_add(THREADS_PER_STEP).min(threads.len());
        if self.done < threads.len() {
            return Err(walking(self.done, threads.len()));
        }
        Ok(core::mem::take(self).groups.finish())
    }
}

fn walking(done: usize, total: usize) -> Progress {
    Progress { phase: "walking stacks".into(), done: done as u64, total: total as u64 }
}

/// The whole report, thread by thread.
#[derive(Debug, Default)]
pub struct ReportJob {
    threads: Vec<Thread>,
}

impl ReportJob {
    /// A job that has done nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Walks a few more stacks. The job starts anew after it has given its report.
    ///
    /// # Errors
    /// Not a failure: the progress so far, when there is more to do.
    pub fn step(&mut self, session: &mut Session) -> Result<Report, Progress> {
        if self.threads.is_empty()
            && let Some(progress) = load_all(session)
        {
            return Err(progress);
        }
        let total = session.world().lists.threads.len();
        let from = self.threads.len();
        for entry in session.world().lists.threads.iter().skip(from).take(THREADS_PER_STEP) {
            let mut row = entry.row.clone();
            row.frames = session.world().thread_stack(entry, false).stack.frames;
            self.threads.push(row);
        }
        if self.threads.len() < total {
            return Err(walking(self.threads.len(), total));
        }
        let threads = core::mem::take(&mut self.threads);
        let summary = session.summary().clone();
        let world = session.world();
        Ok(Report {
            schema: SCHEMA.into(),
            dump: summary.dump,
            bugcheck: summary.bugcheck,
            exception: summary.exception,
            context: summary.context,
            crashing_thread: summary.crashing_thread,
            threads,
            stack: summary.stack,
            modules: world.modules.rows(),
            unloaded_modules: world.modules.unloaded_rows(),
            processes: world.lists.processes.clone(),
            verdict: summary.verdict,
            notes: summary.notes,
        })
    }
}

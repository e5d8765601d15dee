use dumplens_report::protocol::{Failure, FailureKind, Progress, Reply, Request};

use crate::Session;

/// One request being worked on.
///
/// Call [`Job::step`] until it is done. Dropping a job cancels it; the session stays usable.
#[derive(Debug)]
pub struct Job {
    request: Request,
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
        Self { request }
    }

    /// Does a bounded piece of work, a few milliseconds on a desktop machine.
    pub fn step(&mut self, session: &mut Session) -> Step {
        let _ = (&self.request, session);
        Step::Done(Err(Failure { kind: FailureKind::BadRequest, message: "not wired".into() }))
    }
}

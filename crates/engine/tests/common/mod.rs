//! What the engine's tests share.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{cell::Cell, path::PathBuf, rc::Rc};

use dumplens_base::{ByteSource, SourceError};
use dumplens_engine::{Job, ReportJob, Session, Step};
use dumplens_report::{
    model::Report,
    protocol::{Failure, Reply, Request},
};

/// A file of the data set. `None`, with a message, if there is no data set; a missing file is a failure.
pub(crate) fn real(name: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("DUMPLENS_DATA") else {
        println!("skipped: DUMPLENS_DATA not set");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

pub(crate) fn open(bytes: Vec<u8>) -> Result<Session, Failure> {
    Session::open(Rc::new(bytes), Some("test.dmp".into()))
}

pub(crate) fn report(session: &mut Session) -> Report {
    let mut job = ReportJob::new();
    // Every step must bring the job forward.
    for _ in 0..100_000 {
        if let Ok(report) = job.step(session) {
            return report;
        }
    }
    panic!("the report does not end");
}

pub(crate) fn ask(session: &mut Session, request: Request) -> Result<Reply, Failure> {
    let mut job = Job::new(request);
    for _ in 0..100_000 {
        if let Step::Done(result) = job.step(session) {
            return result;
        }
    }
    panic!("the request does not end");
}

/// Counts what is read: the test of "never whole".
pub(crate) struct Counting<S> {
    pub(crate) source: S,
    pub(crate) bytes: Cell<u64>,
}

impl<S: ByteSource> ByteSource for Counting<S> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.bytes.set(self.bytes.get() + buf.len() as u64);
        self.source.read_at(offset, buf)
    }
}

use dumplens_engine::{Job, Session, Step};
use dumplens_report::protocol::{Reply, Request};

/// The answer to a request.
pub(crate) fn ask(session: &mut Session, request: Request) -> Reply {
    let mut job = Job::new(request);
    loop {
        if let Step::Done(result) = job.step(session) {
            return result.unwrap();
        }
    }
}

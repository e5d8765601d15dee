//! Requests that wait, and the one being worked on. Knows nothing of browsers.

use std::collections::VecDeque;

use dumplens_engine::Job;
use dumplens_report::protocol::{Request, RequestId};

use crate::{symbols::Pack, unpack::Unpack};

/// What there is to do for a request.
#[derive(Debug)]
pub(crate) enum Task<F> {
    /// Open a file.
    Open(F),
    /// Open a member of the archive that was opened last.
    Member(u32),
    /// Add a symbol file to the open dump.
    Symbols(F),
    /// Unpack a little more.
    Unpack(Box<Unpack>),
    /// Add a little more of an archive of symbol files.
    Pack(Box<Pack>),
    /// Work on a job.
    Job(Job),
}

/// Requests in the order they came. A request leaves the queue once: finished or cancelled.
#[derive(Debug)]
pub(crate) struct Queue<F> {
    waiting: VecDeque<(RequestId, Task<F>)>,
}

impl<F> Queue<F> {
    pub(crate) fn new() -> Self {
        Self { waiting: VecDeque::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes in a file or a member to open. All that still waits belongs to the dump that goes away: it is dropped, and its numbers
    /// come back so that each can be told.
    pub(crate) fn open(&mut self, id: RequestId, what: Task<F>) -> Vec<RequestId> {
        let dropped = self.waiting.drain(..).map(|(id, _)| id).collect();
        self.waiting.push_back((id, what));
        dropped
    }

    pub(crate) fn call(&mut self, id: RequestId, request: Request) {
        self.waiting.push_back((id, Task::Job(Job::new(request))));
    }

    /// Takes in a symbol file for the dump that is open.
    pub(crate) fn add_symbols(&mut self, id: RequestId, file: F) {
        self.waiting.push_back((id, Task::Symbols(file)));
    }

    /// Takes the next task. It is no longer in the queue: what is not done goes back with [`Queue::put_back`].
    pub(crate) fn next(&mut self) -> Option<(RequestId, Task<F>)> {
        self.waiting.pop_front()
    }

    /// Puts an unfinished task back, behind what waits, so that a long request does not hold up the short ones of a view.
    pub(crate) fn put_back(&mut self, id: RequestId, task: Task<F>) {
        self.waiting.push_back((id, task));
    }

    /// Drops a request. Whether it was still there: if not, its answer is on its way.
    pub(crate) fn cancel(&mut self, id: RequestId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != id);
        self.waiting.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(queue: &mut Queue<()>) -> Vec<RequestId> {
        std::iter::from_fn(|| queue.next().map(|(id, _)| id)).collect()
    }

    #[test]
    fn a_cancelled_request_is_dropped_once() {
        let mut queue = Queue::<()>::new();
        queue.call(1, Request::Modules);
        queue.call(2, Request::Threads);
        assert!(queue.cancel(1));
        assert!(!queue.cancel(1));
        assert_eq!(ids(&mut queue), [2]);
    }

    #[test]
    fn a_long_request_lets_short_ones_pass() {
        let mut queue = Queue::<()>::new();
        queue.call(1, Request::Modules);
        queue.call(2, Request::Threads);
        let Some((id, Task::Job(job))) = queue.next() else { panic!("a job was queued") };
        queue.put_back(id, Task::Job(job));
        assert_eq!(ids(&mut queue), [2, 1]);
    }

    #[test]
    fn another_file_drops_all_that_was_asked_of_the_one_before() {
        let mut queue = Queue::<()>::new();
        queue.call(1, Request::Modules);
        assert_eq!(queue.open(2, Task::Open(())), [1]);
        queue.call(3, Request::Threads);
        assert_eq!(queue.open(4, Task::Member(0)), [2, 3]);
        queue.call(5, Request::Threads);
        assert_eq!(ids(&mut queue), [4, 5]);
    }

    #[test]
    fn what_is_being_worked_on_cannot_be_cancelled_by_the_queue() {
        let mut queue = Queue::<()>::new();
        queue.call(1, Request::Modules);
        assert!(queue.next().is_some());
        assert!(!queue.cancel(1));
        assert!(queue.is_empty());
    }
}

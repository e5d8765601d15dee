//! Requests that wait, and the one being worked on. Knows nothing of browsers.

use std::collections::VecDeque;

use dumplens_engine::Job;
use dumplens_report::protocol::{Request, RequestId};

/// What there is to do for a request.
#[derive(Debug)]
pub(crate) enum Task<F> {
    /// Open a file.
    Open(F),
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

    pub(crate) fn open(&mut self, id: RequestId, file: F) {
        self.waiting.push_back((id, Task::Open(file)));
    }

    pub(crate) fn call(&mut self, id: RequestId, request: Request) {
        self.waiting.push_back((id, Task::Job(Job::new(request))));
    }

    /// Takes the next task. What is not done by then goes back with [`Queue::put_back`].
    pub(crate) fn next(&mut self) -> Option<(RequestId, Task<F>)> {
        self.waiting.pop_front()
    }

    /// Puts an unfinished task back. Short requests that wait go first, so that a long one does not hold up the view.
    pub(crate) fn put_back(&mut self, id: RequestId, task: Task<F>) {
        let opening = self.waiting.iter().any(|(_, task)| matches!(task, Task::Open(_)));
        if opening || matches!(task, Task::Open(_)) {
            // What came after an open belongs to the new dump: the order must stay.
            self.waiting.push_front((id, task));
        } else {
            self.waiting.push_back((id, task));
        }
    }

    /// Forgets a request that has been answered.
    pub(crate) fn finish(&mut self, id: RequestId) {
        self.waiting.retain(|(waiting, _)| *waiting != id);
    }

    /// Drops a request. Whether it was still there: if not, its answer is on its way.
    pub(crate) fn cancel(&mut self, id: RequestId) -> bool {
        let before = self.waiting.len();
        self.finish(id);
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
        let (id, task) = queue.next().expect("a task");
        queue.put_back(id, task);
        assert_eq!(ids(&mut queue), [2, 1]);
    }

    #[test]
    fn nothing_passes_an_open_that_waits() {
        let mut queue = Queue::<()>::new();
        queue.call(1, Request::Modules);
        queue.open(2, ());
        queue.call(3, Request::Threads);
        let (id, task) = queue.next().expect("a task");
        queue.put_back(id, task);
        assert_eq!(ids(&mut queue), [1, 2, 3]);
    }
}

//! The Dumplens engine in a dedicated Web Worker.
//!
//! Messages are [`ToWorker`] and [`FromWorker`] as plain JavaScript objects; the `File` to open travels beside the first.
//! The worker does a few milliseconds of work at a time and then lets messages in, so that a cancel is seen.
//! Every request ends in exactly one of reply, failure and cancellation.

mod file;
mod queue;

use std::{cell::RefCell, panic, rc::Rc};

use dumplens_base::{BlockCache, CacheStats};
use dumplens_engine::{Job, Session, Step, VERSION};
use dumplens_report::protocol::{Failure, FailureKind, FromWorker, Progress, Reply, Request, RequestId, ToWorker};
use js_sys::Reflect;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, File, MessageChannel, MessageEvent, MessagePort};

use crate::{
    file::FileSource,
    queue::{Queue, Task},
};

/// Work is done for at most this long before messages are let in, in milliseconds.
const SLICE: f64 = 10.0;
/// Progress is told at most this often, in milliseconds.
const PROGRESS_PERIOD: f64 = 100.0;

/// An open dump and its file.
struct Open {
    session: Session,
    cache: Rc<BlockCache<FileSource>>,
}

struct Worker {
    scope: DedicatedWorkerGlobalScope,
    /// A message on this port comes back as the next turn of the event loop, after messages that wait.
    pump: MessagePort,
    /// Whether such a message is under way: with more than one, messages from the page would wait for several slices.
    awake: bool,
    queue: Queue<File>,
    open: Option<Open>,
    told: f64,
}

/// Installs the message handlers and says that the engine is ready.
#[wasm_bindgen(start)]
pub fn start() -> Result<(), JsValue> {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().dyn_into()?;
    let panicking = scope.clone();
    panic::set_hook(Box::new(move |info| post(&panicking, &FromWorker::Crashed { message: info.to_string() })));

    let channel = MessageChannel::new()?;
    let worker = Rc::new(RefCell::new(Worker {
        scope: scope.clone(),
        pump: channel.port1(),
        awake: false,
        queue: Queue::new(),
        open: None,
        told: 0.0,
    }));
    let turning = Rc::clone(&worker);
    let turn = Closure::<dyn FnMut()>::new(move || turning.borrow_mut().turn());
    channel.port2().set_onmessage(Some(turn.as_ref().unchecked_ref()));
    turn.forget();
    let receive = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        worker.borrow_mut().receive(&event.data());
    });
    scope.set_onmessage(Some(receive.as_ref().unchecked_ref()));
    receive.forget();
    post(&scope, &FromWorker::Ready { version: VERSION.into() });
    Ok(())
}

fn post(scope: &DedicatedWorkerGlobalScope, message: &FromWorker) {
    // Objects rather than maps: the page reads the same messages from plain JavaScript in tests.
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_maps_as_objects(true);
    // A message that cannot be sent can only be one to a page that is gone.
    if let Ok(value) = message.serialize(&serializer) {
        let _ = scope.post_message(&value);
    }
}

impl Worker {
    fn receive(&mut self, data: &JsValue) {
        let body = Reflect::get(data, &"body".into()).unwrap_or_default();
        let file = Reflect::get(data, &"file".into()).ok().and_then(|file| file.dyn_into::<File>().ok());
        match (serde_wasm_bindgen::from_value::<ToWorker>(body), file) {
            (Ok(ToWorker::Open { id }), Some(file)) => {
                for id in self.queue.open(id, file) {
                    post(&self.scope, &FromWorker::Cancelled { id });
                }
            }
            (Ok(ToWorker::Open { id }), None) => {
                self.fail(id, FailureKind::BadRequest, "no file came with the request")
            }
            (Ok(ToWorker::OpenMember { id, .. }), _) => self.fail(id, FailureKind::NothingOpen, "no archive is open"),
            (Ok(ToWorker::Call { id, request }), _) => self.queue.call(id, request),
            (Ok(ToWorker::Cancel { id }), _) => {
                if self.queue.cancel(id) {
                    post(&self.scope, &FromWorker::Cancelled { id });
                }
            }
            // Without an id there is nobody to answer; only a page of another version would send this.
            (Err(error), _) => {
                let message = format!("a message from the page cannot be understood: {error}");
                post(&self.scope, &FromWorker::Crashed { message });
            }
        }
        self.wake();
    }

    fn wake(&mut self) {
        if !self.awake && !self.queue.is_empty() {
            self.awake = self.pump.post_message(&JsValue::NULL).is_ok();
        }
    }

    fn fail(&self, id: RequestId, kind: FailureKind, message: &str) {
        post(&self.scope, &FromWorker::Failed { id, failure: Failure { kind, message: message.into() } });
    }

    /// Works for one slice.
    fn turn(&mut self) {
        self.awake = false;
        let until = js_sys::Date::now() + SLICE;
        while let Some((id, task)) = self.queue.next() {
            if let Some(result) = self.step(id, task) {
                match result {
                    Ok(reply) => post(&self.scope, &FromWorker::Reply { id, reply }),
                    Err(failure) => post(&self.scope, &FromWorker::Failed { id, failure }),
                }
            }
            if js_sys::Date::now() >= until {
                break;
            }
        }
        self.wake();
    }

    fn step(&mut self, id: RequestId, task: Task<File>) -> Option<Result<Reply, Failure>> {
        match task {
            Task::Open(file) => {
                if let Err(failure) = self.open_file(file) {
                    return Some(Err(failure));
                }
                self.queue.put_back(id, Job::new(Request::Summary));
                None
            }
            Task::Job(mut job) => {
                let Some(open) = &mut self.open else {
                    let message = "no dump is open".into();
                    return Some(Err(Failure { kind: FailureKind::NothingOpen, message }));
                };
                match job.step(&mut open.session) {
                    Step::Working(progress) => {
                        self.tell(id, progress);
                        self.queue.put_back(id, job);
                        None
                    }
                    Step::Done(result) => Some(result.map(|reply| with_costs(reply, open.cache.stats()))),
                }
            }
        }
    }

    fn open_file(&mut self, file: File) -> Result<(), Failure> {
        // The old dump goes first: two caches would double the memory.
        self.open = None;
        let name = file.name();
        let source = FileSource::new(file)
            .map_err(|message| Failure { kind: FailureKind::BadRequest, message: message.into() })?;
        let cache = Rc::new(BlockCache::with_defaults(source));
        let source: Rc<BlockCache<FileSource>> = Rc::clone(&cache);
        let session = Session::open(source, Some(name))?;
        self.open = Some(Open { session, cache });
        Ok(())
    }

    fn tell(&mut self, id: RequestId, progress: Progress) {
        let now = js_sys::Date::now();
        if now - self.told >= PROGRESS_PERIOD {
            self.told = now;
            post(&self.scope, &FromWorker::Progress { id, progress });
        }
    }
}

/// Statistics are the front end's: the engine knows neither the file nor its own memory.
fn with_costs(reply: Reply, stats: CacheStats) -> Reply {
    match reply {
        Reply::Statistics(mut statistics) => {
            statistics.file_reads = stats.source_reads;
            statistics.file_bytes = stats.source_bytes;
            statistics.cache_hits = stats.hits;
            statistics.engine_memory = engine_memory();
            Reply::Statistics(statistics)
        }
        other => other,
    }
}

fn engine_memory() -> Option<u64> {
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().dyn_into().ok()?;
    let buffer: js_sys::ArrayBuffer = memory.buffer().dyn_into().ok()?;
    Some(u64::from(buffer.byte_length()))
}

/// Compile-time check that the messages can travel both ways.
const _: fn() = || {
    fn travels<T: Serialize + for<'de> Deserialize<'de>>() {}
    travels::<ToWorker>();
    travels::<FromWorker>();
};

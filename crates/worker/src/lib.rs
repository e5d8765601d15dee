//! The Dumplens engine in a dedicated Web Worker.
//!
//! Messages are [`ToWorker`] and [`FromWorker`] as plain JavaScript objects; the `File` to open travels beside the first.
//! The worker does a few milliseconds of work at a time and then lets messages in, so that a cancel is seen.
//! Every request ends in exactly one of reply, failure and cancellation.

mod file;
mod queue;
mod scratch;
mod symbols;
mod unpack;

use std::{
    cell::RefCell,
    panic,
    rc::{Rc, Weak},
};

use dumplens_archive::{Choice, sniff};
use dumplens_base::{BlockCache, CacheStats, Source};
use dumplens_engine::{Job, Session, Step, VERSION};
use dumplens_report::protocol::{Failure, FailureKind, FromWorker, Progress, Reply, Request, RequestId, ToWorker};
use js_sys::Reflect;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, File, MessageChannel, MessageEvent, MessagePort};

use crate::{
    file::{FileSource, Reads},
    queue::{Queue, Task},
    scratch::Scratch,
    symbols::{Next, Offered, Pack},
    unpack::{Content, MOST_IN_MEMORY, OpenArchive, Purpose, Room, Unpack, failure},
};

/// Work is done for at most this long before messages are let in, in milliseconds.
const SLICE: f64 = 10.0;
/// Progress is told at most this often, in milliseconds.
const PROGRESS_PERIOD: f64 = 100.0;

/// An open dump and its file.
struct Open {
    session: Session,
    cache: Rc<BlockCache<Source>>,
    /// What was read of symbol files.
    symbols: Rc<Reads>,
}

/// What waits for the browser to give it a place to unpack to.
enum Placing {
    /// A member that is to be opened.
    Member(Rc<OpenArchive>, usize),
    /// Symbol files.
    Pack(Box<Pack>),
}

struct Worker {
    scope: DedicatedWorkerGlobalScope,
    /// For what comes back later.
    me: Weak<RefCell<Worker>>,
    /// A message on this port comes back as the next turn of the event loop, after messages that wait.
    pump: MessagePort,
    /// Whether such a message is under way: with more than one, messages from the page would wait for several slices.
    awake: bool,
    queue: Queue<File>,
    open: Option<Open>,
    /// The archive that was opened last, if somebody must choose a member.
    archive: Option<Rc<OpenArchive>>,
    placing: Vec<(RequestId, Placing)>,
    told: f64,
}

/// Installs the message handlers and says that the engine is ready.
#[wasm_bindgen(start)]
pub fn start() -> Result<(), JsValue> {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().dyn_into()?;
    let panicking = scope.clone();
    panic::set_hook(Box::new(move |info| post(&panicking, &FromWorker::Crashed { message: info.to_string() })));

    let channel = MessageChannel::new()?;
    let worker = Rc::new_cyclic(|me| {
        RefCell::new(Worker {
            scope: scope.clone(),
            me: Weak::clone(me),
            pump: channel.port1(),
            awake: false,
            queue: Queue::new(),
            open: None,
            archive: None,
            placing: Vec::new(),
            told: 0.0,
        })
    });
    let turning = Rc::clone(&worker);
    let turn = Closure::<dyn FnMut()>::new(move || turning.borrow_mut().turn());
    channel.port2().set_onmessage(Some(turn.as_ref().unchecked_ref()));
    turn.forget();
    let receive = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        worker.borrow_mut().receive(&event.data());
    });
    scope.set_onmessage(Some(receive.as_ref().unchecked_ref()));
    receive.forget();
    scratch::clean_up_soon(&scope);
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
            (Ok(ToWorker::Open { id }), Some(file)) => self.begin(id, Task::Open(file)),
            (Ok(ToWorker::OpenMember { id, member }), _) => self.begin(id, Task::Member(member)),
            (Ok(ToWorker::AddSymbols { id }), Some(file)) => self.queue.add_symbols(id, file),
            (Ok(ToWorker::Open { id } | ToWorker::AddSymbols { id }), None) => {
                self.fail(id, FailureKind::BadRequest, "no file came with the request")
            }
            (Ok(ToWorker::Call { id, request }), _) => self.queue.call(id, request),
            (Ok(ToWorker::Cancel { id }), _) => {
                if self.queue.cancel(id) || self.take_placing(id).is_some() {
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

    /// Takes in something to open, and gives up on all that was asked of what was open before.
    fn begin(&mut self, id: RequestId, what: Task<File>) {
        let dropped = self.queue.open(id, what).into_iter();
        for id in dropped.chain(std::mem::take(&mut self.placing).into_iter().map(|(id, _)| id)) {
            post(&self.scope, &FromWorker::Cancelled { id });
        }
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
                // What was open goes first: two caches would double the memory.
                (self.open, self.archive) = (None, None);
                let names = vec![file.name()];
                match FileSource::new(file, Rc::default()) {
                    Ok(source) => self.enter(id, Content { source: Rc::new(source), names }),
                    Err(message) => Some(Err(failure(FailureKind::BadRequest, message))),
                }
            }
            Task::Member(member) => {
                self.open = None;
                match (self.archive.clone(), usize::try_from(member)) {
                    (Some(archive), Ok(index)) => self.member(id, archive, index),
                    _ => Some(Err(failure(FailureKind::NothingOpen, "no archive is open"))),
                }
            }
            Task::Symbols(file) => self.add_symbols(id, file),
            Task::Pack(mut pack) => {
                let Some(open) = &mut self.open else {
                    return Some(Err(failure(FailureKind::NothingOpen, "no dump is open")));
                };
                match pack.step(&mut open.session) {
                    Next::Working(progress) => {
                        self.tell(id, progress);
                        self.queue.put_back(id, Task::Pack(pack));
                        None
                    }
                    Next::Place => {
                        self.place(id, Placing::Pack(pack));
                        None
                    }
                    Next::Done(result) => Some(result),
                }
            }
            Task::Unpack(mut unpack) => match unpack.step() {
                Ok(true) => self.enter(id, unpack.finish()),
                Ok(false) => {
                    self.tell(id, unpack.progress());
                    self.queue.put_back(id, Task::Unpack(unpack));
                    None
                }
                Err(failure) => Some(Err(failure)),
            },
            Task::Job(mut job) => {
                let Some(open) = &mut self.open else {
                    let message = "no dump is open".into();
                    return Some(Err(Failure { kind: FailureKind::NothingOpen, message }));
                };
                match job.step(&mut open.session) {
                    Step::Working(progress) => {
                        self.tell(id, progress);
                        self.queue.put_back(id, Task::Job(job));
                        None
                    }
                    Step::Done(result) => {
                        Some(result.map(|reply| with_costs(reply, open.cache.stats(), &open.symbols)))
                    }
                }
            }
        }
    }

    /// Adds a symbol file, or begins with an archive of them. `None` if there is more to do.
    fn add_symbols(&mut self, id: RequestId, file: File) -> Option<Result<Reply, Failure>> {
        let Some(open) = &mut self.open else {
            let message = "open a dump first: symbols are matched against its modules";
            return Some(Err(failure(FailureKind::NothingOpen, message)));
        };
        if let Some(progress) = open.session.prepare_symbols() {
            self.tell(id, progress);
            self.queue.put_back(id, Task::Symbols(file));
            return None;
        }
        let name = file.name();
        let source = match FileSource::new(file, Rc::clone(&open.symbols)) {
            Ok(source) => Rc::new(source),
            Err(message) => return Some(Err(failure(FailureKind::BadRequest, message))),
        };
        match symbols::offer(&mut open.session, source, name) {
            Offered::Ended(result) => Some(result),
            Offered::Pack(pack) => {
                self.queue.put_back(id, Task::Pack(pack));
                None
            }
        }
    }

    /// Opens a dump, or goes down into an archive. `None` if there is more to do.
    fn enter(&mut self, id: RequestId, content: Content) -> Option<Result<Reply, Failure>> {
        if sniff(&content.source).is_none() {
            let cache = Rc::new(BlockCache::with_defaults(Rc::clone(&content.source)));
            let source: Rc<BlockCache<Source>> = Rc::clone(&cache);
            return match Session::open(source, Some(content.name())) {
                Ok(session) => {
                    self.open = Some(Open { session, cache, symbols: Rc::default() });
                    self.queue.put_back(id, Task::Job(Job::new(Request::Summary)));
                    None
                }
                Err(failure) => Some(Err(content.explain(failure))),
            };
        }
        let archive = match OpenArchive::open(content) {
            Ok(archive) => Rc::new(archive),
            Err(failure) => return Some(Err(failure)),
        };
        match archive.archive().choice() {
            Choice::Nothing => {
                let message = format!("there is no file in this {}", archive.archive().format());
                Some(Err(archive.explain(failure(FailureKind::NotADump, message))))
            }
            Choice::One(index) => self.member(id, archive, index),
            Choice::Several => {
                let listing = archive.listing();
                self.archive = Some(archive);
                Some(Ok(Reply::Archive(listing)))
            }
        }
    }

    /// Opens a member where it is, or asks the browser for a place to unpack it to.
    fn member(&mut self, id: RequestId, archive: Rc<OpenArchive>, index: usize) -> Option<Result<Reply, Failure>> {
        if let Some(content) = archive.stored(index) {
            return self.enter(id, content);
        }
        self.place(id, Placing::Member(archive, index));
        None
    }

    /// Asks the browser for a place.
    fn place(&mut self, id: RequestId, what: Placing) {
        self.placing.push((id, what));
        let (me, scope) = (Weak::clone(&self.me), self.scope.clone());
        spawn_local(async move {
            // Where the browser refuses, memory must do.
            let scratch = match Scratch::create(&scope).await {
                // Another tab that starts at this moment may have taken the new file for a stale one.
                Err(_) => Scratch::create(&scope).await.ok(),
                created => created.ok(),
            };
            if let Some(worker) = me.upgrade() {
                worker.borrow_mut().placed(id, scratch);
            }
        });
    }

    fn take_placing(&mut self, id: RequestId) -> Option<Placing> {
        let at = self.placing.iter().position(|(waiting, _)| *waiting == id)?;
        Some(self.placing.swap_remove(at).1)
    }

    /// Begins to unpack, unless that was given up meanwhile.
    fn placed(&mut self, id: RequestId, scratch: Option<(Scratch, u64)>) {
        match self.take_placing(id) {
            None => {}
            Some(Placing::Pack(mut pack)) => {
                pack.placed(scratch);
                self.queue.put_back(id, Task::Pack(pack));
                self.wake();
            }
            Some(Placing::Member(archive, index)) => {
                let room =
                    scratch.map_or(Room::Memory(MOST_IN_MEMORY), |(scratch, room)| Room::File(Box::new(scratch), room));
                match Unpack::new(&archive, index, room, Purpose::Dump) {
                    Ok(unpack) => {
                        // Said at once: the page learns that this can be cancelled.
                        post(&self.scope, &FromWorker::Progress { id, progress: unpack.progress() });
                        self.queue.put_back(id, Task::Unpack(Box::new(unpack)));
                        self.wake();
                    }
                    Err(failure) => post(&self.scope, &FromWorker::Failed { id, failure }),
                }
            }
        }
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
fn with_costs(reply: Reply, stats: CacheStats, symbols: &Reads) -> Reply {
    match reply {
        Reply::Statistics(mut statistics) => {
            statistics.file_reads = stats.source_reads;
            statistics.file_bytes = stats.source_bytes;
            statistics.cache_hits = stats.hits;
            statistics.symbol_reads = symbols.calls.get();
            statistics.symbol_bytes = symbols.bytes.get();
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

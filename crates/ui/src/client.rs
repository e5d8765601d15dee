//! The page's side of the worker: requests out, answers back, and a new worker when the old one died.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use dumplens_report::protocol::{FailureKind, FromWorker, Progress, Reply, Request, RequestId, ToWorker};
use js_sys::{Object, Reflect};
use serde::Serialize as _;
use wasm_bindgen::prelude::*;
use web_sys::{Event, File, MessageEvent, Worker};

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CallError {
    /// The engine said why.
    Failed(String, FailureKind),
    /// It was cancelled.
    Cancelled,
    /// The engine stopped on an internal error; the page has been told.
    Crashed,
}

pub(crate) type OnAnswer = Box<dyn FnOnce(Result<Reply, CallError>)>;
pub(crate) type OnProgress = Box<dyn Fn(Progress)>;

/// A request that waits for its answer.
struct Pending {
    answer: OnAnswer,
    progress: Option<OnProgress>,
}

#[derive(Default)]
struct Client {
    worker: Option<Worker>,
    pending: HashMap<RequestId, Pending>,
    next: RequestId,
    /// Which worker is the living one: what an ended one still says is not heard.
    life: u32,
    on_crash: Option<Box<dyn Fn(String)>>,
}

thread_local! {
    static CLIENT: RefCell<Client> = RefCell::default();
}

/// What to do when the engine dies: the message is for people.
pub(crate) fn on_crash(handler: impl Fn(String) + 'static) {
    CLIENT.with_borrow_mut(|client| client.on_crash = Some(Box::new(handler)));
}

/// Opens a file; the summary is the answer, or what is in it if it is an archive.
pub(crate) fn open(file: &File, progress: OnProgress, answer: OnAnswer) -> RequestId {
    let id = register(answer, Some(progress));
    send(&ToWorker::Open { id }, Some(file));
    id
}

/// Opens a member of the archive that was opened last.
pub(crate) fn open_member(member: u32, progress: OnProgress, answer: OnAnswer) -> RequestId {
    let id = register(answer, Some(progress));
    send(&ToWorker::OpenMember { id, member }, None);
    id
}

/// Adds a symbol file, or an archive of them, to the open dump.
pub(crate) fn add_symbols(file: &File, progress: OnProgress, answer: OnAnswer) -> RequestId {
    let id = register(answer, Some(progress));
    send(&ToWorker::AddSymbols { id }, Some(file));
    id
}

/// Waits for the answer to what `send` asks.
pub(crate) async fn answer(send: impl FnOnce(OnAnswer) -> RequestId) -> Result<Reply, CallError> {
    type Slot = (Option<Result<Reply, CallError>>, Option<Waker>);
    let slot = Rc::<RefCell<Slot>>::default();
    let filled = Rc::clone(&slot);
    send(Box::new(move |result| {
        let mut slot = filled.borrow_mut();
        slot.0 = Some(result);
        if let Some(waker) = slot.1.take() {
            waker.wake();
        }
    }));
    poll_fn(|context| {
        let mut slot = slot.borrow_mut();
        match slot.0.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

/// Asks about the open dump.
pub(crate) fn call(request: Request, answer: impl FnOnce(Result<Reply, CallError>) + 'static) -> RequestId {
    let id = register(Box::new(answer), None);
    send(&ToWorker::Call { id, request }, None);
    id
}

/// Asks for something that takes long, and hears how far it is.
pub(crate) fn call_long(
    request: Request,
    progress: impl Fn(Progress) + 'static,
    answer: impl FnOnce(Result<Reply, CallError>) + 'static,
) -> RequestId {
    let id = register(Box::new(answer), Some(Box::new(progress)));
    send(&ToWorker::Call { id, request }, None);
    id
}

/// Gives up on a request. One that was answered meanwhile is left alone.
pub(crate) fn cancel(id: RequestId) {
    if CLIENT.with_borrow(|client| client.pending.contains_key(&id)) {
        send(&ToWorker::Cancel { id }, None);
    }
}

/// Gives up on everything at once and starts a fresh worker. Opening a dump is one step of the engine, in which no message
/// is heard; ending the worker is the only way to interrupt it.
pub(crate) fn abandon() {
    for answer in end() {
        answer(Err(CallError::Cancelled));
    }
    warm_up();
}

fn register(answer: OnAnswer, progress: Option<OnProgress>) -> RequestId {
    CLIENT.with_borrow_mut(|client| {
        client.next = client.next.wrapping_add(1);
        client.pending.insert(client.next, Pending { answer, progress });
        client.next
    })
}

fn send(message: &ToWorker, file: Option<&File>) {
    let worker = match worker() {
        Ok(worker) => worker,
        Err(error) => return died(&format!("the worker cannot be started: {error:?}")),
    };
    let envelope = Object::new();
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_maps_as_objects(true);
    let sent = message
        .serialize(&serializer)
        .map_err(JsValue::from)
        .and_then(|body| Reflect::set(&envelope, &"body".into(), &body))
        .and_then(|_| match file {
            Some(file) => Reflect::set(&envelope, &"file".into(), file),
            None => Ok(true),
        })
        .and_then(|_| worker.post_message(&envelope));
    if let Err(error) = sent {
        died(&format!("a message cannot be sent to the worker: {error:?}"));
    }
}

/// The running worker, started when it is first needed.
fn worker() -> Result<Worker, JsValue> {
    if let Some(worker) = CLIENT.with_borrow(|client| client.worker.clone()) {
        return Ok(worker);
    }
    let worker = Worker::new("worker.js")?;
    let life = CLIENT.with_borrow(|client| client.life);
    let alive = move || CLIENT.with_borrow(|client| client.life == life);
    let receive = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        if alive() {
            receive(event.data());
        }
    });
    worker.set_onmessage(Some(receive.as_ref().unchecked_ref()));
    receive.forget();
    let fail = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
        if alive() {
            // A script that cannot be loaded gives an event without a message.
            let message = Reflect::get(&event, &"message".into()).ok().and_then(|message| message.as_string());
            died(&message.unwrap_or_else(|| "its script could not be loaded".into()));
        }
    });
    worker.set_onerror(Some(fail.as_ref().unchecked_ref()));
    fail.forget();
    CLIENT.with_borrow_mut(|client| client.worker = Some(worker.clone()));
    Ok(worker)
}

/// Starts the worker ahead of the first file, so that opening does not wait for it.
pub(crate) fn warm_up() {
    if let Err(error) = worker() {
        died(&format!("the worker cannot be started: {error:?}"));
    }
}

fn receive(data: JsValue) {
    let message = match serde_wasm_bindgen::from_value::<FromWorker>(data) {
        Ok(message) => message,
        Err(error) => return died(&format!("a message from the worker cannot be understood: {error}")),
    };
    let (id, result) = match message {
        FromWorker::Ready { .. } => return,
        FromWorker::Crashed { message } => return died(&message),
        FromWorker::Progress { id, progress } => return tell(id, progress),
        FromWorker::Reply { id, reply } => (id, Ok(reply)),
        FromWorker::Failed { id, failure } => (id, Err(CallError::Failed(failure.message, failure.kind))),
        FromWorker::Cancelled { id } => (id, Err(CallError::Cancelled)),
    };
    // The handler may call again: the client must not be borrowed while it runs.
    let pending = CLIENT.with_borrow_mut(|client| client.pending.remove(&id));
    if let Some(pending) = pending {
        (pending.answer)(result);
    }
}

fn tell(id: RequestId, progress: Progress) {
    CLIENT.with_borrow(|client| {
        if let Some(handler) = client.pending.get(&id).and_then(|pending| pending.progress.as_ref()) {
            handler(progress);
        }
    });
}

/// Fails all that waits and tells the page. A worker that panicked is never called again: its memory cannot be trusted.
/// The next request starts another.
fn died(message: &str) {
    for answer in end() {
        answer(Err(CallError::Crashed));
    }
    CLIENT.with_borrow(|client| {
        if let Some(handler) = &client.on_crash {
            handler(message.into());
        }
    });
}

/// Ends the worker; what waited for it is for the caller to answer.
fn end() -> Vec<OnAnswer> {
    CLIENT.with_borrow_mut(|client| {
        client.life = client.life.wrapping_add(1);
        if let Some(worker) = client.worker.take() {
            worker.terminate();
        }
        client.pending.drain().map(|(_, pending)| pending.answer).collect()
    })
}

//! Looking a folder through for wanted files, one entry at a time: a symbol store can have a hundred thousand files.

use std::{cell::Cell, collections::VecDeque, rc::Rc};

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, FileList, FileSystemDirectoryEntry, FileSystemDirectoryHandle, FileSystemDirectoryReader, FileSystemEntry,
    FileSystemFileEntry, FileSystemFileHandle, FileSystemHandle, FileSystemHandleKind,
};

use crate::state::wanted::Wanted;

/// Names looked at in one search.
const MOST_LOOKED: u32 = 300_000;
/// Files that one search finds.
const MOST_FOUND: usize = 1_000;
/// Progress is told after so many names.
const TELL_EVERY: u32 = 250;

/// A folder, in one of the forms in which browsers give them.
#[derive(Clone)]
pub(crate) enum Folder {
    /// Picked with the picker of folders, and can be remembered.
    Handle(FileSystemDirectoryHandle),
    /// Dropped.
    Entry(FileSystemDirectoryEntry),
    /// Picked with an input; the browser lists all files at once.
    List(Vec<File>),
}

impl Folder {
    /// From an input for folders.
    pub(crate) fn from_list(list: &FileList) -> Self {
        Self::List((0..list.length()).filter_map(|index| list.get(index)).collect())
    }

    /// What it is called.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Handle(handle) => handle.name(),
            Self::Entry(entry) => entry.name(),
            Self::List(files) => {
                let path = files.first().map(relative_path).unwrap_or_default();
                path.split('/').next().unwrap_or_default().into()
            }
        }
    }
}

fn relative_path(file: &File) -> String {
    Reflect::get(file, &"webkitRelativePath".into()).ok().and_then(|path| path.as_string()).unwrap_or_default()
}

/// A file that was found.
pub(crate) struct Found {
    /// Its path below the folder.
    pub(crate) path: String,
    what: What,
}

enum What {
    Handle(FileSystemFileHandle),
    Entry(FileSystemFileEntry),
    File(File),
}

impl Found {
    /// The file itself.
    pub(crate) async fn open(&self) -> Result<File, String> {
        let file = match &self.what {
            What::File(file) => return Ok(file.clone()),
            What::Handle(handle) => JsFuture::from(handle.get_file()).await,
            What::Entry(entry) => {
                let call = |done: Function, failed: Function| {
                    entry.file_with_callback_and_callback(&done, &failed);
                };
                JsFuture::from(promise(call)).await
            }
        };
        let file = file.and_then(|file| file.dyn_into::<File>());
        file.map_err(|error| format!("{} cannot be read: {}", self.path, reason(&error)))
    }
}

/// What an error says.
pub(crate) fn reason(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    message.filter(|message| !message.is_empty()).unwrap_or_else(|| "the browser does not say why".into())
}

/// What a search came to.
pub(crate) struct Search {
    pub(crate) files: Vec<Found>,
    /// Whether there is more than was looked at.
    pub(crate) cut: bool,
}

/// A search.
pub(crate) struct Walk {
    wanted: Wanted,
    stop: Rc<Cell<bool>>,
    looked: u32,
    found: Vec<Found>,
}

impl Walk {
    pub(crate) fn new(wanted: Wanted, stop: Rc<Cell<bool>>) -> Self {
        Self { wanted, stop, looked: 0, found: Vec::new() }
    }

    /// Whether to go on.
    fn goes_on(&mut self, told: &dyn Fn(u32)) -> bool {
        self.looked = self.looked.saturating_add(1);
        if self.looked.is_multiple_of(TELL_EVERY) {
            told(self.looked);
        }
        !self.stop.get() && self.looked < MOST_LOOKED && self.found.len() < MOST_FOUND
    }

    fn take(&mut self, folders: &[String], name: &str, what: What) {
        if self.wanted.takes(folders, name) {
            let path = folders.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/");
            self.found.push(Found { path, what });
        }
    }

    /// Looks the folder through. `told` hears how many names were seen.
    pub(crate) async fn run(mut self, folder: &Folder, told: &dyn Fn(u32)) -> Result<Search, String> {
        if self.wanted.len() == 0 {
            return Ok(Search { files: Vec::new(), cut: false });
        }
        told(0);
        let walked = match folder {
            Folder::List(files) => {
                self.list(files, told);
                Ok(())
            }
            Folder::Handle(handle) => self.handles(handle.clone(), told).await,
            Folder::Entry(entry) => self.entries(entry.clone(), told).await,
        };
        walked.map_err(|error| format!("the folder {} cannot be read: {}", folder.name(), reason(&error)))?;
        Ok(Search { cut: self.looked >= MOST_LOOKED, files: self.found })
    }

    fn list(&mut self, files: &[File], told: &dyn Fn(u32)) {
        for file in files {
            if !self.goes_on(told) {
                return;
            }
            let path = relative_path(file);
            // The first part is the folder that was picked: it may be one of a store, `ntkrnlmp.pdb`.
            let mut folders: Vec<String> = path.split('/').map(String::from).collect();
            folders.pop();
            self.take(&folders, &file.name(), What::File(file.clone()));
        }
    }

    async fn handles(&mut self, root: FileSystemDirectoryHandle, told: &dyn Fn(u32)) -> Result<(), JsValue> {
        let mut open = VecDeque::from([(vec![root.name()], root)]);
        while let Some((folders, folder)) = open.pop_front() {
            let entries = folder.values();
            loop {
                let next = JsFuture::from(entries.next()?).await?;
                if Reflect::get(&next, &"done".into())?.is_truthy() {
                    break;
                }
                if !self.goes_on(told) {
                    return Ok(());
                }
                let entry: FileSystemHandle = Reflect::get(&next, &"value".into())?.dyn_into()?;
                let name = entry.name();
                if entry.kind() == FileSystemHandleKind::File {
                    self.take(&folders, &name, What::Handle(entry.unchecked_into()));
                } else if self.wanted.enters(&folders, &name) {
                    let inner = folders.iter().cloned().chain([name]).collect();
                    open.push_back((inner, entry.unchecked_into()));
                }
            }
        }
        Ok(())
    }

    async fn entries(&mut self, root: FileSystemDirectoryEntry, told: &dyn Fn(u32)) -> Result<(), JsValue> {
        let mut open = VecDeque::from([(vec![root.name()], root)]);
        while let Some((folders, folder)) = open.pop_front() {
            let reader = folder.create_reader();
            loop {
                let entries = next_entries(&reader).await?;
                // An empty answer is the end; until then entries come in hundreds.
                if entries.length() == 0 {
                    break;
                }
                for entry in entries.iter() {
                    if !self.goes_on(told) {
                        return Ok(());
                    }
                    let entry: FileSystemEntry = entry.unchecked_into();
                    let name = entry.name();
                    if entry.is_file() {
                        self.take(&folders, &name, What::Entry(entry.unchecked_into()));
                    } else if self.wanted.enters(&folders, &name) {
                        let inner = folders.iter().cloned().chain([name]).collect();
                        open.push_back((inner, entry.unchecked_into()));
                    }
                }
            }
        }
        Ok(())
    }
}

async fn next_entries(reader: &FileSystemDirectoryReader) -> Result<Array, JsValue> {
    let entries = promise(|done, failed| {
        // A failure to start is one to read: the promise stays open otherwise.
        if let Err(error) = reader.read_entries_with_callback_and_callback(&done, &failed) {
            let _ = failed.call1(&JsValue::NULL, &error);
        }
    });
    JsFuture::from(entries).await?.dyn_into()
}

/// A call that takes two callbacks, as a promise.
fn promise(call: impl FnOnce(Function, Function)) -> Promise {
    let mut call = Some(call);
    Promise::new(&mut |done, failed| {
        if let Some(call) = call.take() {
            call(done, failed);
        }
    })
}

//! Files and folders that a visitor picks or drops: dumps are opened, symbols are added.

use js_sys::{Function, Promise, Reflect, Uint8Array};
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DataTransfer, DomException, File, FileList, FileSystemDirectoryHandle};

use super::{
    Job,
    folder::{Folder, reason},
    keep, keep_added, remember,
};
use crate::{
    app::{App, Stage},
    state::kind::{self, HEAD, Kind},
};

/// Where files came from: it decides what an archive is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The button that opens dumps.
    OpenButton,
    /// The button that adds symbols.
    SymbolsButton,
    /// Dropped on the page.
    Drop,
}

/// All files of a list.
pub(crate) fn files(list: Option<FileList>) -> Vec<File> {
    let list = list.as_ref();
    (0..list.map_or(0, FileList::length)).filter_map(|index| list?.get(index)).collect()
}

/// What a file may be. One that cannot be read is for the engine to explain.
async fn kind_of(file: &File) -> Kind {
    let Ok(head) = file.slice_with_i32_and_i32(0, HEAD as i32) else { return Kind::Unknown };
    match JsFuture::from(head.array_buffer()).await {
        Ok(bytes) => kind::of(&Uint8Array::new(&bytes).to_vec()),
        Err(_) => Kind::Unknown,
    }
}

impl App {
    /// Takes files in: opens a dump, adds symbols, or keeps symbols until a dump is open.
    pub(crate) fn take(self, files: Vec<File>, origin: Origin) {
        spawn_local(async move {
            let is_open = self.stage.get_untracked() == Stage::Open;
            let (mut dumps, mut symbols, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
            for file in files {
                match (kind_of(&file).await, origin) {
                    (Kind::Dump, _) => dumps.push(file),
                    (Kind::Symbols, _) | (_, Origin::SymbolsButton) => symbols.push(file),
                    (Kind::Archive, Origin::Drop) if is_open => symbols.push(file),
                    // An archive that is alone is opened; beside a dump it can only be symbols.
                    (Kind::Archive | Kind::Unknown, _) => unknown.push(file),
                }
            }
            let dump = match dumps.len() {
                0 if symbols.is_empty() && !unknown.is_empty() => Some(unknown.remove(0)),
                0 => None,
                1 => Some(dumps.remove(0)),
                many => {
                    let first = dumps.remove(0);
                    let name = first.name();
                    self.toast.set(Some(format!(
                        "{many} dumps were offered; {name} is opened. Each needs a tab of its own."
                    )));
                    Some(first)
                }
            };
            if dump.is_some() || !symbols.is_empty() {
                symbols.append(&mut unknown);
            }
            match dump {
                Some(dump) => {
                    self.symbols.wait(symbols);
                    self.open(dump);
                }
                None if symbols.is_empty() => {}
                None if self.stage.get_untracked() == Stage::Open => {
                    self.add_symbols(Job::Files(symbols, origin == Origin::Drop));
                }
                None => self.symbols.wait(symbols),
            }
        });
    }

    /// Takes what was dropped. Folders must be taken hold of before the event is over.
    pub(crate) fn take_dropped(self, data: &DataTransfer) {
        let items = data.items();
        let mut folders = Vec::new();
        let mut loose = Vec::new();
        for item in (0..items.length()).filter_map(|index| items.get(index)).filter(|item| item.kind() == "file") {
            match item.webkit_get_as_entry().ok().flatten().filter(|entry| entry.is_directory()) {
                Some(entry) => folders.push(Folder::Entry(entry.unchecked_into())),
                None => loose.extend(item.get_as_file().ok().flatten()),
            }
        }
        if !loose.is_empty() {
            self.take(loose, Origin::Drop);
        }
        for folder in folders {
            self.add_folder(folder);
        }
    }

    /// Adds what is wanted of a folder.
    pub(crate) fn add_folder(self, folder: Folder) {
        if self.stage.get_untracked() == Stage::Open {
            self.add_symbols(Job::Folder(folder));
        } else {
            let name = folder.name();
            self.toast.set(Some(format!("Open a dump first: it says which files of the folder {name} it wants.")));
        }
    }

    /// Lets the visitor pick a folder, where the browser has a picker for that, and remembers it. Whether there is one.
    pub(crate) fn pick_folder(self) -> bool {
        let window = window();
        let picker = Reflect::get(&window, &"showDirectoryPicker".into()).ok();
        let Some(picker) = picker.and_then(|picker| picker.dyn_into::<Function>().ok()) else { return false };
        let picked = picker.call0(&window).and_then(|promise| promise.dyn_into::<Promise>());
        spawn_local(async move {
            let picked = match picked {
                Ok(promise) => JsFuture::from(promise).await,
                Err(error) => Err(error),
            };
            match picked.and_then(|handle| handle.dyn_into::<FileSystemDirectoryHandle>()) {
                Ok(handle) => {
                    if remember::put(&handle).await.is_ok() {
                        self.symbols.remembered.set(Some(handle.name()));
                    }
                    self.add_folder(Folder::Handle(handle));
                }
                // The visitor thought better of it.
                Err(error) if error.dyn_ref::<DomException>().is_some_and(|error| error.name() == "AbortError") => {}
                Err(error) => self.toast.set(Some(format!("The folder cannot be opened: {}", reason(&error)))),
            }
        });
        true
    }

    /// Searches the remembered folder again; the browser may ask whether it may be read.
    pub(crate) fn search_remembered(self) {
        spawn_local(async move {
            let Some(folder) = remember::get().await else { return self.symbols.remembered.set(None) };
            if remember::allowed(&folder).await {
                self.add_folder(Folder::Handle(folder));
            } else {
                self.toast.set(Some(format!("The browser was not allowed to read the folder {}.", folder.name())));
            }
        });
    }

    /// Forgets the folder.
    pub(crate) fn forget_folder(self) {
        self.symbols.remembered.set(None);
        // Where it cannot be removed it could not be kept either.
        spawn_local(async { drop(remember::clear().await) });
    }

    /// Looks what was kept from earlier visits.
    pub(crate) fn look_for_kept(self) {
        spawn_local(async move {
            self.symbols.keeping.set(keep::look().await);
            self.symbols.remembered.set(remember::get().await.map(|folder| folder.name()));
        });
    }

    /// Turns keeping on or off. Turned on, what was added already is kept too.
    pub(crate) fn keep_symbols(self, on: bool) {
        keep::choose(on);
        self.symbols.keeping.update(|keeping| keeping.is_on = on);
        if on {
            spawn_local(keep_added(self));
        }
    }

    /// Removes all kept files.
    pub(crate) fn forget_kept(self) {
        spawn_local(async move {
            let said = match keep::forget().await {
                Ok(()) => "The kept symbol files were removed.".into(),
                Err(trouble) => trouble,
            };
            self.toast.set(Some(said));
            self.symbols.keeping.set(keep::look().await);
        });
    }
}

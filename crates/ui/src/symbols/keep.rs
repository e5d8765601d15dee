//! Symbol files that a visitor chose to keep in this browser: a symbol store in the origin-private file system. It lies on
//! this computer, and no other site can read it.

use dumplens_report::symbols::SymbolNeed;
use gloo::storage::{LocalStorage, Storage as _};
use js_sys::{AsyncIterator, Reflect};
use leptos::prelude::window;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemHandle, FileSystemHandleKind, FileSystemRemoveOptions,
    FileSystemWritableFileStream,
};

use super::folder::reason;

/// Sites can share an origin: what is ours stands in a folder of its own.
const FOLDER: &str = "dumplens-symbols";
/// Where the choice is remembered.
const CHOICE: &str = "dumplens.keep-symbols";

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Keeping {
    /// Whether files that are added are kept.
    pub(crate) is_on: bool,
    pub(crate) files: u32,
    pub(crate) bytes: u64,
    /// Why nothing can be kept.
    pub(crate) trouble: Option<String>,
}

/// Turns keeping on or off. What is kept stays until it is forgotten.
pub(crate) fn choose(on: bool) {
    if on {
        // Where the choice cannot be remembered it holds for this visit.
        let _ = LocalStorage::set(CHOICE, true);
    } else {
        LocalStorage::delete(CHOICE);
    }
}

/// Looks what is kept.
pub(crate) async fn look() -> Keeping {
    let is_on = LocalStorage::get::<bool>(CHOICE).unwrap_or(false);
    match store_folder(false).await {
        Err(trouble) => Keeping { trouble: Some(trouble), ..Keeping::default() },
        Ok(None) => Keeping { is_on, ..Keeping::default() },
        Ok(Some(folder)) => {
            let (mut files, mut bytes) = (0_u32, 0_u64);
            for file in all(&folder).await.unwrap_or_default() {
                files = files.saturating_add(1);
                bytes = bytes.saturating_add(file.size() as u64);
            }
            Keeping { is_on, files, bytes, trouble: None }
        }
    }
}

/// The folder, if there is one or it may be made; an error says why this browser cannot keep files.
async fn store_folder(create: bool) -> Result<Option<FileSystemDirectoryHandle>, String> {
    let storage = window().navigator().storage();
    let has = |object: &JsValue, name: &str| Reflect::has(object, &name.into()).unwrap_or(false);
    if storage.is_undefined() || !has(&storage, "getDirectory") {
        return Err("this browser has no private storage of files for pages like this one".into());
    }
    let writable = Reflect::get(&js_sys::global(), &"FileSystemFileHandle".into())
        .and_then(|class| Reflect::get(&class, &"prototype".into()))
        .is_ok_and(|class| has(&class, "createWritable"));
    if !writable {
        return Err("this browser cannot write to its private storage from a page".into());
    }
    let root = JsFuture::from(storage.get_directory()).await.and_then(|root| root.dyn_into());
    let root: FileSystemDirectoryHandle = root.map_err(|error| {
        format!("this browser refuses private storage here, as it may in private windows ({})", reason(&error))
    })?;
    Ok(folder_in(&root, FOLDER, create).await.ok())
}

async fn folder_in(
    folder: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<FileSystemDirectoryHandle, JsValue> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(create);
    JsFuture::from(folder.get_directory_handle_with_options(name, &options)).await?.dyn_into()
}

/// Stores a file below `name/KEY`. An error is a sentence for people.
pub(crate) async fn store(file: &File, place: &(String, String)) -> Result<(), String> {
    let Some(root) = store_folder(true).await? else {
        return Err("symbol files cannot be kept: the browser refuses to make a folder for them".into());
    };
    let written: Result<(), JsValue> = async {
        let folder = folder_in(&folder_in(&root, &place.0, true).await?, &place.1, true).await?;
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let handle: FileSystemFileHandle =
            JsFuture::from(folder.get_file_handle_with_options(&file.name(), &options)).await?.dyn_into()?;
        let stream: FileSystemWritableFileStream = JsFuture::from(handle.create_writable()).await?.dyn_into()?;
        let written = async {
            JsFuture::from(stream.write_with_blob(file)?).await?;
            JsFuture::from(stream.close()).await
        };
        if let Err(error) = written.await {
            // Half a file is worse than none. Until the writer is gone the file is locked.
            let _ = JsFuture::from(stream.abort()).await;
            let _ = JsFuture::from(folder.remove_entry(&file.name())).await;
            return Err(error);
        }
        Ok(())
    }
    .await;
    written.map_err(|error| {
        let full = error.dyn_ref::<DomException>().is_some_and(|error| error.name() == "QuotaExceededError");
        let name = file.name();
        if full {
            format!("{name} was added but not kept: the browser gives this site no more room. Make room on the disk, or forget the files that are kept.")
        } else {
            format!("{name} was added but not kept: {}", reason(&error))
        }
    })
}

/// The kept files that a dump wants, each with the path under which it wants them.
pub(crate) async fn wanted(needs: &[SymbolNeed]) -> Vec<(String, File)> {
    let Ok(Some(root)) = store_folder(false).await else { return Vec::new() };
    let mut found = Vec::new();
    for file in needs.iter().flat_map(|need| &need.files) {
        // Most files are not there: that is no error.
        let Ok(named) = folder_in(&root, &file.name, false).await else { continue };
        if let Ok(folder) = folder_in(&named, &file.key, false).await {
            let files = all(&folder).await.unwrap_or_default();
            found.extend(files.into_iter().map(|kept| (file.path.clone(), kept)));
        }
    }
    found
}

/// All files in a folder and below.
async fn all(folder: &FileSystemDirectoryHandle) -> Result<Vec<File>, JsValue> {
    let mut found = Vec::new();
    let mut open = vec![folder.clone()];
    while let Some(folder) = open.pop() {
        let entries: AsyncIterator = folder.values();
        loop {
            let next = JsFuture::from(entries.next()?).await?;
            if Reflect::get(&next, &"done".into())?.is_truthy() {
                break;
            }
            let entry: FileSystemHandle = Reflect::get(&next, &"value".into())?.dyn_into()?;
            if entry.kind() == FileSystemHandleKind::Directory {
                open.push(entry.unchecked_into());
            } else {
                let handle: FileSystemFileHandle = entry.unchecked_into();
                let file: File = JsFuture::from(handle.get_file()).await?.dyn_into()?;
                // What was being written when a tab was closed is empty, or in a file of the browser's own.
                if file.size() > 0.0 && !file.name().ends_with(".crswap") {
                    found.push(file);
                }
            }
        }
    }
    Ok(found)
}

/// Removes all that is kept.
pub(crate) async fn forget() -> Result<(), String> {
    let storage = window().navigator().storage();
    let removed: Result<(), JsValue> = async {
        let root: FileSystemDirectoryHandle = JsFuture::from(storage.get_directory()).await?.dyn_into()?;
        let options = FileSystemRemoveOptions::new();
        options.set_recursive(true);
        JsFuture::from(root.remove_entry_with_options(FOLDER, &options)).await?;
        Ok(())
    }
    .await;
    match removed {
        Err(error) if error.dyn_ref::<DomException>().is_none_or(|error| error.name() != "NotFoundError") => {
            Err(format!("the kept files cannot be removed: {}", reason(&error)))
        }
        _ => Ok(()),
    }
}

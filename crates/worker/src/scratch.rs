//! Files in the origin-private file system: where unpacked content goes. They lie on this computer, in the browser's own
//! storage of this site; no other site can read them.

use std::cell::Cell;

use dumplens_base::{ByteSource, SourceError, SourceErrorKind};
use js_sys::{AsyncIterator, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    DedicatedWorkerGlobalScope, DomException, FileSystemDirectoryHandle, FileSystemFileHandle,
    FileSystemGetDirectoryOptions, FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemSyncAccessHandle,
    StorageEstimate, StorageManager,
};

/// Sites can share an origin: what is ours stands in a folder of its own.
const FOLDER: &str = "dumplens-unpacked";
/// Most files that a clean-up looks at.
const MOST_STALE: usize = 1_000;

/// An open file that is removed when it is dropped.
pub(crate) struct Scratch {
    folder: FileSystemDirectoryHandle,
    name: String,
    handle: FileSystemSyncAccessHandle,
    len: Cell<u64>,
}

/// Why bytes were not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// The browser gives no more room.
    Full,
    /// Anything else.
    Failed,
}

impl Scratch {
    /// A new, empty file, and how many bytes the browser lets this site store. What closed tabs left is removed first.
    pub(crate) async fn create(scope: &DedicatedWorkerGlobalScope) -> Result<(Self, u64), JsValue> {
        let storage = storage(scope)?;
        let folder = folder(&storage).await?;
        clean_up(&folder).await;
        let room = room(&storage).await?;
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        // Two tabs must not meet in one file.
        let name = format!("{:x}-{:x}", js_sys::Date::now() as u64, (js_sys::Math::random() * 2_f64.powi(52)) as u64);
        let file: FileSystemFileHandle =
            JsFuture::from(folder.get_file_handle_with_options(&name, &options)).await?.dyn_into()?;
        if !Reflect::has(&file, &"createSyncAccessHandle".into())? {
            remove(&folder, &name);
            return Err("no synchronous access to files".into());
        }
        let handle = JsFuture::from(file.create_sync_access_handle()).await;
        match handle.and_then(|handle| handle.dyn_into()) {
            Ok(handle) => Ok((Self { folder, name, handle, len: Cell::new(0) }, room)),
            Err(error) => {
                remove(&folder, &name);
                Err(error)
            }
        }
    }

    /// Writes `bytes` at the end.
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let at = FileSystemReadWriteOptions::new();
        at.set_at(self.len.get() as f64);
        let written = self.handle.write_with_u8_array_and_options(bytes, &at).map_err(|error| {
            let full = error.dyn_ref::<DomException>().is_some_and(|error| error.name() == "QuotaExceededError");
            if full { WriteError::Full } else { WriteError::Failed }
        })?;
        // A browser may also write less than it was given when it runs out of room.
        if written != bytes.len() as f64 {
            return Err(WriteError::Full);
        }
        self.len.set(self.len.get().saturating_add(bytes.len() as u64));
        Ok(())
    }
}

impl ByteSource for Scratch {
    fn len(&self) -> u64 {
        self.len.get()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let len = buf.len() as u64;
        let fail = |kind| SourceError { offset, len, kind };
        if offset.checked_add(len).is_none_or(|end| end > self.len.get()) {
            return Err(fail(SourceErrorKind::OutOfRange));
        }
        let at = FileSystemReadWriteOptions::new();
        // At most the file's length, which a JavaScript number holds exactly.
        at.set_at(offset as f64);
        match self.handle.read_with_u8_array_and_options(buf, &at) {
            Ok(read) if read == len as f64 => Ok(()),
            Ok(_) => Err(fail(SourceErrorKind::Changed)),
            Err(_) => Err(fail(SourceErrorKind::Io)),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Closing gives up the lock; without that the file cannot be removed.
        self.handle.close();
        remove(&self.folder, &self.name);
    }
}

/// Removes a file some time soon. One that is open in another tab stays.
fn remove(folder: &FileSystemDirectoryHandle, name: &str) {
    let removal = folder.remove_entry(name);
    spawn_local(async move {
        let _ = JsFuture::from(removal).await;
    });
}

/// Removes what closed tabs left, at the start of this one.
pub(crate) fn clean_up_soon(scope: &DedicatedWorkerGlobalScope) {
    let scope = scope.clone();
    spawn_local(async move {
        // Where there is no such storage nothing can have been left.
        if let Ok(storage) = storage(&scope)
            && let Ok(folder) = folder(&storage).await
        {
            clean_up(&folder).await;
        }
    });
}

/// Pages that are not served securely have no storage, and old browsers none of this kind.
fn storage(scope: &DedicatedWorkerGlobalScope) -> Result<StorageManager, JsValue> {
    let storage = scope.navigator().storage();
    if storage.is_undefined() || !Reflect::has(&storage, &"getDirectory".into())? {
        return Err("no private file system".into());
    }
    Ok(storage)
}

async fn folder(storage: &StorageManager) -> Result<FileSystemDirectoryHandle, JsValue> {
    let root: FileSystemDirectoryHandle = JsFuture::from(storage.get_directory()).await?.dyn_into()?;
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    JsFuture::from(root.get_directory_handle_with_options(FOLDER, &options)).await?.dyn_into()
}

/// Bytes that may still be stored.
async fn room(storage: &StorageManager) -> Result<u64, JsValue> {
    let estimate: StorageEstimate = JsFuture::from(storage.estimate()?).await?.unchecked_into();
    let room = estimate.get_quota().unwrap_or(0.0) - estimate.get_usage().unwrap_or(0.0);
    Ok(room.max(0.0) as u64)
}

/// A file that another tab has open is locked and stays; so does one that cannot be removed for another reason.
async fn clean_up(folder: &FileSystemDirectoryHandle) {
    let names: AsyncIterator = folder.keys();
    let mut stale = Vec::new();
    while let Ok(next) = names.next()
        && let Ok(entry) = JsFuture::from(next).await
        && let Some(name) = Reflect::get(&entry, &"value".into()).ok().and_then(|name| name.as_string())
        && stale.len() < MOST_STALE
    {
        stale.push(name);
    }
    for name in stale {
        let _ = JsFuture::from(folder.remove_entry(&name)).await;
    }
}

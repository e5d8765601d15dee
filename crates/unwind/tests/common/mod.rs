//! What the tests on real images share.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use dumplens_base::{Machine, Va};
use dumplens_image::{FileImage, Image, ImageBytes};
use dumplens_unwind::x64::{Absent, CodeImage};

/// The folder of the data set; `None`, with a message, if there is none.
pub fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("DUMPLENS_DATA");
    if folder.is_none() {
        println!("skipped: DUMPLENS_DATA not set");
    }
    folder.map(PathBuf::from)
}

/// Every x64 image of the data set that has a function table.
pub fn images() -> Option<Vec<(PathBuf, FileCode)>> {
    images_for(Machine::X64)
}

/// Every image of the data set for `machine` that has a function table.
pub fn images_for(machine: Machine) -> Option<Vec<(PathBuf, FileCode)>> {
    let (mut folders, mut found) = (vec![data()?], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ["exe", "dll", "sys", "pyd"].iter().any(|e| ending == *e))
                && let Some(code) = FileCode::open(&path, machine)
            {
                found.push((path, code));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!found.is_empty(), "no image for this machine in the data set");
    Some(found)
}

/// An image in a file, as if loaded at `base`.
pub struct FileCode {
    pub image: Image<FileImage>,
    pub base: u64,
}

impl FileCode {
    /// `None` for what is no image for `machine` with a function table.
    pub fn open(path: &Path, machine: Machine) -> Option<Self> {
        let image = Image::file(Rc::new(fs::read(path).unwrap())).ok()?;
        image.exception_directory().filter(|_| image.headers().machine == machine)?;
        Some(Self { base: image.headers().image_base, image })
    }

    /// Number of entries of the function table.
    pub fn entries(&self) -> u32 {
        let size = if self.image.headers().machine == Machine::X64 { 12 } else { 8 };
        self.image.exception_directory().unwrap().size / size
    }

    /// As many bytes as there are, up to `len`.
    pub fn code(&self, rva: u32, len: usize) -> Vec<u8> {
        let mut buf = vec![0; len];
        let read = self.image.read_prefix(rva, &mut buf);
        buf.truncate(read.filled);
        buf
    }
}

impl CodeImage for FileCode {
    fn base(&self) -> Va {
        Va(self.base)
    }

    fn size(&self) -> u32 {
        self.image.headers().size_of_image
    }

    fn function_table(&self) -> Option<(u32, u32)> {
        self.image.exception_directory().map(|range| (range.rva, range.size))
    }

    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
        let read = self.image.read_prefix(rva, buf);
        match read.stopped {
            None => Ok(()),
            Some(_) => Err(Absent { rva: rva + read.filled as u32 }),
        }
    }

    fn is_executable(&self, rva: u32) -> bool {
        self.image.headers().section_at(rva).is_some_and(|section| section.is_executable())
    }
}

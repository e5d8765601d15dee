//! What the tests share.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{io::Write, path::PathBuf, rc::Rc};

use dumplens_isf::{Isf, IsfError, Limits};

/// The table of the real triage dump's kernel.
pub(crate) const REAL: &str = "kernel/isf/5278AFF86C341677D7D7835C85B7B844-1.json.xz";

/// Where a file of the data set is. `None`, with a message, if there is no data set.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("DUMPLENS_DATA") else {
        println!("skipped: DUMPLENS_DATA not set");
        return None;
    };
    Some(PathBuf::from(folder).join(name))
}

/// A file of the data set. `None`, with a message, if there is no data set; a missing file is a failure.
pub(crate) fn real(name: &str) -> Option<Vec<u8>> {
    let path = path(name)?;
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

pub(crate) fn open(bytes: &[u8]) -> Result<Isf, IsfError> {
    Isf::open(Rc::new(bytes.to_vec()), Limits::default())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// [`SMALL`] without spaces, packed by `xz --check=crc64`.
pub(crate) const SMALL_XZ: &[u8] = include_bytes!("../small.json.xz");

/// A table with one of everything.
pub(crate) const SMALL: &str = include_str!("../small.json");

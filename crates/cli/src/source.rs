//! A file as a byte source.

use std::{fs::File, io, path::Path};

use dumplens_base::{ByteSource, SourceError, SourceErrorKind};

/// An open file, read by position.
#[derive(Debug)]
pub(crate) struct FileSource {
    file: File,
    len: u64,
}

impl FileSource {
    /// Opens a regular file or block device.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::new(File::open(path)?)
    }

    /// A file that is open already.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        Ok(Self { len: metadata.len(), file })
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let len = buf.len() as u64;
        let fail = |kind| SourceError { offset, len, kind };
        match read_exact_at(&self.file, offset, buf) {
            Ok(()) => Ok(()),
            // The length was checked when the file was opened: a short read means that it shrank since.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(fail(SourceErrorKind::Changed)),
            Err(_) => Err(fail(SourceErrorKind::Io)),
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buf = buf.get_mut(read..).unwrap_or_default();
                offset = offset.saturating_add(read as u64);
            }
        }
    }
    Ok(())
}

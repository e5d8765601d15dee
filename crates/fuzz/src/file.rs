//! Files that are patched where they are read, and that count what is read.

use std::{borrow::Cow, cell::Cell, rc::Rc};

use dumplens_base::{ByteSource, Source, SourceError};

use crate::{Op, Patch};

/// Most bytes that may be read of a file: more is work without end.
const MOST_READ: u64 = 256 << 20;

/// A file with patches. The file itself is not copied: it may be megabytes.
pub(crate) struct File {
    base: Cow<'static, [u8]>,
    changes: Vec<(usize, Vec<u8>)>,
    len: usize,
    read: Cell<u64>,
}

/// Bytes at the start of a file that patches with `listed` reach: headers, bitmaps and lists.
const HEAD: usize = 0x3000;

impl File {
    /// A file as it is.
    pub(crate) fn plain(data: &[u8]) -> Source {
        let (len, base) = (data.len(), Cow::Owned(data.to_vec()));
        Rc::new(Self { base, changes: Vec::new(), len, read: Cell::new(0) })
    }

    /// A file with patches.
    pub(crate) fn patched(base: &'static [u8], patches: impl Iterator<Item = Patch>) -> Source {
        let mut file = Self { base: base.into(), changes: Vec::new(), len: base.len(), read: Cell::new(0) };
        for patch in patches {
            let reach = if patch.listed { base.len().min(HEAD) } else { base.len() };
            let at = patch.index(reach);
            if patch.op == Op::Remove {
                file.len = file.len.min(at);
                continue;
            }
            let width = usize::from(patch.width).min(base.len().saturating_sub(at));
            let number = |at: usize| {
                let mut bytes = [0; 8];
                bytes[..width].copy_from_slice(&base[at.min(base.len() - width)..][..width]);
                u64::from_le_bytes(bytes)
            };
            let value = patch.apply(number(at), number(patch.value as usize % reach.max(1)));
            file.changes.push((at, value.to_le_bytes()[..width].to_vec()));
        }
        Rc::new(file)
    }
}

impl ByteSource for File {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.read.set(self.read.get() + buf.len() as u64);
        assert!(self.read.get() < MOST_READ, "the reading does not end");
        self.base[..self.len].read_at(offset, buf)?;
        for (at, bytes) in &self.changes {
            for (at, byte) in (*at as u64..).zip(bytes) {
                if let Some(target) = at.checked_sub(offset).and_then(|at| buf.get_mut(at as usize)) {
                    *target = *byte;
                }
            }
        }
        Ok(())
    }
}

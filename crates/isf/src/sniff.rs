use core::fmt;

use dumplens_base::ByteSource;

use crate::{IsfErrorKind, Limits, unpack::Unpack};

/// How a symbol table is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// JSON as it is.
    Plain,
    /// An xz file.
    Xz,
    /// A gzip file.
    Gzip,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "JSON file",
            Self::Xz => "xz file",
            Self::Gzip => "gzip file",
        })
    }
}

/// The names that may stand first in a table.
const FIRST: [&[u8]; 6] = [b"base_types", b"enums", b"metadata", b"symbols", b"user_types", b"$schema"];
/// Bytes of JSON looked at: a bracket, white space and one name fit many times over.
const HEAD: usize = 512;

/// Tells whether `source` looks like a symbol table and how it is packed, from the first bytes of its content. A packed
/// file is unpacked that far, so that a packed dump is not taken for a table.
#[must_use]
pub fn sniff(source: &dyn ByteSource) -> Option<Packing> {
    looks_like(source, &Limits::default()).ok().flatten()
}

/// The packing, or `None` if the content is something else.
pub(crate) fn looks_like(source: &dyn ByteSource, limits: &Limits) -> Result<Option<Packing>, IsfErrorKind> {
    let packing = packing(source);
    let mut unpack = Unpack::new(source, packing, limits.dictionary);
    let mut head = [0; HEAD];
    let mut filled = 0;
    while let Some(room) = head.get_mut(filled..).filter(|room| !room.is_empty()) {
        match unpack.read(room)? {
            0 => break,
            count => filled = filled.saturating_add(count),
        }
    }
    let begins = begins_like_a_table(head.get(..filled).unwrap_or_default());
    Ok(begins.then_some(packing))
}

fn packing(source: &dyn ByteSource) -> Packing {
    let mut magic = [0; 6];
    let len = usize::try_from(source.len()).unwrap_or(usize::MAX).min(magic.len());
    // What cannot be read here fails again, with its reason, when the content is read.
    let _ = source.read_at(0, magic.get_mut(..len).unwrap_or_default());
    match magic {
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Packing::Xz,
        [0x1f, 0x8b, 8, ..] => Packing::Gzip,
        _ => Packing::Plain,
    }
}

fn begins_like_a_table(head: &[u8]) -> bool {
    let inside = head.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    let Some(name) = inside.and_then(|inside| inside.strip_prefix(b"\"")) else { return false };
    FIRST.iter().any(|first| name.strip_prefix(*first).is_some_and(|rest| rest.starts_with(b"\"")))
}

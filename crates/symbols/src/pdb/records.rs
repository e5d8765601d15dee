//! CodeView symbol records: the kinds that name addresses.

use dumplens_base::Bytes;

use super::{places::Place, stream::Window};
use crate::SymbolError;

pub(crate) const S_INLINESITE: u16 = 0x114d;
pub(crate) const S_INLINESITE_END: u16 = 0x114e;
pub(crate) const S_INLINESITE2: u16 = 0x115d;

/// A symbol that has an address, or refers to one that has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    Public {
        place: Place,
        flags: u32,
        name: &'a [u8],
    },
    Procedure {
        place: Place,
        len: u32,
        end: u32,
        global: bool,
        name: &'a [u8],
    },
    /// A small piece of code that leads elsewhere.
    Thunk {
        place: Place,
        len: u32,
        end: u32,
        name: &'a [u8],
    },
    /// A part of a procedure that stands elsewhere.
    Separated {
        place: Place,
        len: u32,
        end: u32,
        parent: Place,
    },
    Data {
        place: Place,
        name: &'a [u8],
    },
    /// Another name for a type.
    Typedef {
        of: u32,
        name: &'a [u8],
    },
    /// A procedure or data of a module (counted from 1), whose record stands at `offset` of its stream.
    Reference {
        module: u16,
        offset: u32,
        name: &'a [u8],
    },
}

impl<'a> Record<'a> {
    /// The name in it.
    pub(crate) const fn name(&self) -> Option<&'a [u8]> {
        match self {
            Self::Public { name, .. }
            | Self::Procedure { name, .. }
            | Self::Thunk { name, .. }
            | Self::Data { name, .. }
            | Self::Typedef { name, .. }
            | Self::Reference { name, .. } => Some(name),
            Self::Separated { .. } => None,
        }
    }
}

/// The kind of a record and its bytes behind it.
pub(crate) fn split(record: &[u8]) -> (u16, &[u8]) {
    match record {
        [low, high, rest @ ..] => (u16::from_le_bytes([*low, *high]), rest),
        _ => (0, &[]),
    }
}

/// A name at the end of a record: it ends with a NUL, or its length stands before it in records of old compilers.
fn name<'a>(bytes: &mut Bytes<'a>, old: bool) -> Result<&'a [u8], SymbolError> {
    if old {
        let len = bytes.u8("length of a name")?;
        return Ok(bytes.take(len.into(), "name")?);
    }
    let rest = bytes.rest();
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    Ok(rest.get(..end).unwrap_or_default())
}

fn place(bytes: &mut Bytes<'_>) -> Result<Place, SymbolError> {
    let offset = bytes.u32("symbol offset")?;
    Ok(Place { offset, section: bytes.u16("symbol section")? })
}

/// Reads a record; `None` if it is of another kind. `origin` is where `data` stands in the file.
pub(crate) fn parse(kind: u16, data: &[u8], origin: u64) -> Result<Option<Record<'_>>, SymbolError> {
    let mut bytes = Bytes::new(data, origin);
    let b = &mut bytes;
    // Kinds below 0x1100 with a name are those of old compilers (`_ST`).
    let old = kind < 0x1100;
    Ok(Some(match kind {
        0x110e | 0x1009 => {
            let flags = b.u32("flags of a public symbol")?;
            Record::Public { flags, place: place(b)?, name: name(b, old)? }
        }
        // Global and local procedures; by type and by id; `_DPC`; old ones.
        0x1110 | 0x110f | 0x1147 | 0x1146 | 0x1155 | 0x1156 | 0x100b | 0x100a => {
            b.skip(4, "parent of a procedure")?;
            let end = b.u32("end of a procedure")?;
            b.skip(4, "next procedure")?;
            let len = b.u32("length of a procedure")?;
            b.skip(12, "procedure")?;
            let place = place(b)?;
            b.skip(1, "flags of a procedure")?;
            let global = matches!(kind, 0x1110 | 0x1147 | 0x100b);
            Record::Procedure { place, len, end, global, name: name(b, old)? }
        }
        0x1102 | 0x0206 => {
            b.skip(4, "parent of a thunk")?;
            let end = b.u32("end of a thunk")?;
            b.skip(4, "next thunk")?;
            let place = place(b)?;
            let len = b.u16("length of a thunk")?.into();
            b.skip(1, "kind of a thunk")?;
            Record::Thunk { place, len, end, name: name(b, old)? }
        }
        0x1132 => {
            b.skip(4, "parent of separated code")?;
            let end = b.u32("end of separated code")?;
            let len = b.u32("length of separated code")?;
            b.skip(4, "flags of separated code")?;
            let (offset, parent) = (b.u32("separated code")?, b.u32("separated code")?);
            let (section, its) = (b.u16("separated code")?, b.u16("separated code")?);
            let parent = Place { section: its, offset: parent };
            Record::Separated { place: Place { section, offset }, len, end, parent }
        }
        // Local and global data, also managed and old.
        0x110c | 0x110d | 0x111c | 0x111d | 0x1007 | 0x1008 => {
            b.skip(4, "type of data")?;
            Record::Data { place: place(b)?, name: name(b, old)? }
        }
        // References to procedures and data; old ones have the name behind the record, where it is not read.
        0x1125..=0x1127 => {
            b.skip(4, "hash of a name")?;
            let offset = b.u32("offset of a symbol")?;
            Record::Reference { module: b.u16("module of a symbol")?, offset, name: name(b, false)? }
        }
        0x1108 | 0x1003 => Record::Typedef { of: b.u32("type of a name")?, name: name(b, old)? },
        _ => return Ok(None),
    }))
}

/// Reads the record at `at` of `window`, and where the next one stands.
pub(crate) fn at<'a>(window: &'a mut Window<'_>, at: u64) -> Result<(u16, &'a [u8], u64), SymbolError> {
    let size = match window.get(at, 2, "length of a symbol")? {
        [low, high] => u64::from(u16::from_le_bytes([*low, *high])),
        _ => 0,
    };
    if size < 2 {
        return Err(SymbolError::invalid("length of a symbol", window.file_offset(at), size));
    }
    let (kind, data) = split(window.get(at.saturating_add(2), size, "symbol")?);
    Ok((kind, data, at.saturating_add(2).saturating_add(size)))
}

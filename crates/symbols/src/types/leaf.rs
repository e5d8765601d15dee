//! What a type record says, in the format's own terms.
//!
//! Sources: Microsoft's published `cvinfo.h`; the crate `pdb2` for the leaves of 2019 and later (`LF_STRUCTURE2`).

use dumplens_base::{Bytes, types::LayoutKind};

use crate::SymbolError;

/// Leaves below this have the length of a name before it; later ones end it with a NUL.
const SZ: u16 = 0x1500;

/// `fwdref`: the type is described elsewhere.
const FORWARD: u32 = 0x80;
/// `scoped`: known by this name in one function only.
const SCOPED: u32 = 0x100;
/// `hasuniquename`: a name follows that no other type has.
const UNIQUE: u32 = 0x200;

/// A structure, class, interface, union or enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Udt<'a> {
    /// `None`: an enumeration.
    pub(crate) kind: Option<LayoutKind>,
    flags: u32,
    /// Number of the list of its members.
    pub(crate) fields: u32,
    /// Size in bytes; 0 for enumerations, which have that of `base`.
    pub(crate) size: u64,
    /// What an enumeration is stored as.
    pub(crate) base: u32,
    pub(crate) name: &'a [u8],
    /// The name that no other type has.
    pub(crate) unique: Option<&'a [u8]>,
}

impl Udt<'_> {
    /// Whether it is described elsewhere.
    pub(crate) const fn is_forward(&self) -> bool {
        self.flags & FORWARD != 0
    }

    /// Whether it is known by its name in one function only.
    pub(crate) const fn is_scoped(&self) -> bool {
        self.flags & SCOPED != 0
    }
}

/// A type record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf<'a> {
    Udt(Udt<'a>),
    Bitfield {
        of: u32,
        length: u8,
        position: u8,
    },
    /// `size` is that of the whole array, in bytes.
    Array {
        of: u32,
        size: u64,
    },
    Pointer {
        to: u32,
        size: Option<u64>,
    },
    /// `const`, `volatile`, or another name.
    Same {
        of: u32,
    },
    Function,
    /// The table of virtual functions: so many of them.
    Vtable {
        count: u16,
    },
    Other(u16),
}

fn name<'a>(bytes: &mut Bytes<'a>, leaf: u16) -> Result<&'a [u8], SymbolError> {
    if leaf < SZ {
        let len = bytes.u8("length of a name")?;
        return Ok(bytes.take(len.into(), "name of a type")?);
    }
    let rest = bytes.rest();
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let name = bytes.take(end, "name of a type")?;
    // The last name of a record may lack its NUL.
    let _ = bytes.u8("end of a name");
    Ok(name)
}

/// A number that says itself how long it is.
fn number(bytes: &mut Bytes<'_>) -> Result<i128, SymbolError> {
    let at = bytes.offset();
    let leaf = bytes.u16("number")?;
    if leaf < 0x8000 {
        return Ok(leaf.into());
    }
    let len = match leaf {
        0x8000 => 1,
        0x8001 | 0x8002 => 2,
        0x8003 | 0x8004 => 4,
        0x8009 | 0x800a => 8,
        0x8017 | 0x8018 => 16,
        _ => return Err(SymbolError::invalid("kind of a number", at, leaf.into())),
    };
    let signed = matches!(leaf, 0x8000 | 0x8001 | 0x8003 | 0x8009 | 0x8017);
    let taken = bytes.take(len, "number")?;
    let fill = if signed && taken.last().is_some_and(|last| *last >= 0x80) { 0xff } else { 0 };
    let mut wide = [fill; 16];
    for (to, from) in wide.iter_mut().zip(taken) {
        *to = *from;
    }
    Ok(i128::from_le_bytes(wide))
}

/// A size or an offset.
fn unsigned(bytes: &mut Bytes<'_>) -> Result<u64, SymbolError> {
    let at = bytes.offset();
    let value = number(bytes)?;
    u64::try_from(value).map_err(|_| SymbolError::invalid("size or offset of a type", at, value as u64))
}

fn udt<'a>(bytes: &mut Bytes<'a>, leaf: u16) -> Result<Udt<'a>, SymbolError> {
    let kind = match leaf {
        0x1004 | 0x1504 | 0x1608 => Some(LayoutKind::Class),
        0x1005 | 0x1505 | 0x1609 => Some(LayoutKind::Struct),
        0x1006 | 0x1506 | 0x160a => Some(LayoutKind::Union),
        0x1519 | 0x160b => Some(LayoutKind::Interface),
        _ => None,
    };
    // The newer ones have wider flags in front and the number of members behind the lists.
    let new = leaf >= 0x1608;
    let flags = if new {
        bytes.u32("flags of a type")?
    } else {
        bytes.skip(2, "number of members")?;
        bytes.u16("flags of a type")?.into()
    };
    let base = if kind.is_none() { bytes.u32("type of an enumeration")? } else { 0 };
    let fields = bytes.u32("members of a type")?;
    if !matches!(kind, None | Some(LayoutKind::Union)) {
        bytes.skip(8, "base classes of a type")?;
    }
    if new {
        bytes.skip(2, "number of members")?;
    }
    let size = if kind.is_some() { unsigned(bytes)? } else { 0 };
    let name = self::name(bytes, leaf)?;
    let unique = if flags & UNIQUE != 0 { Some(self::name(bytes, leaf)?) } else { None };
    Ok(Udt { kind, flags, fields, size, base, name, unique })
}

/// The structure, class, interface, union or enumeration that a record describes; `None` if it is another one.
pub(crate) fn as_udt(record: &[u8], origin: u64) -> Result<Option<Udt<'_>>, SymbolError> {
    Ok(match parse(record, origin)? {
        Leaf::Udt(udt) => Some(udt),
        _ => None,
    })
}

/// Reads a record, whose first byte stands at `origin` of the file.
pub(crate) fn parse(record: &[u8], origin: u64) -> Result<Leaf<'_>, SymbolError> {
    let mut bytes = Bytes::new(record, origin);
    let b = &mut bytes;
    let leaf = b.u16("kind of a type")?;
    Ok(match leaf {
        0x1004..=0x1007 | 0x1504..=0x1507 | 0x1519 | 0x1608..=0x160b => Leaf::Udt(udt(b, leaf)?),
        0x1205 => Leaf::Bitfield {
            of: b.u32("type of a bit-field")?,
            length: b.u8("length of a bit-field")?,
            position: b.u8("position of a bit-field")?,
        },
        // Arrays; those with a stride have it before their size.
        0x1003 | 0x1503 | 0x1516 => {
            let of = b.u32("type of an array")?;
            b.skip(if leaf == 0x1516 { 8 } else { 4 }, "index of an array")?;
            Leaf::Array { of, size: unsigned(b)? }
        }
        0x1002 => {
            let to = b.u32("type of a pointer")?;
            let attributes = b.u32("attributes of a pointer")?;
            // Old compilers left the size out and wrote the kind only.
            let size = match (attributes >> 13 & 0x3f, attributes & 0x1f) {
                (0, 0x0a) => Some(4),
                (0, 0x0c) => Some(8),
                (0, _) => None,
                (size, _) => Some(size.into()),
            };
            Leaf::Pointer { to, size }
        }
        0x1001 | 0x1010 | 0x150a | 0x1518 => Leaf::Same { of: b.u32("type behind a type")? },
        0x1008 | 0x1009 => Leaf::Function,
        0x000a => Leaf::Vtable { count: b.u16("size of a virtual function table")? },
        other => Leaf::Other(other),
    })
}

/// A member of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member<'a> {
    Data {
        of: u32,
        offset: u64,
        name: &'a [u8],
    },
    Static {
        of: u32,
        name: &'a [u8],
    },
    Base {
        of: u32,
        offset: u64,
    },
    /// `offset` is that of the pointer to the table whose entry `slot` tells where the base class is.
    VirtualBase {
        of: u32,
        offset: u64,
        slot: u64,
    },
    Vtable {
        of: u32,
        offset: u64,
    },
    Constant {
        value: i128,
        name: &'a [u8],
    },
    /// The list goes on in another record.
    More(u32),
    /// A function, a type or a friend: nothing in memory.
    Nothing,
}

/// The members in one record.
pub(crate) struct Members<'a>(Bytes<'a>);

impl<'a> Members<'a> {
    /// The members in `record`, whose first byte stands at `origin` of the file. `None` if it is no list.
    pub(crate) fn new(record: &'a [u8], origin: u64) -> Result<Option<Self>, SymbolError> {
        /// `LF_FIELDLIST`.
        const LIST: u16 = 0x1203;
        let mut bytes = Bytes::new(record, origin);
        Ok((bytes.u16("kind of a type")? == LIST).then_some(Self(bytes)))
    }

    /// The next one.
    pub(crate) fn step(&mut self) -> Result<Option<Member<'a>>, SymbolError> {
        // Members are aligned with bytes that say how many of them there are.
        while let Some(pad @ 0xf0..) = self.0.rest().first() {
            let len = usize::from(pad & 0xf).max(1).min(self.0.remaining());
            self.0.skip(len, "padding of a member")?;
        }
        if self.0.remaining() == 0 {
            return Ok(None);
        }
        member(&mut self.0).map(Some)
    }
}

fn member<'a>(b: &mut Bytes<'a>) -> Result<Member<'a>, SymbolError> {
    let at = b.offset();
    let leaf = b.u16("kind of a member")?;
    // Attributes, or nothing, in all of them.
    let attributes = b.u16("attributes of a member")?;
    Ok(match leaf {
        0x1405 | 0x150d => Member::Data { of: b.u32("type of a member")?, offset: unsigned(b)?, name: name(b, leaf)? },
        0x1406 | 0x150e => Member::Static { of: b.u32("type of a static member")?, name: name(b, leaf)? },
        0x1400 | 0x151a => Member::Base { of: b.u32("base class")?, offset: unsigned(b)? },
        0x1401 | 0x1402 => {
            let of = b.u32("virtual base class")?;
            b.skip(4, "pointer to virtual base classes")?;
            Member::VirtualBase { of, offset: unsigned(b)?, slot: unsigned(b)? }
        }
        0x1409 => Member::Vtable { of: b.u32("virtual function table")?, offset: 0 },
        0x140c => {
            let of = b.u32("virtual function table")?;
            Member::Vtable { of, offset: b.u32("offset of a virtual function table")?.into() }
        }
        0x0403 | 0x1502 => Member::Constant { value: number(b)?, name: name(b, leaf)? },
        0x1404 => Member::More(b.u32("rest of a list of members")?),
        // Functions: one by itself, which may say where it stands in the table, and several of one name.
        0x140b | 0x1511 => {
            b.skip(4, "type of a member function")?;
            if matches!(attributes >> 2 & 7, 4 | 6) {
                b.skip(4, "virtual member function")?;
            }
            name(b, leaf)?;
            Member::Nothing
        }
        // Functions of one name, types, friends, changed access: a number and a name.
        0x1407 | 0x150f | 0x1408 | 0x140d | 0x1510 | 0x1512 | 0x1403 | 0x150c | 0x140e | 0x1513 => {
            b.skip(4, "type of a member")?;
            name(b, leaf)?;
            Member::Nothing
        }
        0x140a => {
            b.skip(4, "friend")?;
            Member::Nothing
        }
        other => return Err(SymbolError::invalid("kind of a member", at, other.into())),
    })
}

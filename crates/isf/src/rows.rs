//! The compact rows a table is kept as. Everything that has a name has its number in [`crate::names::Names`].

use crate::{BaseKind, LayoutKind, names::Name};

/// What a value is, by reference to other rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node {
    Base(Name),
    Struct(Name),
    Union(Name),
    Enum(Name),
    /// To a node; its own size is that of the named base type.
    Pointer {
        to: u32,
        base: Name,
    },
    Array {
        count: u32,
        of: u32,
    },
    Bits {
        position: u8,
        length: u8,
        of: u32,
    },
    Function,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SymbolRow {
    pub(crate) rva: u64,
    pub(crate) name: Name,
    /// The same as `name` where the table gives none.
    pub(crate) linkage: Name,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseRow {
    pub(crate) name: Name,
    pub(crate) size: u32,
    pub(crate) signed: bool,
    pub(crate) kind: BaseKind,
}

/// A structure or a union; its fields are a range of the fields of all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeRow {
    pub(crate) name: Name,
    pub(crate) kind: LayoutKind,
    pub(crate) size: u32,
    pub(crate) first: u32,
    pub(crate) end: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldRow {
    pub(crate) name: Name,
    pub(crate) offset: u32,
    pub(crate) of: u32,
    pub(crate) anonymous: bool,
}

/// An enumeration; its constants are a range of the constants of all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EnumRow {
    pub(crate) name: Name,
    pub(crate) base: Name,
    pub(crate) size: u32,
    pub(crate) first: u32,
    pub(crate) end: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ConstantRow {
    pub(crate) name: Name,
    /// Whether the value's sign bit means a sign.
    pub(crate) signed: bool,
    pub(crate) value: u64,
}

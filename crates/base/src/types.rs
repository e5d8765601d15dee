//! What a type looks like in memory: plain data that every source of types hands out, and the questions they answer.
//!
//! Types come from PDBs and from tables made of PDBs. Whoever prints a structure or reads one from memory need not know
//! from which: it takes a [`Types`].

use alloc::{boxed::Box, rc::Rc, string::String, vec::Vec};

/// What a base type's bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseKind {
    /// No value at all.
    Void,
    /// An integer.
    Int,
    /// A floating-point number.
    Float,
    /// A character.
    Char,
    /// A truth value.
    Bool,
}

/// A structure, union or enumeration that is named and described elsewhere in the same source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    /// Its name. Types without one have what the compiler put there; several may share it.
    pub name: String,
    /// The source's own number for it. `None` if the source finds types by name alone.
    pub id: Option<u32>,
}

impl Named {
    /// A type that its source finds by name alone.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self { name, id: None }
    }
}

/// What a field or an element is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeRef {
    /// A number or a character.
    Base {
        /// Its name in the source: `unsigned long`.
        name: String,
        /// Size in bytes.
        size: u64,
        /// Whether it has a sign.
        signed: bool,
        /// What its bytes mean.
        kind: BaseKind,
    },
    /// A pointer or a reference.
    Pointer {
        /// Size in bytes, where the source tells it.
        size: Option<u64>,
        /// What it points to.
        to: Box<Self>,
    },
    /// Elements one after another.
    Array {
        /// How many.
        count: u64,
        /// What each is.
        of: Box<Self>,
    },
    /// A structure or class. The source need not describe it.
    Struct(Named),
    /// A union. The source need not describe it.
    Union(Named),
    /// An enumeration. The source need not describe it.
    Enum(Named),
    /// Some bits of a number.
    Bitfield {
        /// Lowest bit, counted from bit 0 of the number.
        position: u8,
        /// How many bits.
        length: u8,
        /// The number that holds them.
        of: Box<Self>,
    },
    /// A function: what some pointers point to.
    Function,
    /// Nothing known: what other pointers point to.
    Void,
    /// A type that the source names and does not describe.
    Unknown(String),
}

/// Whether fields follow each other or share their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutKind {
    /// `struct`
    Struct,
    /// `union`
    Union,
    /// `class`
    Class,
    /// `__interface`
    Interface,
}

impl LayoutKind {
    /// As C++ spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Class => "class",
            Self::Interface => "__interface",
        }
    }
}

/// What a field is to its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldRole {
    /// A member.
    Member,
    /// A base class: its members are the structure's.
    Base,
    /// A virtual base class. Where it is, is known at run time only: the field's offset is that of the pointer to the
    /// table that tells.
    VirtualBase {
        /// Index in that table.
        slot: u64,
    },
    /// The pointer to the table of virtual functions.
    Vtable,
    /// A static member: it is elsewhere, and its offset means nothing.
    Static,
}

/// A member of a structure or a union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; for a member without one, what the source calls it.
    pub name: String,
    /// Offset from the start of the type, in bytes.
    pub offset: u64,
    /// What it is.
    pub of: TypeRef,
    /// Whether it has no name in the program, so that its members are used as if they were the structure's.
    pub anonymous: bool,
    /// What it is to the structure.
    pub role: FieldRole,
}

/// A structure or a union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its name.
    pub name: String,
    /// Whether fields follow each other or share their place.
    pub kind: LayoutKind,
    /// Size in bytes.
    pub size: u64,
    /// Its members, as the source orders them.
    pub fields: Vec<Field>,
}

/// One value of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: i128,
}

/// An enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// Its name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// The number its values are stored as.
    pub base: TypeRef,
    /// Its values, as the source orders them.
    pub constants: Vec<Constant>,
}

/// A source of types.
pub trait Types {
    /// Why it could not answer.
    type Error: core::error::Error;

    /// The layout of a structure or union that it named; `None` if it does not describe it.
    ///
    /// # Errors
    /// If the source is damaged there.
    fn layout(&self, of: &Named) -> Result<Option<Rc<Layout>>, Self::Error>;

    /// An enumeration that it named; `None` if it does not describe it.
    ///
    /// # Errors
    /// If the source is damaged there.
    fn enumeration(&self, of: &Named) -> Result<Option<Rc<Enumeration>>, Self::Error>;

    /// Bytes of a pointer whose size the source does not tell.
    fn pointer_size(&self) -> u64;
}

//! Types as they are handed out: plain data, so that other sources of types can speak the same way.

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
    /// A pointer.
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
    /// The structure of that name. The source need not describe it.
    Struct(String),
    /// The union of that name. The source need not describe it.
    Union(String),
    /// The enumeration of that name. The source need not describe it.
    Enum(String),
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
    /// A base type that the source names and does not describe.
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
    /// Whether the source says that its name is made up.
    pub anonymous: bool,
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
    /// Its members, by offset, then by bit, then as the source orders them.
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
    /// Its values, smallest first.
    pub constants: Vec<Constant>,
}

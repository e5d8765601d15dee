//! Values of types, as data and as text.

use core::fmt::Write as _;

use dumplens_base::{Fault, Va, types::Field};

/// A value that was read from memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number without a sign, or some bits.
    Unsigned {
        /// The number.
        value: u128,
        /// How many bits it has.
        bits: u32,
    },
    /// A number with a sign.
    Signed(i128),
    /// A floating-point number of 4 or 8 bytes.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A character, by its number in its character set.
    Char(u32),
    /// A pointer.
    Pointer(Va),
    /// One of an enumeration.
    Enum {
        /// The number.
        value: i128,
        /// The first constant of that number, if there is one.
        name: Option<String>,
    },
    /// Elements.
    Array {
        /// How many there are.
        count: u64,
        /// The first of them. After one that is absent come no more.
        items: Vec<Result<Self, Fault>>,
        /// The text up to the first NUL, if they are characters.
        text: Option<String>,
    },
    /// Members of a structure.
    Struct(Vec<FieldValue>),
    /// A counted string (`_UNICODE_STRING`).
    UnicodeString {
        /// Length of the text, in bytes.
        length: u16,
        /// Room for the text, in bytes.
        maximum: u16,
        /// Where the text is.
        buffer: Va,
        /// The text.
        text: Result<String, Fault>,
    },
    /// A link of a doubly linked list (`_LIST_ENTRY`).
    ListEntry {
        /// The next link.
        forward: Va,
        /// The link before.
        back: Va,
        /// Whether both are this one: a head without entries.
        empty: bool,
    },
    /// Not read: deeper than was asked for, or nothing known about it. Its bytes are where the field is.
    Omitted,
}

/// A member with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldValue {
    /// The member.
    pub field: Field,
    /// Where it is.
    pub address: Va,
    /// Its value, or why it is not in the dump.
    pub value: Result<Value, Fault>,
}

/// Why a walk along a list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEnd {
    /// It came back to its head.
    Head,
    /// A link is null.
    Null,
    /// A link leads back to an entry that was met before.
    Loop,
    /// There may be more than were asked for.
    Limit,
    /// A link is not in the dump.
    Absent(Fault),
}

/// The entries of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListWalk {
    /// Addresses of the links, without the head.
    pub entries: Vec<Va>,
    /// Why there are no more.
    pub end: ListEnd,
}

/// A value in one line. Structures are named by what they hold.
#[must_use]
pub fn value_text(value: &Result<Value, Fault>) -> String {
    let value = match value {
        Ok(value) => value,
        Err(fault) => return format!("?? ({fault})"),
    };
    match value {
        Value::Unsigned { value, bits } if *bits < 8 => format!("0y{value:0width$b}", width = *bits as usize),
        Value::Unsigned { value, .. } => format!("{value:#x}"),
        Value::Signed(value) => format!("{value}"),
        Value::Float(value) => format!("{value}"),
        Value::Bool(value) => format!("{value}"),
        Value::Char(value) => match char::from_u32(*value).filter(|value| !value.is_control()) {
            Some(shown) => format!("{value:#x} '{shown}'"),
            None => format!("{value:#x}"),
        },
        Value::Pointer(to) if to.0 == 0 => "(null)".into(),
        Value::Pointer(to) => format!("{to}"),
        Value::Enum { value, name: Some(name) } => format!("{value} ( {name} )"),
        Value::Enum { value, name: None } => format!("{value} (no name for this)"),
        Value::Array { text: Some(text), .. } => format!("\"{}\"", text.escape_debug()),
        Value::Array { count, items, .. } => {
            let mut line = String::from("[");
            for (index, item) in items.iter().enumerate() {
                let _ = write!(line, "{}{}", if index > 0 { ", " } else { "" }, value_text(item));
            }
            line.push_str(if (items.len() as u64) < *count { ", ...]" } else { "]" });
            line
        }
        Value::Struct(fields) => format!("({} members)", fields.len()),
        Value::UnicodeString { text: Ok(text), .. } => format!("\"{}\"", text.escape_debug()),
        Value::UnicodeString { text: Err(fault), length, .. } => format!("?? ({length} bytes of text: {fault})"),
        Value::ListEntry { empty: true, .. } => "(empty list)".into(),
        Value::ListEntry { forward, back, .. } => format!("[ {forward} - {back} ]"),
        Value::Omitted => "...".into(),
    }
}

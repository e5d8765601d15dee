use serde::de::MapAccess;

use super::{
    Loader,
    seeds::{Dictionary, Object, Whole, dictionary, name, number, object, word},
};
use crate::{
    BaseKind, IsfErrorKind, LayoutKind,
    names::Name,
    rows::{BaseRow, ConstantRow, EnumRow, FieldRow, Node, TypeRow},
};

/// The types without parts.
pub(super) struct BaseTypes;

impl Dictionary for BaseTypes {
    const WHAT: &'static str = "base types";
    const LEVEL: usize = 0;

    fn entry<'de, A: MapAccess<'de>>(&mut self, name: Name, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        load.room_for_type()?;
        let mut base = Base::default();
        object(&mut base, load, map)?;
        let (Some(size), Some(kind)) = (base.size, base.kind) else {
            return Err(load.fail(IsfErrorKind::Missing { what: "size or kind of a base type" }));
        };
        load.rows.bases.push(BaseRow { name, size, signed: base.signed, kind });
        Ok(())
    }
}

#[derive(Default)]
struct Base {
    size: Option<u32>,
    signed: bool,
    kind: Option<BaseKind>,
}

impl Object for Base {
    const WHAT: &'static str = "base type";
    const KEYS: &'static [&'static str] = &["size", "signed", "kind", "endian"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => self.size = Some(number("size of a base type", load, map)?),
            1 => {
                load.state.expect("sign of a base type");
                self.signed = map.next_value()?;
            }
            2 => {
                let kind = word("kind of a base type", &["void", "int", "float", "char", "bool"], load, map)?;
                self.kind = Some(match kind {
                    0 => BaseKind::Void,
                    1 => BaseKind::Int,
                    2 => BaseKind::Float,
                    3 => BaseKind::Char,
                    _ => BaseKind::Bool,
                });
            }
            // Windows never ran big-endian; a table that says so is none of its.
            _ => {
                word("byte order of a base type", &["little"], load, map)?;
            }
        }
        Ok(())
    }
}

/// The enumerations.
pub(super) struct Enums;

impl Dictionary for Enums {
    const WHAT: &'static str = "enumerations";
    const LEVEL: usize = 0;

    fn entry<'de, A: MapAccess<'de>>(&mut self, name: Name, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        load.room_for_type()?;
        let first = load.index(load.rows.constants.len())?;
        let mut row = Enum::default();
        object(&mut row, load, map)?;
        let end = load.index(load.rows.constants.len())?;
        let (Some(size), Some(base)) = (row.size, row.base) else {
            return Err(load.fail(IsfErrorKind::Missing { what: "size or base of an enumeration" }));
        };
        load.rows.enums.push(EnumRow { name, base, size, first, end });
        Ok(())
    }
}

#[derive(Default)]
struct Enum {
    size: Option<u32>,
    base: Option<Name>,
}

impl Object for Enum {
    const WHAT: &'static str = "enumeration";
    const KEYS: &'static [&'static str] = &["size", "base", "constants"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => self.size = Some(number("size of an enumeration", load, map)?),
            1 => self.base = Some(name("base of an enumeration", load, map)?),
            _ => dictionary(Constants, load, map)?,
        }
        Ok(())
    }
}

struct Constants;

impl Dictionary for Constants {
    const WHAT: &'static str = "constants of an enumeration";
    const LEVEL: usize = 1;

    fn entry<'de, A: MapAccess<'de>>(&mut self, name: Name, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        load.room_for_field()?;
        load.state.expect("value of a constant");
        let (signed, value) = map.next_value_seed(Whole)?;
        load.rows.constants.push(ConstantRow { name, signed, value });
        Ok(())
    }
}

/// The structures and unions.
pub(super) struct UserTypes;

impl Dictionary for UserTypes {
    const WHAT: &'static str = "types";
    const LEVEL: usize = 0;

    fn entry<'de, A: MapAccess<'de>>(&mut self, name: Name, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        load.room_for_type()?;
        let first = load.index(load.rows.fields.len())?;
        let mut row = User::default();
        object(&mut row, load, map)?;
        let end = load.index(load.rows.fields.len())?;
        let (Some(size), Some(kind)) = (row.size, row.kind) else {
            return Err(load.fail(IsfErrorKind::Missing { what: "size or kind of a type" }));
        };
        load.rows.types.push(TypeRow { name, kind, size, first, end });
        Ok(())
    }
}

#[derive(Default)]
struct User {
    size: Option<u32>,
    kind: Option<LayoutKind>,
}

impl Object for User {
    const WHAT: &'static str = "type";
    const KEYS: &'static [&'static str] = &["size", "kind", "fields"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => self.size = Some(number("size of a type", load, map)?),
            1 => {
                self.kind = Some(match word("kind of a type", &["struct", "union", "class"], load, map)? {
                    0 => LayoutKind::Struct,
                    1 => LayoutKind::Union,
                    _ => LayoutKind::Class,
                });
            }
            _ => dictionary(Fields, load, map)?,
        }
        Ok(())
    }
}

struct Fields;

impl Dictionary for Fields {
    const WHAT: &'static str = "fields of a type";
    const LEVEL: usize = 1;

    fn entry<'de, A: MapAccess<'de>>(&mut self, name: Name, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        load.room_for_field()?;
        let mut field = Field::default();
        object(&mut field, load, map)?;
        let (Some(offset), Some(of)) = (field.offset, field.of) else {
            return Err(load.fail(IsfErrorKind::Missing { what: "offset or type of a field" }));
        };
        load.rows.fields.push(FieldRow { name, offset, of, anonymous: field.anonymous });
        Ok(())
    }
}

#[derive(Default)]
struct Field {
    offset: Option<u32>,
    of: Option<u32>,
    anonymous: bool,
}

impl Object for Field {
    const WHAT: &'static str = "field";
    const KEYS: &'static [&'static str] = &["offset", "type", "anonymous"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => self.offset = Some(number("offset of a field", load, map)?),
            1 => self.of = Some(node("type of a field", load, map)?),
            _ => {
                load.state.expect("anonymity of a field");
                self.anonymous = map.next_value()?;
            }
        }
        Ok(())
    }
}

/// Reads the next value of `map` as a description of a type; answers its number.
fn node<'de, A: MapAccess<'de>>(what: &'static str, load: &mut Loader, map: &mut A) -> Result<u32, A::Error> {
    let mut described = Described::default();
    load.state.expect(what);
    object(&mut described, load, map)?;
    let node = described.node(load).map_err(|kind| load.fail(kind))?;
    // Every field has one, and most have no more than two.
    load.room("type descriptions", load.rows.nodes.len(), load.limits.fields.saturating_mul(3))?;
    let index = load.index(load.rows.nodes.len())?;
    load.rows.nodes.push(node);
    Ok(index)
}

const KINDS: &[&str] = &["base", "struct", "class", "union", "enum", "pointer", "array", "bitfield", "function"];

/// A description of a type, before it is known to be whole.
#[derive(Default)]
struct Described {
    kind: Option<usize>,
    name: Option<Name>,
    of: Option<u32>,
    base: Option<Name>,
    count: Option<u32>,
    position: Option<u8>,
    length: Option<u8>,
}

impl Object for Described {
    const WHAT: &'static str = "type description";
    const KEYS: &'static [&'static str] =
        &["kind", "name", "subtype", "type", "base", "count", "bit_position", "bit_length"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => self.kind = Some(word("kind in a type description", KINDS, load, map)?),
            1 => self.name = Some(name("name in a type description", load, map)?),
            2 | 3 => self.of = Some(node("inner type", load, map)?),
            4 => self.base = Some(name("base of a pointer", load, map)?),
            5 => self.count = Some(number("count of an array", load, map)?),
            6 => self.position = Some(number("position of a bit field", load, map)?),
            _ => self.length = Some(number("length of a bit field", load, map)?),
        }
        Ok(())
    }
}

impl Described {
    fn node(&self, load: &mut Loader) -> Result<Node, IsfErrorKind> {
        let missing = |what| IsfErrorKind::Missing { what };
        let name = || self.name.ok_or_else(|| missing("name in a type description"));
        let of = || self.of.ok_or_else(|| missing("inner type of a type description"));
        Ok(match self.kind.ok_or_else(|| missing("kind in a type description"))? {
            0 => Node::Base(name()?),
            1 | 2 => Node::Struct(name()?),
            3 => Node::Union(name()?),
            4 => Node::Enum(name()?),
            5 => {
                let to = of()?;
                let common = || load.interner.intern("pointer").ok_or_else(|| missing("room for names"));
                Node::Pointer { to, base: self.base.map_or_else(common, Ok)? }
            }
            6 => Node::Array { count: self.count.ok_or_else(|| missing("count of an array"))?, of: of()? },
            7 => {
                let bits = self.position.zip(self.length);
                let (position, length) = bits.ok_or_else(|| missing("position or length of a bit field"))?;
                if position.saturating_add(length) > 128 {
                    return Err(IsfErrorKind::Invalid { what: "position or length of a bit field" });
                }
                Node::Bits { position, length, of: of()? }
            }
            _ => Node::Function,
        })
    }
}

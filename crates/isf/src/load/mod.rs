//! From JSON to rows.

mod metadata;
mod seeds;
mod symbols;
mod types;

use std::rc::Rc;

use dumplens_base::ByteSource;
use serde::de::{DeserializeSeed, Error, MapAccess};

use crate::{
    Identity, IsfError, IsfErrorKind, Limits,
    names::{Interner, Name},
    rows::{BaseRow, ConstantRow, EnumRow, FieldRow, Node, SymbolRow, TypeRow},
    sniff::looks_like,
    text::{State, Text},
    unpack::Unpack,
};
use metadata::Metadata;
use seeds::{Object, ObjectSeed, dictionary, object};

/// The rows of a table, as the JSON orders them.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) symbols: Vec<SymbolRow>,
    pub(crate) bases: Vec<BaseRow>,
    pub(crate) types: Vec<TypeRow>,
    pub(crate) fields: Vec<FieldRow>,
    pub(crate) enums: Vec<EnumRow>,
    pub(crate) constants: Vec<ConstantRow>,
    pub(crate) nodes: Vec<Node>,
}

/// Names seen in the object at hand: a stamp for each name, and the stamp that means "in this object".
#[derive(Default)]
struct Seen {
    stamps: Vec<u32>,
    now: u32,
}

/// What is filled while the JSON streams by.
pub(crate) struct Loader {
    state: Rc<State>,
    limits: Limits,
    pub(crate) interner: Interner,
    seen: [Seen; 2],
    pub(crate) rows: Rows,
}

impl Loader {
    /// Remembers why loading failed; what it answers only stops the parser.
    fn fail<E: Error>(&self, kind: IsfErrorKind) -> E {
        self.state.fail(kind);
        E::custom("")
    }

    fn forget_seen(&mut self, level: usize) {
        if let Some(seen) = self.seen.get_mut(level) {
            seen.now = seen.now.checked_add(1).unwrap_or_else(|| {
                seen.stamps.clear();
                1
            });
        }
    }

    /// Whether `name` has not been seen in the object at hand; now it has.
    fn first_time(&mut self, level: usize, name: Name) -> bool {
        let Some(seen) = self.seen.get_mut(level) else { return true };
        let index = name.0 as usize;
        if seen.stamps.len() <= index {
            seen.stamps.resize(self.interner.names.count(), 0);
        }
        seen.stamps.get_mut(index).is_none_or(|stamp| core::mem::replace(stamp, seen.now) != seen.now)
    }

    /// Holds a count against its limit before one more is added.
    fn room<E: Error>(&self, what: &'static str, count: usize, limit: usize) -> Result<(), E> {
        if count < limit { Ok(()) } else { Err(self.fail(IsfErrorKind::TooMany { what, limit: limit as u64 })) }
    }

    fn room_for_type<E: Error>(&self) -> Result<(), E> {
        let Rows { bases, types, enums, .. } = &self.rows;
        self.room("types", bases.len().saturating_add(types.len()).saturating_add(enums.len()), self.limits.types)
    }

    fn room_for_field<E: Error>(&self) -> Result<(), E> {
        let count = self.rows.fields.len().saturating_add(self.rows.constants.len());
        self.room("fields and constants", count, self.limits.fields)
    }

    /// The number of the next row of a table with `len` rows. The limits keep it far below what would not fit.
    fn index<E: Error>(&self, len: usize) -> Result<u32, E> {
        u32::try_from(len).map_err(|_| self.fail(IsfErrorKind::TooMany { what: "rows", limit: u32::MAX.into() }))
    }
}

/// Reads the table in `source`.
pub(crate) fn load(source: &dyn ByteSource, limits: Limits) -> Result<(Loader, Identity), IsfError> {
    let at_start = |kind| IsfError { offset: 0, kind };
    let packing = looks_like(source, &limits).map_err(at_start)?.ok_or_else(|| at_start(IsfErrorKind::NotAnIsf))?;
    let state = Rc::new(State::default());
    let text = Text::new(Unpack::new(source, packing, limits.dictionary), Rc::clone(&state), limits.unpacked);
    let interner = Interner::new(limits.names.min(u32::MAX as usize));
    let mut loader =
        Loader { state: Rc::clone(&state), limits, interner, seen: Default::default(), rows: Rows::default() };
    let mut root = Root::default();
    let mut parser = serde_json::Deserializer::from_reader(text);
    ObjectSeed { into: &mut root, load: &mut loader }
        .deserialize(&mut parser)
        // What is packed is checked at its very end only.
        .and_then(|()| parser.end())
        .map_err(|error| state.explain(&error))?;
    let identity =
        root.metadata.identity(&loader.interner.names).map_err(|kind| IsfError { offset: state.offset(), kind })?;
    Ok((loader, identity))
}

/// The table itself.
#[derive(Default)]
struct Root {
    metadata: Metadata,
}

impl Object for Root {
    const WHAT: &'static str = "table";
    const KEYS: &'static [&'static str] = &["base_types", "enums", "metadata", "symbols", "user_types"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => dictionary(types::BaseTypes, load, map),
            1 => dictionary(types::Enums, load, map),
            2 => object(&mut self.metadata, load, map),
            3 => dictionary(symbols::Symbols, load, map),
            _ => dictionary(types::UserTypes, load, map),
        }
    }
}

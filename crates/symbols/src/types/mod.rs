//! Types: what a structure looks like in memory.
//!
//! A [`TypeTable`] answers from the type stream of a PDB, read lazily: a name leads over a hash table to a record, a record
//! to its members. Its answers are plain data of [`dumplens_base::types`], which other sources of types share; printing
//! ([`Printer`]) and reading values from memory ([`Reader`]) work on any of them.

mod layout;
mod leaf;
mod names;
mod pattern;
mod primitive;
mod print;
mod read;
mod records;
mod show;
mod value;

use std::rc::Rc;

use dumplens_base::{
    ByteSource as _,
    types::{Enumeration, Layout, Named, TypeRef, Types},
};

pub use self::{
    layout::TypeKind,
    pattern::matches,
    print::{PrintError, Printer, type_text},
    read::{Reader, list},
    show::print_values,
    value::{FieldValue, ListEnd, ListWalk, Value, value_text},
};
use self::{names::Names, records::Records};
use crate::{
    SymbolError,
    cache::Cache,
    pdb::{PdbFile, TYPES},
};

/// A type that a table found by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name and number, as [`TypeTable::layout`] and [`TypeTable::enumeration`] take it.
    pub named: Named,
    /// What it is.
    pub kind: TypeKind,
    /// Size in bytes.
    pub size: u64,
}

/// The types of a PDB.
///
/// All methods take `&self`. What was read is kept in caches within a budget. It stays on one thread.
pub struct TypeTable {
    records: Records,
    names: Names,
    pointer: u64,
    /// Where the types are described that other records only mention.
    resolved: Cache<u32>,
    layouts: Cache<Rc<Layout>>,
    enumerations: Cache<Rc<Enumeration>>,
}

impl core::fmt::Debug for TypeTable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TypeTable({:#x}..{:#x})", self.records.first, self.records.end)
    }
}

impl TypeTable {
    /// Bytes that a table keeps unless another budget is set.
    pub const DEFAULT_BUDGET: usize = 16 << 20;

    /// Opens the types of a PDB: reads the header and the index, no record. `budget` bounds the bytes that are kept; less
    /// than 1 MiB is taken as that. `None` if the PDB has no types.
    ///
    /// # Errors
    /// [`SymbolError`] if the header of the stream is damaged; or, where the index is damaged too, a record.
    pub fn open(pdb: &PdbFile, budget: usize) -> Result<Option<Self>, SymbolError> {
        let budget = budget.max(1 << 20);
        let Some(stream) = pdb.stream(TYPES)?.filter(|stream| !stream.is_empty()) else { return Ok(None) };
        let records = Records::open(stream, |number| pdb.stream(number), budget / 4)?;
        let several = records.hashes.as_ref().is_some_and(|hashes| hashes.newest.1 > 0);
        let texts = if several { pdb.named_stream("/names").ok().flatten() } else { None };
        let machine = pdb.identity().machine;
        Ok(Some(Self {
            records,
            names: Names::new(budget / 4, texts),
            pointer: machine.map_or(8, |machine| machine.pointer_size().into()),
            resolved: Cache::new(budget / 8),
            layouts: Cache::new(budget / 4),
            enumerations: Cache::new(budget / 8),
        }))
    }

    /// The numbers of all records. Numbers below stand for types that need none.
    #[must_use]
    pub const fn numbers(&self) -> core::ops::Range<u32> {
        self.records.first..self.records.end
    }

    /// The structure, union or enumeration of exactly that name: as the source has it (`_LIST_ENTRY`, `app::Window`), or
    /// as the linker does (`.?AU_LIST_ENTRY@@`). Of several the one that was
    /// linked last, if the PDB says which, or else the one with the lowest number.
    ///
    /// # Errors
    /// If the table of names or a record is damaged.
    pub fn find(&self, name: &str) -> Result<Option<Found>, SymbolError> {
        let wanted = name.as_bytes();
        let number =
            self.names.find(&self.records, wanted, wanted, |udt| udt.name == wanted || udt.unique == Some(wanted))?;
        number.map_or(Ok(None), |number| self.found(number))
    }

    /// The structure, union or enumeration of that name, or that the program also calls so (`typedef`). `pdb` is the one
    /// that the table was opened from.
    ///
    /// # Errors
    /// If a table of names or a record is damaged.
    pub fn find_any(&self, pdb: &PdbFile, name: &str) -> Result<Option<Found>, SymbolError> {
        if let Some(found) = self.find(name)? {
            return Ok(Some(found));
        }
        let Some(number) = pdb.typedef(name)? else { return Ok(None) };
        match self.type_ref(number)? {
            TypeRef::Struct(named) | TypeRef::Union(named) | TypeRef::Enum(named) => {
                self.number(&named)?.map_or(Ok(None), |number| self.found(number))
            }
            _ => Ok(None),
        }
    }

    /// All types whose names match `pattern` ([`matches()`]), in order of their numbers, at most `limit`. Reads all records
    /// once.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn list(&self, pattern: &str, limit: usize) -> Result<Vec<Found>, SymbolError> {
        let mut numbers = Vec::new();
        self.records.walk(|number, _, bytes, origin| {
            let Some(udt) = leaf::as_udt(bytes, origin)? else { return Ok(true) };
            if !udt.is_forward() && matches(pattern.as_bytes(), udt.name) {
                numbers.push(number);
            }
            Ok(numbers.len() < limit)
        })?;
        let mut all = Vec::with_capacity(numbers.len());
        for number in numbers {
            all.extend(self.found(number)?);
        }
        Ok(all)
    }

    /// What the type of that number is; the number of a record, or one that needs none.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn type_ref(&self, number: u32) -> Result<TypeRef, SymbolError> {
        self.reference(number, layout::DEPTH)
    }

    /// Size in bytes of the type of that number; `None` if it has none, or is described nowhere.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn size(&self, number: u32) -> Result<Option<u64>, SymbolError> {
        self.size_of(number, layout::DEPTH)
    }
}

impl Types for TypeTable {
    type Error = SymbolError;

    fn layout(&self, of: &Named) -> Result<Option<Rc<Layout>>, SymbolError> {
        let Some(number) = self.number(of)? else { return Ok(None) };
        if let Some(layout) = self.layouts.get(number) {
            return Ok(Some(layout));
        }
        let Some((layout, cost)) = self.make_layout(number)? else { return Ok(None) };
        let layout = Rc::new(layout);
        self.layouts.insert(number, Rc::clone(&layout), cost);
        Ok(Some(layout))
    }

    fn enumeration(&self, of: &Named) -> Result<Option<Rc<Enumeration>>, SymbolError> {
        let Some(number) = self.number(of)? else { return Ok(None) };
        if let Some(enumeration) = self.enumerations.get(number) {
            return Ok(Some(enumeration));
        }
        let Some((enumeration, cost)) = self.make_enumeration(number)? else { return Ok(None) };
        let enumeration = Rc::new(enumeration);
        self.enumerations.insert(number, Rc::clone(&enumeration), cost);
        Ok(Some(enumeration))
    }

    fn pointer_size(&self) -> u64 {
        self.pointer
    }
}

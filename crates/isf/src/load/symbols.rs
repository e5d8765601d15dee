use serde::de::MapAccess;

use super::{
    Loader,
    seeds::{Dictionary, Object, name, number, object},
};
use crate::{IsfErrorKind, names::Name, rows::SymbolRow};

/// The names and their addresses.
pub(super) struct Symbols;

impl Dictionary for Symbols {
    const WHAT: &'static str = "symbols";
    const LEVEL: usize = 0;

    fn entry<'de, A: MapAccess<'de>>(&mut self, name: Name, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        load.room("symbols", load.rows.symbols.len(), load.limits.symbols)?;
        let mut symbol = Symbol::default();
        object(&mut symbol, load, map)?;
        let Some(rva) = symbol.address else {
            return Err(load.fail(IsfErrorKind::Missing { what: "address of a symbol" }));
        };
        load.rows.symbols.push(SymbolRow { rva, name, linkage: symbol.linkage.unwrap_or(name) });
        Ok(())
    }
}

/// One symbol. Its type and its constant data are passed over: what is in memory is in the dump.
#[derive(Default)]
struct Symbol {
    address: Option<u64>,
    linkage: Option<Name>,
}

impl Object for Symbol {
    const WHAT: &'static str = "symbol";
    const KEYS: &'static [&'static str] = &["address", "linkage_name"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => self.address = Some(number("address of a symbol", load, map)?),
            _ => self.linkage = Some(name("linkage name of a symbol", load, map)?),
        }
        Ok(())
    }
}

use serde::de::{IgnoredAny, MapAccess};

use super::{
    Loader,
    seeds::{Object, name, number, object},
};
use crate::{
    Identity, IsfErrorKind,
    names::{Name, Names},
};

/// Newest major version of the format that is known.
const NEWEST: u32 = 6;

/// What a table says of itself.
#[derive(Default)]
pub(super) struct Metadata {
    format: Option<Name>,
    foreign: Option<&'static str>,
    windows: Windows,
}

impl Object for Metadata {
    const WHAT: &'static str = "metadata";
    const KEYS: &'static [&'static str] = &["format", "windows", "linux", "mac"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => self.format = Some(name("format version", load, map)?),
            1 => object(&mut self.windows, load, map)?,
            _ => {
                map.next_value::<IgnoredAny>()?;
                self.foreign = Some(if key == 2 { "Linux" } else { "macOS" });
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Windows {
    pdb: Pdb,
}

impl Object for Windows {
    const WHAT: &'static str = "metadata of Windows";
    const KEYS: &'static [&'static str] = &["pdb"];

    fn member<'de, A: MapAccess<'de>>(&mut self, _: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        object(&mut self.pdb, load, map)
    }
}

#[derive(Default)]
struct Pdb {
    guid: Option<Name>,
    age: Option<u32>,
    database: Option<Name>,
    machine: Option<u16>,
}

impl Object for Pdb {
    const WHAT: &'static str = "metadata of the PDB";
    const KEYS: &'static [&'static str] = &["GUID", "age", "database", "machine_type"];

    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error> {
        match key {
            0 => self.guid = Some(name("GUID", load, map)?),
            1 => self.age = Some(number("age", load, map)?),
            2 => self.database = Some(name("PDB name", load, map)?),
            _ => self.machine = Some(number("machine type", load, map)?),
        }
        Ok(())
    }
}

impl Metadata {
    /// Which image the table belongs to.
    pub(super) fn identity(&self, names: &Names) -> Result<Identity, IsfErrorKind> {
        let missing = |what| IsfErrorKind::Missing { what };
        let format = names.get(self.format.ok_or_else(|| missing("format version"))?);
        let major = format.split('.').next().and_then(|major| major.parse::<u32>().ok());
        match major.ok_or(IsfErrorKind::Invalid { what: "format version" })? {
            0..=NEWEST => {}
            _ => return Err(IsfErrorKind::Version { format: format.chars().take(32).collect() }),
        }
        let Pdb { guid, age, database, machine } = self.windows.pdb;
        let (Some(guid), Some(age)) = (guid, age) else {
            return Err(match self.foreign {
                Some(system) => IsfErrorKind::Foreign { system },
                None => missing("GUID and age of the PDB it was made from"),
            });
        };
        Ok(Identity {
            pdb_name: database.map(|name| names.get(name).to_owned()),
            guid: guid_bytes(names.get(guid)).ok_or(IsfErrorKind::Invalid { what: "GUID" })?,
            age,
            machine_type: machine,
            format: format.to_owned(),
        })
    }
}

/// The bytes of a GUID in file order, from its 32 digits.
fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | '{' | '}')).collect();
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    let [d0, d1, d2, d3, d4, d5, d6, d7] = rest;
    // The first three fields are numbers, and numbers are little-endian in a file.
    Some([a3, a2, a1, a0, b1, b0, c1, c0, d0, d1, d2, d3, d4, d5, d6, d7])
}

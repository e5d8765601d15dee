//! Everything in order, for listings and comparisons.

use std::rc::Rc;

use dumplens_base::ByteSource as _;

use super::{
    PdbFile, Place,
    function::Described,
    module::{Form, Module},
    records::{self, Record},
    stream::Window,
};
use crate::{SymbolError, SymbolKind};

/// A public symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPublic {
    /// As the linker knows it.
    pub name: String,
    /// Where it was linked.
    pub place: Place,
    /// Where it is now; `None` if its section does not exist or it was removed.
    pub rva: Option<u32>,
    /// Whether the PDB says that it is code.
    pub code: bool,
}

/// All public symbols, in the order of the file.
pub struct PublicSymbols<'a> {
    pdb: &'a PdbFile,
    window: Option<Window<'a>>,
    at: u64,
}

impl Iterator for PublicSymbols<'_> {
    type Item = Result<ListedPublic, SymbolError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.step().transpose()?;
        if result.is_err() {
            self.window = None;
        }
        Some(result)
    }
}

impl PublicSymbols<'_> {
    fn step(&mut self) -> Result<Option<ListedPublic>, SymbolError> {
        /// `fCode` and `fFunction`.
        const CODE: u32 = 3;
        let Some(window) = &mut self.window else { return Ok(None) };
        while self.at < window.end() {
            let origin = window.file_offset(self.at);
            let (kind, data, next) = records::at(window, self.at)?;
            self.at = next;
            if let Some(Record::Public { place, flags, name }) = records::parse(kind, data, origin)? {
                let name = String::from_utf8_lossy(name).into_owned();
                let rva = self.pdb.places()?.rva(place)?;
                return Ok(Some(ListedPublic { name, place, rva, code: flags & CODE != 0 }));
            }
        }
        Ok(None)
    }
}

/// A procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProcedure {
    /// Which module it is in, from 0.
    pub module: u32,
    /// As it stands in the file.
    pub name: String,
    /// Where it was linked.
    pub place: Place,
    /// Where it is now; `None` if its section does not exist or it was removed.
    pub rva: Option<u32>,
    /// Its length in bytes.
    pub length: u32,
    /// Whether other modules can name it.
    pub global: bool,
    /// What it is.
    pub kind: SymbolKind,
}

/// All procedures, module by module, by address in each.
pub struct Procedures<'a> {
    pdb: &'a PdbFile,
    module: u32,
    current: Option<Rc<Module>>,
    index: usize,
}

impl Iterator for Procedures<'_> {
    type Item = Result<ListedProcedure, SymbolError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(module) = &self.current {
                if let Some(procedure) = module.procedures.get(self.index) {
                    self.index = self.index.saturating_add(1);
                    let listed = self.pdb.described(module, procedure).and_then(|described| {
                        let (place, length) = (procedure.place(), procedure.len);
                        let Described { name, kind, .. } = described;
                        let rva = self.pdb.places()?.rva(place)?;
                        let global = procedure.form == Form::Global;
                        Ok(ListedProcedure { module: self.module, name, place, rva, length, global, kind })
                    });
                    return Some(listed);
                }
                let error = module.error;
                self.current = None;
                self.module = self.module.saturating_add(1);
                if let Some(error) = error {
                    return Some(Err(error));
                }
            }
            match self.pdb.dbi().and_then(|dbi| dbi.module(self.module)) {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => {
                    // The list of modules is damaged here: none can be found behind.
                    let first = self.module != u32::MAX;
                    self.module = u32::MAX;
                    return first.then_some(Err(error));
                }
            }
            match self.pdb.module(self.module) {
                Ok(Some(module)) => (self.current, self.index) = (Some(module), 0),
                Ok(None) => self.module = self.module.saturating_add(1),
                Err(error) => {
                    self.module = self.module.saturating_add(1);
                    return Some(Err(error));
                }
            }
        }
    }
}

/// A line of a module's line information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRecord {
    /// Where its code was linked.
    pub place: Place,
    /// Where its code is now.
    pub rva: Option<u32>,
    /// Bytes of code up to the next line.
    pub length: u32,
    /// Path of the source file, as on the machine that built it.
    pub file: Option<Rc<str>>,
    /// The line, from 1; `None` for code that comes from no line.
    pub line: Option<u32>,
}

impl PdbFile {
    /// All public symbols.
    ///
    /// # Errors
    /// If the stream that holds them cannot be found.
    pub fn public_symbols(&self) -> Result<PublicSymbols<'_>, SymbolError> {
        let window = self.symbol_records()?.map(|records| Window::new(records, records.len()));
        Ok(PublicSymbols { pdb: self, window, at: 0 })
    }

    /// All procedures.
    #[must_use]
    pub const fn procedures(&self) -> Procedures<'_> {
        Procedures { pdb: self, module: 0, current: None, index: 0 }
    }

    /// The name of a module (its object file), from 0; `None` if there are fewer.
    ///
    /// # Errors
    /// If the list of modules is damaged.
    pub fn module_name(&self, module: u32) -> Result<Option<String>, SymbolError> {
        let dbi = self.dbi()?;
        dbi.module(module)?.map(|entry| dbi.module_name(&entry)).transpose()
    }

    /// All lines of a module, from 0, by address.
    ///
    /// # Errors
    /// If its line information is damaged.
    pub fn lines(&self, module: u32) -> Result<Vec<LineRecord>, SymbolError> {
        let Some(module) = self.module(module)? else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        for part in module.all_lines() {
            for row in part.rows(&module.stream)? {
                let place = Place { section: part.section, offset: row.start };
                lines.push(LineRecord {
                    place,
                    rva: self.places()?.rva(place)?,
                    length: row.end.saturating_sub(row.start),
                    file: self.file_name(&module, row.file)?,
                    line: (row.line != 0).then_some(row.line),
                });
            }
        }
        Ok(lines)
    }
}

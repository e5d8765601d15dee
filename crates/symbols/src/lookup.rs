//! What a lookup answers.

use core::fmt;
use std::rc::Rc;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// A procedure whose range is known.
    Procedure,
    /// A piece of code that leads elsewhere.
    Thunk,
    /// A part of a procedure that the compiler put elsewhere.
    Separated,
    /// Data of a module.
    Data,
    /// A public symbol: where it ends is not known, and what it names may have ended long before.
    Public,
}

impl SymbolKind {
    /// In one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Procedure => "procedure",
            Self::Thunk => "thunk",
            Self::Separated => "separated code",
            Self::Data => "data",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for SymbolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A function that was inlined where the address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineFrame {
    /// Its name; empty if the PDB does not have it.
    pub function: Rc<str>,
    /// Path of the source file, as on the machine that built it.
    pub file: Option<Rc<str>>,
    /// Line in that file, from 1; `None` also for what the compiler made up itself.
    pub line: Option<u32>,
}

/// What stands at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The function that was compiled there, or the data, as people read it.
    pub function: Rc<str>,
    /// As the linker knows it: the public symbol at the same place if there is one.
    pub raw_name: Rc<str>,
    /// Where it begins, in bytes from the start of the image.
    pub function_rva: u32,
    /// How far in the address is, in bytes. In an image that was rearranged after linking, as it was linked.
    pub function_offset: u32,
    /// Its length in bytes, where the PDB has it. The offset may pass it: behind a function stands padding.
    pub length: Option<u32>,
    /// What it is.
    pub kind: SymbolKind,
    /// Path of the source file, as on the machine that built it. If something was inlined there, of the call.
    pub file: Option<Rc<str>>,
    /// Line in that file, from 1; `None` also for what the compiler made up itself.
    pub line: Option<u32>,
    /// What was inlined there, innermost first.
    pub inlines: Vec<InlineFrame>,
}

impl Location {
    /// As debuggers print it: `mod!symbol+0x1f`; no offset if there is none.
    #[must_use]
    pub fn in_module(&self, module: &str) -> String {
        format!("{module}!{self}")
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        if self.function_offset != 0 {
            write!(f, "+{:#x}", self.function_offset)?;
        }
        Ok(())
    }
}

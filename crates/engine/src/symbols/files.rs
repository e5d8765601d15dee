//! Symbol files, recognised by content.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
};
use core::{cell::OnceCell, fmt};

use dumplens_base::Source;
use dumplens_dump::Guid;
use dumplens_image::{CodeView, ExportIndex, FileImage, Image};
use dumplens_isf::Isf;
use dumplens_symbols::PdbFile;

use super::{Names, Place};

/// A symbol file.
pub(crate) struct SymbolFile {
    /// What it was called when it was dropped.
    pub(crate) name: String,
    /// Bytes that it has.
    size: u64,
    pub(crate) content: Content,
}

/// What a symbol file is.
pub(crate) enum Content {
    /// An image: it names its PDB, and has exports.
    Image(Box<ImageFile>),
    /// A symbol table of Volatility 3: names and types of one image.
    Isf(Box<Isf>),
    /// A program database.
    Pdb(Box<PdbFile>),
}

/// A dropped image.
pub(crate) struct ImageFile {
    pub(crate) image: Image<FileImage>,
    pub(crate) code_view: Option<CodeView>,
    exports: OnceCell<Option<ExportIndex>>,
}

/// Why a file was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddError {
    /// It is no symbol file: what it is instead.
    NotSymbols(String),
    /// It starts like one, but cannot be read.
    Damaged(String),
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSymbols(what) => write!(f, "not a symbol file: {what}"),
            Self::Damaged(why) => write!(f, "damaged symbol file: {why}"),
        }
    }
}

impl core::error::Error for AddError {}

/// Bytes that one PDB keeps in its caches.
const PDB_BUDGET: usize = 16 << 20;

/// Whether a file starts like a PDB of any kind: the reader refuses the kinds it does not know by name.
fn is_pdb(start: &[u8]) -> bool {
    start.starts_with(b"Microsoft C/C++") || start.starts_with(b"BSJB")
}

impl SymbolFile {
    /// Tells what a file is, and reads its identity.
    pub(crate) fn open(source: Source, name: &str) -> Result<Self, AddError> {
        let size = source.len();
        let mut head = [0; 32];
        let len = usize::try_from(size).unwrap_or(usize::MAX).min(head.len());
        let start = head.get_mut(..len).unwrap_or_default();
        source.read_at(0, start).map_err(|error| AddError::Damaged(error.to_string()))?;
        let content = if start.starts_with(b"MZ") {
            Content::Image(Box::new(ImageFile::open(source)?))
        } else if is_pdb(start) {
            let pdb = PdbFile::open(source, PDB_BUDGET);
            Content::Pdb(Box::new(pdb.map_err(|error| AddError::Damaged(error.to_string()))?))
        } else if dumplens_isf::sniff(&*source).is_some() {
            let table = Isf::open(source, dumplens_isf::Limits::default());
            Content::Isf(Box::new(table.map_err(|error| AddError::Damaged(error.to_string()))?))
        } else {
            let start: String = start.iter().take(8).map(|byte| format!(" {byte:02x}")).collect();
            return Err(AddError::NotSymbols(format!("it starts with{start}")));
        };
        Ok(Self { name: name.into(), size, content })
    }

    /// Whether the content is the same, as far as identity and size tell: comparing all bytes of large files takes too long.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.size == other.size
            && match (&self.content, &other.content) {
                (Content::Image(a), Content::Image(b)) => a.image.headers() == b.image.headers(),
                (Content::Isf(a), Content::Isf(b)) => a.identity() == b.identity(),
                (Content::Pdb(a), Content::Pdb(b)) => a.identity() == b.identity(),
                _ => false,
            }
    }

    /// What it is, in words.
    pub(crate) fn identity(&self) -> String {
        match &self.content {
            Content::Image(image) => {
                let headers = image.image.headers();
                format!("image, time stamp {:#x}, size {:#x}", headers.timestamp, headers.size_of_image)
            }
            Content::Pdb(pdb) => {
                let identity = pdb.identity();
                format!("PDB {}, age {}", Guid(identity.guid), identity.age)
            }
            Content::Isf(table) => {
                let identity = table.identity();
                let name = identity.pdb_name.as_deref().unwrap_or("an unnamed PDB");
                format!("symbol table of {name} {}, age {}", Guid(identity.guid), identity.age)
            }
        }
    }
}

impl ImageFile {
    fn open(source: Source) -> Result<Self, AddError> {
        let damaged = |error: dumplens_image::ImageError| AddError::Damaged(error.to_string());
        let image = Image::file(source).map_err(damaged)?;
        // An image without a debug record still has exports.
        let code_view = image.code_view().ok().flatten();
        Ok(Self { image, code_view, exports: OnceCell::new() })
    }

    fn exports(&self) -> Option<&ExportIndex> {
        self.exports.get_or_init(|| self.image.export_index().ok()).as_ref()
    }
}

/// Exports name places where nothing better does.
impl Names for ImageFile {
    fn place(&self, rva: u32) -> Option<Place> {
        export_place(self.exports()?, rva)
    }
}

/// Exported functions are seldom longer; beyond, the name most likely belongs to a function before.
const PLAUSIBLE_EXPORT: u32 = 0x1000;

/// The exported name at or before an address.
pub(crate) fn export_place(index: &ExportIndex, rva: u32) -> Option<Place> {
    let (export, offset) = index.nearest(rva)?;
    let function = export.name.clone().unwrap_or_else(|| format!("Ordinal{}", export.ordinal));
    let note = (offset >= PLAUSIBLE_EXPORT)
        .then_some("the nearest exported name is far away: the function is most likely another, unnamed one");
    Some(Place { function, offset: u64::from(offset), file: None, line: None, inlines: alloc::vec![], note })
}

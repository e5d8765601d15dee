use alloc::{string::String, vec, vec::Vec};
use core::cmp::Ordering;

use dumplens_base::Bytes;

use crate::{DataDirectory, ImageBytes, ImageError, ImageErrorKind, bytes, limits};

/// One export. An address that has several names is several exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The ordinal, with the directory's base added.
    pub ordinal: u32,
    /// The name; `None` if it is exported by ordinal only, or if its name could not be read.
    pub name: Option<String>,
    /// Where the code or data stands. For a forwarder, where its text stands.
    pub rva: u32,
    /// For a forwarder, the export of another module that it stands for: `NTDLL.RtlAllocateHeap`, `KERNEL32.#12`.
    pub forwarder: Option<String>,
}

/// The exports of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// What could be read, ordered by ordinal.
    pub list: Vec<Export>,
    /// How many addresses, names and forwarders could not be read, or make no sense.
    pub unreadable: u32,
    /// The first reason for that.
    pub error: Option<ImageError>,
}

impl Exports {
    fn lost(&mut self, count: usize, error: ImageError) {
        self.unreadable = self.unreadable.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.error.get_or_insert(error);
    }
}

/// `IMAGE_EXPORT_DIRECTORY`, its counts checked.
struct Table {
    range: DataDirectory,
    ordinal_base: u32,
    address_count: u32,
    name_count: u32,
    addresses: u32,
    names: u32,
    ordinals: u32,
}

impl Table {
    fn read(image: &dyn ImageBytes, range: DataDirectory) -> Result<Self, ImageError> {
        let head = bytes::array::<40>(image, range.rva, "export directory")?;
        let mut head = Bytes::new(&head, range.rva.into());
        head.skip(16, "export directory")?;
        let table = Self {
            range,
            ordinal_base: head.u32("ordinal base")?,
            address_count: head.u32("number of exports")?,
            name_count: head.u32("number of export names")?,
            addresses: head.u32("export address table")?,
            names: head.u32("export name table")?,
            ordinals: head.u32("export ordinal table")?,
        };
        ImageError::check("number of exports", range.rva, table.address_count, limits::EXPORTS)?;
        ImageError::check("number of export names", range.rva, table.name_count, limits::EXPORTS)?;
        if table.ordinal_base.checked_add(table.address_count).is_none() {
            return Err(ImageError::invalid("ordinal base", range.rva, table.ordinal_base.into()));
        }
        Ok(table)
    }

    /// The export at `index` of the address table, whose entry is `rva`.
    fn export(&self, image: &dyn ImageBytes, index: u32, rva: u32) -> Result<Export, ImageError> {
        // An address inside the directory is the text of a forwarder: no code can be there.
        let forwarder = self.range.contains(rva).then(|| bytes::text(image, rva, "forwarder")).transpose()?;
        let ordinal = self.ordinal_base.saturating_add(index);
        Ok(Export { ordinal, name: None, rva, forwarder: forwarder.map(text) })
    }

    /// The RVA of entry `index` of a table whose entries have `size` bytes.
    fn entry(table: u32, index: u32, size: u32, what: &'static str) -> Result<u32, ImageError> {
        let rva = index.checked_mul(size).and_then(|offset| table.checked_add(offset));
        rva.ok_or(ImageError::invalid(what, table, index.into()))
    }
}

fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Every export of the directory.
pub(crate) fn all(image: &dyn ImageBytes, range: Option<DataDirectory>) -> Result<Exports, ImageError> {
    let mut found = Exports::default();
    let Some(range) = range else { return Ok(found) };
    let table = Table::read(image, range)?;
    let mut fetch = |rva, count: u32, size: u32, what| {
        if count == 0 {
            return Vec::new();
        }
        let (bytes, result) = bytes::prefix(image, rva, count.saturating_mul(size), what);
        if let Err(error) = result {
            found.lost(count as usize - bytes.len() / size as usize, error);
        }
        bytes
    };
    let addresses = fetch(table.addresses, table.address_count, 4, "export address table");
    let names = fetch(table.names, table.name_count, 4, "export name table");
    let ordinals = fetch(table.ordinals, table.name_count, 2, "export ordinal table");

    let mut listing = Listing { found, table: &table, budget: limits::EXPORT_TEXT as usize };
    let mut named = vec![false; table.address_count as usize];
    for position in 0..table.name_count as usize {
        let (Some(name), Some(index)) = (bytes::u32_at(&names, position), bytes::u16_at(&ordinals, position)) else {
            break;
        };
        let Some(flag) = named.get_mut(usize::from(index)) else {
            listing.found.lost(1, ImageError::invalid("export ordinal", table.ordinals, index.into()));
            continue;
        };
        // Entries of the address table that could not be read have been counted; 0 is a hole.
        let Some(rva) = bytes::u32_at(&addresses, index.into()).filter(|rva| *rva != 0) else { continue };
        let Some(name) = listing.spend(bytes::text(image, name, "export name"), Vec::len)? else { continue };
        *flag = true;
        listing.add(image, index.into(), rva, Some(text(name)))?;
    }
    for (index, named) in (0_u32..).zip(named) {
        match bytes::u32_at(&addresses, index as usize) {
            Some(rva) if rva != 0 && !named => listing.add(image, index, rva, None)?,
            _ => {}
        }
    }
    let mut found = listing.found;
    found.list.sort_by_key(|export| export.ordinal);
    Ok(found)
}

/// A list in the making. Tables whose entries all point to one long text would let it grow without bound, so all
/// text comes out of one budget.
struct Listing<'a> {
    found: Exports,
    table: &'a Table,
    /// Bytes of text that may still be read.
    budget: usize,
}

impl Listing<'_> {
    /// Takes what was read out of the budget; `None` if it could not be read, which is counted.
    fn spend<T>(&mut self, read: Result<T, ImageError>, len: impl Fn(&T) -> usize) -> Result<Option<T>, ImageError> {
        let cost = match &read {
            Ok(read) => len(read),
            // Text read in vain has been read as well.
            Err(ImageError { kind: ImageErrorKind::Unterminated { limit }, .. }) => *limit as usize,
            Err(_) => 0,
        };
        let limit = u64::from(limits::EXPORT_TEXT);
        let kind = ImageErrorKind::TooMany { value: limit.saturating_add(1), limit };
        let too_much = ImageError { what: "text of the exports", rva: self.table.range.rva, kind };
        self.budget = self.budget.checked_sub(cost).ok_or(too_much)?;
        Ok(read.map_err(|error| self.found.lost(1, error)).ok())
    }

    fn add(&mut self, image: &dyn ImageBytes, index: u32, rva: u32, name: Option<String>) -> Result<(), ImageError> {
        let export = self.table.export(image, index, rva);
        let export = self.spend(export, |export| export.forwarder.as_ref().map_or(0, String::len))?;
        self.found.list.extend(export.map(|export| Export { name, ..export }));
        Ok(())
    }
}

/// The name of the module, as the export directory has it.
pub(crate) fn module_name(image: &dyn ImageBytes, range: Option<DataDirectory>) -> Result<Option<String>, ImageError> {
    let Some(range) = range else { return Ok(None) };
    let head = bytes::array::<40>(image, range.rva, "export directory")?;
    match bytes::u32_at(&head, 3) {
        Some(rva) if rva != 0 => bytes::text(image, rva, "module name").map(|name| Some(text(name))),
        _ => Ok(None),
    }
}

/// Looks `name` up as the loader does.
pub(crate) fn find(
    image: &dyn ImageBytes,
    range: Option<DataDirectory>,
    name: &str,
) -> Result<Option<Export>, ImageError> {
    let Some(range) = range else { return Ok(None) };
    if name.len() >= limits::TEXT as usize || name.bytes().any(|byte| byte == 0) {
        return Ok(None);
    }
    let table = Table::read(image, range)?;
    let (mut low, mut high) = (0, table.name_count);
    while low < high {
        let middle = low.midpoint(high);
        let entry = Table::entry(table.names, middle, 4, "export name table")?;
        let rva = u32::from_le_bytes(bytes::array(image, entry, "export name table")?);
        match compare(image, rva, name.as_bytes())? {
            Ordering::Less => low = middle.saturating_add(1),
            Ordering::Greater => high = middle,
            Ordering::Equal => return at_name(image, &table, middle, name).map(Some),
        }
    }
    Ok(None)
}

/// How the name at `rva` stands to `wanted`. No more is read than decides it.
fn compare(image: &dyn ImageBytes, rva: u32, wanted: &[u8]) -> Result<Ordering, ImageError> {
    let mut buf = vec![0; wanted.len().saturating_add(1)];
    let read = image.read_prefix(rva, &mut buf);
    let present = buf.get(..read.filled).unwrap_or_default();
    let ended = wanted.iter().copied().chain([0]);
    for (have, want) in present.iter().copied().zip(ended) {
        match have.cmp(&want) {
            Ordering::Equal => {}
            other => return Ok(other),
        }
    }
    // All bytes that are there agree: equal if that was all of them.
    read.complete(rva, "export name").map(|()| Ordering::Equal)
}

fn at_name(image: &dyn ImageBytes, table: &Table, position: u32, name: &str) -> Result<Export, ImageError> {
    let entry = Table::entry(table.ordinals, position, 2, "export ordinal table")?;
    let index = u32::from(u16::from_le_bytes(bytes::array(image, entry, "export ordinal table")?));
    if index >= table.address_count {
        return Err(ImageError::invalid("export ordinal", entry, index.into()));
    }
    let entry = Table::entry(table.addresses, index, 4, "export address table")?;
    let rva = u32::from_le_bytes(bytes::array(image, entry, "export address table")?);
    if rva == 0 {
        return Err(ImageError::invalid("export address", entry, 0));
    }
    Ok(Export { name: Some(name.into()), ..table.export(image, index, rva)? })
}

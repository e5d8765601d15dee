//! The resource tree: type, name, language. It is walked as three fixed steps, so no cycle can be followed.

use dumplens_base::Bytes;

use crate::{DataDirectory, ImageBytes, ImageError, bytes, limits};

/// Set in an entry's first field if it is a name, in its second field if it points to a further directory.
const HIGH: u32 = 0x8000_0000;

/// Where the data of a resource stands.
pub(crate) struct Resource {
    /// RVA of the data.
    pub(crate) rva: u32,
    /// Length in bytes, as the tree claims it.
    pub(crate) size: u32,
    /// Language of the resource, a Windows `LANGID`.
    pub(crate) language: u16,
}

/// One entry of a resource directory.
#[derive(Clone, Copy)]
struct Entry {
    id: u32,
    target: u32,
    /// Where the entry stands.
    rva: u32,
}

impl Entry {
    /// Offset of the directory or of the data that the entry points to; `directory` says which it must be.
    fn offset(self, directory: bool) -> Result<u32, ImageError> {
        if (self.target & HIGH != 0) == directory {
            return Ok(self.target & !HIGH);
        }
        Err(ImageError::invalid("resource entry", self.rva, self.target.into()))
    }
}

/// Finds the resource of type `kind`. Of several names and languages the best is taken: name 1, English, neutral,
/// otherwise the first.
pub(crate) fn find(image: &dyn ImageBytes, tree: DataDirectory, kind: u32) -> Result<Option<Resource>, ImageError> {
    let Some(by_type) = best(image, tree, 0, |id| u8::from(id == kind))?.filter(|entry| entry.id == kind) else {
        return Ok(None);
    };
    let Some(by_name) = best(image, tree, by_type.offset(true)?, |id| u8::from(id == 1))? else { return Ok(None) };
    let english = |id| match id {
        0x409 => 3,
        // Any other English.
        id if id & 0x3ff == 9 => 2,
        0 => 1,
        _ => 0,
    };
    let Some(leaf) = best(image, tree, by_name.offset(true)?, english)? else { return Ok(None) };
    let entry_rva = at(tree, leaf.offset(false)?)?;
    let entry = bytes::array::<16>(image, entry_rva, "resource data entry")?;
    let mut entry = Bytes::new(&entry, entry_rva.into());
    let (rva, size) = (entry.u32("RVA of the resource")?, entry.u32("size of the resource")?);
    Ok(Some(Resource { rva, size, language: u16::try_from(leaf.id).unwrap_or(0) }))
}

fn at(tree: DataDirectory, offset: u32) -> Result<u32, ImageError> {
    tree.rva.checked_add(offset).ok_or(ImageError::invalid("resource offset", tree.rva, offset.into()))
}

/// The first entry of a directory that `rank` ranks highest.
fn best(
    image: &dyn ImageBytes,
    tree: DataDirectory,
    offset: u32,
    rank: impl Fn(u32) -> u8,
) -> Result<Option<Entry>, ImageError> {
    let rva = at(tree, offset)?;
    let head = bytes::array::<16>(image, rva, "resource directory")?;
    let mut head = Bytes::new(&head, rva.into());
    head.skip(12, "resource directory")?;
    let count = u32::from(head.u16("number of named resources")?) + u32::from(head.u16("number of resources")?);
    ImageError::check("number of resources", rva, count, limits::RESOURCE_ENTRIES)?;
    let entries_rva = at(tree, offset.saturating_add(16))?;
    let table = bytes::vec(image, entries_rva, count.saturating_mul(8), "resource entries")?;
    let mut table = Bytes::new(&table, entries_rva.into());
    let mut best: Option<(u8, Entry)> = None;
    for _ in 0..count {
        let rva = u32::try_from(table.offset()).unwrap_or(u32::MAX);
        let entry = Entry { id: table.u32("resource id")?, target: table.u32("resource target")?, rva };
        let rank = rank(entry.id);
        if best.is_none_or(|(highest, _)| rank > highest) {
            best = Some((rank, entry));
        }
    }
    Ok(best.map(|(_, entry)| entry))
}

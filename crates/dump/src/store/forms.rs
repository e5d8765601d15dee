//! The forms in which kernel dumps list their pages.

use alloc::{format, vec::Vec};

use dumplens_base::{ByteSource, Bytes, Note, PAGE_SIZE, ReadError, Source, read_record};

use super::{Bitmap, PageExtent, PageStore, Pages, RunTable};
use crate::{kernel::KernelHeader, limits};

/// Says how much of `total` pages a file that ends early lacks, and makes it a note.
fn note_cut(len: u64, first_page: u64, total: u64, notes: &mut Vec<Note>) {
    let there = len.saturating_sub(first_page) / PAGE_SIZE;
    let missing = total.saturating_sub(there);
    if missing > 0 {
        let tenths = u128::from(missing) * 1000 / u128::from(total.max(1));
        notes.push(Note::damaged(format!(
            "the file is cut off: {missing} of {total} pages ({}.{} %) are missing; the pages before are read",
            tenths / 10,
            tenths % 10
        )));
    }
}

/// Turns runs that stand one after another from `first_page` into extents.
fn packed(runs: impl Iterator<Item = (u64, u64)>, first_page: u64) -> Vec<PageExtent> {
    let mut offset = first_page;
    runs.filter(|(_, pages)| *pages > 0)
        .map(|(pfn, pages)| {
            let extent = PageExtent { pfn, pages, offset };
            offset = offset.saturating_add(pages.saturating_mul(PAGE_SIZE));
            extent
        })
        .collect()
}

/// Complete dumps: the header's runs, packed behind the header.
pub(crate) fn full_store(source: Source, header: &KernelHeader, notes: &mut Vec<Note>) -> Option<PageStore> {
    if header.physical_runs.is_empty() {
        notes.push(Note::damaged("the header lists no runs of physical pages: its memory cannot be read"));
        return None;
    }
    let extents = packed(header.physical_runs.iter().map(|run| (run.base_page, run.page_count)), header.size());
    let total = extents.iter().fold(0_u64, |sum, extent| sum.saturating_add(extent.pages));
    note_cut(source.len(), header.size(), total, notes);
    let runs = RunTable::new(extents, notes);
    Some(PageStore::new(source, Pages::Runs(runs)))
}

/// What a bitmap's header says, in either of its two forms.
struct BitmapHeader {
    bitmap: u64,
    bits: u64,
    first_page: u64,
    present: u64,
}

fn checked_bitmap(source: Source, header: &BitmapHeader, notes: &mut Vec<Note>) -> Result<PageStore, ReadError> {
    let BitmapHeader { bitmap, mut bits, first_page, present } = *header;
    if bits == 0 || bits > limits::PAGE_FRAMES {
        return Err(ReadError::invalid("number of bits in the page bitmap", bitmap, bits));
    }
    if first_page <= bitmap || !first_page.is_multiple_of(PAGE_SIZE) {
        return Err(ReadError::invalid("offset of the first page", bitmap, first_page));
    }
    let room = first_page.min(source.len()).saturating_sub(bitmap).saturating_mul(8);
    if bits > room {
        notes.push(Note::damaged(format!(
            "the page bitmap claims {bits} pages of address space, but has room for {room} before the first page or \
             the end of the file; the rest is ignored"
        )));
        bits = room;
    }
    if present > bits {
        notes.push(Note::damaged(format!(
            "the header counts {present} stored pages, more than the {bits} that the bitmap can name"
        )));
    }
    note_cut(source.len(), first_page, present.min(bits), notes);
    Ok(PageStore::new(source, Pages::Bitmap(Bitmap::new(bitmap, bits, first_page, present.min(bits)))))
}

/// Bitmap dumps of Windows 8 and later (`SDMP` and `FDMP`).
pub(crate) fn bitmap_store(source: Source, at: u64, notes: &mut Vec<Note>) -> Result<PageStore, ReadError> {
    let raw = read_record(&source, at, 0x38, 0x38, "bitmap dump header")?;
    let mut bytes = Bytes::new(&raw, at);
    bytes.seek(0x20, "bitmap dump header")?;
    let header = BitmapHeader {
        first_page: bytes.u64("offset of the first page")?,
        present: bytes.u64("number of stored pages")?,
        bits: bytes.u64("number of bits in the page bitmap")?,
        bitmap: at.saturating_add(0x38),
    };
    checked_bitmap(source, &header, notes)
}

/// Kernel dumps up to Windows 7 (type 2): other fields, same bitmap. Some writers put the newer header behind type 2;
/// `Ok(None)` says that this is one.
pub(crate) fn summary_store(
    source: Source,
    at: u64,
    wide: bool,
    notes: &mut Vec<Note>,
) -> Result<Option<PageStore>, ReadError> {
    let size = if wide { 0x28 } else { 0x20 };
    let raw = read_record(&source, at, size, size, "summary dump header")?;
    let mut bytes = Bytes::new(&raw, at);
    bytes.seek(0xc, "summary dump header")?;
    let first_page = u64::from(bytes.u32("offset of the first page")?);
    let bits = u64::from(bytes.u32("number of bits in the page bitmap")?);
    let present = u64::from(bytes.u32("number of stored pages")?);
    let again = u64::from(bytes.u32("size of the bitmap")?);
    if first_page == 0 || !first_page.is_multiple_of(PAGE_SIZE) || bits != again {
        return Ok(None);
    }
    let header = BitmapHeader { bitmap: at.saturating_add(size), bits, first_page, present };
    checked_bitmap(source, &header, notes).map(Some)
}

/// Range dumps, as newer debuggers write them (`RDMP`): a list of page ranges, then the pages.
///
/// Types 8 and 9 end their list with a zero page frame number; type 10 counts its pages.
pub(crate) fn range_store(
    source: Source,
    at: u64,
    dump_type: Option<u32>,
    notes: &mut Vec<Note>,
) -> Result<PageStore, ReadError> {
    let raw = read_record(&source, at, 0x30, 0x30, "range dump header")?;
    let mut bytes = Bytes::new(&raw, at);
    bytes.seek(0x10, "range dump header")?;
    let metadata = bytes.u64("size of the range list")?;
    let first_page = bytes.u64("offset of the first page")?;
    bytes.skip(8, "range dump header")?;
    let counted = bytes.u64("number of pages")?;
    let list = at.saturating_add(0x30);
    if first_page <= list || first_page > source.len() {
        return Err(ReadError::invalid("offset of the first page", at.saturating_add(0x18), first_page));
    }
    let room = (first_page - list) / 16;
    let claimed = metadata.saturating_sub(0x10) / 16;
    if claimed > room {
        notes.push(Note::damaged(format!(
            "the range list claims {claimed} ranges, but has room for {room} before the first page"
        )));
    }
    let entries = claimed.min(room).min(limits::PAGE_RANGES);
    let expected = if dump_type == Some(10) { Some(counted) } else { None };
    let (mut runs, mut total) = (Vec::<(u64, u64)>::new(), 0_u64);
    let mut done = 0;
    'all: while done < entries {
        let step = (entries - done).min(4096);
        let raw = read_record(&source, list + done * 16, step * 16, 4096 * 16, "page ranges")?;
        let mut bytes = Bytes::new(&raw, list + done * 16);
        for _ in 0..step {
            let (pfn, pages) = (bytes.u64("page range")?, bytes.u64("page range")?);
            let finished = match expected {
                Some(expected) => total >= expected,
                None => pfn == 0 && !(runs.is_empty() && pages > 0),
            };
            if finished {
                break 'all;
            }
            total = total.saturating_add(pages);
            match runs.last_mut() {
                Some((first, count)) if first.checked_add(*count) == Some(pfn) => *count = count.saturating_add(pages),
                _ => runs.push((pfn, pages)),
            }
        }
        done += step;
    }
    if let Some(expected) = expected.filter(|expected| *expected != total) {
        notes.push(Note::damaged(format!("the header counts {expected} pages, its ranges {total}")));
    }
    if runs.is_empty() {
        return Err(ReadError::invalid("number of page ranges", at, 0));
    }
    note_cut(source.len(), first_page, total, notes);
    let table = RunTable::new(packed(runs.into_iter(), first_page), notes);
    Ok(PageStore::new(source, Pages::Runs(table)))
}

use std::cell::Cell;

use dumplens_base::{Fault, Memory, ReadOutcome, Region, Searched, Va};
use dumplens_image::{Image, ImageBytes, ImageError, limits};

use crate::{budget, file::File};

const BASE: u64 = 0xffff_f800_1000_0000;
/// Most bytes that may be read of an image in memory.
const MOST_READ: u64 = 64 << 20;

/// An image in memory; pages may be absent.
struct Mapped<'a> {
    bytes: &'a [u8],
    absent: u16,
    read: Cell<u64>,
}

impl Memory for Mapped<'_> {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        self.read.set(self.read.get() + buf.len() as u64);
        assert!(self.read.get() < MOST_READ, "the reading does not end");
        let mut filled = 0;
        while filled < buf.len() {
            let at = va.0 + filled as u64;
            let place = at.checked_sub(BASE).map(|place| place as usize);
            let there = place.filter(|place| *place >= 0x1_0000 || self.absent >> (place >> 12) & 1 == 0);
            let Some(found) = there.and_then(|place| self.bytes.get(place..)).filter(|found| !found.is_empty()) else {
                let fault = Some(Fault::NotInDump { va: Va(at), searched: Searched::Nothing });
                return ReadOutcome { filled, fault };
            };
            let len = found.len().min(buf.len() - filled).min(0x1000 - (at % 0x1000) as usize);
            buf[filled..filled + len].copy_from_slice(&found[..len]);
            filled += len;
        }
        ReadOutcome::complete(filled)
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

/// A PE image, read as a file and as memory.
///
/// Two bytes say which of the first sixteen pages are absent in memory; the rest is the image.
pub fn image(data: &[u8]) {
    let [low, high, bytes @ ..] = data else { return };
    budget::within(64, || {
        everything(Image::file(File::plain(bytes)));
        let memory = Mapped { bytes, absent: u16::from_le_bytes([*low, *high]), read: Cell::new(0) };
        everything(Image::mapped(&memory, Va(BASE)));
    });
}

fn everything<B: ImageBytes>(image: Result<Image<B>, ImageError>) {
    let image = match image {
        Ok(image) => image,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(image.sections().len() <= limits::SECTIONS as usize && !image.headers().store_key().is_empty());
    if let Ok(Some(record)) = image.code_view() {
        let _ = (record.path(), record.file_name());
    }
    if let Ok(exports) = image.exports() {
        assert!(exports.list.len() <= 2 * limits::EXPORTS as usize);
        assert!(exports.list.is_sorted_by_key(|export| export.ordinal));
        for name in exports.list.iter().filter_map(|export| export.name.as_deref()).take(20) {
            // The names may not be sorted: then one may not be found, but never another.
            let found = image.find_export(name).ok().flatten();
            assert!(found.is_none_or(|found| found.name.as_deref() == Some(name)));
        }
    }
    if let Ok(index) = image.export_index() {
        for rva in (0..0x9000).step_by(0x333) {
            assert!(index.nearest(rva).is_none_or(|(export, distance)| export.rva + distance == rva));
        }
    }
    let _ = (image.export_module_name(), image.exception_directory());
    if let Ok(Some(version)) = image.version() {
        assert!(version.strings.len() <= limits::VERSION_STRINGS as usize);
    }
}

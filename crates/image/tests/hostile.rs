//! Damaged images never panic, and cost a bounded amount of reading.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod build;

use std::{cell::Cell, collections::BTreeSet, rc::Rc};

use build::{BASE, Pages, Pe};
use dumplens_base::{ByteSource, Memory, ReadOutcome, Region, SourceError, Va};
use dumplens_image::{Image, ImageBytes, ImageError};
use proptest::prelude::*;

/// Asks an image for everything.
fn everything<B: ImageBytes>(image: Result<Image<B>, ImageError>) {
    let Ok(image) = image else { return };
    let _ = image.code_view().map_err(|error| error.to_string());
    if let Ok(exports) = image.exports() {
        for name in exports.list.iter().filter_map(|export| export.name.as_deref()).take(20) {
            let _ = image.find_export(name);
        }
        let text: usize = exports.list.iter().filter_map(|export| export.name.as_ref()).map(String::len).sum();
        // Replacement characters may take three bytes each.
        assert!(text <= 3 * dumplens_image::limits::EXPORT_TEXT as usize);
        assert!(exports.list.len() <= 2 * dumplens_image::limits::EXPORTS as usize);
    }
    if let Ok(index) = image.export_index() {
        (0..0x9000)
            .step_by(0x333)
            .for_each(|rva| assert!(index.nearest(rva).is_none_or(|(export, _)| export.rva <= rva)));
    }
    let _ = (image.export_module_name(), image.exception_directory());
    if let Ok(Some(version)) = image.version() {
        assert!(version.strings.len() <= dumplens_image::limits::VERSION_STRINGS as usize);
    }
}

/// Counts what is read.
struct Counted<T> {
    inner: T,
    bytes: Cell<u64>,
}

impl<T> Counted<T> {
    fn add(&self, len: usize) {
        self.bytes.set(self.bytes.get() + len as u64);
        assert!(self.bytes.get() < 64 << 20, "the reading does not end");
    }
}

impl Memory for Counted<Pages> {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let read = self.inner.read(va, buf);
        self.add(read.filled);
        read
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        self.inner.next_region(va)
    }
}

impl ByteSource for Counted<Vec<u8>> {
    fn len(&self) -> u64 {
        ByteSource::len(&self.inner)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.add(buf.len());
        self.inner.read_at(offset, buf)
    }
}

fn ask(file: Vec<u8>, mapped: Vec<u8>, absent: BTreeSet<u32>) {
    everything(Image::file(Rc::new(Counted { inner: file, bytes: Cell::new(0) })));
    let memory = Counted { inner: Pages { base: BASE, bytes: mapped, absent }, bytes: Cell::new(0) };
    everything(Image::mapped(&memory, Va(BASE)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn flipped_bytes_and_cut_ends(
        is_64bit: bool,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        absent in prop::collection::btree_set(1_u32..8, 0..3),
    ) {
        let pe = Pe { is_64bit, ..Pe::default() };
        let damage = |mut bytes: Vec<u8>| {
            for (place, value) in &flips {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            if let Some(cut) = &cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        };
        ask(damage(pe.file()), damage(pe.mapped()), absent.into_iter().map(|page| page << 12).collect());
    }

    /// Where damage counts: headers, directories, tables and the resource tree.
    #[test]
    fn fields_that_hold_the_worst_values(
        is_64bit: bool,
        fields in prop::collection::vec(
            (prop_oneof![0x80_usize..0x260, 0x2000_usize..0x2180, 0x4000_usize..0x4180], prop_oneof![
                Just(0_u32), Just(1), Just(u32::MAX), Just(0x7fff_ffff), Just(0x8000_0000), Just(0xffff), Just(0x1_0000),
                Just(0x1000), Just(0x2000), Just(0x4000), Just(0x8000_0030), Just(0x7fff),
            ]),
            1..6,
        ),
    ) {
        let pe = Pe { is_64bit, ..Pe::default() };
        let (mut file, mut mapped) = (pe.file(), pe.mapped());
        for (place, value) in fields {
            mapped[place..place + 4].copy_from_slice(&value.to_le_bytes());
            // The same place in the file: .text is 0x200 long there, .rsrc follows .rdata.
            let in_file = match place >> 12 {
                0 => place,
                2 => place - 0x2000 + 0x600,
                _ => place - 0x4000 + 0x800,
            };
            file[in_file..in_file + 4].copy_from_slice(&value.to_le_bytes());
        }
        ask(file, mapped, BTreeSet::new());
    }

    #[test]
    fn bytes_that_were_never_an_image(mut bytes in prop::collection::vec(any::<u8>(), 0..0x600), signed: bool) {
        if signed && bytes.len() > 0x100 {
            bytes[..2].copy_from_slice(b"MZ");
            bytes[0x3c..0x40].copy_from_slice(&[0x40, 0, 0, 0]);
            bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
            bytes[0x46..0x48].copy_from_slice(&[3, 0]);
            bytes[0x58..0x5a].copy_from_slice(&[0x0b, 2]);
        }
        ask(bytes.clone(), bytes, BTreeSet::new());
    }
}

/// The worst export directory: every name is the same endless text, or the same long one.
#[test]
fn names_that_all_point_to_one_long_text_are_cut_off() {
    for terminated in [true, false] {
        let mut memory = Pe::default().memory();
        memory.bytes.resize(0x20_0000, b'x');
        memory.bytes[0xd0..0xd4].copy_from_slice(&0x20_0000_u32.to_le_bytes());
        let fields = [0, 0, 0, 0, 1, 0x1_0000, 0x1_0000, 0x10_0000, 0x10_0000, 0x18_0000];
        let at = 0x2000;
        for (index, field) in fields.iter().enumerate() {
            memory.bytes[at + 4 * index..][..4].copy_from_slice(&u32::to_le_bytes(*field));
        }
        let names: Vec<u8> = std::iter::repeat_n(0x9000_u32.to_le_bytes(), 0x1_0000).flatten().collect();
        memory.bytes[0x10_0000..0x14_0000].copy_from_slice(&names);
        memory.bytes[0x18_0000..0x1a_0000].fill(0);
        if terminated {
            memory.bytes[0x9000 + 4000] = 0;
        }
        let memory = Counted { inner: memory, bytes: Cell::new(0) };
        let image = Image::mapped(&memory, Va(BASE)).unwrap();
        assert_eq!(image.exports().unwrap_err().what, "text of the exports");
    }
}

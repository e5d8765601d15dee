//! Where the bytes of an image are found: in memory, and by way of the section table in a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod build;

use std::rc::Rc;

use build::{BASE, DATA, Pe, SIZE, TEXT};
use dumplens_base::Va;
use dumplens_image::{FileImage, Image, ImageBytes, ImageErrorKind, Unreadable};

/// The entry of `.text` in the section table.
const ENTRY: usize = 0x80 + 24 + 240;

fn file(bytes: Vec<u8>) -> Image<FileImage> {
    Image::file(Rc::new(bytes)).unwrap()
}

/// A file whose section `.text` has these fields: virtual size, RVA, raw size, raw offset.
fn text_section(fields: [u32; 4]) -> Image<FileImage> {
    let mut bytes = Pe::default().file();
    for (index, field) in fields.iter().enumerate() {
        bytes[ENTRY + 8 + 4 * index..][..4].copy_from_slice(&field.to_le_bytes());
    }
    file(bytes)
}

#[test]
fn a_byte_has_one_rva_in_both_layouts() {
    fn check<B: ImageBytes>(image: &Image<B>) {
        assert_eq!(image.read_vec(0x10ff, 2, "code").unwrap(), [0xff, 0]);
        assert_eq!(image.read_vec(DATA, 1, "data").unwrap(), [0xdd]);
        // Uninitialised data is zero by definition, in the file too.
        assert_eq!(image.read_vec(DATA + 0x1ff, 2, "data").unwrap(), [0xdd, 0]);
        let error = image.read_vec(SIZE - 1, 2, "tail").unwrap_err();
        assert_eq!(error.kind, ImageErrorKind::Unreadable(Unreadable::BeyondImage { size: SIZE }));
    }
    let memory = Pe::default().memory();
    check(&Image::mapped(&memory, Va(BASE)).unwrap());
    check(&file(Pe::default().file()));
}

#[test]
fn nothing_is_invented_between_the_sections_of_a_file() {
    let image = file(Pe::default().file());
    let error = image.read_vec(0x3ffe, 4, "gap").unwrap_err();
    assert_eq!((error.rva, error.kind), (0x3ffe, ImageErrorKind::Unreadable(Unreadable::NoSection)));
    assert_eq!(error.to_string(), "gap at RVA 0x3ffe cannot be read: no section of the image is there");
}

#[test]
fn headers_reach_to_the_first_section_at_most() {
    let mut bytes = Pe::default().file();
    bytes[0xd4..0xd8].copy_from_slice(&u32::MAX.to_le_bytes());
    bytes[ENTRY + 12..ENTRY + 16].copy_from_slice(&0x1400_u32.to_le_bytes());
    let image = file(bytes);
    assert!(image.read_vec(0xfff, 1, "headers").is_ok());
    assert!(image.read_vec(0x3fff, 1, "gap").is_err());
}

#[test]
fn a_section_without_a_virtual_size_has_its_raw_size() {
    let image = text_section([0, TEXT, 0x200, 0x400]);
    assert_eq!(image.sections()[0].memory_size(), 0x200);
    assert_eq!(image.read_vec(TEXT + 0x1ff, 1, "code").unwrap(), [0xff]);
}

#[test]
fn a_raw_offset_is_rounded_down_to_a_disk_sector() {
    let image = text_section([0x1f0, TEXT, 0x200, 0x4ff]);
    assert_eq!(image.read_vec(TEXT + 1, 1, "code").unwrap(), [1]);
}

#[test]
fn a_section_without_a_raw_offset_is_zeros() {
    let image = text_section([0x1f0, TEXT, 0x200, 0]);
    assert_eq!(image.read_vec(TEXT + 1, 2, "code").unwrap(), [0, 0]);
}

#[test]
fn a_section_is_mapped_in_whole_pages_and_no_further() {
    let image = text_section([0x80, TEXT, 0x4000, 0x400]);
    // What the file has behind the section's end is in its last page, but in no page after that.
    assert_eq!(image.read_vec(TEXT + 0x81, 1, "code").unwrap(), [0x81]);
    let image = text_section([0x80, TEXT - 0x800, 0x4000, 0x400]);
    assert!(image.read_vec(TEXT + 0x1ff, 1, "code").is_ok());
    assert_eq!(image.read_vec(TEXT + 0x800, 1, "code").unwrap_err().rva, TEXT + 0x800);
}

#[test]
fn a_file_cut_short_says_so() {
    let mut bytes = Pe::default().file();
    bytes.truncate(0x480);
    let image = file(bytes);
    assert!(image.read_vec(TEXT, 0x80, "code").is_ok());
    let error = image.read_vec(TEXT, 0x81, "code").unwrap_err();
    assert_eq!(error.rva, TEXT + 0x80);
    assert!(matches!(error.kind, ImageErrorKind::Unreadable(Unreadable::Source(_))));
    assert!(error.to_string().ends_with("pass the end of the file"));
}

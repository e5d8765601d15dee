//! What is read from a tiny image, in memory and from a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod build;

use std::rc::Rc;

use build::{BASE, DATA, GUID, INIT, PDB, Pages, Pe, RDATA, RSRC, SIZE, Target};
use dumplens_base::{Fault, Machine, Va};
use dumplens_image::{
    CodeView, Directory, Export, FileImage, FixedFileInfo, Image, ImageBytes, ImageError, ImageErrorKind, Unreadable,
};

/// Runs a check on the image in memory and on the one in a file.
fn both(pe: &Pe, check: impl Fn(&Image<&dyn ImageBytes>)) {
    let memory = pe.memory();
    let mapped = Image::mapped(&memory, Va(BASE)).unwrap();
    check(&Image::new(&mapped as &dyn ImageBytes).unwrap());
    let file = file(pe.file()).unwrap();
    check(&Image::new(&file as &dyn ImageBytes).unwrap());
}

fn file(bytes: Vec<u8>) -> Result<Image<FileImage>, ImageError> {
    Image::file(Rc::new(bytes))
}

fn mapped(memory: &Pages) -> Image<dumplens_image::MappedImage<'_>> {
    Image::mapped(memory, Va(BASE)).unwrap()
}

fn pe32() -> Pe {
    Pe { is_64bit: false, ..Pe::default() }
}

#[test]
fn headers_are_the_same_in_both_layouts_and_both_widths() {
    for pe in [Pe::default(), pe32()] {
        both(&pe, |image| {
            let headers = image.headers();
            assert_eq!(headers.is_64bit, pe.is_64bit);
            assert_eq!(headers.machine, if pe.is_64bit { Machine::X64 } else { Machine::X86 });
            assert_eq!(headers.image_base, if pe.is_64bit { BASE } else { 0x40_0000 });
            assert_eq!((headers.timestamp, headers.checksum), (0x5f00_1234, 0xabcd));
            assert_eq!((headers.size_of_image, headers.size_of_headers), (SIZE, 0x400));
            assert_eq!((headers.entry_point, headers.section_alignment), (0x1010, 0x1000));
            assert_eq!((headers.subsystem, headers.dll_characteristics, headers.characteristics), (1, 0x4160, 0x2022));
            assert_eq!(headers.store_key(), "5F0012348000");
            assert_eq!(headers.directory(Directory::Import), None);
            let range = image.exception_directory().map(|range| (range.rva, range.size));
            assert_eq!(range, pe.is_64bit.then_some((0x2800, 0x24)));
        });
    }
}

#[test]
fn sections_say_what_the_loader_does_with_them() {
    both(&Pe::default(), |image| {
        let names: Vec<&str> = image.sections().iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, [".text", ".rdata", ".rsrc", "INIT", ".datasec"]);
        let [text, rdata, _, init, data] = image.sections() else { panic!() };
        assert!(text.is_executable() && !text.is_writable() && !text.is_discardable());
        assert!(!rdata.is_executable());
        assert!(init.is_executable() && init.is_discardable());
        assert!(data.is_writable());
        assert_eq!((data.rva, data.virtual_size, data.raw_size), (DATA, 0x1800, 0x200));
        assert_eq!((text.raw_offset, text.raw_size), (0x400, 0x200));
        assert_eq!(image.headers().section_at(0x11ef), Some(text));
        assert_eq!(image.headers().section_at(0x11f0), None);
    });
}

#[test]
fn the_code_view_record_names_the_pdb() {
    for pe in [Pe::default(), pe32()] {
        both(&pe, |image| {
            let found = image.code_view().unwrap().unwrap();
            assert_eq!(found, CodeView::Pdb70 { guid: GUID, age: 7, path: Some(PDB.into()) });
            assert_eq!(found.file_name(), Some("tiny.pdb"));
        });
    }
}

#[test]
fn old_code_view_is_told_apart() {
    let record = b"NB10\0\0\0\0\x78\x56\x34\x12\x03\0\0\0old.pdb\0".to_vec();
    both(&Pe { record, ..Pe::default() }, |image| {
        let expected = CodeView::Pdb20 { timestamp: 0x1234_5678, age: 3, path: Some("old.pdb".into()) };
        assert_eq!(image.code_view(), Ok(Some(expected)));
    });
    // NB09 holds symbols, it names no file.
    both(&Pe { record: b"NB09\0\0\0\0".to_vec(), ..Pe::default() }, |image| assert_eq!(image.code_view(), Ok(None)));
}

#[test]
fn a_code_view_record_outside_every_section_is_in_the_file_only() {
    let pe = Pe { record_mapped: false, ..Pe::default() };
    let found = file(pe.file()).unwrap().code_view().unwrap().unwrap();
    assert_eq!(found, CodeView::Pdb70 { guid: GUID, age: 7, path: Some(PDB.into()) });
    let memory = pe.memory();
    let error = mapped(&memory).code_view().unwrap_err();
    assert_eq!(error.kind, ImageErrorKind::Unreadable(Unreadable::FileOnly));
}

#[test]
fn a_record_too_short_for_its_kind_is_damage() {
    both(&Pe { record: b"RSDS\x01\x02".to_vec(), ..Pe::default() }, |image| {
        let error = image.code_view().unwrap_err();
        assert_eq!((error.what, error.is_absent()), ("PDB GUID", false));
        assert_eq!(error.kind, ImageErrorKind::Truncated { needed: 16, available: 2 });
    });
}

fn export(ordinal: u32, name: Option<&str>, rva: u32) -> Export {
    Export { ordinal, name: name.map(Into::into), rva, forwarder: None }
}

#[test]
fn exports_come_by_ordinal_with_all_their_names() {
    for pe in [Pe::default(), pe32()] {
        both(&pe, |image| {
            let exports = image.exports().unwrap();
            assert_eq!((exports.unreadable, exports.error), (0, None));
            let [stop, nameless, allocate, begin, start, table] = exports.list.as_slice() else { panic!() };
            assert_eq!(*stop, export(5, Some("Stop"), 0x1080));
            assert_eq!(*nameless, export(6, None, 0x1040));
            assert_eq!((allocate.ordinal, allocate.name.as_deref()), (8, Some("Allocate")));
            assert_eq!(allocate.forwarder.as_deref(), Some("NTDLL.RtlAllocateHeap"));
            assert_eq!(*begin, export(9, Some("Begin"), 0x1000));
            assert_eq!(*start, export(9, Some("Start"), 0x1000));
            assert_eq!(*table, export(10, Some("Table"), 0x6010));
            assert_eq!(image.export_module_name(), Ok(Some("tiny.sys".into())));
        });
    }
}

#[test]
fn every_listed_name_is_found_by_search_and_no_other() {
    both(&Pe::default(), |image| {
        for export in image.exports().unwrap().list {
            let Some(name) = &export.name else { continue };
            assert_eq!(image.find_export(name), Ok(Some(export.clone())));
        }
        for name in ["", "A", "Allocat", "Allocate2", "Stopp", "stop", "~", "Be\0gin"] {
            assert_eq!(image.find_export(name), Ok(None), "{name}");
        }
    });
}

#[test]
fn the_nearest_export_is_in_the_same_section() {
    both(&Pe::default(), |image| {
        let index = image.export_index().unwrap();
        let nearest = |rva| index.nearest(rva).map(|(export, distance)| (export.name.as_deref(), distance));
        assert_eq!(nearest(0xfff), None);
        // Of two names the first in the alphabet.
        assert_eq!(nearest(0x1000), Some((Some("Begin"), 0)));
        assert_eq!(nearest(0x103f), Some((Some("Begin"), 0x3f)));
        assert_eq!(nearest(0x1040), Some((None, 0)));
        assert_eq!(nearest(0x1100), Some((Some("Stop"), 0x80)));
        // The forwarder's text is in .rdata, INIT has no export.
        assert_eq!(nearest(RDATA + 0x100), None);
        assert_eq!(nearest(INIT), None);
        assert_eq!(nearest(0x6010), Some((Some("Table"), 0)));
        assert_eq!(nearest(0x600f), None);
        assert_eq!(nearest(u32::MAX), None);
    });
}

#[test]
fn an_image_without_exports_has_none() {
    let mut bytes = Pe::default().file();
    bytes[0x80 + 24 + 112..][..8].fill(0);
    let image = file(bytes).unwrap();
    assert_eq!(image.exports(), Ok(dumplens_image::Exports::default()));
    assert_eq!(image.find_export("Stop"), Ok(None));
    assert_eq!(image.export_module_name(), Ok(None));
}

#[test]
fn the_version_resource_is_read_in_english_if_it_is_there() {
    for pe in [Pe::default(), pe32()] {
        both(&pe, |image| {
            let version = image.version().unwrap().unwrap();
            let fixed = FixedFileInfo {
                file_version: [10, 1, 2, 3],
                product_version: [10, 0, 0, 0],
                // The mask leaves one of the bits.
                flags: 1,
                file_type: 3,
            };
            assert_eq!((version.fixed, version.language, version.error), (Some(fixed), 0x409, None));
            let names: Vec<&str> = version.strings.iter().map(|string| string.name.as_str()).collect();
            assert_eq!(names, ["CompanyName", "FileDescription", "Empty", "OriginalFilename"]);
            assert_eq!(version.string("companyname"), Some("Example"));
            assert_eq!(version.string("FileDescription"), Some("A tiny driver"));
            assert_eq!(version.string("OriginalFilename"), Some("tiny.sys"));
            assert_eq!((version.string("Empty"), version.string("ProductName")), (None, None));
        });
    }
    let german = Pe { languages: vec![0x407], ..Pe::default() };
    both(&german, |image| assert_eq!(image.version().unwrap().unwrap().language, 0x407));
}

#[test]
fn a_resource_tree_of_the_wrong_depth_is_refused() {
    // The version's directory becomes a leaf; then every type is the root itself.
    let pe = Pe::default();
    for target in [0x30_u32, 0x8000_0000] {
        let mut memory = pe.memory();
        for entry in [0x14, 0x1c] {
            memory.bytes[RSRC as usize + entry..][..4].copy_from_slice(&target.to_le_bytes());
        }
        let error = mapped(&memory).version().unwrap_err();
        assert_eq!((error.what, error.is_absent()), ("resource entry", false));
    }
}

#[test]
fn a_version_resource_that_goes_on_in_an_absent_page_keeps_what_is_there() {
    let text: &'static str = "x".repeat(900).leak();
    let pe = Pe { strings: vec![("CompanyName", "Example"), ("Comments", text)], languages: vec![0], ..Pe::default() };
    let memory = pe.memory();
    assert_eq!(mapped(&memory).version().unwrap().unwrap().string("Comments"), Some(text));
    // Move the resource to the end of its page, so that the long text reaches into the next one.
    let (start, entry) = (RSRC as usize + 0x78, RSRC as usize + 0x68);
    let mut memory = pe.memory().without(&[INIT]);
    let data = memory.bytes[start..start + 0x400].to_vec();
    memory.bytes[RSRC as usize + 0xe00..RSRC as usize + 0x1000].copy_from_slice(&data[..0x200]);
    memory.bytes[entry..entry + 4].copy_from_slice(&(RSRC + 0xe00).to_le_bytes());
    let version = mapped(&memory).version().unwrap().unwrap();
    assert_eq!(version.fixed.unwrap().file_version, [10, 1, 2, 3]);
    // The cut text is left out.
    assert_eq!((version.string("CompanyName"), version.string("Comments")), (Some("Example"), None));
    assert_eq!(missing(version.error.unwrap()), BASE + u64::from(INIT));
}

/// The first missing address, as the error tells it.
fn missing(error: ImageError) -> u64 {
    match error.kind {
        ImageErrorKind::Unreadable(Unreadable::Memory(fault)) => {
            assert!(matches!(fault, Fault::NotInDump { .. }));
            assert_eq!(fault.address().0, BASE + u64::from(error.rva));
            fault.address().0
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_part_fails_alone_and_says_which_page_is_missing() {
    let pe = Pe::default();
    let memory = pe.memory().without(&[0]);
    assert_eq!(missing(Image::mapped(&memory, Va(BASE)).unwrap_err()), BASE);

    let memory = pe.memory().without(&[RDATA]);
    let image = mapped(&memory);
    let error = image.code_view().unwrap_err();
    assert_eq!(error.what, "debug directory");
    missing(error);
    assert_eq!(missing(image.exports().unwrap_err()), BASE + u64::from(RDATA));
    missing(image.export_module_name().unwrap_err());
    missing(image.find_export("Stop").unwrap_err());
    assert!(image.version().unwrap().is_some());

    let memory = pe.memory().without(&[RSRC]);
    let image = mapped(&memory);
    assert_eq!(missing(image.version().unwrap_err()), BASE + u64::from(RSRC));
    assert!(image.code_view().unwrap().is_some());
    assert_eq!(image.exports().unwrap().list.len(), 6);
}

#[test]
fn the_identity_of_the_pdb_does_not_depend_on_its_path() {
    let pe = Pe::default();
    let mut memory = pe.memory();
    let debug = u32::from_le_bytes(memory.bytes[0x80 + 24 + 112 + 48..][..4].try_into().unwrap()) as usize;
    // The record moves to the end of a page: first the path is cut, then the GUID.
    for (rva, found) in [(INIT - 26, true), (INIT - 24, true), (INIT - 23, false), (INIT - 2, false)] {
        let rva = rva as usize;
        memory.bytes[debug + 28 + 20..][..4].copy_from_slice(&(rva as u32).to_le_bytes());
        memory.bytes[rva..rva + pe.record.len()].copy_from_slice(&pe.record);
        memory.absent = [INIT].into();
        let answer = mapped(&memory).code_view();
        if found {
            assert_eq!(answer, Ok(Some(CodeView::Pdb70 { guid: GUID, age: 7, path: None })));
        } else {
            assert_eq!(missing(answer.unwrap_err()), BASE + u64::from(INIT));
        }
    }
}

/// So many exports that their tables reach into the second page of `.rdata`.
fn many(count: u32) -> Pe {
    let name = |index: u32| -> &'static str { format!("Export{index:04}").leak() };
    let exports = (0..count).map(|index| (Some(name(index)), Target::Rva(0x1000 + index))).collect();
    Pe { exports, aliases: Vec::new(), ..Pe::default() }
}

#[test]
fn a_missing_page_of_a_table_costs_only_what_stood_there() {
    both(&many(200), |image| assert_eq!(image.exports().unwrap().list.len(), 200));
    // The end of the ordinal table is missing: the last names are unknown, the addresses are not.
    let memory = many(200).memory().without(&[RDATA + 0x1000]);
    let exports = mapped(&memory).exports().unwrap();
    assert_eq!(exports.list.len(), 200);
    let nameless = exports.list.iter().filter(|export| export.name.is_none()).count();
    assert!((1..200).contains(&nameless));
    assert_eq!(exports.unreadable as usize, nameless);
    assert_eq!(missing(exports.error.unwrap()), BASE + u64::from(RDATA) + 0x1000);
    // All three tables are missing, the directory is not.
    let memory = many(400).memory().without(&[RDATA + 0x1000]);
    let exports = mapped(&memory).exports().unwrap();
    assert_eq!((exports.list.len(), exports.unreadable), (0, 1200));
}

#[test]
fn a_missing_name_leaves_the_export_and_is_counted() {
    let pe = Pe::default();
    let mut memory = pe.memory().without(&[INIT]);
    let names = u32::from_le_bytes(memory.bytes[RDATA as usize + 32..][..4].try_into().unwrap()) as usize;
    // The last name is "Stop", ordinal 5.
    memory.bytes[names + 4 * 3..][..4].copy_from_slice(&(INIT - 2).to_le_bytes());
    memory.bytes[INIT as usize - 2..INIT as usize].copy_from_slice(b"St");
    let image = mapped(&memory);
    let exports = image.exports().unwrap();
    assert_eq!((exports.unreadable, exports.list.len()), (1, 6));
    let error = exports.error.unwrap();
    assert_eq!((error.what, missing(error)), ("export name", BASE + u64::from(INIT)));
    assert_eq!(exports.list.iter().filter(|export| export.name.is_none()).count(), 2);
    // Whether the name is "Stop" cannot be known; that it is not "Send" can.
    missing(image.find_export("Stop").unwrap_err());
    assert_eq!(image.find_export("Send"), Ok(None));
}

#[test]
fn lying_counts_end_in_an_error() {
    let at = |memory: &Pages, field: usize| {
        let rva = u32::from_le_bytes(memory.bytes[0x80 + 24 + 112..][..4].try_into().unwrap());
        rva as usize + field
    };
    for (field, what) in [(20, "number of exports"), (24, "number of export names")] {
        let mut memory = Pe::default().memory();
        let at = at(&memory, field);
        memory.bytes[at..at + 4].copy_from_slice(&0x1_0001_u32.to_le_bytes());
        let error = mapped(&memory).exports().unwrap_err();
        assert_eq!((error.what, error.rva), (what, RDATA));
        assert_eq!(error.kind, ImageErrorKind::TooMany { value: 0x1_0001, limit: 0x1_0000 });
    }
    // A count within the limit that passes the image's end: what is there is listed, the rest is counted.
    let mut memory = Pe::default().memory();
    let at = at(&memory, 20);
    memory.bytes[at..at + 4].copy_from_slice(&0x1_0000_u32.to_le_bytes());
    let exports = mapped(&memory).exports().unwrap();
    assert_eq!(exports.error.unwrap().what, "export address table");
    assert!(exports.unreadable > 0x1_0000 - 0x2000);

    let mut bytes = Pe::default().file();
    bytes[0x86..0x88].copy_from_slice(&1025_u16.to_le_bytes());
    assert_eq!(file(bytes).unwrap_err().kind, ImageErrorKind::TooMany { value: 1025, limit: 1024 });
}

#[test]
fn what_is_no_image_is_refused_by_name() {
    let refused = |bytes: Vec<u8>| file(bytes).unwrap_err();
    assert_eq!(refused(vec![0x7f; 0x1000]).to_string(), "DOS signature at RVA 0x0 has the invalid value 0x7f7f");
    assert_eq!(refused(b"MZ".to_vec()).what, "DOS header");
    let mut bytes = Pe::default().file();
    bytes[0x80] = b'N';
    assert_eq!(refused(bytes.clone()).what, "PE signature");
    bytes[0x3c..0x40].fill(0xff);
    assert!(refused(bytes).is_absent());
    let mut bytes = Pe::default().file();
    bytes[0x98] = 7;
    assert_eq!(refused(bytes).what, "optional header magic");
}

#[test]
fn an_image_at_the_end_of_the_address_space_does_not_wrap() {
    let memory = Pe::default().memory();
    let error = Image::mapped(&memory, Va(u64::MAX - 8)).unwrap_err();
    assert_eq!(error.kind, ImageErrorKind::Unreadable(Unreadable::AddressOverflow));
}

//! Every PE image of the data set, compared record by record with what `llvm-readobj` says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use dumplens_base::{Machine, Memory, ReadOutcome, Region, Va};
use dumplens_image::{CodeView, Image, ImageBytes};

/// Every file of the data set with one of these endings; `None`, with a message, if there is no data set.
fn files(endings: &[&str]) -> Option<Vec<(PathBuf, Vec<u8>)>> {
    let Some(folder) = std::env::var_os("DUMPLENS_DATA") else {
        println!("skipped: DUMPLENS_DATA not set");
        return None;
    };
    let (mut folders, mut found) = (vec![PathBuf::from(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one)) {
                let bytes = fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no such file in the data set");
    Some(found)
}

fn images() -> Option<Vec<(PathBuf, Vec<u8>)>> {
    files(&["exe", "dll", "sys", "pyd"])
}

/// The other tool's words, or `None`, with a message, where it is not installed.
fn readobj(path: &Path, options: &[&str]) -> Option<Result<String, String>> {
    for tool in ["llvm-readobj-19", "llvm-readobj"] {
        let Ok(output) = Command::new(tool).args(options).arg(path).output() else { continue };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        return Some(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) });
    }
    println!("skipped: llvm-readobj not installed");
    None
}

/// A block of the tool's text: fields `key: value` between braces.
#[derive(Debug, Default)]
struct Block {
    fields: BTreeMap<String, String>,
}

impl Block {
    fn number(&self, key: &str) -> u64 {
        let value = self.fields.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"));
        // "Name (0x12)", "0x12" and "18" all occur.
        let value = value.rsplit_once('(').map_or(value.as_str(), |(_, number)| number.trim_end_matches(')'));
        value.strip_prefix("0x").map_or_else(|| value.parse(), |hex| u64::from_str_radix(hex, 16)).unwrap()
    }
}

/// All blocks of one kind. Fields of blocks inside belong to the block as well, unless it has them itself.
fn blocks(text: &str, kind: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut depth = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        match depth {
            None if line == format!("{kind} {{") => {
                depth = Some(indent);
                found.push(Block::default());
            }
            Some(at) if indent == at && line == "}" => depth = None,
            Some(_) => {
                let flags = line.strip_suffix(')').and_then(|line| line.split_once(" [ ("));
                if let Some((key, value)) = flags.or_else(|| line.split_once(": ")).or_else(|| line.split_once(':')) {
                    found.last_mut().unwrap().fields.entry(key.into()).or_insert_with(|| value.into());
                }
            }
            None => {}
        }
    }
    found
}

fn guid(text: &str) -> [u8; 16] {
    let hex: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let mut bytes: Vec<u8> =
        hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    // Printed as numbers: the first three fields are little-endian in the image.
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes.try_into().unwrap()
}

#[derive(Debug, Default)]
struct Figures {
    images: u32,
    sections: usize,
    code_views: u32,
    exports: usize,
    forwarders: usize,
    /// Images whose exports the other tool cannot read.
    refused: u32,
    searched: usize,
    versions: u32,
    strings: usize,
}

#[test]
fn every_record_is_what_llvm_says() {
    let Some(images) = images() else { return };
    let mut figures = Figures::default();
    for (path, bytes) in images {
        let options = ["--file-headers", "--sections", "--coff-debug-directory"];
        let Some(text) = readobj(&path, &options) else { return };
        let text = text.unwrap();
        let image = Image::file(Rc::new(bytes)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("{}", path.display());
        figures.images += 1;
        headers(&image, &text);
        figures.sections += sections(&image, &text);
        figures.code_views += code_view(&image, &text);
        match readobj(&path, &["--coff-exports"]).unwrap() {
            Ok(text) => {
                let (all, forwarders) = exports(&image, &text);
                (figures.exports, figures.forwarders) = (figures.exports + all, figures.forwarders + forwarders);
            }
            // It gives up on an export directory without names, of which there are many.
            Err(error) => {
                println!("{error}");
                figures.refused += 1;
                assert!(image.exports().unwrap().list.iter().all(|export| export.name.is_none()));
            }
        }
        figures.searched += searches(&image);
        if let Some(version) = image.version().unwrap() {
            assert_eq!(version.error, None);
            figures.versions += 1;
            figures.strings += version.strings.len();
        }
    }
    println!("all agree: {figures:?}");
}

fn headers<B: ImageBytes>(image: &Image<B>, text: &str) {
    let headers = image.headers();
    let (file, optional) = (&blocks(text, "ImageFileHeader")[0], &blocks(text, "ImageOptionalHeader")[0]);
    assert_eq!(headers.machine, Machine::from_image_file_machine(file.number("Machine") as u16));
    assert_eq!(u64::from(headers.timestamp), file.number("TimeDateStamp"));
    assert_eq!(u64::from(headers.characteristics), file.number("Characteristics"));
    assert_eq!(headers.is_64bit, optional.number("Magic") == 0x20b);
    assert_eq!(headers.image_base, optional.number("ImageBase"));
    for (have, key) in [
        (headers.entry_point, "AddressOfEntryPoint"),
        (headers.section_alignment, "SectionAlignment"),
        (headers.size_of_image, "SizeOfImage"),
        (headers.size_of_headers, "SizeOfHeaders"),
        (headers.checksum, "CheckSum"),
        (headers.subsystem.into(), "Subsystem"),
        (headers.dll_characteristics.into(), "Characteristics"),
        (headers.directories.len() as u32, "NumberOfRvaAndSize"),
    ] {
        assert_eq!(u64::from(have), optional.number(key), "{key}");
    }
    let directories = &blocks(text, "DataDirectory")[0];
    for (index, key) in [
        (0, "ExportTable"),
        (1, "ImportTable"),
        (2, "ResourceTable"),
        (3, "ExceptionTable"),
        (5, "BaseRelocationTable"),
        (6, "Debug"),
        (10, "LoadConfigTable"),
        (12, "IAT"),
    ] {
        let have = headers.directories[index];
        assert_eq!(u64::from(have.rva), directories.number(&format!("{key}RVA")), "{key}");
        assert_eq!(u64::from(have.size), directories.number(&format!("{key}Size")), "{key}");
    }
    let exception = (directories.number("ExceptionTableRVA"), directories.number("ExceptionTableSize"));
    let have = image.exception_directory().map_or((0, 0), |range| (range.rva.into(), range.size.into()));
    assert_eq!(have, exception);
}

fn sections<B: ImageBytes>(image: &Image<B>, text: &str) -> usize {
    let expected = blocks(text, "Section");
    assert_eq!(image.sections().len(), expected.len());
    for (section, block) in image.sections().iter().zip(&expected) {
        // The name's eight bytes stand in brackets behind what they mean.
        let (_, bytes) = block.fields["Name"].rsplit_once('(').unwrap();
        let bytes = bytes.trim_end_matches(')').split(' ').map(|hex| u8::from_str_radix(hex, 16).unwrap());
        let name: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        assert_eq!(section.name.as_bytes(), name);
        for (have, key) in [
            (section.rva, "VirtualAddress"),
            (section.virtual_size, "VirtualSize"),
            (section.raw_offset, "PointerToRawData"),
            (section.raw_size, "RawDataSize"),
            (section.characteristics, "Characteristics"),
        ] {
            assert_eq!(u64::from(have), block.number(key), "{key}");
        }
    }
    expected.len()
}

fn code_view<B: ImageBytes>(image: &Image<B>, text: &str) -> u32 {
    let entries = blocks(text, "DebugEntry");
    let expected = entries.iter().find(|entry| entry.fields.contains_key("PDBGUID")).map(|entry| CodeView::Pdb70 {
        guid: guid(&entry.fields["PDBGUID"]),
        age: entry.number("PDBAge") as u32,
        path: Some(entry.fields["PDBFileName"].clone()),
    });
    let found = image.code_view().unwrap();
    assert_eq!(found, expected);
    u32::from(found.is_some())
}

/// The other tool gives the first name of each ordinal, so aliases are compared as sets of ordinals.
fn exports<B: ImageBytes>(image: &Image<B>, text: &str) -> (usize, usize) {
    let exports = image.exports().unwrap();
    assert_eq!((exports.unreadable, exports.error), (0, None));
    let forwarders = exports.list.iter().filter(|export| export.forwarder.is_some()).count();
    let mut by_ordinal: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for export in &exports.list {
        by_ordinal.entry(export.ordinal.into()).or_default().push(export);
    }
    let blocks = blocks(text, "Export");
    let expected: Vec<_> =
        blocks.iter().filter(|block| block.fields.contains_key("ForwardedTo") || block.number("RVA") != 0).collect();
    assert_eq!(by_ordinal.len(), expected.len());
    for block in expected {
        let have = &by_ordinal[&block.number("Ordinal")];
        // A forwarder's RVA is not told, its text is.
        match block.fields.get("ForwardedTo") {
            Some(text) => assert!(have.iter().all(|export| export.forwarder.as_ref() == Some(text))),
            None => assert!(have.iter().all(|export| u64::from(export.rva) == block.number("RVA"))),
        }
        let name = block.fields.get("Name").filter(|name| !name.is_empty());
        assert_eq!(have[0].name.as_ref(), name);
    }
    (exports.list.len(), forwarders)
}

/// Every name of the list is found by binary search, with the same answer.
fn searches<B: ImageBytes>(image: &Image<B>) -> usize {
    let list = image.exports().unwrap().list;
    let named = list.iter().filter_map(|export| Some((export.name.as_ref()?, export)));
    named.map(|(name, export)| assert_eq!(image.find_export(name).unwrap().as_ref(), Some(export))).count()
}

/// An image mapped as the loader would.
struct Loaded(Vec<u8>);

const BASE: Va = Va(0x7ff6_0000_0000);

impl Memory for Loaded {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let start = va.offset_from(BASE).unwrap() as usize;
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
        ReadOutcome::complete(buf.len())
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

#[test]
fn an_image_says_the_same_in_memory_as_in_its_file() {
    let Some(images) = images() else { return };
    let count = images.len();
    for (path, bytes) in images {
        let file = Image::file(Rc::new(bytes.clone())).unwrap();
        let headers = file.headers();
        let mut loaded = bytes[..(headers.size_of_headers as usize).min(bytes.len())].to_vec();
        loaded.resize(headers.size_of_image as usize, 0);
        for section in &headers.sections {
            let size = if section.raw_offset == 0 { 0 } else { section.raw_size.min(section.memory_size()) as usize };
            let raw = &bytes[section.raw_offset as usize..][..size];
            loaded[section.rva as usize..][..size].copy_from_slice(raw);
        }
        let loaded = Loaded(loaded);
        let mapped = Image::mapped(&loaded, BASE).unwrap();
        assert_eq!(mapped.headers(), headers, "{}", path.display());
        assert_eq!(mapped.code_view(), file.code_view(), "{}", path.display());
        assert_eq!(mapped.exports(), file.exports(), "{}", path.display());
        assert_eq!(mapped.export_module_name(), file.export_module_name(), "{}", path.display());
        assert_eq!(mapped.version(), file.version(), "{}", path.display());
    }
    println!("{count} images say the same in both layouts");
}

#[test]
fn an_image_cut_at_any_place_is_no_reason_to_panic() {
    let Some(images) = images() else { return };
    for (_, bytes) in images {
        for cut in (0..bytes.len()).step_by((bytes.len() / 50).max(1)) {
            let Ok(image) = Image::file(Rc::new(bytes[..cut].to_vec())) else { continue };
            let _ = (image.code_view(), image.exports(), image.find_export("DllMain"), image.version());
        }
    }
}

#[test]
fn files_of_other_kinds_are_refused_by_their_signature() {
    let Some(files) = files(&["pdb", "mdmp"]) else { return };
    for (path, bytes) in files {
        let error = Image::file(Rc::new(bytes)).unwrap_err();
        assert_eq!(error.what, "DOS signature", "{}", path.display());
    }
}

//! Every unwind record of the data set, held against what other tools say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use common::{FileCode, images};
use dumplens_unwind::x64::{CodeImage, Op, RuntimeFunction, Tail, UnwindInfo, entry};

/// The other tool's words; `None` if it is not installed.
fn run(tools: &[&str], options: &[&str], path: &Path) -> Option<Result<String, String>> {
    for tool in tools {
        let Ok(output) = Command::new(tool).args(options).arg(path).output() else { continue };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        return Some(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) });
    }
    println!("skipped: none of {tools:?} is installed");
    None
}

fn readobj(path: &Path) -> Option<Result<String, String>> {
    run(&["llvm-readobj-19", "llvm-readobj"], &["--unwind"], path)
}

/// A record as `llvm-readobj` lists it. Short and long forms of a code are told apart by the tool and not by us.
fn listing(code: &FileCode, function: RuntimeFunction, info: &UnwindInfo, version: u8) -> Vec<String> {
    let va = |rva: u32| format!("(0x{:X})", code.base + u64::from(rva));
    let range = |function: RuntimeFunction| {
        [
            format!("StartAddress: {}", va(function.begin)),
            format!("EndAddress: {}", va(function.end)),
            format!("UnwindInfoAddress: {}", va(function.unwind)),
        ]
    };
    let mut lines = range(function).to_vec();
    lines.push(format!("Version: {version}"));
    lines.push(format!("Flags [ (0x{:X})", info.flags));
    lines.push(format!("PrologSize: {}", info.prolog_size));
    let (register, offset) = match info.frame {
        Some((register, offset)) => {
            (format!("{} (0x{:X})", register.name().to_uppercase(), register.number()), format!("0x{:X}", offset / 16))
        }
        None => ("-".into(), "-".into()),
    };
    lines.push(format!("FrameRegister: {register}"));
    lines.push(format!("FrameOffset: {offset}"));
    lines.push(format!("UnwindCodeCount: {}", info.slots));
    for unwind in &info.codes {
        let text = match unwind.op {
            Op::Push(register) => format!("PUSH_NONVOL reg={}", register.name().to_uppercase()),
            Op::Alloc(size) => format!("ALLOC size={size}"),
            Op::SetFrame => {
                let (register, offset) = info.frame.unwrap();
                format!("SET_FPREG reg={}, offset=0x{offset:X}", register.name().to_uppercase())
            }
            Op::Save(register, offset) => {
                format!("SAVE_NONVOL reg={}, offset=0x{offset:X}", register.name().to_uppercase())
            }
            Op::SaveXmm(register, offset) => format!("SAVE_XMM128 reg=XMM{register}, offset=0x{offset:X}"),
            // As `as_version_1` disguises it.
            Op::Epilogue(info) => format!("ALLOC size={}", u32::from(info) * 8 + 8),
            Op::Spare => "spare".into(),
            Op::MachineFrame(code) => format!("PUSH_MACHFRAME errcode={}", if code { "yes" } else { "no" }),
        };
        lines.push(format!("0x{:02X}: {text}", unwind.offset));
    }
    match info.tail {
        Tail::None => {}
        Tail::Handler(rva) => lines.push(format!("Handler: {}", va(rva))),
        Tail::Chained(parent) => lines.extend(range(parent)),
    }
    lines
}

/// The records in the tool's text, with what says nothing left out.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut records: Vec<Vec<String>> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line == "RuntimeFunction {" {
            records.push(Vec::new());
            continue;
        }
        let Some(record) = records.last_mut() else { continue };
        if line.starts_with("Flags") || line.contains(": ") {
            let line = line.replace("ALLOC_SMALL", "ALLOC").replace("ALLOC_LARGE", "ALLOC");
            record.push(line.replace("SAVE_NONVOL_FAR", "SAVE_NONVOL").replace("SAVE_XMM128_FAR", "SAVE_XMM128"));
        }
    }
    records
}

/// The tool dies of version 2. A copy of the image whose records say version 1, and whose epilogue codes look like small
/// allocations, shows it all the rest.
fn as_version_1(path: &Path, code: &FileCode) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    let at = |rva: u32| {
        let section = code.image.headers().section_at(rva).unwrap();
        (rva - section.rva + section.raw_offset) as usize
    };
    for index in 0..code.entries() {
        let record = at(entry(code, index).unwrap().unwind);
        if bytes[record] & 7 != 2 {
            continue;
        }
        bytes[record] = bytes[record] & !7 | 1;
        let mut slot = 0;
        while slot < usize::from(bytes[record + 2]) {
            let second = &mut bytes[record + 5 + 2 * slot];
            slot += match *second & 15 {
                1 if *second >> 4 == 1 => 3,
                1 | 4 | 8 => 2,
                5 | 7 | 9 => 3,
                _ => 1,
            };
            if *second & 15 == 6 {
                *second = *second & 0xf0 | 2;
            }
        }
    }
    bytes
}

#[test]
fn every_record_is_decoded_as_llvm_decodes_it() {
    let Some(images) = images() else { return };
    let mut compared = BTreeMap::new();
    for (path, code) in images {
        let Some(said) = readobj(&path) else { return };
        let (text, disguised) = match said {
            Ok(text) => (text, false),
            Err(_) => {
                let copy = std::env::temp_dir().join(format!("dumplens-unwind-{}.bin", std::process::id()));
                fs::write(&copy, as_version_1(&path, &code)).unwrap();
                let said = readobj(&copy).unwrap();
                fs::remove_file(&copy).unwrap();
                (said.unwrap_or_else(|error| panic!("{}: {error}", path.display())), true)
            }
        };
        let theirs = records(&text);
        assert_eq!(theirs.len(), code.entries() as usize, "{}", path.display());
        for (index, theirs) in theirs.iter().enumerate() {
            let function = entry(&code, index as u32).unwrap();
            let info = UnwindInfo::read(&code, function.unwind).unwrap();
            let version = if disguised { 1 } else { info.version };
            assert_eq!(&listing(&code, function, &info, version), theirs, "{}: record {index}", path.display());
            assert_eq!(code.function(function.begin).unwrap(), Some(function));
            assert_eq!(code.function(function.end - 1).unwrap(), Some(function));
            *compared.entry((info.version, disguised)).or_insert(0) += 1;
        }
    }
    println!("records that agree, by (version, seen in a disguised copy): {compared:?}");
    assert!(compared.values().sum::<u32>() > 5000);
}

#[test]
fn epilogues_of_version_2_are_where_binutils_finds_them() {
    let Some(images) = images() else { return };
    let (mut records, mut epilogues) = (0, 0);
    for (path, code) in images {
        let Some(said) = run(&["x86_64-w64-mingw32-objdump", "objdump"], &["-p"], &path) else { return };
        let Ok(text) = said else { return println!("skipped: objdump does not know x64 images") };
        let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
        let mut function = RuntimeFunction::default();
        for line in text.lines() {
            if let Some((head, range)) = line.split_once("): ").filter(|(head, _)| head.contains("(rva: ")) {
                let (begin, end) = range.split_once(" - ").unwrap();
                let rva = |text| (hex(text) - code.base) as u32;
                let unwind = hex(head.split_once("(rva: ").unwrap().1) as u32;
                function = RuntimeFunction { begin: rva(begin), end: rva(end), unwind };
            }
            let Some((length, places)) =
                line.trim().strip_prefix("v2 epilog (length: ").and_then(|line| line.split_once(") at pc+: "))
            else {
                continue;
            };
            let theirs: Vec<_> = places
                .split_whitespace()
                .filter(|place| place.starts_with("0x"))
                .map(|place| (function.begin + hex(place) as u32, hex(length) as u32))
                .collect();
            let info = UnwindInfo::read(&code, function.unwind).unwrap();
            let ours: Vec<_> = info.epilogues(function).collect();
            assert_eq!(ours, theirs, "{}: {function:x?}: {line}", path.display());
            records += 1;
            epilogues += ours.len();
        }
    }
    println!("{epilogues} epilogues of {records} records agree");
}

//! Every ARM64 unwind record of the data set, and made-up ones, held against what LLVM says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{FileCode, images_for};
use dumplens_base::Machine;
use dumplens_unwind::{
    arm64::{Bank, Data, Function, Op, Packed, Record, entry, function},
    x64::CodeImage,
};

/// The other tool's words; `None` if it is not installed.
fn readobj(path: &Path) -> Option<String> {
    for tool in ["llvm-readobj-19", "llvm-readobj"] {
        if let Ok(output) = Command::new(tool).arg("--unwind").arg(path).output() {
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {error}", path.display());
            return Some(String::from_utf8_lossy(&output.stdout).into_owned());
        }
    }
    println!("skipped: llvm-readobj is not installed");
    None
}

fn register(bank: Bank, number: u8) -> String {
    match (bank, number) {
        (Bank::X, number) => format!("x{number}"),
        (Bank::D, number) => format!("d{number}"),
        (Bank::Q, number) => format!("q{number}"),
    }
}

/// A code as the tool writes it.
fn text(op: Op, prologue: bool) -> String {
    let either = |first: &str, second: &str| String::from(if prologue { first } else { second });
    match op {
        Op::Alloc(size) => format!("{} sp, #{size}", either("sub", "add")),
        Op::AllocVectors(count) => format!("addvl sp, #{}{count}", either("-", "")),
        Op::Save { bank, first, second, offset, moves } => {
            let name = match second {
                Some(_) => either("stp", "ldp"),
                None => either("str", "ldr"),
            };
            let mut registers = register(bank, first);
            if let Some(second) = second {
                registers = format!("{registers}, {}", register(bank, second));
            }
            let place = match (moves, prologue) {
                (false, _) | (true, true) if offset == 0 => "[sp]".to_owned(),
                (false, _) => format!("[sp, #{offset}]"),
                (true, true) => format!("[sp, #-{offset}]!"),
                (true, false) => format!("[sp], #{offset}"),
            };
            format!("{name} {registers}, {place}")
        }
        Op::SaveNext => either("save next", "restore next"),
        Op::SaveScalable => "scalable".into(),
        Op::SetFrame(0) => either("mov fp, sp", "mov sp, fp"),
        Op::SetFrame(offset) => either("add fp, sp, #", "sub sp, fp, #") + &offset.to_string(),
        Op::Nop => "nop".into(),
        Op::SignLink => either("pacibsp", "autibsp"),
        Op::TrapFrame => "trap frame".into(),
        Op::MachineFrame => "machine frame".into(),
        Op::Context => "context".into(),
        Op::EcContext => "EC context".into(),
        Op::NotACall => "clear unwound to call".into(),
        Op::End => "end".into(),
        Op::EndChained => "end_c".into(),
        Op::Reserved(_) => "Bad opcode!".into(),
    }
}

fn texts(ops: &[Op], prologue: bool, lines: &mut Vec<String>) {
    lines.extend(ops.iter().map(|op| text(*op, prologue)));
}

fn yes(value: bool) -> &'static str {
    if value { "Yes" } else { "No" }
}

fn listing(code: &FileCode, function: Function) -> Vec<String> {
    let va = |rva: u32| format!("0x{:X}", code.base + u64::from(rva));
    let mut lines = vec![format!("Function: {}", va(function.begin))];
    match function.data() {
        Data::Packed(packed) => packed_listing(packed, &mut lines),
        Data::Forward(_) => panic!("no image of the data set has these"),
        Data::Record(rva) => {
            let record = Record::read(code, rva).unwrap();
            lines.push(format!("ExceptionRecord: {}", va(rva)));
            lines.push(format!("FunctionLength: {}", record.length));
            lines.push(format!("Version: {}", record.version));
            lines.push(format!("ExceptionData: {}", yes(record.handler.is_some())));
            lines.push(format!("EpiloguePacked: {}", yes(record.last.is_some())));
            match record.last {
                Some(index) => lines.push(format!("EpilogueOffset: {index}")),
                None => lines.push(format!("EpilogueScopes: {}", record.scopes.len())),
            }
            lines.push(format!("ByteCodeLength: {}", record.codes.len()));
            texts(&record.ops(0), true, &mut lines);
            // The tool leaves them out where they are the same.
            if let Some(index) = record.last.filter(|index| *index != 0) {
                texts(&record.ops(index), false, &mut lines);
            }
            for scope in &record.scopes {
                lines.push(format!("StartOffset: {}", scope.start / 4));
                lines.push(format!("EpilogueStartIndex: {}", scope.index));
                texts(&record.ops(scope.index), false, &mut lines);
            }
            lines.extend(record.handler.map(|handler| format!("Routine: {}", va(handler))));
        }
    }
    lines
}

fn packed_listing(packed: Packed, lines: &mut Vec<String>) {
    lines.push(format!("Fragment: {}", yes(packed.is_fragment())));
    lines.push(format!("FunctionLength: {}", packed.length()));
    lines.push(format!("RegF: {}", packed.vectors().saturating_sub(1)));
    lines.push(format!("RegI: {}", packed.generals()));
    lines.push(format!("HomedParameters: {}", yes(packed.homes())));
    lines.push(format!("CR: {}", packed.link()));
    lines.push(format!("FrameSize: {}", packed.frame_size()));
    texts(&packed.ops(false).unwrap(), true, lines);
}

/// The records in the tool's text, with what says nothing and what we do not read left out.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut records: Vec<Vec<String>> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line == "RuntimeFunction {" {
            records.push(Vec::new());
            continue;
        }
        let Some(record) = records.last_mut() else { continue };
        let quiet = line.is_empty() || line.ends_with(['[', '{', ']', '}']) && !line.contains("sp");
        if quiet || line.starts_with("Parameter:") || line.contains("goes past") {
            continue;
        }
        let line = line.split_once("; ").map_or(line, |(_, code)| code);
        let line = if line == "invalid save_any_reg encoding" { "Bad opcode!" } else { line };
        // Packed data is written a little differently.
        let line = line
            .replace("lr", "x30")
            .replace("sub sp, sp", "sub sp")
            .replace("[sp, #0]", "[sp]")
            .replace("[sp, #-0]!", "[sp]");
        record.push(line.replace("mov x29, sp", "mov fp, sp").replace("add x29, sp, #0", "mov fp, sp"));
    }
    records
}

fn compare(path: &Path, code: &FileCode, fits: impl Fn(Function) -> bool) -> Option<usize> {
    let theirs = records(&readobj(path)?);
    assert_eq!(theirs.len(), code.entries() as usize, "{}", path.display());
    let mut compared = 0;
    for (index, theirs) in theirs.iter().enumerate() {
        let function = entry(code, index as u32).unwrap();
        // Reserved codes are one byte long to the tool.
        if fits(function) && !theirs.iter().any(|line| line == "Bad opcode!") {
            assert_eq!(&listing(code, function), theirs, "{}: record {index}: {function:x?}", path.display());
            compared += 1;
        }
    }
    Some(compared)
}

#[test]
fn records_are_what_llvm_says() {
    let Some(images) = images_for(Machine::Arm64) else { return };
    let mut compared = 0;
    for (path, code) in images {
        let Some(count) = compare(&path, &code, |_| true) else { return };
        compared += count;
        for index in 0..code.entries() {
            let own = entry(&code, index).unwrap();
            let end = own.begin + own.length(&code).unwrap();
            assert_eq!(function(&code, own.begin).unwrap(), Some(own));
            assert_eq!(function(&code, end - 4).unwrap(), Some(own));
        }
    }
    println!("{compared} records agree");
    assert!(compared >= 273, "{compared}");
}

/// Numbers without pattern, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }
}

fn file_offset(code: &FileCode, rva: u32) -> usize {
    let section = code.image.headers().section_at(rva).unwrap();
    (rva - section.rva + section.raw_offset) as usize
}

/// Compares copies of the image with the most records, changed by `change`.
fn with_changes(
    name: &str,
    rounds: u32,
    change: impl Fn(&FileCode, &mut [u8], &mut Dice),
    fits: impl Fn(Function) -> bool,
) {
    let Some(images) = images_for(Machine::Arm64) else { return };
    let (path, original) = images.into_iter().max_by_key(|(_, code)| code.entries()).unwrap();
    let copy: PathBuf = std::env::temp_dir().join(format!("dumplens-{name}-{}.exe", std::process::id()));
    let mut dice = Dice(1);
    let mut compared = 0;
    for _ in 0..rounds {
        let mut bytes = fs::read(&path).unwrap();
        change(&original, &mut bytes, &mut dice);
        fs::write(&copy, bytes).unwrap();
        let changed = FileCode::open(&copy, Machine::Arm64).unwrap();
        let Some(count) = compare(&copy, &changed, &fits) else { return };
        compared += count;
    }
    fs::remove_file(&copy).unwrap();
    println!("{compared} made-up records agree");
}

#[test]
fn packed_data_of_every_form_is_what_llvm_says() {
    let change = |code: &FileCode, bytes: &mut [u8], dice: &mut Dice| {
        let table = file_offset(code, code.function_table().unwrap().0);
        for index in 0..code.entries() as usize {
            let word = dice.roll() & !3 | (1 + (dice.roll() & 1));
            bytes[table + 8 * index + 4..][..4].copy_from_slice(&word.to_le_bytes());
        }
    };
    with_changes("packed", 12, change, |function| match function.data() {
        // The tool calls `stp x19, lr, [sp, #-n]!` invalid, as no code of a record can say it.
        Data::Packed(packed) => {
            packed.generals() <= 10 && packed.ops(false).is_some() && (packed.generals(), packed.link()) != (1, 1)
        }
        _ => false,
    });
}

#[test]
fn codes_of_every_form_are_what_llvm_says() {
    let change = |code: &FileCode, bytes: &mut [u8], dice: &mut Dice| {
        for index in 0..code.entries() {
            let Data::Record(rva) = entry(code, index).unwrap().data() else { continue };
            let record = Record::read(code, rva).unwrap();
            let head = if record.last.is_none() && record.scopes.len() > 31 { 2 } else { 1 };
            let at = file_offset(code, rva) + 4 * (head + record.scopes.len());
            let codes = &mut bytes[at..at + record.codes.len()];
            let mut rest = &mut codes[..];
            // Assigned codes that fit, up to an end; the tool does not know those of scalable vectors.
            while rest.len() > 1 {
                let mut roll = dice.roll().to_be_bytes();
                if dice.roll() & 1 == 0 {
                    roll[0] |= 0xc0;
                }
                let Some((op, after)) = Op::decode(&roll) else { continue };
                let length = roll.len() - after.len();
                if length < rest.len()
                    && !matches!(op, Op::Reserved(_) | Op::End | Op::SaveScalable | Op::AllocVectors(_))
                {
                    rest[..length].copy_from_slice(&roll[..length]);
                    rest = &mut rest[length..];
                }
            }
            rest[0] = 0xe4;
        }
    };
    with_changes("codes", 20, change, |function| matches!(function.data(), Data::Record(_)));
}

//! `kdmp-parser`, a reader of kernel dumps by other hands, against the testkit and our readers.
//!
//! What it does not read is said in [`form_expected`] and [`translates`]; if a later version reads more or less, the
//! test fails and the tables must be changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, io::Cursor};

use dumplens_paging::Via;
use dumplens_peers::{FORMS, Form, Header, PAGE, Reading, Subject, read, subjects};
use dumplens_testkit::machine::Paging;
use kdmp_parser::{
    error::Error,
    gxa::{Gpa, Gva, Gxa},
    parse::KernelDumpParser,
    phys, virt,
};

/// What it does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Reads,
    /// It reads the 64-bit header only.
    Not64Bit,
    /// It knows no form for type 2, the kernel dump up to Windows 7.
    UnknownType,
    /// It reads files with a dump header only.
    NoHeader,
}

fn form_expected(subject: &Subject, form: Form) -> Outcome {
    match form.dump_type {
        None => Outcome::NoHeader,
        Some(_) if !subject.is_wide() => Outcome::Not64Bit,
        Some(2) => Outcome::UnknownType,
        Some(_) => Outcome::Reads,
    }
}

/// Whether its walk fits the machine: it knows four levels of x64 entries. Five levels and ARM64 descriptors it would
/// misread, so only pages and header are compared there.
fn translates(subject: &Subject) -> bool {
    subject.paging() == Paging::X64
}

/// Which kinds of pages it finds: it follows pages in transition, but no prototype entries.
fn follows(via: Via) -> bool {
    matches!(via, Via::Hardware | Via::Transition)
}

fn outcome(result: &Result<KernelDumpParser, Error>) -> Outcome {
    match result {
        Ok(_) => Outcome::Reads,
        Err(Error::InvalidValidDump(_)) => Outcome::Not64Bit,
        Err(Error::UnknownDumpType(2)) => Outcome::UnknownType,
        Err(Error::InvalidSignature(_)) => Outcome::NoHeader,
        Err(error) => panic!("an error that the table does not know: {error}"),
    }
}

#[test]
fn kdmp_parser_agrees_with_the_testkit_and_with_us() {
    for subject in subjects() {
        for form in FORMS {
            let file = subject.write(form);
            let theirs = KernelDumpParser::with_reader(Cursor::new(file.clone()));
            let expected = form_expected(&subject, form);
            assert_eq!(outcome(&theirs), expected, "{} as {}", subject.name, form.name);
            if let Ok(theirs) = theirs {
                // Holds ours against the testkit's, too.
                let ours = read(&subject, form, &file);
                compare(&subject, form, &theirs, &ours);
            }
        }
    }
}

fn compare(subject: &Subject, form: Form, theirs: &KernelDumpParser, ours: &Reading) {
    let who = format!("{} as {}", subject.name, form.name);
    for (name, value) in header(subject, theirs) {
        assert_eq!(ours.header[name], value, "{who}: {name}");
    }

    let physical = phys::Reader::new(theirs);
    let pages: BTreeMap<u64, Vec<u8>> = theirs
        .physmem()
        .map(|(address, _)| {
            let mut page = vec![0; PAGE];
            physical.read_exact(address, &mut page).expect("a page of its own map can be read");
            (address.u64() / PAGE as u64, page)
        })
        .collect();
    assert_eq!(pages.len(), ours.pages.len(), "{who}: pages");
    assert!(pages == ours.pages, "{who}: pages differ");

    let (mut marks, mut mapped) = (0, 0);
    if translates(subject) {
        for space in &ours.spaces {
            let reader = virt::Reader::with_dtb(theirs, Gpa::new(space.root));
            let number = |va: u64| reader.read_struct::<u64>(Gva::new(va)).ok();
            for mark in &space.marks {
                assert_eq!(number(mark.va), mark.value.filter(|_| follows(mark.via)), "{who}: {}", mark.name);
                marks += 1;
            }
            for piece in &space.pieces {
                let mut bytes = vec![0; piece.len as usize];
                let result = reader.read_exact(Gva::new(piece.va), &mut bytes);
                assert_eq!(result.is_ok(), follows(piece.via), "{who}, {}: {piece:x?}: {result:?}", space.name);
                if result.is_err() {
                    continue;
                }
                assert!(Some(bytes) == space.read(piece.va, piece.len as usize), "{who}, {}: {piece:x?}", space.name);
                for step in (0..piece.len).step_by(PAGE) {
                    let found = reader.translate(Gva::new(piece.va + step)).expect("what can be read translates");
                    assert_eq!(found.gpa().u64(), piece.pa + step, "{who}, {}: {piece:x?}", space.name);
                    mapped += 1;
                }
            }
            for border in space.borders() {
                assert_eq!(number(border), None, "{who}, {}: it reads {border:#x}, we do not", space.name);
            }
        }
        assert_eq!(modules(theirs), expected_modules(subject), "{who}: modules");
    }
    println!("{who}: {} pages, {marks} marks and {mapped} mapped pages agree", pages.len());
}

/// Its reading of the header and of the registers; it knows x64 registers only.
fn header(subject: &Subject, theirs: &KernelDumpParser) -> Header {
    let (from, context) = (theirs.headers(), theirs.context_record());
    let mut header = Header::from([
        ("type", theirs.dump_type() as u64),
        ("build", u64::from(from.minor_version)),
        ("directory table base", from.directory_table_base),
        ("page frame database", from.pfn_database),
        ("module list", from.ps_loaded_module_list),
        ("process list", from.ps_active_process_head),
        ("processors", u64::from(from.number_processors)),
        ("bug check", u64::from(from.bug_check_code)),
        ("parameter 1", from.bug_check_code_parameters[0]),
        ("parameter 2", from.bug_check_code_parameters[1]),
        ("parameter 3", from.bug_check_code_parameters[2]),
        ("parameter 4", from.bug_check_code_parameters[3]),
        ("debugger data", from.kd_debugger_data_block),
        ("exception code", u64::from(theirs.exception_record().exception_code)),
        ("exception address", theirs.exception_record().exception_address),
        ("time", from.system_time.cast_unsigned()),
        ("up time", from.system_up_time.cast_unsigned()),
    ]);
    if subject.paging() != Paging::Arm64 {
        header.extend([("instruction pointer", context.rip), ("stack pointer", context.rsp)]);
    }
    header
}

/// Base, end and file name of the drivers that it found in the dump's memory.
fn modules(theirs: &KernelDumpParser) -> Vec<(u64, u64, String)> {
    let mut modules: Vec<_> = theirs
        .kernel_modules()
        .map(|(range, name)| (range.start.u64(), range.end.u64(), name.rsplit('\\').next().unwrap().to_string()))
        .collect();
    modules.sort();
    modules
}

fn expected_modules(subject: &Subject) -> Vec<(u64, u64, String)> {
    let modules = subject.machine.modules.iter();
    let mut modules: Vec<_> =
        modules.map(|(base, size, name)| (*base, base + u64::from(*size), name.clone())).collect();
    modules.sort();
    modules
}

use std::sync::OnceLock;

use dumplens_base::Source;
use dumplens_symbols::{Location, PdbFile, Style, demangle};
use dumplens_testkit::pdb::writer;

use crate::{Patch, budget, file::File};

/// Most of what is iterated. Files are small, so that more is a circle.
const MOST: usize = 20_000;
/// Bytes of stack for demangling: as a browser's worker has. Frames of a debug build are four times as large and more.
const STACK: usize = if cfg!(feature = "libfuzzer") { 1 << 20 } else { 8 << 20 };
/// Longest demangled name.
const LONGEST: usize = 64 << 10;

fn base() -> &'static [u8] {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    BASE.get_or_init(|| budget::unbounded(writer::sample))
}

/// A PDB, or a mangled name.
///
/// The first byte says what the rest is: 0 patches to a written PDB, 1 a file, 2 a name. In front of patches and files
/// stand four RVAs of 32 bits to look up.
pub fn pdb(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    if how % 3 == 2 {
        let text = String::from_utf8_lossy(rest).into_owned();
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(|| budget::within(64, move || name(&text)));
        return thread.expect("a thread").join().expect("a name is demangled or left alone");
    }
    budget::within(64, || {
        let Some((rvas, rest)) = rest.split_at_checked(16) else { return };
        let rvas: Vec<u32> = rvas.as_chunks::<4>().0.iter().map(|rva| u32::from_le_bytes(*rva)).collect();
        file(if how % 3 == 0 { File::patched(base(), Patch::all(rest)) } else { File::plain(rest) }, &rvas);
    });
}

fn name(text: &str) {
    for style in [Style::Name, Style::Full] {
        let plain = demangle(text, style);
        assert!(plain.as_ref().is_none_or(|plain| plain.len() <= LONGEST), "a name grows without end");
        assert_eq!(plain, demangle(text, style));
    }
}

fn file(source: Source, rvas: &[u32]) {
    let pdb = match PdbFile::open(source, 0) {
        Ok(pdb) => pdb,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let identity = *pdb.identity();
    assert!(identity.matches(&identity.guid, identity.age));
    let rearranged = pdb.is_rearranged();
    assert_eq!(pdb.is_rearranged(), rearranged);
    for rva in rvas.iter().copied().chain((0x1000..0x1300).step_by(0x1b)) {
        let found = pdb.lookup(rva);
        assert_eq!(pdb.lookup(rva), found, "another answer to the same question");
        match found {
            Ok(Some(found)) => located(&pdb, &found, (rearranged == Ok(false)).then_some(rva)),
            Ok(None) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let frame = pdb.frame(rva);
        assert_eq!(pdb.frame(rva), frame, "another answer to the same question");
        if let Ok(Some(frame)) = frame {
            assert!(frame.offset < frame.data.size, "{frame:?} does not hold {rva:x}");
        }
    }
    for name in ["_stop", "?run@app@@YAXXZ", "app::run", "absent", ""] {
        assert_eq!(pdb.by_name(name), pdb.by_name(name), "another answer to the same question");
    }
    lists(&pdb);
    assert_eq!(*pdb.identity(), identity);
}

/// What was found at an RVA; the RVA is given if the image is as it was linked.
fn located(pdb: &PdbFile, found: &Location, rva: Option<u32>) {
    let into = found.function_rva.checked_add(found.function_offset);
    assert!(rva.is_none_or(|rva| into == Some(rva)), "{found:?} is not at {rva:x?}");
    assert!(found.line != Some(0) && found.inlines.iter().all(|inline| inline.line != Some(0)), "lines count from 1");
    assert!(!found.in_module("app").is_empty());
    let _ = pdb.by_name(&found.raw_name);
}

fn lists(pdb: &PdbFile) {
    if let Ok(publics) = pdb.public_symbols() {
        let mut seen = 0;
        for (number, public) in publics.enumerate() {
            assert!(number < MOST, "the public symbols do not end");
            let Ok(public) = public else { continue };
            if seen < 20 {
                seen += 1;
                let _ = pdb.by_name(&public.name);
            }
        }
    }
    if let Ok(frames) = pdb.frame_records() {
        assert!(frames.take(MOST).count() < MOST, "the frames do not end");
    }
    let number = pdb.procedures().take(MOST).count();
    assert!(number < MOST, "the procedures do not end");
    for module in 0..4 {
        assert_eq!(pdb.module_name(module), pdb.module_name(module));
        if let Ok(lines) = pdb.lines(module) {
            assert!(lines.iter().all(|line| line.line != Some(0)), "lines count from 1");
        }
    }
}

//! How an address is translated, in words.

use alloc::{format, string::String, vec::Vec};

use dumplens_base::{Fault, Pa, PhysMemory, Va};
use dumplens_dump::PageStore;
use dumplens_paging::{AddressSpace, Hardware, Mapping, Mode, Software, Step, Via};
use dumplens_report::{
    Hex,
    protocol::{Translation, TranslationStep},
};

/// The way of an address through the tables of a space.
pub(crate) fn translate(space: &AddressSpace, store: &PageStore, va: Va, name: String) -> Translation {
    let mut steps = Vec::new();
    let result = space.translate(va, &mut |step| steps.push(step_model(step)));
    let mut translation = Translation {
        address: Hex(va.0),
        space: name,
        mode: mode_name(space.mode()).into(),
        steps,
        physical: None,
        page_size: None,
        file_offset: None,
        outcome: String::new(),
    };
    match result {
        Ok(mapping) => {
            translation.physical = Some(Hex(mapping.pa.0));
            translation.page_size = Some(mapping.page_size);
            translation.file_offset = store.file_offset(mapping.pa).map(Hex);
            // Reading one byte tells whether the page is in the dump, in the words of every other failed read.
            let mut byte = [0];
            let fault = dumplens_base::Memory::read(space, va, &mut byte).fault;
            translation.outcome = outcome(&mapping, fault);
        }
        Err(fault) => translation.outcome = format!("{fault}."),
    }
    translation
}

/// Where a physical address stands in the file.
pub(crate) fn physical(store: &PageStore, pa: Pa) -> Translation {
    let file_offset = store.file_offset(pa).map(Hex);
    let outcome = match file_offset {
        Some(offset) => format!("The page is in the dump; this byte stands at file offset {offset}."),
        None if store.next_run(pa).is_none() => {
            String::from("The dump does not hold this page, nor any page above it.")
        }
        None => String::from("The dump does not hold this page."),
    };
    Translation {
        address: Hex(pa.0),
        space: "physical memory".into(),
        mode: "none".into(),
        steps: Vec::new(),
        physical: Some(Hex(pa.0)),
        page_size: None,
        file_offset,
        outcome,
    }
}

fn outcome(mapping: &Mapping, fault: Option<Fault>) -> String {
    let size = match mapping.page_size {
        0x1000 => "4 KiB page",
        0x20_0000 => "2 MiB page",
        0x40_0000 => "4 MiB page",
        _ => "1 GiB page",
    };
    let found = match mapping.via {
        Via::Hardware => "valid",
        Via::Transition => "in transition: not mapped any more, but still in memory",
        Via::Prototype => "shared: its prototype PTE leads to the page",
    };
    match fault {
        None => format!("Physical address {}, in a {size}, {found}.", mapping.pa),
        Some(fault) => format!("Physical address {}, in a {size}, {found}; but {fault}.", mapping.pa),
    }
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::X86 => "x86, 2 levels",
        Mode::X86Pae => "x86 PAE, 3 levels",
        Mode::X64 => "x64, 4 levels",
        Mode::La57 => "x64, 5 levels (LA57)",
        Mode::Arm64 => "ARM64, 4 levels of 4 KiB tables",
    }
}

fn step_model(step: &Step) -> TranslationStep {
    let letters = |flags: dumplens_paging::Flags| flags.letters().iter().map(|letter| char::from(*letter)).collect();
    let (frame, flags, meaning): (Option<u64>, String, String) = match (step.hardware, step.software) {
        (Hardware::Table { pa, flags }, _) => (Some(pa.frame()), letters(flags), "next table".into()),
        (Hardware::Page { pa, flags }, _) => {
            let meaning = if flags.large { "large page" } else { "page" };
            (Some(pa.frame()), letters(flags), meaning.into())
        }
        (Hardware::Malformed, _) => (None, "malformed".into(), "sets bits that must be clear".into()),
        (Hardware::Invalid, software) => software_words(software),
    };
    TranslationStep {
        level: step.level.into(),
        at: step.at.map(|at| Hex(at.0)),
        virtual_address: step.virtual_address.map(|va| Hex(va.0)),
        entry: Hex(step.entry),
        frame: frame.map(Hex),
        flags,
        meaning,
    }
}

fn software_words(software: Option<Software>) -> (Option<u64>, String, String) {
    let invalid = |meaning: String| (None, String::from("not valid"), meaning);
    match software {
        Some(Software::Transition { pfn }) => {
            (Some(pfn), "transition".into(), "page in transition, still in memory".into())
        }
        Some(Software::Prototype { at }) => {
            (None, "prototype".into(), format!("shared: the prototype PTE at {at} decides"))
        }
        Some(Software::PrototypeByVad) => {
            (None, "prototype".into(), "shared: the process's VADs name the prototype PTE".into())
        }
        Some(Software::Subsection { at }) => (None, "subsection".into(), format!("in a mapped file, subsection {at}")),
        Some(Software::DemandZero) => invalid("demand zero: never touched".into()),
        Some(Software::PageFile { file, offset }) => invalid(format!("paging file {file}, page {offset:#x}")),
        Some(Software::Compressed { file, offset }) => {
            invalid(format!("compressed store (paging file {file}), page {offset:#x}"))
        }
        Some(Software::Empty) | None => invalid("empty".into()),
    }
}

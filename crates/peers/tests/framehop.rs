//! Stacks unwound by us and by framehop, another unwinder of x64 images, from the same registers, stack and images. What it
//! finds are our first frames; it goes no further than unwind data leads it, and does not know machine frames.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{cell::RefCell, collections::BTreeMap, fs, ops::Range, path::Path, rc::Rc};

use common::ask;
use dumplens_base::{Fault, Memory, MemoryExt as _, ReadOutcome, Region, Searched, Source, Va};
use dumplens_engine::Session;
use dumplens_image::{Image, ImageBytes};
use dumplens_report::{
    Hex,
    model::Trust,
    protocol::{Reply, Request, Space, StackOf, ThreadStack},
};
use dumplens_testkit::programs::Workshop;
use framehop::{
    Module, ModuleSectionInfo, Unwinder,
    x86_64::{CacheX86_64, Reg, UnwindRegsX86_64, UnwinderX86_64},
};

/// A dump, open; its memory is that of the crashed process.
struct Dump(RefCell<Session>);

impl Dump {
    fn open(bytes: Vec<u8>) -> Self {
        Self(RefCell::new(Session::open(Rc::new(bytes), None).unwrap()))
    }

    fn ask(&self, request: Request) -> Reply {
        ask(&mut self.0.borrow_mut(), request)
    }

    fn crash(&self) -> ThreadStack {
        let request = Request::Stack { of: StackOf::Crash, arguments: false };
        let Reply::Stack(found) = self.ask(request) else { panic!() };
        found
    }

    fn modules(&self) -> Vec<(String, u64)> {
        let Reply::Modules(modules) = self.ask(Request::Modules) else { panic!() };
        modules.into_iter().map(|module| (module.name, module.base.0)).collect()
    }
}

impl Memory for Dump {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let length = u32::try_from(buf.len()).unwrap();
        let request = Request::Memory { space: Space::Current, address: Hex(va.0), length };
        let Reply::Memory(chunks) = self.ask(request) else { panic!() };
        let mut filled = 0;
        for bytes in chunks.iter().map_while(|chunk| chunk.bytes.as_ref()) {
            buf[filled..filled + bytes.0.len()].copy_from_slice(&bytes.0);
            filled += bytes.0.len();
        }
        let fault = Fault::NotInDump { va, searched: Searched::MinidumpRanges };
        ReadOutcome { filled, fault: (filled < buf.len()).then_some(fault) }
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

/// The peer's view of an image: its sections by name.
struct Sections {
    base: u64,
    sections: BTreeMap<String, (Range<u64>, Vec<u8>)>,
}

impl Sections {
    fn of<B: ImageBytes>(image: &Image<B>, base: u64) -> Self {
        let sections = image.sections().iter().filter_map(|section| {
            let bytes = image.read_vec(section.rva, section.virtual_size, "section").ok()?;
            let start = base + u64::from(section.rva);
            Some((section.name.clone(), (start..start + bytes.len() as u64, bytes)))
        });
        Self { base, sections: sections.collect() }
    }

    fn get(&self, name: &[u8]) -> Option<&(Range<u64>, Vec<u8>)> {
        self.sections.get(std::str::from_utf8(name).unwrap())
    }
}

impl ModuleSectionInfo<Vec<u8>> for Sections {
    fn base_svma(&self) -> u64 {
        self.base
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        self.get(name).map(|(range, _)| range.clone())
    }

    fn section_data(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.get(name).map(|(_, bytes)| bytes.clone())
    }
}

/// The peer's frames, from the registers that our walk began with.
fn peer(dump: &Dump, found: &ThreadStack, images: &[(u64, u32, Sections)]) -> Vec<u64> {
    let registers = &found.context.as_ref().unwrap().registers.0;
    let value = |wanted: &str| registers.iter().find(|(name, _)| name == wanted).unwrap().1.0;
    let mut unwinder: UnwinderX86_64<Vec<u8>> = UnwinderX86_64::new();
    for (base, size, sections) in images {
        let sections = Sections { base: *base, sections: sections.sections.clone() };
        unwinder.add_module(Module::new(format!("{base:x}"), *base..*base + u64::from(*size), *base, sections));
    }
    let mut start = UnwindRegsX86_64::new(value("rip"), value("rsp"), value("rbp"));
    use Reg::{R12, R13, R14, R15, RBX, RDI, RSI};
    for register in [RBX, RSI, RDI, R12, R13, R14, R15] {
        start.set(register, value(&format!("{register:?}").to_lowercase()));
    }
    let mut read = |at: u64| dump.read_u64(Va(at)).map_err(|_| ());
    let mut cache: CacheX86_64 = CacheX86_64::new();
    let mut frames = unwinder.iter_frames(value("rip"), start, &mut cache, &mut read);
    let mut addresses = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        addresses.push(frame.address());
    }
    addresses
}

/// Our frames and how each was found, without inlined ones.
fn ours(found: &ThreadStack) -> Vec<(u64, Trust)> {
    let frames = found.stack.frames.iter().filter(|frame| !frame.inline);
    frames.map(|frame| (frame.address.0, frame.trust)).collect()
}

#[test]
fn a_driver_s_stack_is_unwound_alike() {
    let Some(data) = std::env::var_os("DUMPLENS_DATA") else {
        println!("skipped: DUMPLENS_DATA not set");
        return;
    };
    let folder = Path::new(&data).join("kernel");
    let dump = Dump::open(fs::read(folder.join("triage_x64_0x1000007e_19041.dmp")).unwrap());
    let modules = dump.modules();
    let mut images = Vec::new();
    for (name, key) in [("amdppm.sys", "c9c030003b000"), ("Wdf01000.sys", "a9a9d36ed1000")] {
        let source: Source = Rc::new(fs::read(folder.join("symbols").join(name).join(key).join(name)).unwrap());
        dump.0.borrow_mut().add_symbols(Rc::clone(&source), name).unwrap();
        let image = Image::file(source).unwrap();
        let (_, base) = modules.iter().find(|(its, _)| name.starts_with(its.as_str())).unwrap();
        images.push((*base, image.headers().size_of_image, Sections::of(&image, *base)));
    }
    let found = dump.crash();
    let mine = ours(&found);
    let theirs = peer(&dump, &found, &images);
    // Both go as far as the images lead: into nt, of which there is none.
    assert_eq!(theirs, mine[..17].iter().map(|(address, _)| *address).collect::<Vec<_>>());
    assert!(mine[1..17].iter().all(|(_, trust)| *trust == Trust::Unwind));
}

#[test]
fn programs_of_ours_are_unwound_alike() {
    let workshop = match Workshop::open(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("framehop-stories")) {
        Ok(workshop) => workshop,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    let program = workshop.build("stories.c", "-O2");
    // Not those that call nowhere, or crash in a leaf function: the peer takes rbp for a frame pointer there.
    for path in workshop.dumps(&program, &["inlined", "noreturn", "filter", "fault"]) {
        let dump = Dump::open(fs::read(&path).unwrap());
        fs::remove_file(&path).unwrap();
        let images: Vec<_> = dump
            .modules()
            .into_iter()
            .filter_map(|(_, base)| {
                let image = Image::mapped(&dump, Va(base)).ok()?;
                Some((base, image.headers().size_of_image, Sections::of(&image, base)))
            })
            .collect();
        let found = dump.crash();
        let mine: Vec<u64> = ours(&found).into_iter().map(|(address, _)| address).collect();
        assert_eq!(peer(&dump, &found, &images), mine, "{}", path.display());
        assert!(mine.len() > 5, "{}: {mine:x?}", path.display());
    }
}

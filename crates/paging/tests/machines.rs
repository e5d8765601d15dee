//! Translation on whole machines that the testkit wrote: every architecture, every kind of page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::rc::Rc;

use dumplens_base::{
    Fault, Memory, MemoryExt, PAGE_SIZE, Pa, PageReason, PhysFault, PhysMemory, PhysOutcome, PhysRun, Va,
};
use dumplens_paging::{AddressSpace, Mode, Prototypes, Search, SoftwareFormat, Via};
use dumplens_testkit::machine::{Machine, MachineSpec, Marks, Paging, PhysImage, RELEASES, WIN10_X64, WIN11_LA57};

/// The testkit's pages as physical memory.
struct Pages(PhysImage);

impl PhysMemory for Pages {
    fn read(&self, pa: Pa, buf: &mut [u8]) -> PhysOutcome {
        for (filled, byte) in buf.iter_mut().enumerate() {
            let at = Pa(pa.0 + filled as u64);
            if !self.has_page(at) {
                return PhysOutcome { filled, fault: Some(PhysFault::NotInDump { pa: at }) };
            }
            *byte = self.0.number(at.0, 1) as u8;
        }
        PhysOutcome { filled: buf.len(), fault: None }
    }

    fn next_run(&self, pa: Pa) -> Option<PhysRun> {
        self.0.runs().into_iter().find_map(|(first, count)| {
            let (start, end) = ((first * PAGE_SIZE).max(pa.0), (first + count) * PAGE_SIZE);
            (start < end).then(|| PhysRun { start: Pa(start), len: end - start })
        })
    }

    fn has_page(&self, pa: Pa) -> bool {
        self.0.pages().any(|(pfn, _)| pfn == pa.frame())
    }
}

fn mode(paging: Paging) -> Mode {
    match paging {
        Paging::X86 => Mode::X86,
        Paging::Pae => Mode::X86Pae,
        Paging::X64 => Mode::X64,
        Paging::La57 => Mode::La57,
        Paging::Arm64 => Mode::Arm64,
    }
}

fn machine(release: dumplens_testkit::machine::Release) -> (Machine, Rc<AddressSpace>) {
    let machine = MachineSpec::small(release).build();
    let mode = mode(release.paging);
    let software = SoftwareFormat::new(mode, release.build, Some(0));
    let pages = Rc::new(Pages(machine.phys.clone()));
    // A recorded base carries flag bits.
    let base = machine.kernel.root | if mode == Mode::X64 { 0x8000_0000_0000_0002 } else { 0 };
    let space = Rc::new(AddressSpace::new(pages, mode, software, base));
    (machine, space)
}

fn reason(space: &AddressSpace, va: u64) -> PageReason {
    let mut byte = [0];
    match space.read(Va(va), &mut byte).fault {
        Some(Fault::Page(fault)) => fault.reason,
        other => panic!("{va:#x} gave {other:?}"),
    }
}

#[test]
fn every_kind_of_page_reads_or_says_why_not() {
    for release in RELEASES {
        let (machine, space) = machine(release);
        let marks = &machine.marks;
        let number = |va: u64| space.read_u64(Va(va)).map_err(|fault| format!("{release:?}: {fault}"));
        assert_eq!(number(marks.large), Ok(Marks::LARGE));
        assert_eq!(number(marks.transition), Ok(Marks::TRANSITION));
        assert_eq!(number(marks.prototype), Ok(Marks::PROTOTYPE));
        assert_eq!(number(marks.across), Ok(Marks::ACROSS));
        assert!(matches!(reason(&space, marks.in_file), PageReason::MappedFile { .. }), "{release:?}");
        assert_eq!(reason(&space, marks.paged_out), PageReason::PagedOut { file: 1, offset: 0x4321 }, "{release:?}");
        assert_eq!(reason(&space, marks.demand_zero), PageReason::DemandZero);
        assert_eq!(reason(&space, marks.absent), PageReason::PageNotInDump { pa: Pa(0xf000_0000) });
        assert_eq!(reason(&space, marks.unmapped), PageReason::NotMapped);
        assert!(matches!(reason(&space, marks.lost_table), PageReason::TableNotInDump { .. }), "{release:?}");
    }
}

#[test]
fn a_walk_shows_every_level_and_how_the_page_was_found() {
    let (machine, space) = machine(WIN10_X64);
    let mut levels = Vec::new();
    let mapping = space.translate(Va(machine.marks.prototype), &mut |step| levels.push(step.level)).unwrap();
    assert_eq!(levels, ["PXE", "PPE", "PDE", "PTE", "prototype PTE"]);
    assert_eq!(mapping.via, Via::Prototype);
    let mapping = space.translate(Va(machine.marks.large), &mut |_| {}).unwrap();
    assert_eq!((mapping.page_size, mapping.via), (0x20_0000, Via::Hardware));
    assert!(mapping.flags.large && mapping.flags.write && !mapping.flags.execute && !mapping.flags.user);
    let code = space.translate(Va(machine.kernel_base + 0x1000), &mut |_| {}).unwrap();
    assert!(code.flags.execute && !code.flags.write);
    let mut levels = 0;
    let (machine, space) = self::machine(WIN11_LA57);
    space.translate(Va(machine.kernel_base), &mut |_| levels += 1).unwrap();
    assert_eq!(levels, 5);
}

#[test]
fn a_fault_spans_what_its_entry_maps() {
    let (machine, space) = machine(WIN10_X64);
    let mut byte = [0];
    let fault = space.read(Va(machine.marks.unmapped + 0x1234), &mut byte).fault.unwrap();
    assert_eq!(fault.span(), Some(0x20_0000 - 0x1234), "an empty PDE covers 2 MiB");
    let fault = space.read(Va(0x1234), &mut byte).fault.unwrap();
    assert_eq!(fault.span(), Some((1 << 39) - 0x1234), "an empty PXE covers 512 GiB");
    assert!(matches!(space.read(Va(1 << 47), &mut byte).fault, Some(Fault::NonCanonical { .. })));
}

#[test]
fn processes_see_their_own_user_half_and_share_the_kernel() {
    for release in RELEASES {
        let (machine, kernel) = machine(release);
        for (process, root) in machine.spec.processes.iter().zip(&machine.roots).skip(1) {
            let space = kernel.process(*root, None);
            assert_eq!(space.read_u64(Va(machine.marks.user)).unwrap(), process.id, "{release:?} {}", process.name);
            assert_eq!(space.read_u64(Va(machine.marks.large)).unwrap(), Marks::LARGE);
        }
        assert!(kernel.read_u64(Va(machine.marks.user)).is_err());
        // Without its own root in the dump, a process still sees the kernel.
        let space = kernel.process(0x7777_7000, None);
        assert_eq!(space.read_u64(Va(machine.marks.large)).unwrap(), Marks::LARGE);
        assert!(matches!(reason(&space, machine.marks.user), PageReason::TableNotInDump { .. }));
    }
}

#[test]
fn shared_memory_that_only_descriptors_know_is_found_through_them() {
    struct Fixed(Va, Va);
    impl Prototypes for Fixed {
        fn prototype(&self, va: Va) -> Option<Va> {
            (va.0 & !0xfff == self.0.0 & !0xfff).then_some(self.1)
        }
    }
    let (machine, kernel) = machine(WIN10_X64);
    let notepad = machine.spec.processes.iter().position(|process| process.name == "notepad.exe").unwrap();
    let va = Va(machine.marks.by_vad);
    let blind = kernel.process(machine.roots[notepad], None);
    assert_eq!(reason(&blind, va.0), PageReason::PrototypeUnknown);
    // Where the entry stands is the windows crate's business; here any address of a valid entry will do.
    let mut prototype_at = None;
    kernel
        .translate(Va(machine.marks.prototype), &mut |step| prototype_at = step.virtual_address.or(prototype_at))
        .unwrap();
    let space = kernel.process(machine.roots[notepad], Some(Box::new(Fixed(va, prototype_at.unwrap()))));
    assert_eq!(space.read_u64(Va(va.0 - 0x18 + 0x88)).unwrap(), Marks::PROTOTYPE);
}

#[test]
fn regions_are_what_can_be_read() {
    for release in RELEASES {
        let (machine, space) = machine(release);
        let (mut at, mut regions, mut steps) = (space.mode().kernel_start(), Vec::new(), 0);
        loop {
            steps += 1;
            assert!(steps < 100_000);
            match space.search(at, 64) {
                Search::Found(region) => {
                    assert!(region.start >= at && region.len > 0);
                    regions.push(region);
                    match region.start.checked_add(region.len) {
                        Some(next) => at = next,
                        None => break,
                    }
                }
                Search::Tired(next) => {
                    assert!(next > at, "a tired search got somewhere");
                    at = next;
                }
                Search::Nothing => break,
            }
        }
        let holds = |va: u64| regions.iter().any(|r| r.start.0 <= va && va - r.start.0 < r.len);
        let marks = &machine.marks;
        for (va, expected) in [
            (marks.large, true),
            (marks.transition, true),
            (marks.prototype, true),
            (marks.across, true),
            (machine.kernel_base, true),
            (marks.paged_out, false),
            (marks.demand_zero, false),
            (marks.absent, false),
            (marks.lost_table, false),
        ] {
            assert_eq!(holds(va), expected, "{release:?} {va:#x}");
            assert_eq!(space.read(Va(va), &mut [0]).fault.is_none(), expected);
        }
    }
}

#[test]
fn tables_that_point_at_themselves_end() {
    let mut phys = PhysImage::starting_at(1);
    let page = phys.alloc();
    for index in 0..512 {
        phys.put(page * 0x1000 + index * 8, &((page * 0x1000) | 0x67).to_le_bytes());
    }
    let software = SoftwareFormat::new(Mode::X64, 19041, Some(0));
    let space = AddressSpace::new(Rc::new(Pages(phys)), Mode::X64, software, page * 0x1000);
    let mut buf = [0; 64];
    assert!(space.read(Va(0xffff_8123_4567_8000), &mut buf).fault.is_none());
    let Search::Found(region) = space.search(Va(0), 16) else { panic!() };
    assert!(region.len >= 0x20_0000, "it goes on as far as the fuel lasts");
}

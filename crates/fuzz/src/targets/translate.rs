use std::{rc::Rc, sync::OnceLock};

use dumplens_base::{Memory, PhysMemory, Va};
use dumplens_paging::{AddressSpace, Mode, Search, SoftwareFormat};
use dumplens_testkit::machine::{Machine, Paging, PhysImage};

use super::kernel_objects::{KERNELS, base};
use crate::{
    Patch, budget,
    machine::{Pages, Patched},
};

/// First bytes from here on mean a few empty pages instead of a machine: patches make tables of them.
pub const TINY: u8 = KERNELS as u8;

/// Frames of the empty pages: 1 to 16. The root is the first.
const FRAMES: u64 = 16;
const MODES: [Mode; 5] = [Mode::X86, Mode::X86Pae, Mode::X64, Mode::La57, Mode::Arm64];
const BUILDS: [u32; 8] = [2600, 6002, 7601, 9600, 14393, 17763, 19041, 26100];
/// Addresses in an input.
const ADDRESSES: usize = 4;

fn tiny() -> &'static Pages {
    static EMPTY: OnceLock<&'static Pages> = OnceLock::new();
    EMPTY.get_or_init(|| {
        budget::unbounded(|| {
            let mut image = PhysImage::starting_at(1);
            image.alloc_run(FRAMES, 1);
            Pages::new(&image, |_, _| {})
        })
    })
}

/// In the empty pages every entry that looks like one points to one of them, or close by.
fn near(mut patch: Patch) -> Patch {
    const FRAME: u64 = 0x000f_ffff_ffff_f000;
    patch.value = patch.value & !FRAME | (1 + (patch.value >> 12) % (FRAMES + 2)) << 12;
    patch
}

const fn mode(machine: &Machine) -> Mode {
    match machine.spec.release.paging {
        Paging::X86 => Mode::X86,
        Paging::Pae => Mode::X86Pae,
        Paging::X64 => Mode::X64,
        Paging::La57 => Mode::La57,
        Paging::Arm64 => Mode::Arm64,
    }
}

/// Page tables: walks, reads and searches end, and agree with each other.
///
/// Four bytes: machine (from [`TINY`] on, empty pages), mode, build, high physical bit. Then a directory table base for
/// the process, four addresses, and patches.
pub fn translate(data: &[u8]) {
    let [number, how, build, high_bit, rest @ ..] = data else { return };
    let words = rest.as_chunks::<8>().0;
    let [second_root, addresses @ ..] = words.first_chunk::<{ 1 + ADDRESSES }>().copied().unwrap_or_default();
    let patches = Patch::all(rest.get(8 * (1 + ADDRESSES)..).unwrap_or_default());
    let high_bit = (*high_bit < 64).then_some(*high_bit);
    let addresses = addresses.map(u64::from_le_bytes);
    let (memory, mode, root, marks) = if *number < TINY {
        let base = base(usize::from(*number));
        let marks = &base.machine.marks;
        let marks = vec![marks.large, marks.prototype, marks.transition, marks.across, marks.paged_out];
        (Patched::new(base.pages, patches), mode(&base.machine), base.machine.kernel.root, marks)
    } else {
        let mode = MODES[usize::from(*how) % MODES.len()];
        (Patched::new(tiny(), patches.map(near)), mode, 0x1000, vec![])
    };
    budget::within(64, || {
        let memory: Rc<dyn PhysMemory> = Rc::new(memory);
        let software = SoftwareFormat::new(mode, BUILDS[usize::from(*build) % BUILDS.len()], high_bit);
        let space = || Rc::new(AddressSpace::new(Rc::clone(&memory), mode, software, root));
        let second = u64::from_le_bytes(second_root);
        let warm = space();
        let process = Rc::new(warm.process(second, None));
        // The neighbours on either side of a table's end are what a wrong cache would mix up.
        let neighbours = [12, 21, 22].map(|bit| addresses[0] ^ 1 << bit);
        for va in addresses.into_iter().chain(neighbours).chain(marks) {
            agree(&warm, &space(), Va(va));
            agree(&process, &Rc::new(space().process(second, None)), Va(va));
        }
        for va in [addresses[0], 0, mode.kernel_start().0] {
            search(&warm, Va(va));
            search(&process, Va(va));
        }
    });
}

/// A walk, a first read, a cached one and one by a space that knows nothing yet say the same.
fn agree(warm: &AddressSpace, cold: &AddressSpace, va: Va) {
    let mut steps = 0;
    let walk = cold.translate(va, &mut |_| steps += 1);
    assert!(steps <= 2 * (cold.mode().levels().len() + 1), "{steps} steps");
    let read = |space: &AddressSpace| {
        let mut buf = [0; 0x1010];
        let outcome = space.read(va, &mut buf);
        assert_eq!(outcome.fault.is_none(), outcome.filled == buf.len());
        if let Some(fault) = &outcome.fault {
            assert!(!fault.to_string().is_empty() && fault.span() != Some(0), "{fault}");
        }
        (outcome, buf)
    };
    let first = read(warm);
    assert_eq!(first, read(warm), "{va}, read twice");
    assert_eq!(first, read(cold), "{va}, read without a cache");
    let outcome = first.0;
    match walk {
        Err(fault) => assert_eq!((outcome.filled, outcome.fault), (0, Some(fault)), "{va}"),
        Ok(mapping) => {
            assert!(mapping.page_size.is_power_of_two() && mapping.page_size >= 0x1000);
            let mut byte = [0];
            let present = cold.physical().read(mapping.pa, &mut byte).fault.is_none();
            assert_eq!(present, outcome.filled > 0, "{va}");
            assert!(!present || byte[0] == first.1[0], "{va} is another page");
        }
    }
}

/// A search does a bounded piece of work, goes forward, and finds only what can be read.
fn search(space: &AddressSpace, from: Va) {
    let mut at = from;
    for _ in 0..24 {
        at = match space.search(at, 16) {
            Search::Found(region) => {
                assert!(region.start >= at && region.len > 0, "{region:?} after {at}");
                let last = region.start.checked_add(region.len - 1).expect("a region ends in the address space");
                for va in [region.start, last] {
                    let outcome = space.read(va, &mut [0]);
                    assert!(outcome.fault.is_none(), "{va} of {region:?}: {:?}", outcome.fault);
                }
                let Some(next) = region.start.checked_add(region.len) else { break };
                next
            }
            Search::Tired(next) => {
                assert!(next > at, "a tired search got somewhere from {at}");
                next
            }
            Search::Nothing => break,
        };
    }
}

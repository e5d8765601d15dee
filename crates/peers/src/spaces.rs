//! Address spaces: what the testkit put at known addresses, and everything our own translation reaches.

use std::rc::Rc;

use dumplens_base::{Memory, PhysMemory, Va};
use dumplens_paging::{AddressSpace, Mode, Search, SoftwareFormat, Via};
use dumplens_testkit::machine::{Marks, PAGE, Paging};

use crate::Subject;

/// An address at which the testkit knows what to expect.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// What it is an example of.
    pub name: &'static str,
    /// Where.
    pub va: u64,
    /// The eight bytes there; `None` where nothing can be read.
    pub value: Option<u64>,
    /// What a reader must know to read it; of no use where nothing can be read.
    pub via: Via,
}

/// Addresses that lie one after another in both spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First address.
    pub va: u64,
    /// The physical address behind it.
    pub pa: u64,
    /// Bytes.
    pub len: u64,
    /// How it was found.
    pub via: Via,
}

/// What we make of an address space: the kernel's, or the user half of a process.
#[derive(Debug)]
pub struct SpaceReading {
    /// Whose.
    pub name: String,
    /// Physical address of the root table.
    pub root: u64,
    /// Known addresses.
    pub marks: Vec<Mark>,
    /// Everything that can be read, in order.
    pub pieces: Vec<Piece>,
    /// The space itself.
    pub space: Rc<AddressSpace>,
}

/// Our name for the testkit's way of translating.
#[must_use]
pub const fn mode(paging: Paging) -> Mode {
    match paging {
        Paging::X86 => Mode::X86,
        Paging::Pae => Mode::X86Pae,
        Paging::X64 => Mode::X64,
        Paging::La57 => Mode::La57,
        Paging::Arm64 => Mode::Arm64,
    }
}

fn kernel_marks(marks: &Marks) -> Vec<Mark> {
    let there = |name, va, value, via| Mark { name, va, value: Some(value), via };
    let none = |name, va| Mark { name, va, value: None, via: Via::Hardware };
    vec![
        there("large", marks.large, Marks::LARGE, Via::Hardware),
        there("across", marks.across, Marks::ACROSS, Via::Hardware),
        there("transition", marks.transition, Marks::TRANSITION, Via::Transition),
        there("prototype", marks.prototype, Marks::PROTOTYPE, Via::Prototype),
        none("in file", marks.in_file),
        none("paged out", marks.paged_out),
        none("demand zero", marks.demand_zero),
        none("absent", marks.absent),
        none("unmapped", marks.unmapped),
        none("lost table", marks.lost_table),
    ]
}

/// Every space of a machine over physical memory that was read from a file.
pub(crate) fn spaces(subject: &Subject, phys: &Rc<dyn PhysMemory>, base: u64) -> Vec<SpaceReading> {
    let machine = &subject.machine;
    let mode = mode(subject.paging());
    let software = SoftwareFormat::new(mode, machine.spec.release.build, Some(0));
    let kernel = Rc::new(AddressSpace::new(Rc::clone(phys), mode, software, base));
    let half = mode.kernel_start().0;
    let mut all = vec![SpaceReading {
        name: "kernel".into(),
        root: kernel.root().0,
        marks: kernel_marks(&machine.marks),
        pieces: pieces(&kernel, half, u64::MAX),
        space: Rc::clone(&kernel),
    }];
    for (process, root) in machine.spec.processes.iter().zip(&machine.roots).skip(1) {
        let space = Rc::new(kernel.process(*root, None));
        let mut marks = vec![
            Mark { name: "user", va: machine.marks.user, value: Some(process.id), via: Via::Hardware },
            Mark { name: "large", va: machine.marks.large, value: Some(Marks::LARGE), via: Via::Hardware },
        ];
        if process.name == "notepad.exe" && machine.marks.by_vad != 0 {
            // Nobody here looks at address descriptors: everybody must say that the page cannot be read.
            marks.push(Mark { name: "by descriptor", va: machine.marks.by_vad, value: None, via: Via::Prototype });
        }
        all.push(SpaceReading {
            name: process.name.clone(),
            root: space.root().0,
            marks,
            pieces: pieces(&space, 0, half),
            space,
        });
    }
    all
}

/// All that can be read from `from` up to `end`, page by page, joined where pages follow each other.
fn pieces(space: &AddressSpace, from: u64, end: u64) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut at = from;
    for _ in 0..100_000 {
        let region = match space.search(Va(at), 4096) {
            Search::Found(region) if region.start.0 < end => region,
            Search::Tired(next) => {
                at = next.0;
                continue;
            }
            Search::Found(_) | Search::Nothing => return pieces,
        };
        for page in (region.start.0..region.start.0 + region.len).step_by(PAGE as usize) {
            let mapping = space.translate(Va(page), &mut |_| {}).expect("what was found translates");
            match pieces.last_mut() {
                Some(last)
                    if last.va + last.len == page && last.pa + last.len == mapping.pa.0 && last.via == mapping.via =>
                {
                    last.len += PAGE;
                }
                _ => pieces.push(Piece { va: page, pa: mapping.pa.0, len: PAGE, via: mapping.via }),
            }
        }
        match region.start.0.checked_add(region.len) {
            Some(next) => at = next,
            None => return pieces,
        }
    }
    panic!("the search does not end");
}

impl SpaceReading {
    /// Whether any piece holds the page of `va`.
    #[must_use]
    pub fn holds(&self, va: u64) -> bool {
        self.pieces.iter().any(|piece| piece.va <= va && va - piece.va < piece.len)
    }

    /// Pages right behind a piece that no other piece holds: a reader that goes on there reads too much.
    #[must_use]
    pub fn borders(&self) -> Vec<u64> {
        self.pieces.iter().filter_map(|piece| piece.va.checked_add(piece.len)).filter(|va| !self.holds(*va)).collect()
    }

    /// Our own reading of bytes; `None` unless all of them are there.
    #[must_use]
    pub fn read(&self, va: u64, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.space.read(Va(va), &mut bytes).fault.is_none().then_some(bytes)
    }
}

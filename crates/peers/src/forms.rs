//! Which machines are compared, and in which forms.

use dumplens_testkit::machine::{Machine, MachineSpec, PAGE, Paging, RELEASES, Release, Store, WIN7_PAE, WIN10_X64};

/// A form of file in which a machine's memory stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What tests call it.
    pub name: &'static str,
    /// How the testkit writes it.
    pub store: Store,
    /// Type number in the dump header; `None` where there is no such header.
    pub dump_type: Option<u32>,
}

const fn form(name: &'static str, store: Store, dump_type: Option<u32>) -> Form {
    Form { name, store, dump_type }
}

/// Every form.
pub const FORMS: [Form; 9] = [
    form("full", Store::Full, Some(1)),
    form("summary", Store::Summary, Some(2)),
    form("bitmap-full", Store::BitmapFull, Some(5)),
    form("bitmap-kernel", Store::BitmapKernel, Some(6)),
    // The same bytes as type 9; readers are told by the number alone.
    form("range-8", Store::Range, Some(8)),
    form("range-9", Store::Range, Some(9)),
    form("range-10", Store::RangeCounted, Some(10)),
    form("elf", Store::Elf, None),
    form("raw", Store::Raw, None),
];

/// A machine that is compared.
#[derive(Debug)]
pub struct Subject {
    /// What tests call it: paging, build, and what is special about it.
    pub name: String,
    /// The machine.
    pub machine: Machine,
}

/// Every release, and two machines whose physical memory has holes: runs of odd lengths, which start and end anywhere in
/// the bytes and words of a bitmap.
#[must_use]
pub fn subjects() -> Vec<Subject> {
    let subject = |release: &Release, what: &str| {
        let mut machine = MachineSpec::small(*release).build();
        // Last pages far above the others: raw images of less than 16 MiB, or with zeros at both ends, are refused.
        // Eight of them make the number of bits in a bitmap a multiple of eight.
        let last = machine.phys.alloc_run(8, 0x1000) + 7;
        machine.phys.put(last * PAGE, b"the last page of memory");
        Subject { name: format!("{:?}-{}{what}", release.paging, release.build).to_lowercase(), machine }
    };
    let mut all: Vec<_> = RELEASES.iter().map(|release| subject(release, "")).collect();
    for release in [WIN10_X64, WIN7_PAE] {
        let mut holed = subject(&release, "-holes");
        punch(&mut holed.machine);
        // Three more pages: these bitmaps end within a byte.
        let last = holed.machine.phys.alloc_run(3, 1) + 2;
        holed.machine.phys.put(last * PAGE, b"the very last page of memory");
        all.push(holed);
    }
    all
}

/// Takes pages of the large page out, but not the one with the mark: a dump of kernel memory may hold parts of one.
fn punch(machine: &mut Machine) {
    let (first, _) = *machine.phys.runs().iter().max_by_key(|(_, count)| *count).expect("there is memory");
    let large = first.next_multiple_of(512);
    for (start, count) in
        [(0, 1), (3, 5), (31, 1), (33, 31), (65, 7), (96, 32), (200, 3), (255, 2), (300, 100), (511, 1)]
    {
        for page in start..start + count {
            machine.phys.remove(large + page);
        }
    }
}

impl Subject {
    /// The file.
    #[must_use]
    pub fn write(&self, form: Form) -> Vec<u8> {
        let mut bytes = self.machine.write(form.store);
        if let Some(number) = form.dump_type {
            let at = if self.is_wide() { 0xf98 } else { 0xf88 };
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Whether its dumps have the 64-bit header.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        self.machine.spec.release.is_64_bit()
    }

    /// How its processor translates.
    #[must_use]
    pub const fn paging(&self) -> Paging {
        self.machine.spec.release.paging
    }

    /// The pages that a file of this form holds, with their content: a raw image has zeros where the machine has none.
    #[must_use]
    pub fn pages(&self, form: Form, file_len: usize) -> Vec<(u64, Vec<u8>)> {
        let pages = self.machine.phys.pages().map(|(pfn, page)| (pfn, page.to_vec()));
        if form.store != Store::Raw {
            return pages.collect();
        }
        let mut all: Vec<_> = (0..file_len as u64 / PAGE).map(|pfn| (pfn, vec![0; PAGE as usize])).collect();
        for (pfn, page) in pages {
            all[pfn as usize].1 = page;
        }
        all
    }
}

//! Physical pages and the page tables that lead to them, written entry by entry.

use std::collections::BTreeMap;

/// Bytes of a page.
pub const PAGE: u64 = 0x1000;

/// Physical memory: only pages that were written exist.
#[derive(Clone, Debug, Default)]
pub struct PhysImage {
    pages: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
    next: u64,
}

impl PhysImage {
    /// Memory whose first allocated page is `first`.
    #[must_use]
    pub fn starting_at(first: u64) -> Self {
        Self { pages: BTreeMap::new(), next: first }
    }

    /// A fresh zeroed page; its page frame number.
    pub fn alloc(&mut self) -> u64 {
        let pfn = self.next;
        self.next += 1;
        self.pages.insert(pfn, Box::new([0; PAGE as usize]));
        pfn
    }

    /// Fresh pages, one after another, at a multiple of `align` pages.
    pub fn alloc_run(&mut self, count: u64, align: u64) -> u64 {
        self.next = self.next.next_multiple_of(align);
        let first = self.next;
        for _ in 0..count {
            self.alloc();
        }
        first
    }

    /// Leaves pages out: a hole in physical memory.
    pub fn skip(&mut self, count: u64) {
        self.next += count;
    }

    /// Takes a page out of the dump.
    pub fn remove(&mut self, pfn: u64) {
        self.pages.remove(&pfn);
    }

    /// Writes bytes; the pages must exist.
    pub fn put(&mut self, pa: u64, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let at = pa + index as u64;
            let page = self.pages.get_mut(&(at / PAGE)).expect("the page exists");
            page[(at % PAGE) as usize] = *byte;
        }
    }

    /// Reads a number of `width` bytes; 0 where no page is.
    #[must_use]
    pub fn number(&self, pa: u64, width: usize) -> u64 {
        let mut bytes = [0; 8];
        if let Some(page) = self.pages.get(&(pa / PAGE)) {
            let at = (pa % PAGE) as usize;
            bytes[..width].copy_from_slice(&page[at..at + width]);
        }
        u64::from_le_bytes(bytes)
    }

    /// Pages in order.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &[u8; PAGE as usize])> {
        self.pages.iter().map(|(pfn, page)| (*pfn, &**page))
    }

    /// Runs of pages without gaps: first page and count.
    #[must_use]
    pub fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for pfn in self.pages.keys() {
            match runs.last_mut() {
                Some((first, count)) if *first + *count == *pfn => *count += 1,
                _ => runs.push((*pfn, 1)),
            }
        }
        runs
    }
}

/// How the machine's processor translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Two levels, 4-byte entries.
    X86,
    /// Three levels, 8-byte entries.
    Pae,
    /// Four levels.
    X64,
    /// Five levels.
    La57,
    /// Four levels of ARM64 descriptors.
    Arm64,
}

impl Paging {
    /// Lowest address bit of each level's index, from the root down.
    #[must_use]
    pub const fn shifts(self) -> &'static [u32] {
        match self {
            Self::X86 => &[22, 12],
            Self::Pae => &[30, 21, 12],
            Self::X64 | Self::Arm64 => &[39, 30, 21, 12],
            Self::La57 => &[48, 39, 30, 21, 12],
        }
    }

    /// Bytes of an entry.
    #[must_use]
    pub const fn entry(self) -> u64 {
        if matches!(self, Self::X86) { 4 } else { 8 }
    }

    const fn index(self, shift: u32, va: u64) -> u64 {
        let mask = match (self, shift) {
            (Self::X86, _) => 0x3ff,
            (Self::Pae, 30) => 3,
            _ => 0x1ff,
        };
        (va >> shift) & mask
    }

    /// An entry that points to a table.
    const fn table_entry(self, pfn: u64, shift: u32) -> u64 {
        let base = pfn * PAGE;
        match (self, shift) {
            (Self::Arm64, _) => base | 3,
            (Self::Pae, 30) => base | 1,
            _ => base | 0x67,
        }
    }

    /// An entry that maps a page.
    #[must_use]
    pub const fn page_entry(self, pfn: u64, rights: Rights) -> u64 {
        let base = pfn * PAGE;
        let Rights { write, user, execute } = rights;
        match self {
            Self::Arm64 => {
                base | 0x703
                    | if write { 0 } else { 0x80 }
                    | if user { 0x40 } else { 0 }
                    | if execute { 0 } else { 3 << 53 }
            }
            _ => {
                let nx = if execute || matches!(self, Self::X86) { 0 } else { 1 << 63 };
                base | 0x61 | if write { 2 } else { 0 } | if user { 4 } else { 0 } | nx
            }
        }
    }

    /// An entry that maps a large page: 2 MiB, or 4 MiB with two levels.
    const fn large_entry(self, pfn: u64, rights: Rights) -> u64 {
        match self {
            Self::Arm64 => self.page_entry(pfn, rights) & !2,
            _ => self.page_entry(pfn, rights) | 0x80,
        }
    }
}

/// What may be done with a page.
#[derive(Clone, Copy, Debug)]
pub struct Rights {
    /// Written to.
    pub write: bool,
    /// Used by user mode.
    pub user: bool,
    /// Executed.
    pub execute: bool,
}

/// Kernel data.
pub const DATA: Rights = Rights { write: true, user: false, execute: false };
/// Kernel code.
pub const CODE: Rights = Rights { write: false, user: false, execute: true };
/// User data.
pub const USER: Rights = Rights { write: true, user: true, execute: false };

/// A set of page tables.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// How they are laid out.
    pub paging: Paging,
    /// Physical address of the root.
    pub root: u64,
}

impl Tables {
    /// Empty tables.
    pub fn new(phys: &mut PhysImage, paging: Paging) -> Self {
        Self { paging, root: phys.alloc() * PAGE }
    }

    /// Where the entry stands that decides about `va` at the level with this shift; tables on the way are made.
    pub fn entry_at(&self, phys: &mut PhysImage, va: u64, stop: u32) -> u64 {
        let mut table = self.root;
        for shift in self.paging.shifts() {
            let at = table + self.paging.index(*shift, va) * self.paging.entry();
            if *shift == stop {
                return at;
            }
            let mut entry = phys.number(at, self.paging.entry() as usize);
            if entry & 1 == 0 {
                entry = self.paging.table_entry(phys.alloc(), *shift);
                self.set(phys, at, entry);
            }
            table = entry & 0x000f_ffff_ffff_f000;
        }
        unreachable!("every paging mode ends with shift 12")
    }

    fn set(&self, phys: &mut PhysImage, at: u64, entry: u64) {
        phys.put(at, &entry.to_le_bytes()[..self.paging.entry() as usize]);
    }

    /// Maps a page.
    pub fn map(&self, phys: &mut PhysImage, va: u64, pfn: u64, rights: Rights) {
        self.set_leaf(phys, va, self.paging.page_entry(pfn, rights));
    }

    /// Maps a large page.
    pub fn map_large(&self, phys: &mut PhysImage, va: u64, pfn: u64, rights: Rights) {
        let shift = self.paging.shifts()[self.paging.shifts().len() - 2];
        let at = self.entry_at(phys, va, shift);
        self.set(phys, at, self.paging.large_entry(pfn, rights));
    }

    /// Writes a leaf entry as it is: for entries that only Windows understands.
    pub fn set_leaf(&self, phys: &mut PhysImage, va: u64, entry: u64) {
        let at = self.entry_at(phys, va, 12);
        self.set(phys, at, entry);
    }

    /// Points a root entry at the root itself, as Windows does to reach page tables by address.
    pub fn map_self(&self, phys: &mut PhysImage, index: u64) {
        let entry = self.paging.table_entry(self.root / PAGE, 39);
        self.set(phys, self.root + index * 8, entry);
    }

    /// Points 32-bit tables at themselves, as Windows does: at 0xc0300000 with two levels, at 0xc0600000 with PAE.
    pub fn map_self_32(&self, phys: &mut PhysImage) {
        if self.paging == Paging::X86 {
            let entry = self.paging.table_entry(self.root / PAGE, 22);
            self.set(phys, self.root + 0x300 * 4, entry);
            return;
        }
        let directories: Vec<u64> = (0..4_u64).map(|index| self.entry_at(phys, index << 30, 21) & !0xfff).collect();
        for (index, directory) in directories.iter().enumerate() {
            let entry = self.paging.table_entry(directory / PAGE, 21);
            self.set(phys, directories[3] + index as u64 * 8, entry);
        }
    }

    /// New tables that share the kernel's half of these.
    pub fn process(&self, phys: &mut PhysImage) -> Self {
        let new = Self::new(phys, self.paging);
        let size = self.paging.entry();
        let (from, to) = match self.paging {
            Paging::X86 => (512, 1024),
            Paging::Pae => (2, 4),
            _ => (256, 512),
        };
        for index in from..to {
            let entry = phys.number(self.root + index * size, size as usize);
            if entry != 0 {
                new.set(phys, new.root + index * size, entry);
            }
        }
        new
    }
}

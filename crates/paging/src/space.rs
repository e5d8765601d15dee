//! An address space: tables, a translation cache, and reads through both.

use alloc::{boxed::Box, rc::Rc, vec, vec::Vec};
use core::cell::RefCell;

use dumplens_base::{
    Fault, Memory, PAGE_SIZE, Pa, PageFault, PageReason, PhysFault, PhysMemory, ReadOutcome, Region, Va,
};

use crate::{
    Flags, Hardware, Mapping, Mode, Software, SoftwareFormat, Step, Via,
    regions::Search,
    walk::{End, Walker, reason},
};

/// Finds the prototype entry of an address from the process's address descriptors (VADs).
pub trait Prototypes {
    /// Address of the prototype entry that decides about `va`; `None` if the descriptors name none or cannot be read.
    fn prototype(&self, va: Va) -> Option<Va>;
}

/// The virtual memory of one process, or of the kernel.
pub struct AddressSpace {
    phys: Rc<dyn PhysMemory>,
    mode: Mode,
    software: SoftwareFormat,
    root: Pa,
    /// The kernel's own root: serves kernel addresses where this space's root table is not in the dump.
    kernel: Option<Rc<AddressSpace>>,
    prototypes: Option<Box<dyn Prototypes>>,
    cache: RefCell<Cache>,
}

impl core::fmt::Debug for AddressSpace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AddressSpace").field("mode", &self.mode).field("root", &self.root).finish_non_exhaustive()
    }
}

/// Pages and last-level tables found lately, each in the slot its number selects.
struct Cache {
    /// Page number + 1 (0: empty) and the physical page.
    pages: Vec<(u64, Pa)>,
    /// Number of the last-level table + 1 (0: empty), and the table.
    tables: Vec<(u64, Pa)>,
}

/// Slots for pages: 4 MiB of addresses.
const PAGES: usize = 1024;
/// Slots for last-level tables: 1 GiB of addresses.
const TABLES: usize = 512;

impl Default for Cache {
    fn default() -> Self {
        Self { pages: vec![(0, Pa(0)); PAGES], tables: vec![(0, Pa(0)); TABLES] }
    }
}

fn slot(list: &[(u64, Pa)], number: u64) -> Option<Pa> {
    let index = usize::try_from(number % (list.len() as u64).max(1)).ok()?;
    list.get(index).filter(|(tag, _)| *tag == number.wrapping_add(1)).map(|(_, pa)| *pa)
}

fn keep(list: &mut [(u64, Pa)], number: u64, pa: Pa) {
    let index = usize::try_from(number % (list.len() as u64).max(1)).unwrap_or(0);
    if let Some(entry) = list.get_mut(index) {
        *entry = (number.wrapping_add(1), pa);
    }
}

/// A fault from where it happened and in which terms.
const fn page_fault(va: Va, level: &'static str, at: Option<Pa>, entry: u64, reason: PageReason) -> Fault {
    let span = PAGE_SIZE - (va.0 & (PAGE_SIZE - 1));
    Fault::Page(PageFault { va, span, level, entry_at: at, entry, reason })
}

const PROTOTYPE: &str = "prototype PTE";

impl AddressSpace {
    /// The space whose tables start where `directory_table_base` says; flag bits in it are masked off.
    #[must_use]
    pub fn new(phys: Rc<dyn PhysMemory>, mode: Mode, software: SoftwareFormat, directory_table_base: u64) -> Self {
        let root = Pa(mode.root(directory_table_base));
        Self { phys, mode, software, root, kernel: None, prototypes: None, cache: RefCell::default() }
    }

    /// The same machine's space with another root, as a process has it. Kernel addresses fall back to this space where
    /// the process's own tables do not tell.
    #[must_use]
    pub fn process(self: &Rc<Self>, directory_table_base: u64, prototypes: Option<Box<dyn Prototypes>>) -> Self {
        let mut space = Self::new(Rc::clone(&self.phys), self.mode, self.software, directory_table_base);
        space.kernel = Some(Rc::clone(self));
        space.prototypes = prototypes;
        space
    }

    /// How this machine translates.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Physical address of the root table.
    #[must_use]
    pub const fn root(&self) -> Pa {
        self.root
    }

    /// Physical memory below.
    #[must_use]
    pub fn physical(&self) -> &Rc<dyn PhysMemory> {
        &self.phys
    }

    pub(crate) fn walker(&self) -> Walker<'_> {
        Walker { phys: &*self.phys, mode: self.mode, software: self.software }
    }

    /// Number of the last-level table that decides about `va`.
    const fn table_number(&self, va: Va) -> u64 {
        va.0 >> if matches!(self.mode, Mode::X86) { 22 } else { 21 }
    }

    /// Translates an address, reporting every entry on the way to `visit`.
    ///
    /// # Errors
    /// Where the walk ended and why. The page itself may still be absent: translation does not read it.
    pub fn translate(&self, va: Va, visit: &mut dyn FnMut(&Step)) -> Result<Mapping, Fault> {
        match self.translate_here(va, visit, true) {
            Err(Fault::Page(PageFault { reason: PageReason::TableNotInDump { .. }, entry_at, .. }))
                if self.mode.is_kernel(va) && entry_at.is_some_and(|at| at.0 & !0xfff == self.root.0 & !0xfff) =>
            {
                match &self.kernel {
                    Some(kernel) => kernel.translate(va, visit),
                    None => self.translate_here(va, visit, true),
                }
            }
            result => result,
        }
    }

    fn translate_here(&self, va: Va, visit: &mut dyn FnMut(&Step), follow: bool) -> Result<Mapping, Fault> {
        if !self.mode.is_canonical(va) {
            return Err(Fault::NonCanonical { va });
        }
        let mut found = None;
        let end = self.walker().walk(self.root, self.mode.levels(), va, visit, &mut |table, _| found = Some(table))?;
        if let Some(table) = found {
            keep(&mut self.cache.borrow_mut().tables, self.table_number(va), table);
        }
        match end {
            End::Page(mapping) => Ok(mapping),
            End::Prototype { at, step, span } => {
                let fail = |reason| {
                    let entry_at = step.at;
                    Fault::Page(PageFault { va, span, level: step.level, entry_at, entry: step.entry, reason })
                };
                let empty = step.software == Some(Software::Empty);
                let nothing = || fail(if empty { PageReason::NotMapped } else { PageReason::PrototypeUnknown });
                let at = match at {
                    Some(at) => at,
                    None if follow => {
                        self.prototypes.as_ref().and_then(|list| list.prototype(va)).ok_or_else(nothing)?
                    }
                    None => return Err(nothing()),
                };
                if !follow {
                    // A prototype entry stands in pool: never behind another prototype entry.
                    return Err(fail(PageReason::PrototypeUnreadable { at }));
                }
                self.through_prototype(va, at, visit)
            }
        }
    }

    /// Reads the prototype entry at `at` and goes where it points.
    fn through_prototype(&self, va: Va, at: Va, visit: &mut dyn FnMut(&Step)) -> Result<Mapping, Fault> {
        let unreadable = || page_fault(va, PROTOTYPE, None, 0, PageReason::PrototypeUnreadable { at });
        let entry_at = self.translate_here(at, &mut |_| {}, false).map_err(|_| unreadable())?.pa;
        let entry = self.walker().entry(entry_at).map_err(|_| unreadable())?;
        let hardware = Hardware::decode(self.mode, 12, entry);
        let software = matches!(hardware, Hardware::Invalid).then(|| self.software.decode_prototype(entry));
        visit(&Step { level: PROTOTYPE, at: Some(entry_at), virtual_address: Some(at), entry, hardware, software });
        let within = va.0 & (PAGE_SIZE - 1);
        let page = |pa: Pa, flags| Mapping { pa: Pa(pa.0 | within), page_size: PAGE_SIZE, flags, via: Via::Prototype };
        match (hardware, software) {
            (Hardware::Page { pa, flags }, _) => Ok(page(pa, flags)),
            (Hardware::Invalid, Some(Software::Transition { pfn })) => match Pa::of_frame(pfn) {
                Some(pa) => Ok(page(pa, Flags { write: false, ..Flags::ALL })),
                None => Err(page_fault(va, PROTOTYPE, Some(entry_at), entry, PageReason::Malformed)),
            },
            (Hardware::Invalid, software) => Err(page_fault(va, PROTOTYPE, Some(entry_at), entry, reason(software))),
            _ => Err(page_fault(va, PROTOTYPE, Some(entry_at), entry, PageReason::Malformed)),
        }
    }

    /// Physical address of `va`, through the cache.
    fn lookup(&self, va: Va) -> Result<Pa, Fault> {
        let page = va.0 / PAGE_SIZE;
        let within = va.0 % PAGE_SIZE;
        let (known, table) = {
            let cache = self.cache.borrow();
            let known = slot(&cache.pages, page);
            (known, if known.is_some() { None } else { slot(&cache.tables, self.table_number(va)) })
        };
        if let Some(pa) = known {
            return Ok(Pa(pa.0 | within));
        }
        // The table of the last level is known: one entry decides, in almost all cases.
        let short = table.and_then(|table| {
            let level = self.mode.levels().last()?;
            let offset = level.index(va).wrapping_mul(self.mode.entry_size());
            let entry = self.walker().entry(Pa(table.0.wrapping_add(offset))).ok()?;
            match Hardware::decode(self.mode, level.shift, entry) {
                Hardware::Page { pa, .. } => Some(Pa(pa.0 | within)),
                _ => None,
            }
        });
        let pa = match short {
            Some(pa) => pa,
            None => self.translate(va, &mut |_| {})?.pa,
        };
        keep(&mut self.cache.borrow_mut().pages, page, Pa(pa.0 & !(PAGE_SIZE - 1)));
        Ok(pa)
    }

    /// The fault of a page that translates but cannot be read.
    fn absent(&self, va: Va, fault: PhysFault) -> Fault {
        let error = match fault {
            PhysFault::Source { error, .. } => Some(error),
            PhysFault::NotInDump { .. } => None,
        };
        let mut last = None;
        let mapping = self.translate(va, &mut |step| last = Some(*step));
        let (mapping, step) = match (mapping, last) {
            (Ok(mapping), Some(step)) => (mapping, step),
            (Err(fault), _) => return fault,
            (Ok(_), None) => return Fault::NonCanonical { va },
        };
        let pa = Pa(mapping.pa.0 & !(PAGE_SIZE - 1));
        let reason = match (error, mapping.via) {
            (Some(error), _) => PageReason::Source(error),
            (None, Via::Transition) => PageReason::TransitionNotInDump { pa },
            (None, _) => PageReason::PageNotInDump { pa },
        };
        page_fault(va, step.level, step.at, step.entry, reason)
    }

    /// Looks for readable memory from `va` on, reading at most `fuel` tables.
    #[must_use]
    pub fn search(&self, va: Va, fuel: u32) -> Search {
        crate::regions::search(self, va, fuel)
    }
}

/// Tables that [`Memory::next_region`] reads before it gives up.
const REGION_FUEL: u32 = 256;

impl Memory for AddressSpace {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let mut filled = 0_usize;
        while filled < buf.len() {
            let Some(at) = va.checked_add(filled as u64) else {
                return ReadOutcome { filled, fault: Some(Fault::NonCanonical { va: Va(u64::MAX) }) };
            };
            let start = match self.lookup(at) {
                Ok(start) => start,
                Err(fault) => return ReadOutcome { filled, fault: Some(fault) },
            };
            // Pages that follow each other in both spaces are read at once.
            let wanted = (buf.len() - filled) as u64;
            let mut run = (PAGE_SIZE - at.0 % PAGE_SIZE).min(wanted);
            while run < wanted {
                let Some(next) = at.checked_add(run) else { break };
                match self.lookup(next) {
                    Ok(pa) if start.0.checked_add(run) == Some(pa.0) => run += PAGE_SIZE.min(wanted - run),
                    _ => break,
                }
            }
            let len = usize::try_from(run).unwrap_or(usize::MAX);
            let Some(part) = buf.get_mut(filled..filled.saturating_add(len)) else {
                return ReadOutcome { filled, fault: Some(Fault::NonCanonical { va: at }) };
            };
            let outcome = self.phys.read(start, part);
            filled = filled.saturating_add(outcome.filled);
            if let Some(fault) = outcome.fault {
                let va = Va(at.0.saturating_add(outcome.filled as u64));
                return ReadOutcome { filled, fault: Some(self.absent(va, fault)) };
            }
        }
        ReadOutcome::complete(filled)
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        match self.search(va, REGION_FUEL) {
            Search::Found(region) => Some(region),
            Search::Nothing | Search::Tired(_) => None,
        }
    }
}

//! One walk through the tables, entry by entry.

use dumplens_base::{Fault, Pa, PageFault, PageReason, PhysFault, PhysMemory, Va};

use crate::{Flags, Hardware, Level, Mode, Software, SoftwareFormat};

/// An entry that a walk passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What debuggers call it: `PXE`, `PPE`, `PDE`, `PTE`, `prototype PTE`.
    pub level: &'static str,
    /// Where it stands; `None` for a prototype entry whose page cannot be found.
    pub at: Option<Pa>,
    /// Its virtual address, for prototype entries.
    pub virtual_address: Option<Va>,
    /// Its value.
    pub entry: u64,
    /// What the processor makes of it.
    pub hardware: Hardware,
    /// What Windows makes of it, where the processor ignores it.
    pub software: Option<Software>,
}

/// A translated address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The physical address.
    pub pa: Pa,
    /// Size of the page that holds it, in bytes.
    pub page_size: u64,
    /// Rights, over all levels.
    pub flags: Flags,
    /// How the page was found.
    pub via: Via,
}

/// How a page was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// By valid entries, as the processor would.
    Hardware,
    /// The page was in transition: still in memory, but not mapped.
    Transition,
    /// A prototype entry knew where the page was.
    Prototype,
}

/// Where a walk through the tables ended.
pub(crate) enum End {
    /// At a page.
    Page(Mapping),
    /// At an entry that defers to a prototype entry; `None` if only the address descriptors name it.
    Prototype { at: Option<Va>, step: Step, span: u64 },
}

/// What a walk needs to know about the machine.
#[derive(Clone, Copy)]
pub(crate) struct Walker<'a> {
    pub(crate) phys: &'a dyn PhysMemory,
    pub(crate) mode: Mode,
    pub(crate) software: SoftwareFormat,
}

/// Bytes from `va` to the end of what an entry that maps `size` bytes covers.
const fn span_within(va: Va, size: u64) -> u64 {
    size - (va.0 & (size - 1))
}

impl Walker<'_> {
    /// Reads an entry of a table.
    pub(crate) fn entry(&self, at: Pa) -> Result<u64, PhysFault> {
        if self.mode.entry_size() == 4 {
            let mut bytes = [0; 4];
            self.phys.read_exact(at, &mut bytes)?;
            return Ok(u64::from(u32::from_le_bytes(bytes)));
        }
        let mut bytes = [0; 8];
        self.phys.read_exact(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Walks from `table`, which is a table of `levels`' first level, and reports every entry it passes.
    ///
    /// `last_table` hears of the table of the last level, for a cache.
    pub(crate) fn walk(
        &self,
        mut table: Pa,
        levels: &[Level],
        va: Va,
        visit: &mut dyn FnMut(&Step),
        last_table: &mut dyn FnMut(Pa, Flags),
    ) -> Result<End, Fault> {
        let mut rights = Flags::ALL;
        for (position, level) in levels.iter().enumerate() {
            if position + 1 == levels.len() && position > 0 {
                last_table(table, rights);
            }
            let offset = level.index(va).wrapping_mul(self.mode.entry_size());
            let at = Pa(table.0.wrapping_add(offset));
            let span = span_within(va, level.size());
            let fail = |entry, reason| {
                Fault::Page(PageFault { va, span, level: level.name, entry_at: Some(at), entry, reason })
            };
            let entry = self.entry(at).map_err(|fault| fail(0, table_fault(fault)))?;
            let hardware = Hardware::decode(self.mode, level.shift, entry);
            let leaf = level.shift == 12;
            let software = matches!(hardware, Hardware::Invalid).then(|| self.software.decode(entry));
            let step = Step { level: level.name, at: Some(at), virtual_address: None, entry, hardware, software };
            visit(&step);
            match (hardware, software) {
                (Hardware::Table { pa, flags }, _) => {
                    table = pa;
                    rights = flags.under(rights);
                }
                (Hardware::Page { pa, flags }, _) => {
                    let within = va.0 & (level.size() - 1);
                    return Ok(End::Page(Mapping {
                        pa: Pa(pa.0 | within),
                        page_size: level.size(),
                        flags: flags.under(rights),
                        via: Via::Hardware,
                    }));
                }
                (Hardware::Malformed, _) => return Err(fail(entry, PageReason::Malformed)),
                (Hardware::Invalid, Some(Software::Transition { pfn })) => {
                    let Some(pa) = Pa::of_frame(pfn) else { return Err(fail(entry, PageReason::Malformed)) };
                    if leaf {
                        return Ok(End::Page(Mapping {
                            pa: Pa(pa.0 | va.0 & 0xfff),
                            page_size: 0x1000,
                            flags: Flags { write: entry >> 1 & 1 == 1, ..Flags::ALL }.under(rights),
                            via: Via::Transition,
                        }));
                    }
                    // A table on its way out is still there.
                    table = pa;
                }
                (Hardware::Invalid, Some(Software::Prototype { at })) if leaf => {
                    return Ok(End::Prototype { at: Some(at), step, span });
                }
                (Hardware::Invalid, Some(Software::PrototypeByVad)) if leaf => {
                    return Ok(End::Prototype { at: None, step, span });
                }
                (Hardware::Invalid, Some(Software::Empty)) if leaf => {
                    // Windows fills such entries at the first touch from what the address descriptors say.
                    return Ok(End::Prototype { at: None, step, span });
                }
                (Hardware::Invalid, software) => return Err(fail(entry, reason(software))),
            }
        }
        // Every table list ends with a leaf level, and a leaf returns.
        Err(Fault::NonCanonical { va })
    }
}

/// Why an entry that no processor accepts does not lead to a page.
pub(crate) const fn reason(software: Option<Software>) -> PageReason {
    match software {
        Some(Software::DemandZero) => PageReason::DemandZero,
        Some(Software::PageFile { file, offset }) => PageReason::PagedOut { file, offset },
        Some(Software::Compressed { file, offset }) => PageReason::Compressed { file, offset },
        Some(Software::Subsection { at }) => PageReason::MappedFile { subsection: at },
        Some(Software::Prototype { at }) => PageReason::PrototypeUnreadable { at },
        Some(Software::PrototypeByVad) => PageReason::PrototypeUnknown,
        Some(Software::Transition { .. }) => PageReason::Malformed,
        Some(Software::Empty) | None => PageReason::NotMapped,
    }
}

/// Why a table could not be read.
pub(crate) const fn table_fault(fault: PhysFault) -> PageReason {
    match fault {
        PhysFault::NotInDump { pa } => PageReason::TableNotInDump { pa: Pa(pa.0 & !0xfff) },
        PhysFault::Source { error, .. } => PageReason::Source(error),
    }
}

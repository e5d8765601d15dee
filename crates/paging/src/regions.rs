//! Which addresses a space can read: a search through the tables that does a bounded piece of work.

use dumplens_base::{PAGE_SIZE, Pa, Region, Va};

use crate::{AddressSpace, Flags, Hardware, Level, Software};

/// What a search for readable memory came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// A run of readable pages with the same rights. It may go on where it ends.
    Found(Region),
    /// Nothing follows.
    Nothing,
    /// Nothing up to this address; the search can go on from there.
    Tired(Va),
}

/// What one look-up of an address tells.
enum Look {
    /// A readable page: bytes to its end, and its kind.
    Page { len: u64, kind: &'static str },
    /// Nothing for so many bytes.
    Hole { len: u64 },
}

const fn kind(flags: Flags) -> &'static str {
    match (flags.execute, flags.write) {
        (true, true) => "read, write, execute",
        (true, false) => "read, execute",
        (false, true) => "read, write",
        (false, false) => "read only",
    }
}

/// A table of the last level that is being read, so that neighbouring pages do not walk again.
struct Cursor<'a> {
    space: &'a AddressSpace,
    /// Tables read so far.
    spent: u32,
    /// Addresses below this belong to `table`.
    until: u64,
    from: u64,
    table: Option<(Pa, Flags)>,
}

pub(crate) fn search(space: &AddressSpace, va: Va, fuel: u32) -> Search {
    let mut cursor = Cursor { space, spent: 0, until: 0, from: 1, table: None };
    let last = space.mode().last_address().0;
    let mut at = va.0;
    // Where a region that is being collected starts, its length and kind.
    let mut found: Option<(u64, u64, &'static str)> = None;
    // A page costs a little even when its table is at hand.
    let mut pages = u64::from(fuel).saturating_mul(512);
    while let Some(Va(here)) = space.mode().skip_hole(Va(at)) {
        if found.is_some() && here != at {
            break;
        }
        at = here;
        if cursor.spent >= fuel || pages == 0 {
            if found.is_none() {
                return Search::Tired(Va(at));
            }
            break;
        }
        pages -= 1;
        let step = match cursor.look(Va(at)) {
            Look::Page { len, kind } => {
                found = match found {
                    None => Some((at, len, kind)),
                    Some((start, so_far, same)) if same == kind => Some((start, so_far.saturating_add(len), same)),
                    Some(_) => break,
                };
                len
            }
            Look::Hole { .. } if found.is_some() => break,
            Look::Hole { len } => len,
        };
        match at.checked_add(step).filter(|next| *next <= last) {
            Some(next) => at = next,
            None => break,
        }
    }
    match found {
        // A region never holds the last byte of the address space: its end would have no address.
        Some((start, len, kind)) => {
            Search::Found(Region { start: Va(start), len: len.min(u64::MAX - start).max(1), kind })
        }
        None => Search::Nothing,
    }
}

impl Cursor<'_> {
    fn look(&mut self, va: Va) -> Look {
        if !(self.from..self.until).contains(&va.0) {
            match self.descend(va) {
                Ok(()) => {}
                Err(look) => return look,
            }
        }
        let Some((table, rights)) = self.table else { return Look::Hole { len: PAGE_SIZE } };
        let Some(level) = self.space.mode().levels().last() else { return Look::Hole { len: PAGE_SIZE } };
        let rest = PAGE_SIZE - va.0 % PAGE_SIZE;
        let at = Pa(table.0.wrapping_add(level.index(va).wrapping_mul(self.space.mode().entry_size())));
        let Ok(entry) = self.space.walker().entry(at) else { return Look::Hole { len: rest } };
        self.leaf(va, *level, entry, rights, rest)
    }

    fn leaf(&self, va: Va, level: Level, entry: u64, rights: Flags, rest: u64) -> Look {
        let phys = self.space.physical();
        match Hardware::decode(self.space.mode(), level.shift, entry) {
            Hardware::Page { pa, flags } if phys.has_page(pa) => {
                Look::Page { len: rest, kind: kind(flags.under(rights)) }
            }
            Hardware::Invalid if entry != 0 => match self.space.walker().software.decode(entry) {
                Software::Transition { pfn } if Pa::of_frame(pfn).is_some_and(|pa| phys.has_page(pa)) => {
                    Look::Page { len: rest, kind: "in transition" }
                }
                Software::Prototype { .. } | Software::PrototypeByVad => match self.space.translate(va, &mut |_| {}) {
                    Ok(mapping) if phys.has_page(mapping.pa) => Look::Page { len: rest, kind: "shared" },
                    _ => Look::Hole { len: rest },
                },
                _ => Look::Hole { len: rest },
            },
            _ => Look::Hole { len: rest },
        }
    }

    /// Goes down to the last-level table for `va`, or says how far nothing (or one large page) goes.
    fn descend(&mut self, va: Va) -> Result<(), Look> {
        let mode = self.space.mode();
        let walker = self.space.walker();
        let mut table = self.space.root();
        let mut rights = Flags::ALL;
        self.table = None;
        for level in mode.levels() {
            let span = level.size() - (va.0 & (level.size() - 1));
            if level.shift == 12 {
                self.table = Some((table, rights));
                let size = if mode.entry_size() == 4 { 1 << 22 } else { 1 << 21 };
                self.from = va.0 & !(size - 1);
                self.until = self.from.saturating_add(size);
                return Ok(());
            }
            self.spent = self.spent.saturating_add(1);
            let at = Pa(table.0.wrapping_add(level.index(va).wrapping_mul(mode.entry_size())));
            let Ok(entry) = walker.entry(at) else { return Err(Look::Hole { len: span }) };
            match Hardware::decode(mode, level.shift, entry) {
                Hardware::Table { pa, flags } => {
                    table = pa;
                    rights = flags.under(rights);
                }
                Hardware::Page { pa, flags } => {
                    return Err(self.large(pa, va, span, *level, flags.under(rights)));
                }
                Hardware::Invalid => match walker.software.decode(entry) {
                    Software::Transition { pfn } if entry != 0 => match Pa::of_frame(pfn) {
                        Some(pa) => table = pa,
                        None => return Err(Look::Hole { len: span }),
                    },
                    _ => return Err(Look::Hole { len: span }),
                },
                Hardware::Malformed => return Err(Look::Hole { len: span }),
            }
        }
        Err(Look::Hole { len: PAGE_SIZE })
    }

    /// Of a large page, only parts may be in the dump.
    fn large(&self, base: Pa, va: Va, span: u64, level: Level, flags: Flags) -> Look {
        let pa = Pa(base.0 | va.0 & (level.size() - 1));
        match self.space.physical().next_run(pa) {
            Some(run) if run.start <= pa => {
                let present = run.len.saturating_sub(pa.0.saturating_sub(run.start.0));
                Look::Page { len: present.min(span).max(1), kind: kind(flags) }
            }
            Some(run) => Look::Hole { len: (run.start.0 - pa.0).min(span) },
            None => Look::Hole { len: span },
        }
    }
}

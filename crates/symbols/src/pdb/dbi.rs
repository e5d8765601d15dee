//! The debug information stream: which modules there are, and which of them an address belongs to.

use std::cell::{Cell, OnceCell, RefCell};

use dumplens_base::{ByteSource as _, Bytes, Machine};

use super::stream::{PdbStream, Window};
use crate::SymbolError;

/// Size of the stream's header.
const HEADER: u64 = 64;
/// Fixed part of a module's record.
const MODULE: u64 = 64;
/// Most modules: their numbers have 16 bits.
const MODULES: u64 = 1 << 16;
/// Most contributions that are kept: 768 KiB of them.
const TABLE: u64 = 1 << 16;
/// Look-ups after which all are read, if they are few; more for each 256 of them.
const PATIENCE: u64 = 32;
/// Longest path of a module's object file.
const PATH: u64 = 8 << 10;

/// A range of bytes in the stream.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    start: u64,
    len: u64,
}

/// Numbers of the streams that the optional header lists; `0xffff` is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExtraStreams {
    /// `FPO_DATA` records.
    pub(crate) counts: u16,
    /// `FrameData` records.
    pub(crate) frames: u16,
    pub(crate) omap_to_source: u16,
    pub(crate) omap_from_source: u16,
    pub(crate) sections: u16,
    pub(crate) original_sections: u16,
}

/// What is kept of a module's record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModuleEntry {
    /// Number of its stream; `0xffff` if it was stripped.
    pub(crate) stream: u16,
    /// Bytes of symbols at the front of the stream.
    pub(crate) symbols: u32,
    /// Bytes of old line information behind them.
    pub(crate) c11: u32,
    /// Bytes of line information behind that.
    pub(crate) c13: u32,
    /// Where the record stands, in this stream.
    record: u64,
}

/// Code or data that one module contributes to a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contribution {
    pub(crate) section: u16,
    pub(crate) module: u16,
    pub(crate) offset: u32,
    pub(crate) size: u32,
}

impl Contribution {
    /// Where it ends.
    pub(crate) const fn end(&self) -> u32 {
        self.offset.saturating_add(self.size)
    }
}

/// What stands at an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    /// The contribution there.
    pub(crate) here: Option<Contribution>,
    /// From where on the same holds: where the contribution begins, or the one before ends.
    pub(crate) low: u32,
    /// Where the next one begins, in the same section.
    pub(crate) next: Option<u32>,
}

/// The stream, its header parsed.
pub(crate) struct Dbi {
    stream: PdbStream,
    pub(crate) age: u32,
    pub(crate) machine: Machine,
    pub(crate) globals: u16,
    pub(crate) publics: u16,
    pub(crate) records: u16,
    pub(crate) extra: ExtraStreams,
    modules: Part,
    contributions: Part,
    /// Size of a contribution's record.
    step: u64,
    found: RefCell<Found>,
    /// Contributions that were read one by one.
    asked: Cell<u64>,
    /// All contributions, once enough were asked for to pay for it.
    table: OnceCell<Vec<Contribution>>,
}

/// The modules met so far: the records have no index, so each is read once, up to the one that is asked for.
#[derive(Default)]
struct Found {
    entries: Vec<ModuleEntry>,
    /// Where the next record stands, in the stream.
    next: u64,
}

impl Dbi {
    pub(crate) fn open(stream: PdbStream) -> Result<Self, SymbolError> {
        let head = stream.array::<{ HEADER as usize }>(0, "debug information header")?;
        let mut head = Bytes::new(&head, stream.file_offset(0));
        let signature = head.u32("signature")?;
        if signature != u32::MAX {
            return Err(SymbolError::invalid("debug information signature", stream.file_offset(0), signature.into()));
        }
        head.skip(4, "version")?;
        let age = head.u32("age")?;
        let globals = head.u16("globals stream")?;
        head.skip(2, "build number")?;
        let publics = head.u16("publics stream")?;
        head.skip(2, "version of the writer")?;
        let records = head.u16("symbol record stream")?;
        head.skip(2, "build of the writer")?;
        let mut at = HEADER;
        let mut part = |len: u32| {
            let part = Part { start: at, len: len.into() };
            at = at.saturating_add(len.into());
            part
        };
        let modules = part(head.u32("size of the modules")?);
        let contributions = part(head.u32("size of the contributions")?);
        for what in ["size of the section map", "size of the source files", "size of the type servers"] {
            part(head.u32(what)?);
        }
        head.skip(4, "type server")?;
        let optional = head.u32("size of the optional header")?;
        part(head.u32("size of the edit-and-continue part")?);
        let optional = part(optional);
        head.skip(2, "flags")?;
        let machine = Machine::from_image_file_machine(head.u16("machine")?);
        if at > stream.len() {
            let offset = stream.file_offset(0);
            return Err(SymbolError::truncated("debug information", offset, at, stream.len()));
        }
        let extra = extra(&stream, optional)?;
        let (contributions, step) = contributions_of(&stream, contributions)?;
        let found = RefCell::new(Found { entries: Vec::new(), next: modules.start });
        Ok(Self {
            stream,
            age,
            machine,
            globals,
            publics,
            records,
            extra,
            modules,
            contributions,
            step,
            found,
            asked: Cell::new(0),
            table: OnceCell::new(),
        })
    }

    /// Module `index`; `None` if there are fewer.
    pub(crate) fn module(&self, index: u32) -> Result<Option<ModuleEntry>, SymbolError> {
        let mut found = self.found.borrow_mut();
        if let Some(entry) = found.entries.get(index as usize) {
            return Ok(Some(*entry));
        }
        let end = self.modules.start.saturating_add(self.modules.len);
        let mut window = Window::new(&self.stream, end);
        while found.entries.len() <= index as usize && found.next < end {
            let at = found.next;
            let fixed = window.get(at, MODULE, "module record")?;
            let mut fixed = Bytes::new(fixed, 0);
            fixed.skip(34, "module record")?;
            let stream = fixed.u16("module stream")?;
            let symbols = fixed.u32("size of the module's symbols")?;
            let c11 = fixed.u32("size of the module's lines")?;
            let c13 = fixed.u32("size of the module's lines")?;
            let mut past = at.saturating_add(MODULE);
            for _ in 0..2 {
                past = past.saturating_add(text(&mut window, past)?.len() as u64).saturating_add(1);
            }
            found.entries.push(ModuleEntry { stream, symbols, c11, c13, record: at });
            // Records are aligned within their part, which begins at a multiple of four.
            found.next = past.next_multiple_of(4);
            if found.entries.len() as u64 > MODULES {
                return Err(SymbolError::too_many("number of modules", self.stream.file_offset(at), MODULES, MODULES));
            }
        }
        Ok(found.entries.get(index as usize).copied())
    }

    /// The name of a module: its object file, or the import it stands for.
    pub(crate) fn module_name(&self, entry: &ModuleEntry) -> Result<String, SymbolError> {
        let mut window = Window::new(&self.stream, self.modules.start.saturating_add(self.modules.len));
        let name = text(&mut window, entry.record.saturating_add(MODULE))?;
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    fn contribution(&self, index: u64) -> Result<Contribution, SymbolError> {
        if let Some(table) = self.table.get() {
            let found = usize::try_from(index).ok().and_then(|index| table.get(index));
            return found.copied().ok_or(SymbolError::missing("section contribution"));
        }
        let at = self.contributions.start.saturating_add(index.saturating_mul(self.step));
        let record = self.stream.array::<18>(at, "section contribution")?;
        contribution(&record).ok_or(SymbolError::missing("section contribution"))
    }

    /// Counts a look-up, and reads all contributions when that has become cheaper than to go on.
    fn count_up(&self, count: u64) {
        let asked = self.asked.get().saturating_add(1);
        self.asked.set(asked);
        if count > TABLE || asked != PATIENCE.saturating_add(count >> 8) {
            return;
        }
        let mut window = Window::new(&self.stream, self.stream.len());
        let mut table = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        for index in 0..count {
            let at = self.contributions.start.saturating_add(index.saturating_mul(self.step));
            // What is damaged is found again where it is asked for.
            let Some(contribution) = window.get(at, 18, "section contribution").ok().and_then(contribution) else {
                return;
            };
            table.push(contribution);
        }
        self.table.get_or_init(|| table);
    }

    /// What contributes to `offset` of `section` (counted from 1). Contributions are sorted by section and offset.
    pub(crate) fn place(&self, section: u16, offset: u32) -> Result<Placed, SymbolError> {
        let (mut low, mut high) = (0, self.contributions.len.checked_div(self.step).unwrap_or(0));
        let count = high;
        self.count_up(count);
        while low < high {
            let middle = low.midpoint(high);
            let its = self.contribution(middle)?;
            if (its.section, its.offset) <= (section, offset) { low = middle.saturating_add(1) } else { high = middle }
        }
        let mut placed = Placed { here: None, low: 0, next: None };
        if low < count {
            let next = self.contribution(low)?;
            placed.next = (next.section == section).then_some(next.offset);
        }
        if let Some(before) = low.checked_sub(1) {
            let before = self.contribution(before)?;
            if before.section == section {
                let inside = offset.wrapping_sub(before.offset) < before.size;
                placed.low = if inside { before.offset } else { before.end() };
                placed.here = inside.then_some(before);
            }
        }
        Ok(placed)
    }
}

/// The contribution in a record.
fn contribution(record: &[u8]) -> Option<Contribution> {
    let mut record = Bytes::new(record, 0);
    let section = record.u16("section").ok()?;
    record.skip(2, "padding").ok()?;
    let (offset, size) = (record.u32("offset").ok()?, record.u32("size").ok()?);
    record.skip(4, "characteristics").ok()?;
    Some(Contribution { section, module: record.u16("module").ok()?, offset, size })
}

/// The text at `at`, up to its NUL.
fn text(window: &mut Window<'_>, at: u64) -> Result<Vec<u8>, SymbolError> {
    let left = window.end().saturating_sub(at).min(PATH);
    let bytes = window.get(at, left, "module name")?;
    match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => Ok(bytes.get(..end).unwrap_or_default().to_vec()),
        None => Err(SymbolError::truncated("module name", window.file_offset(at), left.saturating_add(1), left)),
    }
}

fn extra(stream: &PdbStream, part: Part) -> Result<ExtraStreams, SymbolError> {
    /// Numbers that the header has at most.
    const NUMBERS: u64 = 11;
    let mut numbers = stream.vec(part.start, part.len.min(NUMBERS * 2), NUMBERS * 2, "optional debug header")?;
    numbers.resize((NUMBERS * 2) as usize, 0xff);
    let number = |index: usize| match numbers.get(index * 2..) {
        Some(&[low, high, ..]) => u16::from_le_bytes([low, high]),
        _ => u16::MAX,
    };
    Ok(ExtraStreams {
        counts: number(0),
        frames: number(9),
        omap_to_source: number(3),
        omap_from_source: number(4),
        sections: number(5),
        original_sections: number(10),
    })
}

/// The contributions behind their version, and the size of one.
fn contributions_of(stream: &PdbStream, part: Part) -> Result<(Part, u64), SymbolError> {
    /// `0xeffe0000` and the date of the format, 1997-06-05.
    const VERSION_60: u32 = 0xf12e_ba2d;
    /// The same of 2014-05-16: records have four bytes more.
    const VERSION_2: u32 = 0xf131_51e4;
    if part.len < 4 {
        return Ok((Part::default(), 28));
    }
    let step = match stream.u32(part.start, "version of the contributions")? {
        VERSION_60 => 28,
        VERSION_2 => 32,
        other => {
            let offset = stream.file_offset(part.start);
            return Err(SymbolError::invalid("version of the contributions", offset, other.into()));
        }
    };
    Ok((Part { start: part.start.saturating_add(4), len: part.len.saturating_sub(4) }, step))
}

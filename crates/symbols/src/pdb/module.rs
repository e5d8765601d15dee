//! One module (object file): which procedures, data and lines it has, and where their records stand.

use std::cell::OnceCell;

use super::{
    dbi::ModuleEntry,
    lines::{self, Inlinee, Parts, Row},
    places::Place,
    records::{self, Record},
    stream::{PdbStream, Window},
};
use crate::SymbolError;

/// What stands in front of a module's symbols, of every compiler since 1993.
const SIGNATURES: core::ops::RangeInclusive<u32> = 1..=4;

/// A procedure, a thunk, or a part of a procedure that stands apart. There may be a hundred thousand, so that this is no
/// more than what finds it; the rest is in its record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Procedure {
    pub(crate) section: u16,
    pub(crate) form: Form,
    offset: u32,
    pub(crate) len: u32,
    /// Where its record stands in the module's stream.
    pub(crate) record: u32,
}

impl Procedure {
    /// Where it begins.
    pub(crate) const fn place(&self) -> Place {
        Place { section: self.section, offset: self.offset }
    }

    /// Where it ends, in its section.
    pub(crate) const fn end(&self) -> u32 {
        self.offset.saturating_add(self.len)
    }
}

/// What a procedure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Global,
    Local,
    Thunk,
    Separated,
}

/// The index of a module. Names stay in the file.
pub(crate) struct Module {
    pub(crate) stream: PdbStream,
    /// Sorted by place; at one place, as the compiler wrote them.
    pub(crate) procedures: Vec<Procedure>,
    /// Places of data and of their records, sorted.
    pub(crate) data: Vec<(Place, u32)>,
    parts: Parts,
    inlinees: OnceCell<Vec<Inlinee>>,
    /// Why the rest is missing.
    pub(crate) error: Option<SymbolError>,
}

impl Module {
    /// Reads a module's symbols and the heads of its lines.
    pub(crate) fn open(stream: PdbStream, entry: &ModuleEntry) -> Self {
        let mut module = Self {
            procedures: Vec::new(),
            data: Vec::new(),
            parts: Parts::default(),
            inlinees: OnceCell::new(),
            error: None,
            stream: stream.clone(),
        };
        if let Err(error) = module.symbols(&stream, entry.symbols) {
            module.error = Some(error);
        }
        module.procedures.sort_by_key(Procedure::place);
        module.procedures.shrink_to_fit();
        module.data.sort_unstable();
        module.data.shrink_to_fit();
        let start = u64::from(entry.symbols).saturating_add(entry.c11.into());
        let (parts, error) = lines::parts(&stream, start, start.saturating_add(entry.c13.into()));
        module.parts = parts;
        module.error = module.error.or(error);
        module
    }

    /// Bytes that the index takes, about.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.stream.cost())
            .saturating_add(self.procedures.capacity().saturating_mul(size_of::<Procedure>()))
            .saturating_add(self.data.capacity().saturating_mul(size_of::<(Place, u32)>()))
            .saturating_add(self.parts.lines.capacity().saturating_mul(size_of::<lines::Part>()))
    }

    fn symbols(&mut self, stream: &PdbStream, size: u32) -> Result<(), SymbolError> {
        if size < 4 {
            return Ok(());
        }
        let signature = stream.u32(0, "module signature")?;
        if !SIGNATURES.contains(&signature) {
            return Err(SymbolError::invalid("module signature", stream.file_offset(0), signature.into()));
        }
        let mut window = Window::new(stream, size.into());
        let mut at = 4;
        while at < u64::from(size) {
            let origin = window.file_offset(at);
            let (kind, data, next) = records::at(&mut window, at)?;
            let record = u32::try_from(at).unwrap_or(u32::MAX);
            let procedure = match records::parse(kind, data, origin)? {
                Some(Record::Procedure { place, len, end, global, .. }) => {
                    Some((place, len, end, if global { Form::Global } else { Form::Local }))
                }
                Some(Record::Thunk { place, len, end, .. }) => Some((place, len, end, Form::Thunk)),
                Some(Record::Separated { place, len, end, .. }) => Some((place, len, end, Form::Separated)),
                Some(Record::Data { place, .. }) => {
                    self.data.push((place, record));
                    None
                }
                _ => None,
            };
            let mut skip = None;
            if let Some((Place { section, offset }, len, end, form)) = procedure {
                self.procedures.push(Procedure { section, form, offset, len, record });
                skip = Some(end);
            }
            // What stands inside is read when the procedure is; its static data stands among the globals too.
            at = match skip.map(u64::from) {
                Some(end) if end >= next && end < size.into() => end,
                _ => next,
            };
        }
        Ok(())
    }

    /// The procedure that `place` is in; of several that begin at one place, the first.
    pub(crate) fn procedure(&self, place: Place) -> Option<&Procedure> {
        let found = self.before(place)?;
        (place.offset.wrapping_sub(found.offset) < found.len).then_some(found)
    }

    /// The last procedure that begins at or before `place`, in its section.
    pub(crate) fn before(&self, place: Place) -> Option<&Procedure> {
        let after = self.procedures.partition_point(|procedure| procedure.place() <= place);
        let last = self.procedures.get(after.checked_sub(1)?)?;
        let first = self.procedures.partition_point(|procedure| procedure.place() < last.place());
        self.procedures.get(first).filter(|found| found.section == place.section)
    }

    /// Where the first procedure after `place` begins, in its section.
    pub(crate) fn next(&self, place: Place) -> Option<u32> {
        let after = self.procedures.partition_point(|procedure| procedure.place() <= place);
        let next = self.procedures.get(after).filter(|next| next.section == place.section)?;
        Some(next.offset)
    }

    /// The last data at or before `place` in its section, and where its record stands; and where the next begins.
    pub(crate) fn data_near(&self, place: Place) -> (Option<(Place, u32)>, Option<u32>) {
        let after = self.data.partition_point(|(its, _)| *its <= place);
        let near = |index: Option<usize>| {
            index.and_then(|index| self.data.get(index)).filter(|(its, _)| its.section == place.section).copied()
        };
        (near(after.checked_sub(1)), near(Some(after)).map(|(its, _)| its.offset))
    }

    /// The lines of code from `start` to `end` of a section, sorted.
    pub(crate) fn rows(&self, section: u16, start: u32, end: u32) -> Result<Vec<Row>, SymbolError> {
        let parts = &self.parts.lines;
        let mut index = parts.partition_point(|part| part.place() <= Place { section, offset: start });
        // Parts do not overlap, but for folded functions, whose parts begin at one place.
        while let Some(before) = index.checked_sub(1).and_then(|before| Some((before, parts.get(before)?))) {
            let (before, part) = before;
            let reaches = part.section == section && part.end() > start;
            if !reaches {
                break;
            }
            index = before;
        }
        let mut rows = Vec::new();
        let inside = |part: &lines::Part| part.section == section && part.offset < end;
        let parts = parts.get(index..).unwrap_or_default();
        let parts = parts.get(..parts.partition_point(inside)).unwrap_or_default();
        for same in parts.chunk_by(|a, b| a.place() == b.place()) {
            // Of several at one place, the one that is as long as what is asked for, or the first: procedures and their
            // lines stand in one order, and the first procedure is the one that is shown.
            let len = end.saturating_sub(start);
            let fits = |part: &&lines::Part| part.offset == start && part.len == len;
            if let Some(part) = same.iter().find(fits).or(same.first()) {
                let more = part.rows(&self.stream)?;
                if rows.is_empty() { rows = more } else { rows.extend(more) }
            }
        }
        rows.sort_by_key(|row| row.start);
        Ok(rows)
    }

    /// All lines, piece of code by piece of code.
    pub(crate) fn all_lines(&self) -> &[lines::Part] {
        &self.parts.lines
    }

    /// Whether it says of any inlined function where it begins in the source.
    pub(crate) fn has_inlinees(&self) -> bool {
        !self.parts.inlinees.is_empty()
    }

    /// Where the inlined function `id` begins in the source.
    pub(crate) fn inlinee(&self, id: u32) -> Result<Option<Inlinee>, SymbolError> {
        let list = match self.inlinees.get() {
            Some(list) => list,
            None => {
                let list = lines::inlinees(&self.stream, &self.parts.inlinees)?;
                self.inlinees.get_or_init(|| list)
            }
        };
        let first = list.partition_point(|inlinee| inlinee.id < id);
        Ok(list.get(first).filter(|inlinee| inlinee.id == id).copied())
    }

    /// Where the name of a file stands in the table of names. `file` is the offset of its record.
    pub(crate) fn file(&self, file: u32) -> Result<Option<u32>, SymbolError> {
        let Some((at, size)) = self.parts.files else { return Ok(None) };
        if file.checked_add(4).is_none_or(|end| end > size) {
            return Ok(None);
        }
        self.stream.u32(at.saturating_add(file.into()), "file record").map(Some)
    }
}

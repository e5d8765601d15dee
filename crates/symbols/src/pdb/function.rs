//! All that is known of one procedure, or of the space between two symbols: what lookups are answered from.

use std::rc::Rc;

use dumplens_base::Machine;

use super::{
    PdbFile,
    inline::{self, InlineRow},
    lines::{self, Row},
    module::{Form, Module, Procedure},
    places::Place,
    records::{self, Record, S_INLINESITE, S_INLINESITE_END, S_INLINESITE2},
    stream::Window,
};
use crate::{InlineFrame, Location, SymbolError, SymbolKind, demangle};

/// Most inline sites and rows of one procedure that are kept.
const MOST_SITES: usize = 1 << 16;
const MOST_ROWS: usize = 1 << 20;

/// A symbol and the addresses it answers for. Offsets are those of its section.
pub(crate) struct Function {
    pub(crate) section: u16,
    /// The answer holds from `low` up to `high`.
    pub(crate) low: u32,
    pub(crate) high: u32,
    /// Where the symbol stands.
    pub(crate) start: u32,
    /// Its RVA in the image as it is.
    rva: u32,
    kind: SymbolKind,
    len: Option<u32>,
    name: Rc<str>,
    raw: Rc<str>,
    rows: Vec<Row>,
    inlines: Vec<InlineRow>,
    /// Names of the functions inlined at each site.
    sites: Vec<Rc<str>>,
    /// Names of files, by the offset of their record.
    files: Vec<(u32, Rc<str>)>,
}

impl Function {
    /// Bytes that it takes, about. Names of files and inlined functions are shared.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.name.len())
            .saturating_add(self.raw.len())
            .saturating_add(self.rows.len().saturating_mul(size_of::<Row>()))
            .saturating_add(self.inlines.len().saturating_mul(size_of::<InlineRow>()))
            .saturating_add(self.sites.len().saturating_mul(24))
            .saturating_add(self.files.len().saturating_mul(48))
    }

    /// What stands at `offset` of the section.
    pub(crate) fn location(&self, offset: u32) -> Location {
        let row = lines::find(&self.rows, offset);
        let (file, line) = self.source(row);
        let chain = inline::chain(&self.inlines, offset);
        let inlines = chain
            .into_iter()
            .rev()
            .map(|row| {
                let (file, line) = self.source(Some(&row.row));
                let function = self.sites.get(row.site as usize).cloned().unwrap_or_else(|| "".into());
                InlineFrame { function, file, line }
            })
            .collect();
        Location {
            function: Rc::clone(&self.name),
            raw_name: Rc::clone(&self.raw),
            function_rva: self.rva,
            function_offset: offset.wrapping_sub(self.start),
            length: self.len,
            kind: self.kind,
            file,
            line,
            inlines,
        }
    }

    fn source(&self, row: Option<&Row>) -> (Option<Rc<str>>, Option<u32>) {
        let Some(row) = row else { return (None, None) };
        let index = self.files.binary_search_by_key(&row.file, |(id, _)| *id).ok();
        let file = index.and_then(|index| self.files.get(index)).map(|(_, name)| Rc::clone(name));
        (file, (row.line != 0).then_some(row.line))
    }
}

/// Who stands nearest below a place.
enum Nearest<'a> {
    Procedure(&'a Procedure),
    Data(Place, u32),
    Public(Place, Vec<u8>),
}

impl Nearest<'_> {
    const fn place(&self) -> Place {
        match self {
            Self::Procedure(procedure) => procedure.place,
            Self::Data(place, _) | Self::Public(place, _) => *place,
        }
    }
}

impl PdbFile {
    /// Makes the answer for `place`; `None` if no symbol stands at or before it in its section.
    pub(crate) fn make(&self, place: Place) -> Result<Option<Function>, SymbolError> {
        let placed = self.dbi()?.place(place.section, place.offset)?;
        let module = match placed.here {
            Some(contribution) => self.module(contribution.module.into())?,
            None => None,
        };
        // The answer holds for the piece between what begins or ends before, and what begins after.
        let mut low = placed.here.map_or(0, |contribution| contribution.offset);
        let mut high = self.places()?.size(place.section);
        if let Some(contribution) = placed.here {
            high = high.min(contribution.offset.saturating_add(contribution.size));
        }
        high = placed.next.map_or(high, |next| high.min(next)).max(place.offset.saturating_add(1));

        let (public, next_public) = self.nearest_public(place)?;
        let mut best = None;
        if let Some(module) = &module {
            if let Some(procedure) = module.procedure(place) {
                return self.procedure(module, procedure, public).map(Some);
            }
            let (data, next_data) = module.data_near(place);
            for next in [module.next(place), next_data].into_iter().flatten() {
                high = high.min(next);
            }
            if let Some(procedure) = module.before(place) {
                low = low.max(procedure.place.offset.saturating_add(procedure.len));
                best = Some(Nearest::Procedure(procedure));
            }
            if let Some((data, record)) = data {
                low = low.max(data.offset);
                // Data says more than a procedure that ended before it.
                if best.as_ref().is_none_or(|best| best.place() <= data) {
                    best = Some(Nearest::Data(data, record));
                }
            }
        }
        high = next_public.map_or(high, |next| high.min(next));
        let mut public_name = None;
        if let Some(public) = public {
            low = low.max(public.place.offset);
            if best.as_ref().is_none_or(|best| best.place() < public.place) {
                best = Some(Nearest::Public(public.place, public.name));
            } else if best.as_ref().is_some_and(|best| best.place() == public.place) {
                public_name = Some(public.name);
            }
        }
        let Some(best) = best else { return Ok(None) };
        let start = best.place();
        let Some(rva) = self.places()?.rva(start)? else { return Ok(None) };
        let (name, kind, len) = match best {
            Nearest::Procedure(procedure) => match &module {
                Some(module) => self.procedure_name(module, procedure)?,
                None => return Ok(None),
            },
            Nearest::Data(_, record) => {
                let name = match &module {
                    Some(module) => name_of(module, record)?,
                    None => String::new(),
                };
                (name, SymbolKind::Data, None)
            }
            Nearest::Public(_, name) => (String::from_utf8_lossy(&name).into_owned(), SymbolKind::Public, None),
        };
        let rows = match &module {
            Some(module) => module.rows(place.section, low, high)?,
            None => Vec::new(),
        };
        let raw = public_name.map_or_else(|| name.clone(), |name| String::from_utf8_lossy(&name).into_owned());
        let readable = self.readable(&name, &raw);
        let files = self.files(module.as_deref(), &rows, &[])?;
        Ok(Some(Function {
            section: place.section,
            low,
            high,
            start: start.offset,
            rva,
            kind,
            len,
            name: readable.into(),
            raw: raw.into(),
            rows,
            inlines: Vec::new(),
            sites: Vec::new(),
            files,
        }))
    }

    /// The answer for a whole procedure.
    fn procedure(
        &self,
        module: &Module,
        procedure: &Procedure,
        public: Option<super::globals::Nearest>,
    ) -> Result<Function, SymbolError> {
        let Place { section, offset: start } = procedure.place;
        let high = start.saturating_add(procedure.len);
        let (name, kind, len) = self.procedure_name(module, procedure)?;
        // A public symbol inside the procedure is another one; ask again for the one at its beginning.
        let public = match public {
            Some(public) if public.place == procedure.place => Some(public),
            Some(public) if public.place > procedure.place => self.nearest_public(procedure.place)?.0,
            _ => None,
        };
        let public = public.filter(|public| public.place == procedure.place);
        let raw = public.map_or_else(|| name.clone(), |public| String::from_utf8_lossy(&public.name).into_owned());
        let rows = module.rows(section, start, high)?;
        let (inlines, ids) = inlined(module, procedure)?;
        let mut sites: Vec<Rc<str>> = Vec::with_capacity(ids.len());
        for id in ids {
            sites.push(self.inlinee_name(id)?);
        }
        let files = self.files(Some(module), &rows, &inlines)?;
        // A procedure that was removed when the image was rearranged is found at no RVA.
        let rva = self.places()?.rva(procedure.place)?.unwrap_or(0);
        let name = self.readable(&name, &raw).into();
        let (low, raw) = (start, raw.into());
        Ok(Function { section, low, high, start, rva, kind, len, name, raw, rows, inlines, sites, files })
    }

    /// A procedure's name as it stands in the file, what it is, and its length.
    pub(crate) fn procedure_name(
        &self,
        module: &Module,
        procedure: &Procedure,
    ) -> Result<(String, SymbolKind, Option<u32>), SymbolError> {
        let len = Some(procedure.len);
        Ok(match procedure.form {
            Form::Global | Form::Local => (name_of(module, procedure.record)?, SymbolKind::Procedure, len),
            Form::Thunk => (name_of(module, procedure.record)?, SymbolKind::Thunk, len),
            Form::Separated(parent) => {
                let parent =
                    module.procedure(parent).filter(|parent| matches!(parent.form, Form::Global | Form::Local));
                let name = parent.map(|parent| name_of(module, parent.record)).transpose()?;
                (name.unwrap_or_default(), SymbolKind::Separated, len)
            }
        })
    }

    /// A name as people read it. Compilers write names of procedures as the source has them, assemblers as the linker
    /// knows them: then both are the same.
    fn readable(&self, name: &str, raw: &str) -> String {
        if name == raw && self.identity().machine == Some(Machine::X86) {
            demangle::readable_x86(name)
        } else {
            demangle::readable(name)
        }
    }

    /// Names of the files that the rows come from, sorted by the offset of their record.
    fn files(
        &self,
        module: Option<&Module>,
        rows: &[Row],
        inlines: &[InlineRow],
    ) -> Result<Vec<(u32, Rc<str>)>, SymbolError> {
        let Some(module) = module else { return Ok(Vec::new()) };
        let mut ids: Vec<u32> = rows.iter().chain(inlines.iter().map(|row| &row.row)).map(|row| row.file).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut files = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(name) = self.file_name(module, id)? {
                files.push((id, name));
            }
        }
        Ok(files)
    }
}

/// The name in the record at `at` of a module's stream.
fn name_of(module: &Module, at: u32) -> Result<String, SymbolError> {
    let bytes = module.record(at)?;
    let (kind, data) = records::split(&bytes);
    let name = match records::parse(kind, data, module.stream.file_offset(at.into()))? {
        Some(Record::Procedure { name, .. } | Record::Thunk { name, .. } | Record::Data { name, .. }) => name,
        _ => &[],
    };
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// The rows of all functions inlined into a procedure, sorted by depth and start, and the ids by site.
fn inlined(module: &Module, procedure: &Procedure) -> Result<(Vec<InlineRow>, Vec<u32>), SymbolError> {
    let (mut rows, mut ids) = (Vec::new(), Vec::new());
    if procedure.end <= procedure.record {
        return Ok((rows, ids));
    }
    let mut window = Window::new(&module.stream, procedure.end.into());
    let mut at = u64::from(procedure.record);
    let mut depth = 0_u16;
    while at < u64::from(procedure.end) && ids.len() < MOST_SITES && rows.len() < MOST_ROWS {
        let (kind, data, next) = records::at(&mut window, at)?;
        at = next;
        let fixed = match kind {
            S_INLINESITE => 12,
            S_INLINESITE2 => 16,
            S_INLINESITE_END => {
                depth = depth.saturating_sub(1);
                continue;
            }
            _ => continue,
        };
        let (Some(id), Some(annotations)) = (data.get(8..12), data.get(fixed..)) else { continue };
        let id = id.iter().rev().fold(0_u32, |id, byte| id << 8 | u32::from(*byte));
        if let Some(begin) = module.inlinee(id)? {
            let site = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            inline::rows(annotations, procedure.place.offset, &begin, depth, site, &mut rows);
        }
        ids.push(id);
        depth = depth.saturating_add(1);
    }
    rows.sort_by_key(|row| (row.depth, row.row.start));
    Ok((rows, ids))
}

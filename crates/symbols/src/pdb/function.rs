//! All that is known of one procedure, or of the space between two symbols: what lookups are answered from.

use std::{borrow::Cow, rc::Rc};

use dumplens_base::Machine;

use super::{
    PdbFile,
    globals::{self, Nearest as NearestPublic},
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

/// A symbol as lookups show it. It is kept with the place from which on it is the answer; what many functions do not
/// have stands apart, as tens of thousands may be kept. Offsets are those of its section.
pub(crate) struct Function {
    pub(crate) section: u16,
    /// Where it stops being the answer.
    pub(crate) high: u32,
    /// Where the symbol stands.
    start: u32,
    /// Its RVA in the image as it is.
    rva: u32,
    len: Option<u32>,
    kind: SymbolKind,
    name: Rc<str>,
    more: Option<Box<More>>,
}

/// What only some symbols have.
#[derive(Default)]
struct More {
    /// The name as the linker knows it, if it is another.
    raw: Option<Rc<str>>,
    source: Source,
}

/// Where code comes from.
#[derive(Default)]
struct Source {
    rows: Box<[Row]>,
    inlines: Box<[InlineRow]>,
    /// Names of the functions inlined at each site.
    sites: Box<[Rc<str>]>,
    files: Files,
}

/// Names of files, by the offset of their record.
type Files = Box<[(u32, Rc<str>)]>;

impl Function {
    /// Bytes that it takes beside itself, about. Names of files and inlined functions are shared.
    pub(crate) fn cost(&self) -> usize {
        /// What stands before a shared text, and what the allocator adds.
        const SHARED: usize = 32;
        let name = self.name.len().saturating_add(SHARED);
        let Some(more) = &self.more else { return name };
        name.saturating_add(size_of::<More>())
            .saturating_add(more.raw.as_ref().map_or(0, |raw| raw.len().saturating_add(SHARED)))
            .saturating_add(size_of_val(&*more.source.rows))
            .saturating_add(size_of_val(&*more.source.inlines))
            .saturating_add(size_of_val(&*more.source.sites))
            .saturating_add(size_of_val(&*more.source.files))
    }

    /// What stands at `offset` of the section.
    pub(crate) fn location(&self, offset: u32) -> Location {
        let mut location = Location {
            function: Rc::clone(&self.name),
            raw_name: Rc::clone(self.more.as_ref().and_then(|more| more.raw.as_ref()).unwrap_or(&self.name)),
            function_rva: self.rva,
            function_offset: offset.wrapping_sub(self.start),
            length: self.len,
            kind: self.kind,
            file: None,
            line: None,
            inlines: Vec::new(),
        };
        if let Some(more) = &self.more {
            let source = &more.source;
            (location.file, location.line) = source.of(lines::find(&source.rows, offset));
            location.inlines = source.inlines(offset);
        }
        location
    }
}

impl Source {
    /// What was inlined at `offset` of the section, innermost first.
    fn inlines(&self, offset: u32) -> Vec<InlineFrame> {
        let frame = |row: &InlineRow| {
            let (file, line) = self.of(Some(&row.row));
            let function = self.sites.get(row.site as usize).cloned().unwrap_or_else(|| "".into());
            InlineFrame { function, file, line }
        };
        let mut frames: Vec<_> = inline::chain(&self.inlines, offset).map(frame).collect();
        frames.reverse();
        frames
    }

    /// File and line of a row.
    fn of(&self, row: Option<&Row>) -> (Option<Rc<str>>, Option<u32>) {
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
    Public(NearestPublic),
}

impl Nearest<'_> {
    const fn place(&self) -> Place {
        match self {
            Self::Procedure(procedure) => procedure.place(),
            Self::Data(place, _) => *place,
            Self::Public(public) => public.place,
        }
    }
}

/// What the record of a symbol says.
pub(crate) struct Described {
    /// Its name as it stands in the file.
    pub(crate) name: String,
    pub(crate) kind: SymbolKind,
    pub(crate) len: Option<u32>,
    /// Where the record stands that ends it, in the module's stream.
    end: u32,
}

impl PdbFile {
    /// Makes the answer for `place`, and says from where on it holds; `None` if no symbol stands at or before it in its
    /// section. All that decides it is the same between there and where it stops, so that it does not matter which
    /// address is asked for first.
    pub(crate) fn make(&self, place: Place) -> Result<Option<(u32, Function)>, SymbolError> {
        let placed = self.dbi()?.place(place.section, place.offset)?;
        let module = match placed.here {
            Some(contribution) => self.module(contribution.module.into())?,
            None => None,
        };
        let mut low = placed.low;
        let mut high = self.places()?.size(place.section);
        if let Some(contribution) = placed.here {
            high = high.min(contribution.end());
        }
        high = placed.next.map_or(high, |next| high.min(next)).max(place.offset.saturating_add(1));

        let mut best = None;
        if let Some(module) = &module {
            high = module.next(place).map_or(high, |next| high.min(next));
            if let Some(procedure) = module.procedure(place) {
                let made = self.procedure(module, procedure, high.min(procedure.end()))?;
                return Ok(Some((low.max(procedure.place().offset), made)));
            }
            let (data, next_data) = module.data_near(place);
            high = next_data.map_or(high, |next| high.min(next));
            if let Some(procedure) = module.before(place) {
                low = low.max(procedure.end());
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
        let (public, next_public) = self.nearest_public(place)?;
        high = next_public.map_or(high, |next| high.min(next));
        let mut raw = None;
        if let Some(public) = public {
            low = low.max(public.place.offset);
            if best.as_ref().is_none_or(|best| best.place() < public.place) {
                best = Some(Nearest::Public(public));
            } else if best.as_ref().is_some_and(|best| best.place() == public.place) {
                raw = self.public_name(&public)?;
            }
        }
        let Some(best) = best else { return Ok(None) };
        let start = best.place();
        let Some(rva) = self.places()?.rva(start)? else { return Ok(None) };
        let (name, kind, len) = match (best, &module) {
            (Nearest::Procedure(procedure), Some(module)) => {
                let Described { name, kind, len, .. } = self.described(module, procedure)?;
                (name, kind, len)
            }
            (Nearest::Data(_, record), Some(module)) => (name_of(module, record)?, SymbolKind::Data, None),
            (Nearest::Public(public), _) => (self.public_name(&public)?.unwrap_or_default(), SymbolKind::Public, None),
            (_, None) => return Ok(None),
        };
        let rows = match &module {
            Some(module) => module.rows(place.section, low, high)?,
            None => Vec::new(),
        };
        let files = self.files(module.as_deref(), &rows, &[])?;
        let source = Source { rows: rows.into(), files, ..Source::default() };
        let (name, more) = self.named(&name, raw.as_deref(), source);
        Ok(Some((low, Function { section: place.section, high, start: start.offset, rva, len, kind, name, more })))
    }

    /// The answer for a procedure, as far as `high`.
    fn procedure(&self, module: &Module, procedure: &Procedure, high: u32) -> Result<Function, SymbolError> {
        let place @ Place { section, offset: start } = procedure.place();
        let Described { name, kind, len, end } = self.described(module, procedure)?;
        let public = self.nearest_public(place)?.0.filter(|public| public.place == place);
        let raw = public.map_or(Ok(None), |public| self.public_name(&public))?;
        let rows = module.rows(section, start, procedure.end())?;
        let (inlines, ids) = inlined(module, procedure, end)?;
        let mut sites: Vec<Rc<str>> = Vec::with_capacity(ids.len());
        for id in ids {
            sites.push(self.inlinee_name(id)?);
        }
        let files = self.files(Some(module), &rows, &inlines)?;
        // A procedure that was removed when the image was rearranged is found at no RVA.
        let rva = self.places()?.rva(place)?.unwrap_or(0);
        let source = Source { rows: rows.into(), inlines: inlines.into(), sites: sites.into(), files };
        let (name, more) = self.named(&name, raw.as_deref(), source);
        Ok(Function { section, high, start, rva, len, kind, name, more })
    }

    /// A symbol's name as people read it, and what else there is to keep. `raw` is its name as the linker knows it.
    fn named(&self, name: &str, raw: Option<&str>, source: Source) -> (Rc<str>, Option<Box<More>>) {
        let raw = raw.unwrap_or(name);
        let readable: Rc<str> = self.readable(name, raw).into();
        let raw = (*raw != *readable).then(|| Rc::from(raw));
        let has_source = !(source.rows.is_empty() && source.inlines.is_empty());
        let more = (raw.is_some() || has_source).then(|| Box::new(More { raw, source }));
        (readable, more)
    }

    /// The name of a public symbol.
    fn public_name(&self, public: &NearestPublic) -> Result<Option<String>, SymbolError> {
        self.symbol_records()?.map(|records| public.name(records)).transpose()
    }

    /// What the record of a procedure says of it.
    pub(crate) fn described(&self, module: &Module, procedure: &Procedure) -> Result<Described, SymbolError> {
        let stream = &module.stream;
        let origin = || stream.file_offset(procedure.record.into());
        let (name, end, parent) = globals::record(stream, procedure.record.into(), |kind, data| {
            Ok(match records::parse(kind, data, origin())? {
                Some(Record::Procedure { name, end, .. } | Record::Thunk { name, end, .. }) => {
                    (String::from_utf8_lossy(name).into_owned(), end, None)
                }
                Some(Record::Separated { end, parent, .. }) => (String::new(), end, Some(parent)),
                _ => (String::new(), 0, None),
            })
        })?;
        let kind = match procedure.form {
            Form::Global | Form::Local => SymbolKind::Procedure,
            Form::Thunk => SymbolKind::Thunk,
            Form::Separated => SymbolKind::Separated,
        };
        let parent = parent.and_then(|parent| module.procedure(parent));
        let parent = parent.filter(|parent| matches!(parent.form, Form::Global | Form::Local));
        let name = parent.map_or(Ok(name), |parent| name_of(module, parent.record))?;
        Ok(Described { name, kind, len: Some(procedure.len), end })
    }

    /// A name as people read it. Compilers write names of procedures as the source has them, assemblers as the linker
    /// knows them: then both are the same.
    fn readable<'a>(&self, name: &'a str, raw: &str) -> Cow<'a, str> {
        if name == raw && self.identity().machine == Some(Machine::X86) {
            demangle::readable_x86(name)
        } else {
            demangle::readable(name)
        }
    }

    /// Names of the files that the rows come from, sorted by the offset of their record.
    fn files(&self, module: Option<&Module>, rows: &[Row], inlines: &[InlineRow]) -> Result<Files, SymbolError> {
        let Some(module) = module else { return Ok(Box::default()) };
        let mut ids: Vec<u32> = rows.iter().chain(inlines.iter().map(|row| &row.row)).map(|row| row.file).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut files = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(name) = self.file_name(module, id)? {
                files.push((id, name));
            }
        }
        Ok(files.into())
    }
}

/// The name in the record at `at` of a module's stream.
fn name_of(module: &Module, at: u32) -> Result<String, SymbolError> {
    globals::record(&module.stream, at.into(), |kind, data| {
        let record = records::parse(kind, data, module.stream.file_offset(at.into()))?;
        let name = record.and_then(|record| record.name()).unwrap_or_default();
        Ok(String::from_utf8_lossy(name).into_owned())
    })
}

/// The rows of all functions inlined into a procedure whose records end at `end`, sorted by depth and start, and the ids
/// by site.
fn inlined(module: &Module, procedure: &Procedure, end: u32) -> Result<(Vec<InlineRow>, Vec<u32>), SymbolError> {
    let (mut rows, mut ids) = (Vec::new(), Vec::new());
    // Without their beginnings in the source, sites make no rows.
    if end <= procedure.record || !module.has_inlinees() {
        return Ok((rows, ids));
    }
    let mut window = Window::new(&module.stream, end.into());
    let mut at = u64::from(procedure.record);
    let mut depth = 0_u16;
    while at < u64::from(end) && ids.len() < MOST_SITES && rows.len() < MOST_ROWS {
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
            inline::rows(annotations, procedure.place().offset, &begin, depth, site, &mut rows);
        }
        ids.push(id);
        depth = depth.saturating_add(1);
    }
    rows.sort_by_key(|row| (row.depth, row.row.start));
    Ok((rows, ids))
}

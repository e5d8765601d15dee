//! Source lines (C13): which file and line a place comes from.

use dumplens_base::Bytes;

use super::{places::Place, stream::PdbStream};
use crate::SymbolError;

const LINES: u32 = 0xf2;
const CHECKSUMS: u32 = 0xf4;
const INLINEES: u32 = 0xf6;
/// A part that is to be passed over.
const IGNORE: u32 = 0x8000_0000;

/// Lines that stand for code without source: what compilers write for what they made up themselves.
const NO_LINE: [u32; 2] = [0xfe_efee, 0xf0_0f00];

/// Most bytes of one part that are read at once.
const PART: u64 = 64 << 20;

/// Size of what stands before the blocks of lines: kind and size of the part, and which code it is for.
const HEAD: u64 = 20;

/// Lines of a contiguous piece of code, not read yet. There may be a hundred thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) section: u16,
    pub(crate) offset: u32,
    pub(crate) len: u32,
    /// Where it stands in the module's stream.
    at: u32,
}

/// From `start` on, up to `end` (offsets in a section), code comes from this line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// 0 if it comes from no line.
    pub(crate) line: u32,
    /// The file, by the offset of its record.
    pub(crate) file: u32,
}

/// Where an inlined function begins in the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inlinee {
    pub(crate) id: u32,
    pub(crate) file: u32,
    pub(crate) line: u32,
}

/// What a module's line information consists of.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Sorted by place.
    pub(crate) lines: Vec<Part>,
    /// Where file records stand, and their bytes.
    pub(crate) files: Option<(u64, u32)>,
    pub(crate) inlinees: Vec<(u64, u32)>,
}

/// Lists the parts between `start` and `end` of a module's stream, and the reason if not all could be read.
pub(crate) fn parts(stream: &PdbStream, start: u64, end: u64) -> (Parts, Option<SymbolError>) {
    let mut parts = Parts::default();
    let mut at = start;
    let mut error = None;
    while at.saturating_add(8) <= end {
        match part(stream, at, end, &mut parts) {
            Ok(next) => at = next,
            Err(reason) => {
                error = Some(reason);
                break;
            }
        }
    }
    parts.lines.sort_by_key(Part::place);
    parts.lines.shrink_to_fit();
    (parts, error)
}

fn part(stream: &PdbStream, at: u64, end: u64, parts: &mut Parts) -> Result<u64, SymbolError> {
    let [a, b, c, d, e, f, g, h] = stream.array::<8>(at, "debug subsection")?;
    let (kind, size) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let body = at.saturating_add(8);
    let next = body.saturating_add(size.into());
    if next > end {
        let left = end.saturating_sub(body);
        return Err(SymbolError::truncated("debug subsection", stream.file_offset(at), size.into(), left));
    }
    match kind & !IGNORE {
        _ if kind & IGNORE != 0 => {}
        LINES => {
            let head = stream.array::<12>(body, "lines")?;
            let mut head = Bytes::new(&head, stream.file_offset(body));
            let offset = head.u32("offset of lines")?;
            let section = head.u16("section of lines")?;
            head.skip(2, "flags of lines")?;
            let len = head.u32("length of lines")?;
            // Streams have less than 4 GiB.
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            parts.lines.push(Part { section, offset, len, at });
        }
        CHECKSUMS => parts.files = parts.files.or(Some((body, size))),
        INLINEES => parts.inlinees.push((body, size)),
        _ => {}
    }
    Ok(next.next_multiple_of(4))
}

impl Part {
    /// Where its code begins.
    pub(crate) const fn place(&self) -> Place {
        Place { section: self.section, offset: self.offset }
    }

    /// Where its code ends, in its section.
    pub(crate) const fn end(&self) -> u32 {
        self.offset.saturating_add(self.len)
    }

    /// The rows, sorted by address.
    pub(crate) fn rows(&self, stream: &PdbStream) -> Result<Vec<Row>, SymbolError> {
        let at = u64::from(self.at);
        let head = stream.array::<{ HEAD as usize }>(at, "lines")?;
        let mut head = Bytes::new(&head, stream.file_offset(at));
        head.skip(4, "kind of lines")?;
        // Which code it is for is counted in.
        let size = u64::from(head.u32("size of lines")?).saturating_sub(HEAD - 8);
        head.skip(6, "place of lines")?;
        let columns = head.u16("flags of lines")? & 1 != 0;
        let at = at.saturating_add(HEAD);
        let bytes = stream.vec(at, size, PART, "lines")?;
        let mut bytes = Bytes::new(&bytes, stream.file_offset(at));
        let mut rows = Vec::new();
        while bytes.remaining() >= 12 {
            let file = bytes.u32("file of lines")?;
            let count = bytes.u32("number of lines")?;
            let size = bytes.u32("size of a block of lines")?;
            let mut block = bytes.split((size as usize).saturating_sub(12), "block of lines")?;
            let each = if columns { 12 } else { 8 };
            let count = block.count(count.into(), u32::MAX.into(), each, "number of lines")?;
            rows.reserve(count);
            for _ in 0..count {
                let offset = block.u32("offset of a line")?;
                let line = block.u32("line")? & 0xff_ffff;
                let line = if NO_LINE.contains(&line) { 0 } else { line };
                let start = self.offset.wrapping_add(offset);
                rows.push(Row { start, end: start, line, file });
            }
        }
        rows.sort_by_key(|row| row.start);
        let mut next = self.end();
        for row in rows.iter_mut().rev() {
            row.end = next.max(row.start);
            next = row.start;
        }
        Ok(rows)
    }
}

/// Where inlined functions begin, sorted by id.
pub(crate) fn inlinees(stream: &PdbStream, parts: &[(u64, u32)]) -> Result<Vec<Inlinee>, SymbolError> {
    let mut found = Vec::new();
    for (at, size) in parts {
        let bytes = stream.vec(*at, (*size).into(), PART, "inlined functions")?;
        let mut bytes = Bytes::new(&bytes, stream.file_offset(*at));
        let extended = bytes.u32("form of the inlined functions")? == 1;
        while bytes.remaining() >= 12 {
            let id = bytes.u32("inlined function")?;
            let file = bytes.u32("file of an inlined function")?;
            let line = bytes.u32("line of an inlined function")?;
            if extended {
                let files = bytes.u32("files of an inlined function")?;
                let files = bytes.count(files.into(), u32::MAX.into(), 4, "files of an inlined function")?;
                bytes.skip(files.saturating_mul(4), "files of an inlined function")?;
            }
            found.push(Inlinee { id, file, line });
        }
    }
    found.sort_by_key(|inlinee| inlinee.id);
    Ok(found)
}

/// The row that `offset` is in, of rows sorted by where they start.
pub(crate) fn find(rows: &[Row], offset: u32) -> Option<&Row> {
    let after = rows.partition_point(|row| row.start <= offset);
    rows.get(after.checked_sub(1)?).filter(|row| offset < row.end)
}

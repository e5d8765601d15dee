//! Names of inlined functions: records of the id stream (IPI), and of the type stream (TPI) for their classes.

use dumplens_base::{ByteSource as _, Bytes};

use super::stream::{PdbStream, Window};
use crate::SymbolError;

const LF_FUNC_ID: u16 = 0x1601;
const LF_MFUNC_ID: u16 = 0x1602;
const LF_STRING_ID: u16 = 0x1605;

/// Most records that are walked from where the index leads: it leads to every 8 KiB of records.
const WALK: u32 = 1 << 16;

/// A stream of numbered records with an index.
pub(crate) struct Items {
    stream: PdbStream,
    /// The stream that holds the index.
    hashes: Option<PdbStream>,
    header: u32,
    first: u32,
    end: u32,
    /// Where the index stands in `hashes`, and how many entries it has.
    index: (u64, u64),
}

impl Items {
    /// `hashes` opens the stream of that number.
    pub(crate) fn open(
        stream: PdbStream,
        hashes: impl FnOnce(u16) -> Result<Option<PdbStream>, SymbolError>,
    ) -> Result<Self, SymbolError> {
        let head = stream.array::<56>(0, "type stream header")?;
        let mut head = Bytes::new(&head, stream.file_offset(0));
        head.skip(4, "version")?;
        let header = head.u32("size of the header")?;
        let (first, end) = (head.u32("first index")?, head.u32("last index")?);
        head.skip(4, "size of the records")?;
        let number = head.u16("hash stream")?;
        head.skip(18, "hashes")?;
        let (offset, len) = (head.u32("index offset")?, head.u32("index size")?);
        Ok(Self { stream, hashes: hashes(number)?, header, first, end, index: (offset.into(), u64::from(len) / 8) })
    }

    /// A record's kind and its bytes; `None` if there is none of that number.
    fn get(&self, number: u32) -> Result<Option<Vec<u8>>, SymbolError> {
        if !(self.first..self.end).contains(&number) {
            return Ok(None);
        }
        let (mut at, mut current) = (u64::from(self.header), self.first);
        if let Some(hashes) = &self.hashes {
            let (start, count) = self.index;
            let (mut low, mut high) = (0, count);
            let entry = |index: u64| start.saturating_add(index.saturating_mul(8));
            while low < high {
                let middle = low.midpoint(high);
                let its = hashes.u32(entry(middle), "index of types")?;
                if its <= number { low = middle.saturating_add(1) } else { high = middle }
            }
            if let Some(before) = low.checked_sub(1) {
                current = hashes.u32(entry(before), "index of types")?;
                let offset = hashes.u32(entry(before).saturating_add(4), "index of types")?;
                at = at.saturating_add(offset.into());
            }
        }
        let mut window = Window::new(&self.stream, self.stream.len()).of(2 << 10);
        for _ in 0..WALK {
            let len = match window.get(at, 2, "length of a type")? {
                [low, high] => u64::from(u16::from_le_bytes([*low, *high])),
                _ => 0,
            };
            if current == number {
                return window.get(at.saturating_add(2), len, "type").map(|bytes| Some(bytes.to_vec()));
            }
            at = at.saturating_add(2).saturating_add(len);
            current = current.saturating_add(1);
        }
        Ok(None)
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// The name of the function with that id: with its class or namespace, without parameters.
pub(crate) fn function(ids: &Items, types: Option<&Items>, id: u32) -> Result<Option<String>, SymbolError> {
    let Some(record) = ids.get(id)? else { return Ok(None) };
    let mut bytes = Bytes::new(&record, 0);
    let kind = bytes.u16("kind of an id")?;
    let scope = match kind {
        LF_FUNC_ID | LF_MFUNC_ID => bytes.u32("scope of a function")?,
        _ => return Ok(None),
    };
    bytes.skip(4, "type of a function")?;
    let name = text(bytes.rest());
    let scope = match (kind, types) {
        (LF_MFUNC_ID, Some(types)) => class(types, scope)?,
        (LF_FUNC_ID, _) if scope != 0 => string(ids, scope)?,
        _ => None,
    };
    Ok(Some(match scope {
        Some(scope) => format!("{scope}::{name}"),
        None => name,
    }))
}

fn string(ids: &Items, id: u32) -> Result<Option<String>, SymbolError> {
    let Some(record) = ids.get(id)? else { return Ok(None) };
    let mut bytes = Bytes::new(&record, 0);
    if bytes.u16("kind of an id")? != LF_STRING_ID {
        return Ok(None);
    }
    bytes.skip(4, "list of strings")?;
    Ok(Some(text(bytes.rest())))
}

/// The name of a class, structure, interface, union or enumeration.
fn class(types: &Items, index: u32) -> Result<Option<String>, SymbolError> {
    let Some(record) = types.get(index)? else { return Ok(None) };
    let mut bytes = Bytes::new(&record, 0);
    match bytes.u16("kind of a type")? {
        // Count, properties, fields, derivation, vtable shape; then the size.
        0x1504 | 0x1505 | 0x1519 => bytes.skip(16, "class")?,
        // Count, properties, fields; then the size.
        0x1506 => bytes.skip(8, "union")?,
        // Count, properties, underlying type, fields: no size.
        0x1507 => {
            bytes.skip(12, "enumeration")?;
            return Ok(Some(text(bytes.rest())));
        }
        _ => return Ok(None),
    }
    // A size below 0x8000 is itself; otherwise it says how many bytes follow.
    let size = bytes.u16("size of a class")?;
    let more = match size {
        0x8000 => 1,
        0x8001 | 0x8002 => 2,
        0x8003 | 0x8004 => 4,
        0x8009 | 0x800a => 8,
        _ => 0,
    };
    bytes.skip(more, "size of a class")?;
    Ok(Some(text(bytes.rest())))
}

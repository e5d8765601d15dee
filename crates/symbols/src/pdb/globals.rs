//! The two tables over the symbol records: publics by address, publics and globals by name.

use std::cell::{Cell, OnceCell};

use dumplens_base::{ByteSource as _, Bytes};

use super::{
    PdbFile,
    places::Place,
    records::{self, Record},
    stream::{PdbStream, Window},
};
use crate::SymbolError;

/// Size of the publics stream's header, behind which its hash table stands.
const PUBLICS_HEADER: u64 = 28;
/// Size of a hash table's header.
const HASH_HEADER: u64 = 16;
/// Buckets of a hash table.
const BUCKETS: u32 = 0x1000;
/// Buckets in PDBs that refer to object files (`/DEBUG:FASTLINK`).
const MANY_BUCKETS: u32 = 0x3_ffff;
/// Most records that are followed in one bucket.
const BUCKET_LIMIT: u64 = 1 << 16;
/// Look-ups after which the whole table of publics is read, if its records are few; more for each 64 KiB of them.
const PATIENCE: u64 = 32;
/// Longest symbol record.
const RECORD: u64 = 1 << 16;

/// Symbols by name.
pub(crate) struct Names {
    stream: PdbStream,
    /// Where the hash records stand.
    start: u64,
    count: u64,
    /// Where the bit map of the buckets stands, and what follows it.
    buckets: u64,
    len: u64,
    number: u32,
}

impl Names {
    /// The table of the globals stream.
    pub(crate) fn globals(stream: PdbStream, minimal: bool) -> Result<Self, SymbolError> {
        Self::open(stream, 0, minimal)
    }

    fn open(stream: PdbStream, at: u64, minimal: bool) -> Result<Self, SymbolError> {
        let number = if minimal { MANY_BUCKETS } else { BUCKETS };
        if stream.len() <= at {
            return Ok(Self { stream, start: at, count: 0, buckets: at, len: 0, number });
        }
        let head = stream.array::<{ HASH_HEADER as usize }>(at, "symbol hash header")?;
        let mut head = Bytes::new(&head, stream.file_offset(at));
        let signature = head.u32("symbol hash signature")?;
        head.skip(4, "symbol hash version")?;
        if signature != u32::MAX {
            return Err(SymbolError::invalid("symbol hash signature", stream.file_offset(at), signature.into()));
        }
        let records = u64::from(head.u32("size of the symbol hashes")?);
        let len = u64::from(head.u32("size of the symbol buckets")?);
        let start = at.saturating_add(HASH_HEADER);
        Ok(Self { stream, start, count: records / 8, buckets: start.saturating_add(records), len, number })
    }

    /// The hash records of the bucket that `name` is in.
    fn bucket(&self, name: &[u8]) -> Result<core::ops::Range<u64>, SymbolError> {
        if self.len == 0 {
            return Ok(0..0);
        }
        let bucket = hash(name).checked_rem(self.number).unwrap_or(0);
        let words = u64::from(self.number / 32).saturating_add(1);
        let map = self.stream.vec(self.buckets, words.saturating_mul(4), 1 << 16, "bit map of the buckets")?;
        let (mut rank, mut set) = (0_u64, false);
        for (index, word) in (0_u32..).zip(map.as_chunks::<4>().0) {
            let word = u32::from_le_bytes(*word);
            if index == bucket / 32 {
                let bit = bucket % 32;
                set = word >> bit & 1 != 0;
                rank = rank.saturating_add((word & (1_u32 << bit).wrapping_sub(1)).count_ones().into());
                break;
            }
            rank = rank.saturating_add(word.count_ones().into());
        }
        if !set {
            return Ok(0..0);
        }
        // Buckets say where their records began in memory, where a record had twelve bytes.
        let at = self.buckets.saturating_add(words.saturating_mul(4)).saturating_add(rank.saturating_mul(4));
        let first = u64::from(self.stream.u32(at, "bucket of a name")?) / 12;
        let next = at.saturating_add(4);
        let last = if next < self.buckets.saturating_add(self.len) {
            u64::from(self.stream.u32(next, "bucket of a name")?) / 12
        } else {
            self.count
        };
        Ok(first..last.min(self.count).min(first.saturating_add(BUCKET_LIMIT)))
    }

    /// Calls `found` with each symbol of that name until it answers.
    pub(crate) fn find<T>(
        &self,
        records: &PdbStream,
        name: &[u8],
        mut found: impl FnMut(Record<'_>) -> Result<Option<T>, SymbolError>,
    ) -> Result<Option<T>, SymbolError> {
        for index in self.bucket(name)? {
            let at = self.start.saturating_add(index.saturating_mul(8));
            let Some(offset) = self.stream.u32(at, "hash of a name")?.checked_sub(1) else { continue };
            let answer = record(records, offset.into(), |kind, data| {
                match records::parse(kind, data, records.file_offset(offset.into()))? {
                    Some(record) if record.name() == Some(name) => found(record),
                    _ => Ok(None),
                }
            })?;
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }
}

/// What `read` makes of the kind and the bytes of the record at `at` of a stream of records.
pub(crate) fn record<T>(
    stream: &PdbStream,
    at: u64,
    read: impl FnOnce(u16, &[u8]) -> Result<T, SymbolError>,
) -> Result<T, SymbolError> {
    /// Most records are shorter: one look at the file gives them whole.
    const SHORT: usize = 128;
    let mut short = [0; SHORT];
    let left = usize::try_from(stream.len().saturating_sub(at)).unwrap_or(SHORT).min(SHORT);
    let short = short.get_mut(..left).unwrap_or_default();
    // What stands behind the record may be damaged; then the record is read for itself.
    if stream.read(at, short, "symbol").is_ok()
        && let Some((len, rest)) = short.split_first_chunk()
        && let Some(record) = rest.get(..u16::from_le_bytes(*len).into())
    {
        let (kind, data) = records::split(record);
        return read(kind, data);
    }
    let len = u16::from_le_bytes(stream.array(at, "length of a symbol")?);
    let bytes = stream.vec(at.saturating_add(2), len.into(), RECORD, "symbol")?;
    let (kind, data) = records::split(&bytes);
    read(kind, data)
}

/// The hash of names in symbol tables: folds four bytes at a time and forgets the case of letters.
pub(crate) fn hash(name: &[u8]) -> u32 {
    let (words, rest) = name.as_chunks::<4>();
    let mut hash = words.iter().fold(0, |hash, word| hash ^ u32::from_le_bytes(*word));
    let (halves, last) = rest.as_chunks::<2>();
    for half in halves {
        hash ^= u32::from(u16::from_le_bytes(*half));
    }
    for byte in last {
        hash ^= u32::from(*byte);
    }
    hash |= 0x2020_2020;
    hash ^= hash >> 11;
    hash ^ (hash >> 16)
}

/// Public symbols by address, and by name.
pub(crate) struct Publics {
    stream: PdbStream,
    pub(crate) names: Names,
    /// Where the map of addresses stands.
    map: u64,
    count: u64,
    /// Look-ups that went to the file.
    asked: Cell<u64>,
    /// Places and records in order of address, once enough were asked for to pay for it. At most `budget` bytes.
    table: OnceCell<Vec<(Place, u32)>>,
    budget: usize,
}

/// A public symbol at or below an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nearest {
    pub(crate) place: Place,
    /// Where its record stands.
    record: u64,
}

impl Nearest {
    /// Its name.
    pub(crate) fn name(&self, records: &PdbStream) -> Result<String, SymbolError> {
        record(records, self.record, |kind, data| match records::parse(kind, data, records.file_offset(self.record))? {
            Some(Record::Public { name, .. }) => Ok(String::from_utf8_lossy(name).into_owned()),
            _ => {
                let offset = records.file_offset(self.record);
                Err(SymbolError::invalid("kind of a public symbol", offset, kind.into()))
            }
        })
    }
}

impl Publics {
    pub(crate) fn open(stream: PdbStream, minimal: bool, budget: usize) -> Result<Self, SymbolError> {
        let hashes = u64::from(stream.u32(0, "publics header")?);
        let size = u64::from(stream.u32(4, "publics header")?);
        let map = PUBLICS_HEADER.saturating_add(hashes);
        if map.saturating_add(size) > stream.len() {
            let (needed, available) = (map.saturating_add(size), stream.len());
            return Err(SymbolError::truncated("address map of the publics", stream.file_offset(0), needed, available));
        }
        let names = Names::open(stream.clone(), PUBLICS_HEADER, minimal)?;
        Ok(Self { stream, names, map, count: size / 4, asked: Cell::new(0), table: OnceCell::new(), budget })
    }

    /// Counts a look-up, and reads the whole table when that has become cheaper than to go on.
    fn count_up(&self, records: &PdbStream) {
        let asked = self.asked.get().saturating_add(1);
        self.asked.set(asked);
        let fits = self.count.saturating_mul(size_of::<(Place, u32, u32)>() as u64) <= self.budget as u64;
        if fits && asked == PATIENCE.saturating_add(records.len() >> 16) {
            // What is damaged is found again where it is asked for.
            if let Ok(table) = self.read_table(records) {
                self.table.get_or_init(|| table);
            }
        }
    }

    /// Places come from one pass over the records, the order from the map of addresses.
    fn read_table(&self, records: &PdbStream) -> Result<Vec<(Place, u32)>, SymbolError> {
        let count = usize::try_from(self.count).unwrap_or(0);
        let mut table = Vec::with_capacity(count);
        let mut map = Window::new(&self.stream, self.stream.len());
        for index in 0..self.count {
            let entry = map.get(self.map.saturating_add(index.saturating_mul(4)), 4, "address map")?;
            let record = Bytes::new(entry, 0).u32("address map")?;
            table.push((Place { section: 0, offset: 0 }, record));
        }
        let mut order: Vec<u32> = (0..).take(count).collect();
        let record = |index: &u32| table.get(*index as usize).map_or(0, |(_, record)| *record);
        order.sort_unstable_by_key(record);
        let mut window = Window::new(records, records.len());
        let mut at = 0;
        for index in order {
            let Some((its, wanted)) = table.get_mut(index as usize) else { continue };
            let wanted = u64::from(*wanted);
            // Records of other kinds stand between.
            while at < wanted {
                (.., at) = records::at(&mut window, at)?;
            }
            let (kind, data, _) = records::at(&mut window, at)?;
            match records::parse(kind, data, 0)? {
                Some(Record::Public { place, .. }) if at == wanted => *its = place,
                _ => {
                    let offset = self.stream.file_offset(self.map);
                    return Err(SymbolError::invalid("address map of the publics", offset, wanted));
                }
            }
        }
        Ok(table)
    }

    /// Where the record of public symbol `index` stands, in order of address.
    fn offset(&self, index: u64) -> Result<u64, SymbolError> {
        if let Some((_, at)) = self.table.get().and_then(|table| table.get(usize::try_from(index).ok()?)) {
            return Ok((*at).into());
        }
        self.stream.u32(self.map.saturating_add(index.saturating_mul(4)), "address map of the publics").map(u64::from)
    }

    fn place(&self, records: &PdbStream, index: u64) -> Result<Place, SymbolError> {
        if let Some((place, _)) = self.table.get().and_then(|table| table.get(usize::try_from(index).ok()?)) {
            return Ok(*place);
        }
        let at = self.offset(index)?;
        // Length, kind and flags stand in front.
        let [a, b, c, d, low, high] = records.array::<6>(at.saturating_add(8), "public symbol")?;
        Ok(Place { offset: u32::from_le_bytes([a, b, c, d]), section: u16::from_le_bytes([low, high]) })
    }

    /// The last public symbol at or below `place` in its section (of several at one place the first), and the offset
    /// of the next one.
    pub(crate) fn nearest(
        &self,
        records: &PdbStream,
        place: Place,
    ) -> Result<(Option<Nearest>, Option<u32>), SymbolError> {
        if self.table.get().is_none() {
            self.count_up(records);
        }
        let above = match self.table.get() {
            Some(table) => table.partition_point(|(its, _)| *its <= place) as u64,
            None => {
                let (mut low, mut high) = (0, self.count);
                while low < high {
                    let middle = low.midpoint(high);
                    if self.place(records, middle)? <= place { low = middle.saturating_add(1) } else { high = middle }
                }
                low
            }
        };
        let mut next = None;
        if above < self.count {
            let its = self.place(records, above)?;
            next = (its.section == place.section).then_some(its.offset);
        }
        let Some(mut index) = above.checked_sub(1) else { return Ok((None, next)) };
        let its = self.place(records, index)?;
        if its.section != place.section {
            return Ok((None, next));
        }
        // Folded functions share a place: rarely more than a few, so they are walked.
        for before in (0..index).rev().take(64) {
            if self.place(records, before)? != its {
                break;
            }
            index = before;
        }
        Ok((Some(Nearest { place: its, record: self.offset(index)? }), next))
    }
}

impl PdbFile {
    /// The number of the type that a program also calls `name` (`typedef`). `None` if there is no such name.
    ///
    /// # Errors
    /// If the table of names is damaged.
    pub fn typedef(&self, name: &str) -> Result<Option<u32>, SymbolError> {
        if self.dbi.is_none() {
            return Ok(None);
        }
        let (Some(records), Some(globals)) = (self.symbol_records()?, self.globals()?) else { return Ok(None) };
        globals.find(records, name.as_bytes(), |record| match record {
            Record::Typedef { of, .. } => Ok(Some(of)),
            _ => Ok(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_folds_four_bytes_at_a_time_and_forgets_case() {
        // Worked out by hand: "abc" is 0x6261 and 0x63.
        let folded: u32 = 0x6261 ^ 0x63 | 0x2020_2020;
        let mixed = folded ^ (folded >> 11);
        assert_eq!(hash(b"abc"), mixed ^ (mixed >> 16));
        assert_eq!(hash(b"Main"), hash(b"main"));
    }
}

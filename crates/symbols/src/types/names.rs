//! Types by name.
//!
//! The hash stream has for every record the bucket of its name: four bytes a record, which are read once. Where a PDB has
//! no such stream, or a name is not in it (types without a name of their own, and those of one function, are filed under
//! something else), one pass over the records makes an index of all names.

use std::{cell::OnceCell, rc::Rc};

use dumplens_base::{ByteSource as _, Bytes};

use super::{
    leaf::{self, Udt},
    records::{Hashes, Records},
};
use crate::{
    SymbolError,
    pdb::{PdbStream, Window, hash},
};

/// Most records of one bucket that are looked at.
const BUCKET: usize = 1 << 9;
/// Most bytes of records that are searched for a name that the hash stream does not have.
const SEARCH: u64 = 64 << 20;
/// Most bytes of the table of newest types.
const NEWEST: u64 = 128 << 10;
/// Longest name in that table.
const NAME: usize = 8 << 10;

/// Records by bucket: `heads` leads to the first of a bucket, `next` from each to the next. 0 ends, others are one more
/// than the distance from the first record.
struct Chains {
    heads: Vec<u32>,
    next: Vec<u32>,
}

/// Types by name.
pub(super) struct Names {
    /// Most bytes that an index may take.
    budget: usize,
    chains: OnceCell<Option<Chains>>,
    /// The stream of names (`/names`).
    texts: Option<PdbStream>,
    /// Hashes of names of which there are several types, and the number of the one that was linked last.
    newest: OnceCell<Vec<(u32, u32)>>,
    /// Hashes of names and numbers of records, in order.
    index: OnceCell<Rc<[(u32, u32)]>>,
}

impl Names {
    pub(super) const fn new(budget: usize, texts: Option<PdbStream>) -> Self {
        Self { budget, chains: OnceCell::new(), texts, newest: OnceCell::new(), index: OnceCell::new() }
    }

    /// The record of which `fits` says so, among those that describe a type; of several the one that was linked last,
    /// where the PDB says which, or else the first. `name` is what the hash
    /// stream has it under; `own` is the same, or a name that is shared by fewer.
    pub(super) fn find(
        &self,
        records: &Records,
        name: &[u8],
        own: &[u8],
        fits: impl Fn(&Udt<'_>) -> bool,
    ) -> Result<Option<u32>, SymbolError> {
        let ask = |number: u32| -> Result<bool, SymbolError> {
            let Some(raw) = records.get(number)? else { return Ok(false) };
            let udt = leaf::as_udt(raw.bytes(), raw.origin)?;
            Ok(udt.is_some_and(|udt| !udt.is_forward() && fits(&udt)))
        };
        if let Some(hashes) = &records.hashes {
            let newest = self.newest.get_or_init(|| self.read_newest(hashes).unwrap_or_default());
            for (_, number) in newest.iter().filter(|(its, _)| *its == hash(name)).take(BUCKET) {
                if ask(*number)? {
                    return Ok(Some(*number));
                }
            }
            let bucket = hash(name).checked_rem(hashes.buckets).unwrap_or(0);
            let found = self.in_bucket(records, hashes, bucket, &ask)?;
            if found.is_some() || records.len > SEARCH {
                return Ok(found);
            }
        }
        let index = self.index(records)?;
        let wanted = hash(own);
        let from = index.partition_point(|(its, _)| *its < wanted);
        for (_, number) in index.iter().skip(from).take_while(|(its, _)| *its == wanted).take(BUCKET) {
            if ask(*number)? {
                return Ok(Some(*number));
            }
        }
        Ok(None)
    }

    /// The first record of a bucket of which `ask` says so.
    fn in_bucket(
        &self,
        records: &Records,
        hashes: &Hashes,
        bucket: u32,
        ask: &dyn Fn(u32) -> Result<bool, SymbolError>,
    ) -> Result<Option<u32>, SymbolError> {
        let chains = match self.chains.get() {
            Some(chains) => chains,
            None => {
                let chains = self.read_chains(hashes)?;
                self.chains.get_or_init(|| chains)
            }
        };
        let mut seen = 0;
        if let Some(chains) = chains {
            let mut link = chains.heads.get(bucket as usize).copied().unwrap_or(0);
            while let Some(index) = link.checked_sub(1).filter(|_| seen < BUCKET) {
                let number = records.first.saturating_add(index);
                if ask(number)? {
                    return Ok(Some(number));
                }
                link = chains.next.get(index as usize).copied().unwrap_or(0);
                seen += 1;
            }
            return Ok(None);
        }
        // Too many to be kept: the values are read again each time.
        let mut window = Window::new(&hashes.stream, hashes.stream.len());
        for index in 0..hashes.count {
            if value(&mut window, hashes, index)? == bucket && seen < BUCKET {
                let number = records.first.saturating_add(index);
                if ask(number)? {
                    return Ok(Some(number));
                }
                seen += 1;
            }
        }
        Ok(None)
    }

    /// The table of newest types: a hash table whose keys are places in the stream of names. `None` if it is damaged; the
    /// first types of their names are found then.
    fn read_newest(&self, hashes: &Hashes) -> Option<Vec<(u32, u32)>> {
        /// What stands before the names in their stream.
        const HEADER: u64 = 12;
        let texts = self.texts.as_ref()?;
        let (at, len) = hashes.newest;
        let bytes = hashes.stream.vec(at, len, NEWEST, "newest types").ok()?;
        let mut bytes = Bytes::new(&bytes, hashes.stream.file_offset(at));
        let count = bytes.u32("number of newest types").ok()?;
        bytes.skip(4, "newest types").ok()?;
        for _ in 0..2 {
            let words = bytes.u32("map of the newest types").ok()?;
            bytes.skip((words as usize).checked_mul(4)?, "map of the newest types").ok()?;
        }
        let mut newest = Vec::new();
        for _ in 0..count {
            let (text, number) = (bytes.u32("name of a type").ok()?, bytes.u32("number of a type").ok()?);
            let name = texts.text(HEADER.saturating_add(text.into()), NAME, "name of a type").ok()?;
            newest.push((hash(&name), number));
        }
        Some(newest)
    }

    fn read_chains(&self, hashes: &Hashes) -> Result<Option<Chains>, SymbolError> {
        let entries = (hashes.count as usize).saturating_add(hashes.buckets as usize);
        if entries.saturating_mul(4) > self.budget {
            return Ok(None);
        }
        let mut window = Window::new(&hashes.stream, hashes.stream.len());
        let mut next = Vec::with_capacity(hashes.count as usize);
        for index in 0..hashes.count {
            next.push(value(&mut window, hashes, index)?);
        }
        // From the last to the first, so that each chain is in order.
        let mut heads = vec![0; hashes.buckets as usize];
        for (index, link) in next.iter_mut().enumerate().rev() {
            let Some(head) = heads.get_mut(*link as usize) else {
                *link = 0;
                continue;
            };
            *link = core::mem::replace(head, u32::try_from(index.saturating_add(1)).unwrap_or(0));
        }
        Ok(Some(Chains { heads, next }))
    }

    /// All names, with one pass over the records.
    fn index(&self, records: &Records) -> Result<Rc<[(u32, u32)]>, SymbolError> {
        if let Some(index) = self.index.get() {
            return Ok(Rc::clone(index));
        }
        let most = self.budget / 8;
        let mut rows = Vec::new();
        records.walk(|number, at, bytes, origin| {
            // What is damaged is reported where it is asked for.
            let Ok(Some(udt)) = leaf::as_udt(bytes, origin) else { return Ok(true) };
            if !udt.is_forward() {
                rows.push((hash(udt.name), number));
                rows.extend(udt.unique.map(|name| (hash(name), number)));
                if rows.len() > most {
                    let (count, most) = (rows.len() as u64, most as u64);
                    return Err(SymbolError::too_many("number of named types", at, count, most));
                }
            }
            Ok(true)
        })?;
        rows.sort_unstable();
        Ok(Rc::clone(self.index.get_or_init(|| rows.into())))
    }
}

/// The bucket of the record that is so far from the first one.
fn value(window: &mut Window<'_>, hashes: &Hashes, index: u32) -> Result<u32, SymbolError> {
    let at = hashes.at.saturating_add(u64::from(index).saturating_mul(hashes.size));
    Ok(match window.get(at, hashes.size, "type hash")? {
        [a, b] => u16::from_le_bytes([*a, *b]).into(),
        [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    })
}

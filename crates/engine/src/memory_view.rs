//! Memory as the front ends show it: present and absent runs.

use alloc::{rc::Rc, string::ToString, vec, vec::Vec};

use dumplens_base::{Fault, Memory, Pa, PhysMemory, ReadOutcome, Region, Va};
use dumplens_paging::{AddressSpace, Search};
use dumplens_report::{
    ByteString, Hex,
    protocol::{MAX_MEMORY_READ, MAX_REGIONS, MemoryChunk, MemoryRegion, Regions},
};

/// Physical memory under the interface of virtual memory: addresses are physical ones.
pub(crate) struct Physical(pub(crate) Rc<dyn PhysMemory>);

impl Memory for Physical {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let outcome = self.0.read(Pa(va.0), buf);
        ReadOutcome { filled: outcome.filled, fault: outcome.fault.map(Fault::from_physical) }
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        let run = self.0.next_run(Pa(va.0))?;
        Some(Region { start: Va(run.start.0), len: run.len, kind: "physical pages" })
    }
}

/// Reads `length` bytes, at most [`MAX_MEMORY_READ`], as alternating present and absent runs.
///
/// Runs cover exactly the range asked for, cut off at the top of the address space.
pub(crate) fn read(memory: &dyn Memory, address: Hex, length: u32) -> Vec<MemoryChunk> {
    let mut chunks = Vec::new();
    let mut at = address.0;
    // The last byte of the address space is never shown: a range that ends at 2^64 has no end address.
    let mut left = u64::from(length.min(MAX_MEMORY_READ)).min(u64::MAX - at);
    while left > 0 {
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(0)];
        let outcome = memory.read(Va(at), &mut bytes);
        let filled = (outcome.filled as u64).min(left);
        if filled > 0 {
            bytes.truncate(outcome.filled);
            let length = u32::try_from(filled).unwrap_or(u32::MAX);
            chunks.push(MemoryChunk { address: Hex(at), length, bytes: Some(ByteString(bytes)), reason: None });
            at = at.saturating_add(filled);
            left = left.saturating_sub(filled);
        }
        // Complete, or a memory that neither fills nor explains: either way there is nothing more to ask.
        let Some(fault) = outcome.fault.filter(|_| left > 0) else { break };
        let absent = absent_bytes(memory, &fault, at).unwrap_or(left).clamp(1, left);
        let length = u32::try_from(absent).unwrap_or(u32::MAX);
        chunks.push(MemoryChunk { address: Hex(at), length, bytes: None, reason: Some(fault.to_string()) });
        at = at.saturating_add(absent);
        left = left.saturating_sub(absent);
    }
    chunks
}

/// How far nothing can be read from `at` on; `None` if that is not known to end.
fn absent_bytes(memory: &dyn Memory, fault: &Fault, at: u64) -> Option<u64> {
    if let Some(span) = fault.span() {
        return Some(span);
    }
    let region = memory.next_region(Va(at))?;
    Some(if region.start.0 <= at {
        // The fault lies inside a range that the dump claims to hold. Its file bytes are damaged or cut off, so the
        // rest of the range counts as absent rather than being probed byte by byte.
        region.len.saturating_sub(at.saturating_sub(region.start.0))
    } else {
        region.start.0.saturating_sub(at)
    })
}

/// Captured ranges from `from` on, at most `count` and [`MAX_REGIONS`].
pub(crate) fn regions(memory: &dyn Memory, from: Hex, count: u32) -> Regions {
    let mut regions = Vec::new();
    let mut at = Va(from.0);
    for _ in 0..count.min(MAX_REGIONS) {
        let Some(region) = memory.next_region(at) else { return Regions { regions, next: None } };
        regions.push(region_model(region));
        let Some(next) = region.start.checked_add(region.len).filter(|next| *next > at) else {
            return Regions { regions, next: None };
        };
        at = next;
    }
    Regions { regions, next: Some(Hex(at.0)) }
}

/// Tables that one request for regions reads.
const FUEL: u32 = 4_096;

/// Readable ranges of an address space. A search that takes long stops and says where to go on.
pub(crate) fn mapped_regions(space: &AddressSpace, from: Hex, count: u32) -> Regions {
    let mut found: Vec<Region> = Vec::new();
    let most = usize::try_from(count.min(MAX_REGIONS)).unwrap_or(usize::MAX);
    let mut at = Va(from.0);
    let mut fuel = FUEL;
    let done = |found: Vec<Region>, next| Regions { regions: found.into_iter().map(region_model).collect(), next };
    while fuel > 0 {
        fuel = fuel.saturating_sub(64);
        let full = found.len() >= most;
        match space.search(at, 64) {
            Search::Nothing => return done(found, None),
            Search::Tired(next) => at = next,
            Search::Found(region) => {
                let next = region.start.checked_add(region.len);
                match found.last_mut() {
                    // A region that one search could not finish goes on in the next.
                    Some(last)
                        if last.kind == region.kind && last.start.checked_add(last.len) == Some(region.start) =>
                    {
                        last.len = last.len.saturating_add(region.len);
                    }
                    _ if full => return done(found, Some(Hex(region.start.0))),
                    _ => found.push(region),
                }
                match next {
                    Some(next) => at = next,
                    None => return done(found, None),
                }
            }
        }
    }
    done(found, Some(Hex(at.0)))
}

fn region_model(region: Region) -> MemoryRegion {
    MemoryRegion { start: Hex(region.start.0), length: Hex(region.len), kind: region.kind.into() }
}

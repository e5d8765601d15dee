//! Memory as the front ends show it: present and absent runs.

use alloc::{string::ToString, vec, vec::Vec};

use dumplens_base::{Memory, Va};
use dumplens_report::{
    ByteString, Hex,
    protocol::{MAX_MEMORY_READ, MAX_REGIONS, MemoryChunk, MemoryRegion},
};

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
        let absent = match memory.next_region(Va(at)) {
            // The fault lies inside a range that the dump claims to hold. Its file bytes are damaged or cut off, so the
            // rest of the range counts as absent rather than being probed byte by byte.
            Some(region) if region.start.0 <= at => region.len.saturating_sub(at.saturating_sub(region.start.0)),
            Some(region) => region.start.0.saturating_sub(at),
            None => left,
        };
        let absent = absent.clamp(1, left);
        let length = u32::try_from(absent).unwrap_or(u32::MAX);
        chunks.push(MemoryChunk { address: Hex(at), length, bytes: None, reason: Some(fault.to_string()) });
        at = at.saturating_add(absent);
        left = left.saturating_sub(absent);
    }
    chunks
}

/// Captured ranges from `from` on, at most `count` and [`MAX_REGIONS`].
pub(crate) fn regions(memory: &dyn Memory, from: Hex, count: u32) -> Vec<MemoryRegion> {
    let mut regions = Vec::new();
    let mut at = Va(from.0);
    for _ in 0..count.min(MAX_REGIONS) {
        let Some(region) = memory.next_region(at) else { break };
        let (start, length) = (Hex(region.start.0), Hex(region.len));
        regions.push(MemoryRegion { start, length, kind: region.kind.into() });
        let Some(next) = region.start.checked_add(region.len).filter(|next| *next > at) else { break };
        at = next;
    }
    regions
}

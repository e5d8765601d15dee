//! The targets.

pub(crate) mod archive;
pub(crate) mod image;
pub(crate) mod isf;
pub(crate) mod kernel_dump;
pub(crate) mod kernel_objects;
pub(crate) mod minidump;
pub(crate) mod pdb;
pub(crate) mod translate;
pub(crate) mod unwind;
pub(crate) mod unwind_x86;

use dumplens_base::{Memory, Va};
use dumplens_unwind::{Frame, Options};

/// Walks the regions of a memory and reads at the edges of each.
pub(crate) fn regions(memory: &dyn Memory) {
    let mut at = Va(0);
    for _ in 0..1000 {
        let Some(region) = memory.next_region(at) else { break };
        assert!(region.len > 0, "an empty region at {at}");
        for place in [region.start.0, region.start.0.saturating_add(region.len).saturating_sub(32)] {
            let mut buf = [0; 64];
            let outcome = memory.read(Va(place), &mut buf);
            assert_eq!(outcome.fault.is_none(), outcome.filled == buf.len());
        }
        let next = Va(region.start.0.saturating_add(region.len));
        assert!(next > at, "regions go upwards");
        at = next;
    }
}

/// Most times that machine frames may lead from one stack to another.
const MOST_STACKS: usize = 16;

/// Whether the frames of a stack lead upwards, but for those that come from another stack: interrupts, and a call to each
/// of the other stacks that the walk was told of, once.
pub(crate) fn leads_on(frames: &[Frame], options: &Options) -> bool {
    let back = frames.array_windows().filter(|[below, above]| above.sp <= below.sp);
    let back: Vec<_> = back.map(|[_, above]| above.interrupted).collect();
    let calls = back.iter().filter(|interrupted| !**interrupted).count();
    back.len() <= MOST_STACKS && calls <= options.others.iter().flatten().count()
}

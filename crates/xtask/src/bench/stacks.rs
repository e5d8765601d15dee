//! Frames a second beside a peer, and the stacks of a dump with very many threads.

use std::fmt::Write as _;

use super::Bench;
use crate::Result;

/// Measures stack walks and writes what came out.
pub(super) fn stacks(bench: &Bench, page: &mut String) -> Result {
    println!("walking stacks…");
    page.push_str(
        "## Stacks\n\nA stack of 10 000 frames through 4000 functions of x64; the peer is the crate framehop 0.16.0. Both unwind \
         with the same bytes, reads included: ours reads the function table and unwind data through the interface that it \
         reads dumps by, and the code before every return address; the peer has tables as slices and reads no code there.\n\n| | frames per second | reads per frame |\n|---|---|---|\n",
    );
    let mut rates = Vec::new();
    for (who, command) in [("Dumplens", "stack"), ("framehop", "peer-stack")] {
        let rate = bench.median(&[command], "per_second", 3)?;
        let reads = bench.median(&[command], "reads", 1)?;
        let _ = writeln!(page, "| {who} | {:.2} million | {reads:.1} |", rate / 1e6);
        rates.push(rate);
    }
    if let [ours, peer] = rates.as_slice() {
        let _ = writeln!(page, "\nDumplens walks {:.1} times as many frames as the peer.", ours / peer);
    }
    let all = bench.median(&["threads", "10000"], "wall_ms", 3)?;
    let peak = bench.median(&["threads", "10000"], "peak_kib", 1)?;
    let _ = writeln!(
        page,
        "\nAll stacks of a minidump with 10 000 threads of 20 frames each, opened, walked, named and put together: {:.2} s, \
         {:.0} MiB with the dump.\n",
        all / 1e3,
        peak / 1024.0
    );
    Ok(())
}

//! Frames a second beside a peer, and the stacks of a dump with very many threads.

use std::fmt::Write as _;

use super::{Bench, Numbers};
use crate::Result;

/// Measures stack walks and writes what came out.
pub(super) fn stacks(bench: &Bench, page: &mut String) -> Result {
    println!("walking stacks…");
    page.push_str(
        "## Stacks\n\nA stack of 10 000 frames through 4000 functions of x64; the peer is the crate framehop 0.16.0. Both unwind \
         with the same bytes, reads included: ours reads the function table, unwind data and the code before every return \
         address through the interface that it reads dumps by; the peer has tables as slices and reads no code there. A first \
         walk knows nothing; later ones use what each remembers, as the many threads of a process do.\n\n\
         | | first walk, frames per second | reads per frame | later walks | reads per frame |\n|---|---|---|---|---|\n",
    );
    let all = bench.medians(&[vec!["stack"], vec!["peer-stack"]], 3)?;
    let get = |numbers: &Numbers, name: &str| numbers.get(name).copied().unwrap_or(f64::NAN);
    for (who, numbers) in ["Dumplens", "framehop"].iter().zip(&all) {
        let million = |name| get(numbers, name) / 1e6;
        let _ = writeln!(
            page,
            "| {who} | {:.2} million | {:.1} | {:.2} million | {:.1} |",
            million("first_per_second"),
            get(numbers, "first_reads"),
            million("per_second"),
            get(numbers, "reads")
        );
    }
    if let [ours, peer] = all.as_slice() {
        let ratio = |name| get(ours, name) / get(peer, name);
        let _ = writeln!(
            page,
            "\nDumplens walks {:.1} times as many frames as the peer at first, {:.1} times later.",
            ratio("first_per_second"),
            ratio("per_second")
        );
    }
    let file = bench.folder.join(THREADS).to_string_lossy().into_owned();
    let all = bench.medians(&[vec!["threads", &file]], 3)?;
    let numbers = all.first().cloned().unwrap_or_default();
    let _ = writeln!(
        page,
        "\nAll stacks of a minidump with 10 000 threads of 20 frames each, opened, walked, named and put together: {:.2} s, \
         {:.0} MiB of memory.\n",
        get(&numbers, "wall_ms") / 1e3,
        get(&numbers, "peak_kib") / 1024.0
    );
    Ok(())
}

/// The dump with very many threads.
const THREADS: &str = "threads.dmp";

/// The same dump dropped on the page.
pub(super) fn in_the_browser(bench: &Bench, page: &mut String) -> Result {
    let value = bench.page("bench-threads.mjs", &[THREADS])?;
    let get = |name: &str| value[name].as_f64().unwrap_or(f64::NAN);
    let _ = writeln!(
        page,
        "All stacks of the minidump with 10 000 threads: from the click to the list {:.2} s; the engine has {:.1} MiB of memory.\n",
        get("stacks") / 1e3,
        get("memory") / f64::from(1 << 20),
    );
    Ok(())
}

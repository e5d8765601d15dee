//! What opening a symbol table costs: `cargo run --release --package dumplens-isf --example measure -- FILE`.

use std::{rc::Rc, time::Instant};

use dumplens_isf::{Isf, Limits};

/// Peak resident memory of this process, where the system tells.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("unknown", str::trim).to_owned()
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name a symbol table")?;
    let bytes = std::fs::read(path)?;
    println!("peak before: {}", peak());
    let start = Instant::now();
    let isf = Isf::open(Rc::new(bytes), Limits::default())?;
    println!("opened in {:?}: {isf:?}", start.elapsed());
    println!("holds {} KiB, peak {}", isf.held_bytes() / 1024, peak());
    Ok(())
}

//! Writes the kernel dumps that the browser tests open into a folder, and beside them what stands where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::PathBuf,
};

use dumplens_testkit::machine::{Machine, MachineSpec, Store, WIN7_PAE, WIN10_X64, WIN11_ARM64};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("usage: make-browser-dumps FOLDER"));
    fs::create_dir_all(&folder).expect("the folder can be created");
    let machines = [
        ("kernel.dmp", MachineSpec::small(WIN10_X64), Store::BitmapKernel),
        ("pae.dmp", MachineSpec::small(WIN7_PAE), Store::Full),
        ("arm64.dmp", MachineSpec::small(WIN11_ARM64), Store::BitmapFull),
        // Enough processes for a list of threads that takes many steps.
        ("crowded.dmp", MachineSpec::crowded(WIN10_X64, 300, 4), Store::BitmapKernel),
    ];
    let mut index = String::from("{\n");
    for (number, (name, spec, store)) in machines.iter().enumerate() {
        let machine = spec.build();
        let mut file = File::create(folder.join(name)).expect("the dump can be created");
        let length = machine.write_to(*store, &mut file, 0).expect("the dump can be written");
        println!("{name}: {length} bytes");
        let comma = if number == 0 { "" } else { ",\n" };
        write!(index, "{comma}  \"{name}\": {}", marks(&machine)).expect("a string takes everything");
    }
    index.push_str("\n}\n");
    fs::write(folder.join("marks.json"), index).expect("the index can be written");
}

/// Addresses at which the tests know what to expect, as JSON; numbers are text because JavaScript's are too short.
fn marks(machine: &Machine) -> String {
    let marks = &machine.marks;
    let mut processes = machine.spec.processes.iter().zip(&machine.process_objects);
    let (_, notepad) = processes.find(|(process, _)| process.name == "notepad.exe").expect("a notepad");
    let values = [
        ("notepad", *notepad),
        ("user", marks.user),
        ("large", marks.large),
        ("transition", marks.transition),
        ("prototype", marks.prototype),
        ("pagedOut", marks.paged_out),
        ("demandZero", marks.demand_zero),
        ("absent", marks.absent),
        ("unmapped", marks.unmapped),
        ("lostTable", marks.lost_table),
        ("kernelBase", machine.kernel_base),
    ];
    let pairs: Vec<String> = values.iter().map(|(name, value)| format!("\"{name}\": \"{value:#x}\"")).collect();
    format!("{{ {} }}", pairs.join(", "))
}

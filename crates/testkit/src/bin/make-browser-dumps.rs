//! Writes the kernel dumps that the browser tests open into a folder, and beside them what stands where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
};

use dumplens_testkit::{
    machine::{Machine, MachineSpec, Store, WIN7_PAE, WIN10_X64, WIN11_ARM64, pe::TestImage},
    pdb::LargePdb,
    story,
};

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
    symbols(&folder.join("symbols"));
}

/// Images that belong to drivers of the sample `driver-irql.dmp`, and one that does not; alone and in a symbol store.
fn symbols(folder: &Path) {
    let drivers = story::drivers();
    let image = |name: &str, exports: &[(&str, u32)]| {
        let driver = drivers.iter().find(|driver| driver.path.ends_with(name)).expect("a driver of that name");
        TestImage {
            has_functions: false,
            machine: 0x8664,
            timestamp: driver.timestamp,
            size: driver.size,
            guid: [0x67; 16],
            age: 2,
            pdb: name.replace(".sys", ".pdb"),
            export_name: name.into(),
            exports: exports.iter().map(|(name, rva)| ((*name).into(), *rva)).collect(),
        }
    };
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be created");
        fs::write(path, bytes).expect("the symbols can be written");
    };
    let glasswing = image(
        "glasswing.sys",
        &[("GlasswingDispatch", 0x2b00), ("GlasswingQueue", 0x31e0), ("GlasswingEvtDpc", 0x4a00)],
    );
    let wdf = image("Wdf01000.sys", &[("FxDpcThunk", 0x1000)]);
    let mut old = glasswing.clone();
    old.timestamp ^= 0x1000;
    old.size += 0x1000;
    write("right/glasswing.sys", &with_code(&glasswing));
    write("wrong/glasswing.sys", &with_code(&old));
    let key = |image: &TestImage| format!("{:08X}{:x}", image.timestamp, image.size);
    for image in [&glasswing, &wdf, &old] {
        let name = &image.export_name;
        write(&format!("store/{name}/{}/{name}", key(image)), &with_code(image));
    }
    // That of the kernel in `kernel.dmp`: more than a gigabyte, of which 40 MB are on the disk.
    let large = LargePdb::gigabyte([1; 16], 1);
    let mut file = File::create(folder.join("ntkrnlmp.pdb")).expect("the PDB can be created");
    large.write_to(&mut file).expect("the PDB can be written");
    // What nobody asks for.
    for index in 0..40 {
        write(&format!("store/noise{index}.pdb/{index:032X}1/noise{index}.pdb"), b"not read");
    }
}

/// The image, all of it executable: the story's return addresses lie beyond the one page of code that test images have, and
/// a walk takes no return address outside executable sections.
fn with_code(image: &TestImage) -> Vec<u8> {
    let mut bytes = image.build();
    // `Characteristics` of the third section.
    bytes[0x1fc..0x200].copy_from_slice(&0xe000_0060_u32.to_le_bytes());
    bytes
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

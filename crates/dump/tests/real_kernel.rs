//! Small memory dumps of real machines (Windows 8.1, 10 and 11, x64): numbers, codes and driver names only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use dumplens_base::{Machine, Memory, MemoryExt, Note, NoteKind, Va};
use dumplens_dump::{
    Context, RegisterGroup,
    kernel::{DumpKind, FileRange, KernelDump},
};

/// The folder of kernel dumps, or `None` with a message if there is none here.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("DUMPLENS_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: DUMPLENS_DATA not set");
    }
    Some(folder?.join("kernel"))
}

fn open(path: &Path) -> KernelDump {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    KernelDump::open(Rc::new(bytes)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files that are dumps: of those in `many`, two are empty and one holds zeros.
fn all(folder: &Path) -> Vec<(String, KernelDump)> {
    let list = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let files = [list(folder), list(&folder.join("many"))].concat();
    let files: Vec<_> = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "dmp")).collect();
    assert_eq!(files.len(), 36);
    let (dumps, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| fs::read(path).unwrap().iter().any(|byte| *byte != 0));
    assert_eq!(others.len(), 3);
    assert!(others.iter().all(|path| KernelDump::open(Rc::new(fs::read(path).unwrap())).is_err()));
    dumps.iter().map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), open(path))).collect()
}

fn worst(notes: &[Note]) -> Option<NoteKind> {
    notes.iter().map(|note| note.kind).max()
}

#[test]
fn every_dump_is_read_whole() {
    let Some(folder) = data() else { return };
    for (name, dump) in all(&folder) {
        let mut notes = Vec::new();
        dump.check(&mut notes);
        let header = dump.header();
        assert_eq!((dump.kind(), dump.kind().format_name()), (DumpKind::Triage, Some("kernel-triage")), "{name}");
        assert_eq!((header.bits, header.machine, header.major), (64, Machine::X64, 15), "{name}");
        assert!([9600, 19041, 26100].contains(&header.build), "{name}");
        assert_eq!(header.comment, None, "{name}");
        assert_eq!(header.product_type, Some(1), "{name}");
        assert!(header.system_time.is_some() && header.uptime_100ns.is_some(), "{name}");
        assert_eq!(header.attributes.is_some(), header.build == 26100, "{name}");
        let context = dump.context(&mut notes).unwrap();
        assert!(context.has(RegisterGroup::Control), "{name}");
        assert_eq!(dump.exception(&mut notes).unwrap().code, 0x8000_0003, "{name}");
        assert_eq!(dump.physical_memory(&mut notes).is_some(), header.build == 26100, "{name}");

        let triage = dump.triage(&mut notes).unwrap();
        let drivers = triage.drivers(&mut notes);
        assert!(drivers[0].file_name().starts_with("nt"), "{name}: {}", drivers[0].path);
        for driver in &drivers {
            assert_eq!(driver.base.0 % 0x1000, 0, "{name}");
            assert!(driver.base.is_canonical_48() && driver.size > 0 && driver.size < 0x1000_0000, "{name}");
            assert!(driver.path.is_ascii() && driver.path.len() > 4, "{name}");
        }
        for module in triage.unloaded(&mut notes) {
            assert!(module.size > 0 && module.base.is_canonical_48() && !module.name.is_empty(), "{name}");
        }
        assert_eq!(triage.broken_driver(&mut notes), None, "{name}");
        assert_eq!(triage.mm_storage(&mut notes).unwrap().version, 1, "{name}");
        assert_eq!(dump.smbios(&mut notes).is_none(), name.starts_with("triage_x64"), "{name}");
        assert_eq!(notes, [], "{name}");
    }
}

#[test]
fn bug_checks_and_drivers_are_those_that_other_tools_report() {
    let Some(folder) = data() else { return };
    let check = |file: &str, code: u32, parameters: &[u64], drivers: usize| {
        let dump = open(&folder.join(file));
        let header = dump.header();
        assert_eq!(header.bugcheck_code, code, "{file}");
        assert_eq!(&header.parameters[..parameters.len()], parameters, "{file}");
        assert_eq!(dump.triage(&mut Vec::new()).unwrap().drivers(&mut Vec::new()).len(), drivers, "{file}");
    };
    let parameters = [0xffff_ffff_c000_0005, 0xffff_f804_8b58_334c, 0xffff_8504_2989_1ee8, 0xffff_8504_2989_1720];
    check("triage_x64_0x1000007e_19041.dmp", 0x1000_007e, &parameters, 151);
    let parameters = [0xffff_b48b_e920_b010, 0xffff_f802_7a96_0a40, 0xffff_ffff_c000_0001, 4];
    check("training_116_0.dmp", 0x116, &parameters, 194);
    check("training_13a.dmp", 0x13a, &[0x12], 203);
    check("training_1a.dmp", 0x1a, &[0x41792, 0xffff_dd01_0bc5_d3f8, 0x20_0000_0000, 0], 201);
    check("training_50_0.dmp", 0x50, &[0xffff_fa5b_d73d_3148, 0, 0xffff_f807_7069_0b9f, 2], 208);
    check("training_9f.dmp", 0x9f, &[3], 184);
    check("many/111217-27671-01.dmp", 0xa000_0001, &[5, 0, 0, 0], 166);
}

#[test]
fn an_instruction_belongs_to_the_driver_that_the_bug_check_names() {
    let Some(folder) = data() else { return };
    for (file, address, driver, offset) in [
        ("triage_x64_0x1000007e_19041.dmp", 0xffff_f804_8b58_334c_u64, "amdppm.sys", None),
        ("training_116_0.dmp", 0xffff_f802_7a96_0a40, "nvlddmkm.sys", Some(0x170_0a40)),
        ("training_3b_0.dmp", 0xffff_f803_70d0_f183, "win32kfull.sys", Some(0x10_f183)),
        ("training_50_0.dmp", 0xffff_f807_7069_0b9f, "ntoskrnl.exe", Some(0x29_0b9f)),
        ("training_7e_0.dmp", 0xffff_f806_99c9_e3a8, "nvlddmkm.sys", Some(0x33_e3a8)),
        ("training_d1.dmp", 0xffff_f800_a56d_1ae9, "ks.sys", Some(0x1ae9)),
    ] {
        let triage = open(&folder.join(file)).triage(&mut Vec::new()).unwrap();
        let drivers = triage.drivers(&mut Vec::new());
        let found = drivers.iter().find(|module| module.contains(Va(address))).unwrap();
        assert!(found.file_name().eq_ignore_ascii_case(driver), "{file}: {}", found.path);
        if offset.is_some() {
            assert_eq!(Va(address).offset_from(found.base), offset, "{file}");
        }
    }
}

#[test]
fn every_block_and_the_stack_read_as_the_file_has_them() {
    let Some(folder) = data() else { return };
    for (name, dump) in all(&folder) {
        let mut notes = Vec::new();
        let triage = dump.triage(&mut notes).unwrap();
        let memory = triage.memory(&mut notes);
        let bytes_at = |va, size| memory.read_vec(va, usize::try_from(size).unwrap()).unwrap();
        let stack = triage.call_stack(&mut notes).unwrap();
        assert_eq!(memory.next_region(stack.start).unwrap().kind, "call stack", "{name}");
        let file = dump.read(FileRange { offset: stack.offset, size: stack.size }, "call stack").unwrap();
        assert_eq!(bytes_at(stack.start, stack.size), file, "{name}");
        let blocks = triage.data_blocks(&mut notes);
        assert_eq!(blocks.len(), triage.header().data_blocks_count as usize, "{name}");
        for block in &blocks {
            let file = dump.read(FileRange { offset: block.offset, size: block.size }, "data block").unwrap();
            assert!(bytes_at(block.address, block.size) == file, "{name}: {block:?}, overlapping blocks agree");
        }
        let debugger_data = dump.header().kd_debugger_data_block.unwrap();
        assert_eq!(bytes_at(debugger_data.checked_add(0x10).unwrap(), 4), b"KDBG", "{name}");
        let sum: u64 = memory.regions().map(|region| region.len).sum();
        assert_eq!((sum, notes), (memory.total(), Vec::new()), "{name}");
    }
}

#[test]
fn bug_check_parameters_that_point_to_records_can_be_followed() {
    let Some(folder) = data() else { return };
    let dump = open(&folder.join("triage_x64_0x1000007e_19041.dmp"));
    let mut notes = Vec::new();
    let memory = dump.triage(&mut notes).unwrap().memory(&mut notes);
    let at_parameter = memory.read_vec(Va(dump.header().parameters[3]), 0x4d0).unwrap();
    let context = Context::parse(Machine::X64, &at_parameter, 0).unwrap();
    assert_eq!(Some(context), dump.context(&mut notes));
    assert_eq!(memory.read_u32(Va(dump.header().parameters[2])), Ok(0xc000_0005));
}

#[test]
fn tagged_data_is_listed_to_its_end() {
    let Some(folder) = data() else { return };
    let mut counts = Vec::new();
    for (name, dump) in all(&folder) {
        let mut notes = Vec::new();
        let blobs = dump.blobs(&mut notes);
        assert_eq!(notes, [], "{name}");
        assert!(blobs.iter().filter(|blob| blob.name.is_some()).count() >= 5, "{name}");
        assert!(blobs.iter().all(|blob| blob.offset + blob.size <= dump.file_len()), "{name}");
        counts.push((name, blobs.len()));
    }
    let count = |name: &str| counts.iter().find(|(file, _)| file.starts_with(name)).unwrap().1;
    assert_eq!((count("triage_x64"), count("training_13a"), count("040124"), count("111217-27671")), (20, 21, 37, 11));
}

#[test]
fn firmware_tables_describe_the_machine() {
    let Some(folder) = data() else { return };
    for (name, dump) in all(&folder) {
        let mut notes = Vec::new();
        let Some(smbios) = dump.smbios(&mut notes) else { continue };
        assert_eq!(notes, [], "{name}");
        assert!(smbios.version.0 >= 2 && smbios.bios_version.is_some(), "{name}");
        assert!(smbios.system_product.is_some() && smbios.board_product.is_some(), "{name}");
        let [cpu] = &smbios.processors[..] else { panic!("{name}: a machine with one package") };
        assert!(cpu.cores.is_some_and(|cores| u32::from(cores) <= dump.header().processors), "{name}");
        assert!(cpu.current_mhz.is_some_and(|mhz| (1_000..7_000).contains(&mhz)), "{name}");
        let installed: u32 = smbios.memory.iter().filter_map(|device| device.size_mib).sum();
        assert!((2_048..=262_144).contains(&installed), "{name}: {installed}");
    }
}

#[test]
fn a_dump_cut_anywhere_still_gives_its_header_and_says_what_is_gone() {
    let Some(folder) = data() else { return };
    let whole = fs::read(folder.join("many/111217-27671-01.dmp")).unwrap();
    for len in (0x2080..whole.len()).step_by(0x3001) {
        let dump = KernelDump::open(Rc::new(whole[..len].to_vec())).unwrap();
        let mut notes = Vec::new();
        let triage = dump.triage(&mut notes).unwrap();
        assert_eq!(worst(&notes), Some(NoteKind::Damaged).filter(|_| len < 0x40000), "{len:#x}");
        let memory = triage.memory(&mut notes);
        let drivers = triage.drivers(&mut notes);
        // The list starts at 0x96c0; its entries are 0x90 bytes long.
        assert_eq!(drivers.len(), (len.saturating_sub(0x96c0) / 0x90).min(166), "{len:#x}");
        let _ = (triage.unloaded(&mut notes), triage.mm_storage(&mut notes), dump.smbios(&mut notes));
        let mut buf = [0; 64];
        memory.regions().for_each(|region| assert!(memory.read(region.start, &mut buf).filled > 0));
    }
}

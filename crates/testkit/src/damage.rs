//! Damaged and hostile files, made from good ones and by hand.

use crate::{asm::Asm, kernel, minidump::MinidumpBuilder};

/// The file cut off at `count` places, the first and last bytes among them.
pub fn truncations(bytes: &[u8], count: usize) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    let step = (bytes.len() / count.max(1)).max(1);
    let even = (0..bytes.len()).step_by(step);
    even.chain([1, 4, 8, 31, 32, 33, bytes.len() - 1]).map(|len| (len, bytes[..len.min(bytes.len())].to_vec()))
}

/// The file with fields of 1, 2, 4 or 8 bytes overwritten by numbers that break things, at `count` pseudo-random places.
/// Low offsets come more often: that is where headers and counts are.
pub fn flips(bytes: &[u8], mut seed: u64, count: usize) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    const VALUES: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000_0000_0000, u64::MAX];
    let mut next = move || {
        // xorshift64: the same files on every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    (0..count).map(move |index| {
        let range = if index % 2 == 0 { bytes.len().min(0x3000) } else { bytes.len() };
        let at = (next() as usize) % range;
        let width = [1, 2, 4, 8][(next() % 4) as usize].min(bytes.len() - at);
        let value = VALUES[(next() % 8) as usize].to_le_bytes();
        let mut damaged = bytes.to_vec();
        damaged[at..at + width].copy_from_slice(&value[..width]);
        (at, damaged)
    })
}

/// Files made to break readers, by name.
#[must_use]
pub fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let list = |kind: u32, count: u32| {
        let mut builder = MinidumpBuilder::new(1, 0);
        builder.system_info(9, 2, (10, 0, 19041), 1);
        builder.stream(kind, &count.to_le_bytes());
        builder.build()
    };
    let mut many_streams = MinidumpBuilder::new(1, 0).build();
    many_streams[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut self_reference = MinidumpBuilder::new(1, 0);
    // A module list whose name, version and debug record all lie in the list itself.
    let mut module = Asm::new();
    module.u32(1).u64(0x1000).u32(0x1000).u32(0).u32(0).u32(0x20).zeros(0x34).u32(u32::MAX).u32(0x20).zeros(24);
    self_reference.stream(4, &module.into_bytes());
    let mut wild_memory = MinidumpBuilder::new(1, 2);
    wild_memory.system_info(9, 2, (10, 0, 19041), 1);
    wild_memory.memory64(u64::MAX - 0x1000, &[(0, u64::MAX), (u64::MAX, u64::MAX)]);
    let mut sized = MinidumpBuilder::new(1, 0);
    sized.system_info(9, 2, (10, 0, 19041), 1);
    let mut header = Asm::new();
    header.u32(u32::MAX).u32(0).u32(u32::MAX);
    sized
        .stream(16, &header.clone().into_bytes())
        .stream(14, &header.clone().into_bytes())
        .stream(12, &header.into_bytes());
    let triage = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = crate::story::driver_at_raised_irql();
        edit(&mut bytes);
        bytes
    };
    let put = |bytes: &mut Vec<u8>, at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    vec![
        ("streams beyond counting", many_streams),
        ("threads beyond counting", list(3, u32::MAX)),
        ("modules beyond counting", list(4, u32::MAX)),
        ("memory ranges beyond counting", list(5, u32::MAX)),
        ("thread names beyond counting", list(24, u32::MAX)),
        ("module list that points at itself", self_reference.build()),
        ("memory at the end of everything", wild_memory.build()),
        ("lists with absurd entry sizes", sized.build()),
        ("drivers beyond counting", triage(&|bytes| put(bytes, 0x2034, u32::MAX))),
        ("data blocks beyond counting", triage(&|bytes| put(bytes, 0x207c, u32::MAX))),
        ("stack past the end", triage(&|bytes| put(bytes, 0x202c, u32::MAX))),
        ("string pool past the end", triage(&|bytes| put(bytes, 0x2030, 0xffff_fff0))),
        ("unloaded drivers everywhere", triage(&|bytes| put(bytes, 0x2018, 0xffff_fff0))),
        ("debugger data past the end", triage(&|bytes| put(bytes, 0x2070, 0xffff_fff0))),
        ("appended data in the header", triage(&|bytes| put(bytes, 0x2004, 0))),
        ("kernel header of an unknown machine", triage(&|bytes| put(bytes, 0x30, 0x1234))),
        ("kernel header and nothing else", triage(&|bytes| bytes.truncate(0x2000))),
    ]
}

/// A kernel dump of another type: the header and some bytes.
#[must_use]
pub fn other_kernel_dump(dump_type: u32) -> Vec<u8> {
    let header = kernel::Header {
        build: 19041,
        processors: 8,
        code: 0xef,
        parameters: [0xffff_c08b_e4da_6240, 0, 0, 0],
        dump_type,
        time: 132_583_631_025_000_000,
        up_time: 36_000_000_000,
        context: crate::context::context(crate::context::Arch::X64, crate::context::Registers::default()),
        debugger_data: 0xffff_f801_2000_1000,
    };
    let mut file = kernel::header64(&header);
    file.zeros(0x3000);
    file.into_bytes()
}

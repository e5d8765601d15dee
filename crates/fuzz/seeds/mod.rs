//! Seeds: small inputs of every target, most of them made by the testkit. They are written when they are needed and
//! never committed.

// The writers of archives and of images are those of the readers' own tests.
#[path = "../../archive/tests/common/mod.rs"]
mod archives;
#[path = "../../image/tests/build/mod.rs"]
mod images;
mod stacks;
mod symbols;

use dumplens_fuzz::{KERNEL_DUMPS, KERNELS, Op, Patch, TINY, places};
use dumplens_testkit::{
    context::{Arch, Registers, context},
    damage,
    kernel::{Header, small_dump32},
    machine::{MachineSpec, Paging, RELEASES, pe::TestImage},
    minidump::MinidumpBuilder,
    story,
};

/// The seeds of a target.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "minidump" => minidump(),
        "kernel_dump" => kernel_dump(),
        "translate" => translate(),
        "kernel_objects" => kernel_objects(),
        "image" => image(),
        "archive" => archive(),
        "pdb" => symbols::pdb(),
        "isf" => symbols::isf(),
        "unwind" => stacks::unwind(),
        "unwind_x86" => stacks::unwind_x86(),
        other => panic!("{other} has no seeds"),
    }
}

fn minidump() -> Vec<Vec<u8>> {
    let mut crashpad = MinidumpBuilder::new(1, 2);
    crashpad.system_info(9, 2, (10, 0, 19041), 1);
    crashpad.crashpad(&[("product", "lantern")], &[("list", "entry")]);
    crashpad.memory64(0x200, &[(0x1000, 0x10), (0x7ff6_0000_0000, 0x20)]);
    let mut seeds: Vec<Vec<u8>> = damage::hostile().into_iter().map(|(_, bytes)| bytes).collect();
    seeds.retain(|bytes| bytes.starts_with(b"MDMP"));
    // One stream of every other kind, with numbers small enough to be taken for counts and sizes.
    for kind in [11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24, 0x4767_0001, 0x4767_0002] {
        let mut one = MinidumpBuilder::new(1, 0);
        one.system_info(9, 2, (10, 0, 19041), 1);
        one.stream(kind, &[0x10, 0x20, 2, 0x40].map(u32::to_le_bytes).concat().repeat(16));
        seeds.push(one.build());
    }
    seeds.extend([story::application_null_call(), crashpad.build()]);
    seeds
}

/// Patches that change nothing yet, for the fuzzer to fill in.
fn nothing(places: impl Iterator<Item = u32>, width: u8) -> Vec<u8> {
    places.flat_map(|place| Patch { op: Op::Add, ..Patch::set(place, width, 0) }.bytes()).collect()
}

fn kernel_dump() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for number in 0..KERNEL_DUMPS as u8 {
        let fields = |list: &[u32], store: u32, width: u8| {
            let list = list.iter().copied().chain((store..store + 0x80).step_by(usize::from(width)).take(32));
            [vec![number], nothing(list, width)].concat()
        };
        seeds.push(vec![number]);
        // The header's fields that decide, and what follows it.
        seeds.push(fields(&[0x10, 0x30, 0x38, 0x88, 0x90, 0x98, 0xa0, 0xa8, 0x348, 0xf00, 0xf98], 0x2000, 8));
        seeds.push(fields(&[0x10, 0x20, 0x5c, 0x64, 0x68, 0x6c, 0x70, 0x74, 0x320, 0x7d0, 0xf88], 0x1000, 4));
    }
    let header = Header {
        build: 2600,
        processors: 1,
        code: 0xd1,
        parameters: [0; 4],
        dump_type: 4,
        time: 132_583_631_025_000_000,
        up_time: 36_000_000_000,
        context: context(Arch::X86, Registers::default()),
        debugger_data: 0,
    };
    let small = small_dump32(&header, (0xf789_0000, &[7; 64]), &[], &[("old.sys", 0xf700_0000, 0xf701_0000)], &[]);
    seeds.push([vec![0xff], small].concat());
    for kind in [2, 3, 5, 6, 9] {
        seeds.push([vec![0xff], damage::other_kernel_dump(kind)].concat());
    }
    seeds
}

fn kernel_objects() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for number in 0..KERNELS as u8 {
        for unknown in [0, 1, 2, 4, 8, 0xf, 0x10, 0x1c, 0x20, 0x70] {
            seeds.push(vec![number, unknown]);
        }
        let count = places(usize::from(number)) as u32;
        for start in 0..4 {
            let spread = (start..count).step_by((count as usize / 60).max(1)).take(64);
            seeds.push([vec![number, 0], nothing(spread, 8)].concat());
        }
    }
    seeds
}

fn translate() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let input = |start: [u8; 4], words: &[u64], patches: Vec<u8>| {
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        [start.to_vec(), words, patches].concat()
    };
    for number in 0..TINY {
        let machine = MachineSpec::small(RELEASES[usize::from(number) / 2]).build();
        let marks = &machine.marks;
        let words = [*machine.roots.last().unwrap(), marks.user, marks.by_vad, marks.lost_table, marks.unmapped];
        seeds.push(input([number, 0, 6, 0xff], &words, vec![]));
        seeds.push(input([number, 0, 7, 45], &words, nothing((0..60).map(|place| place * 16), 8)));
    }
    for (how, paging) in [Paging::X86, Paging::Pae, Paging::X64, Paging::La57, Paging::Arm64].into_iter().enumerate() {
        let wide = !matches!(paging, Paging::X86 | Paging::Pae);
        let va: u64 = if wide { 0xffff_8000_1234_5000 } else { 0x8123_4000 };
        let valid = |leaf: bool| match paging {
            Paging::Arm64 => 3,
            Paging::Pae => 1,
            _ => {
                if leaf {
                    0x63
                } else {
                    0x67
                }
            }
        };
        // Valid, in transition, prototype, in a paging file, empty, and a large page above.
        for end in [valid(true), 0x800, 0x400, 0x2_0000_0000, 0, 0x80] {
            let shifts = paging.shifts();
            let entry = |level: usize, shift: u32, va: u64, value: u64| {
                let mask = if paging == Paging::X86 { 0x3ff } else { 0x1ff };
                let place = ((level as u64) << 12) + (va >> shift & mask) * paging.entry();
                Patch { listed: false, ..Patch::set(place as u32, paging.entry() as u8, value) }.bytes()
            };
            let entries = shifts.iter().enumerate().flat_map(|(level, shift)| {
                let leaf = level + 1 == shifts.len();
                let large = level + 2 == shifts.len() && end == 0x80;
                let flags = if leaf { end } else { valid(false) | if large { 0x80 } else { 0 } };
                // Frames are counted from 1, and a table of each level follows the one above it.
                entry(level, *shift, va, (level as u64 + 1) << 12 | flags)
            });
            // Next to the last table another one, so that there is something to mix up.
            let (above, beside) = (shifts.len() - 2, va ^ 1 << shifts[shifts.len() - 2]);
            let second = [
                entry(above, shifts[above], beside, 8 << 12 | valid(false)),
                entry(8, 12, beside, 9 << 12 | valid(true)),
                entry(9, 3, 0, 0x1234_5678),
            ];
            let patches = entries.chain(second.concat()).collect();
            seeds.push(input([TINY, how as u8, 6, 0xff], &[0x2000, va, beside + 0xff8, 0, u64::MAX], patches));
        }
    }
    seeds
}

fn image() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for is_64bit in [true, false] {
        let pe = images::Pe { is_64bit, ..images::Pe::default() };
        seeds.push([vec![0, 0], pe.file()].concat());
        seeds.push([vec![0, 0], pe.mapped()].concat());
        seeds.push([vec![0x10, 0], pe.mapped()].concat());
    }
    let image = TestImage {
        has_functions: true,
        machine: 0xaa64,
        timestamp: 0x6400_0000,
        size: 0x4000,
        guid: [7; 16],
        age: 1,
        pdb: "glasswing.pdb".into(),
        export_name: "glasswing.sys".into(),
        exports: vec![("Start".into(), 0x1010), ("Stop".into(), 0x1020)],
    };
    seeds.push([vec![0, 0], image.build()].concat());
    seeds
}

/// As the archives' own tests have them, but smaller.
fn archive() -> Vec<Vec<u8>> {
    use archives::{ByHand, cabinet, cabinet_by_hand, content, gzip, lzx, zip, zstandard};
    let (text, more) = (content(300), content(9000));
    let mut large = ByHand::stored("big", &text);
    large.large = true;
    let mut packed = ByHand::stored("zst", &text);
    (packed.data, packed.method) = (zstandard(&text), 93);
    let blocks = lzx::pack(&more, 3001, Some(12_000));
    vec![
        cabinet_by_hand(0x0f03, &blocks, &[("a", 0, 9000, 0), ("b", 8000, 1000, 0)]),
        zip(&[("a", &text, true), ("b", &text, false), ("folder/", b"", false)]),
        zip(&[("more", &more, true)]),
        large.build(),
        packed.build(),
        [gzip(&text, Some("name")), gzip(&more, None)].concat(),
        [zstandard(&text), zstandard(&more)].concat(),
        cabinet(cab::CompressionType::MsZip, &[("a", &more), ("b", &text)]),
        cabinet(cab::CompressionType::None, &[("a", &text)]),
        b"\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello".to_vec(),
    ]
}

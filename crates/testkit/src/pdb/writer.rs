//! A tiny writer of PDBs, which shares no code with the reader.

/// Bytes of a page.
const PAGE: usize = 512;

/// Little-endian numbers and bytes in a row.
#[derive(Clone, Default)]
pub struct Out(pub Vec<u8>);

impl Out {
    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Zeros up to a multiple of four.
    pub fn align(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

pub fn record(kind: u16, body: Out) -> Out {
    let body = Out::default().u16(kind).bytes(&body.0).align_record();
    Out::default().u16(u16::try_from(body.0.len()).unwrap()).bytes(&body.0)
}

impl Out {
    /// So that the record, with its length in front, is aligned.
    fn align_record(mut self) -> Self {
        while !(self.0.len() + 2).is_multiple_of(4) {
            self.0.push(0);
        }
        self
    }
}

/// An MSF 7 file of these streams.
pub fn msf(streams: &[Vec<u8>]) -> Vec<u8> {
    let pages = |len: usize| len.div_ceil(PAGE);
    // Header, the two free page maps.
    let mut file = vec![0; PAGE * 3];
    // Readers look at 4096 bytes first.
    let mut append = |bytes: &[u8]| {
        let first = file.len() / PAGE;
        file.extend(bytes);
        file.resize(file.len().next_multiple_of(PAGE), 0);
        (0..pages(bytes.len())).map(|page| u32::try_from(first + page).unwrap()).collect::<Vec<u32>>()
    };
    let mut directory = Out::default().u32(u32::try_from(streams.len()).unwrap());
    for stream in streams {
        directory = directory.u32(u32::try_from(stream.len()).unwrap());
    }
    for stream in streams {
        for page in append(stream) {
            directory = directory.u32(page);
        }
    }
    let mut list = Out::default();
    for page in append(&directory.0) {
        list = list.u32(page);
    }
    let map = append(&list.0)[0];
    file.resize(file.len().max(4096), 0);
    let count = u32::try_from(file.len() / PAGE).unwrap();
    let header = Out::default()
        .bytes(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0")
        .u32(PAGE as u32)
        .u32(1)
        .u32(count)
        .u32(u32::try_from(directory.0.len()).unwrap())
        .u32(0)
        .u32(map);
    file[..header.0.len()].copy_from_slice(&header.0);
    file
}

/// The hash of a name in symbol tables.
pub fn hash(name: &[u8]) -> u32 {
    let mut value = 0_u32;
    for word in name.chunks(4) {
        if word.len() == 4 {
            value ^= u32::from_le_bytes(word.try_into().unwrap());
            continue;
        }
        let mut rest = word;
        if rest.len() >= 2 {
            value ^= u32::from(u16::from_le_bytes([rest[0], rest[1]]));
            rest = &rest[2..];
        }
        if let [last] = rest {
            value ^= u32::from(*last);
        }
    }
    value |= 0x2020_2020;
    value ^= value >> 11;
    value ^ value >> 16
}

/// A hash table of the symbols whose records stand at these offsets.
pub fn table(names: &[(&str, u32)]) -> Out {
    let mut sorted: Vec<(u32, u32)> = names.iter().map(|(name, at)| (hash(name.as_bytes()) % 4096, *at)).collect();
    sorted.sort_unstable();
    let (mut records, mut map, mut buckets) = (Out::default(), [0_u32; 129], Out::default());
    let mut number = 0;
    for (index, (bucket, at)) in sorted.iter().enumerate() {
        records = records.u32(at + 1).u32(1);
        let bit = &mut map[*bucket as usize / 32];
        if *bit & 1 << (bucket % 32) == 0 {
            *bit |= 1 << (bucket % 32);
            buckets = buckets.u32(u32::try_from(index).unwrap() * 12);
            number += 1;
        }
    }
    let out = Out::default().u32(u32::MAX).u32(0xeffe_0000 + 19_990_810);
    let out = out.u32(u32::try_from(records.0.len()).unwrap()).u32(129 * 4 + number * 4).bytes(&records.0);
    map.iter().fold(out, |out, word| out.u32(*word)).bytes(&buckets.0)
}

/// The program of the sample's frames.
pub const PROGRAM: &str = "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =";

/// A PDB with age 7 in its own stream and 2 in the debug information; a section at 0x1000 of 0x300 bytes; the public
/// symbols `?run@app@@YAXXZ` at its beginning and `_stop` 0x80 bytes on; and the procedure `app::run` of 0x40 bytes,
/// whose lines are 10 and, from byte 0x10 on, 12 of `run.cpp`, with `app::inner` inlined from 0x20 to 0x28 (line 31).
/// Frames, not in order: `PROGRAM` from 0x1040 to 0x1060, from 0x1000 to 0x1040, and within it from 0x1010 to 0x1030; counts
/// from 0x1030 to 0x1090.
pub fn sample() -> Vec<u8> {
    let info = Out::default().u32(20_000_404).u32(0).u32(7).bytes(&[0x11; 16]);
    let info = info.u32(7).bytes(b"/names\0").u32(1).u32(1).u32(1).u32(1).u32(0).u32(0).u32(9).u32(0).0;

    let public = |name: &str, offset: u32| {
        record(0x110e, Out::default().u32(2).u32(offset).u16(1).bytes(name.as_bytes()).bytes(&[0])).0
    };
    let (run, stop) = (public("?run@app@@YAXXZ", 0), public("_stop", 0x80));
    let stop_at = u32::try_from(run.len()).unwrap();
    let reference_at = stop_at + u32::try_from(stop.len()).unwrap();
    let reference = record(0x1125, Out::default().u32(0).u32(4).u16(1).bytes(b"app::run\0")).0;
    let records = [run, stop, reference].concat();
    let globals = table(&[("app::run", reference_at)]).0;
    let hashes = table(&[("?run@app@@YAXXZ", 0), ("_stop", stop_at)]).0;
    let publics = Out::default().u32(u32::try_from(hashes.len()).unwrap()).u32(8).u32(0).u32(0).u32(0).u32(0).u32(0);
    let publics = publics.bytes(&hashes).u32(0).u32(stop_at).0;

    let section = Out::default().bytes(b".text\0\0\0").u32(0x300).u32(0x1000).u32(0x400).u32(0x400);
    let section = section.bytes(&[0; 12]).u32(0x6000_0020).0;
    let names = [&b"\0run.cpp\0"[..], PROGRAM.as_bytes(), b"\0"].concat();
    let names = Out::default().u32(0xeffe_effe).u32(1).u32(u32::try_from(names.len()).unwrap()).bytes(&names).0;
    let frame = |start: u32, size: u32, saved: u16, flags: u32| {
        let out = Out::default().u32(start).u32(size).u32(24).u32(8).u32(0).u32(9);
        out.u16(6).u16(saved).u32(flags).0
    };
    let frames = [frame(0x1040, 0x20, 0, 4), frame(0x1000, 0x40, 0, 5), frame(0x1010, 0x20, 4, 2)].concat();
    // Prologue of 3 bytes; 2 registers, of which ebp is one; a handler; with a frame pointer.
    let counts = Out::default().u32(0x1030).u32(0x60).u32(5).u16(2).bytes(&[3, 2 | 1 << 3 | 1 << 4 | 3 << 6]).0;

    // Procedure, inline site, their ends.
    let procedure = |end: u32| {
        let body = Out::default().u32(0).u32(end).u32(0).u32(0x40).u32(0).u32(0).u32(0).u32(0).u16(1).bytes(&[0]);
        record(0x1110, body.bytes(b"app::run\0")).0
    };
    // One line down from 30, 0x20 bytes in, 8 bytes long.
    let site = record(0x114d, Out::default().u32(4).u32(0).u32(0x1001).bytes(&[0x6, 2, 0x3, 0x20, 0x4, 8])).0;
    let site_end = record(0x114e, Out::default()).0;
    let end = 4 + procedure(0).len() + site.len() + site_end.len();
    let end = procedure(u32::try_from(end).unwrap());
    let symbols = Out::default().u32(4).bytes(&end).bytes(&site).bytes(&site_end).bytes(&record(6, Out::default()).0).0;
    let files = Out::default().u32(0xf4).u32(8).u32(1).bytes(&[0, 0, 0, 0]);
    let lines = Out::default().u32(0).u16(1).u16(0).u32(0x40).u32(0).u32(2).u32(12 + 16);
    let lines = lines.u32(0).u32(0x8000_000a).u32(0x10).u32(0x8000_000c);
    let inlinees = Out::default().u32(0).u32(0x1001).u32(0).u32(30);
    let part =
        |kind: u32, body: Out| Out::default().u32(kind).u32(u32::try_from(body.0.len()).unwrap()).bytes(&body.0).0;
    let c13 = [files.0, part(0xf2, lines), part(0xf6, inlinees)].concat();
    let module = [symbols.clone(), c13.clone(), vec![0; 4]].concat();

    // `app` and `inner`, whose scope it is.
    let ids = [
        record(0x1605, Out::default().u32(0).bytes(b"app\0")).0,
        record(0x1601, Out::default().u32(0x1000).u32(0).bytes(b"inner\0")).0,
    ]
    .concat();
    let ids = Out::default()
        .u32(20_040_203)
        .u32(56)
        .u32(0x1000)
        .u32(0x1002)
        .u32(u32::try_from(ids.len()).unwrap())
        .u16(0xffff)
        .u16(0xffff)
        .bytes(&[0; 32])
        .bytes(&ids)
        .0;

    let contribution = |out: Out| out.u16(1).u16(0).u32(0).u32(0x60).u32(0x6000_0020).u16(0).u16(0).u32(0).u32(0);
    let modules = contribution(Out::default().u32(0)).u16(0).u16(10);
    let modules = modules.u32(u32::try_from(symbols.len()).unwrap()).u32(0).u32(u32::try_from(c13.len()).unwrap());
    let modules = modules.u16(1).u16(0).u32(0).u32(0).u32(0).bytes(b"run.obj\0run.obj\0").align().0;
    let contributions = contribution(Out::default().u32(0xf12e_ba2d)).0;
    let extra = [11, 0xffff, 0xffff, 0xffff, 0xffff, 8, 0xffff, 0xffff, 0xffff, 12, 0xffff];
    let debug = Out::default().u32(u32::MAX).u32(19_990_903).u32(2).u16(7).u16(0).u16(6).u16(0).u16(5).u16(0);
    let debug = debug.u32(u32::try_from(modules.len()).unwrap()).u32(u32::try_from(contributions.len()).unwrap());
    let debug = debug.u32(0).u32(0).u32(0).u32(0).u32(22).u32(0).u16(0).u16(0x8664).u32(0);
    let debug = extra.iter().fold(debug.bytes(&modules).bytes(&contributions), |out, number| out.u16(*number)).0;

    let none = Vec::new();
    msf(&[none.clone(), info, none, debug, ids, records, publics, globals, section, names, module, counts, frames])
}

//! A writer of tiny PE images, in both layouts. It shares no code with the reader.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;

use dumplens_base::{Fault, Memory, ReadOutcome, Region, Searched, Va};

pub const BASE: u64 = 0xffff_f800_1000_0000;
pub const TEXT: u32 = 0x1000;
pub const RDATA: u32 = 0x2000;
pub const RSRC: u32 = 0x4000;
pub const INIT: u32 = 0x5000;
pub const DATA: u32 = 0x6000;
pub const SIZE: u32 = 0x8000;
pub const GUID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
pub const PDB: &str = r"D:\build\tiny.pdb";

/// What to write.
#[derive(Clone)]
pub struct Pe {
    pub is_64bit: bool,
    /// Name, RVA or forwarder, by ordinal from [`Pe::ordinal_base`]; an RVA of 0 leaves a hole.
    pub exports: Vec<(Option<&'static str>, Target)>,
    /// Further names of an export, by index.
    pub aliases: Vec<(&'static str, u16)>,
    pub ordinal_base: u32,
    /// The CodeView record and whether it has an RVA.
    pub record: Vec<u8>,
    pub record_mapped: bool,
    pub languages: Vec<u16>,
    pub strings: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Copy)]
pub enum Target {
    Rva(u32),
    Forwarder(&'static str),
}

impl Default for Pe {
    fn default() -> Self {
        let mut record = b"RSDS".to_vec();
        record.extend(GUID);
        record.extend(7_u32.to_le_bytes());
        record.extend(PDB.as_bytes());
        record.push(0);
        Self {
            is_64bit: true,
            exports: vec![
                (Some("Stop"), Target::Rva(0x1080)),
                (None, Target::Rva(0x1040)),
                (None, Target::Rva(0)),
                (Some("Allocate"), Target::Forwarder("NTDLL.RtlAllocateHeap")),
                (Some("Begin"), Target::Rva(0x1000)),
                (Some("Table"), Target::Rva(0x6010)),
            ],
            aliases: vec![("Start", 4)],
            ordinal_base: 5,
            record,
            record_mapped: true,
            languages: vec![0x407, 0x409],
            strings: vec![
                ("CompanyName", "Example"),
                ("FileDescription", "A tiny driver"),
                ("Empty", ""),
                ("OriginalFilename", "tiny.sys"),
            ],
        }
    }
}

/// Bytes that stand at an RVA.
struct Blob {
    rva: u32,
    bytes: Vec<u8>,
}

impl Blob {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.rva + self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        at
    }

    fn text(&mut self, text: &str) -> u32 {
        let at = self.put(text.as_bytes());
        self.bytes.push(0);
        at
    }

    fn align(&mut self, to: usize) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
        self.rva + self.bytes.len() as u32
    }
}

/// A section with its place in the file.
struct Placed {
    name: &'static [u8],
    rva: u32,
    virtual_size: u32,
    raw: Vec<u8>,
    flags: u32,
}

fn u32s(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Pe {
    /// The export directory with its tables behind it, as linkers write it: RVA, size.
    fn export_directory(&self, out: &mut Blob) -> (u32, u32) {
        let start = out.align(4);
        let head = out.bytes.len();
        out.put(&[0; 40]);
        let module = out.text("tiny.sys");
        let addresses: Vec<u32> = self
            .exports
            .iter()
            .map(|(_, target)| match target {
                Target::Rva(rva) => *rva,
                Target::Forwarder(text) => out.text(text),
            })
            .collect();
        let named = self.exports.iter().enumerate().filter_map(|(index, (name, _))| Some(((*name)?, index as u16)));
        let mut names: Vec<_> = named.chain(self.aliases.iter().copied()).collect();
        names.sort_unstable();
        let name_rvas: Vec<u32> = names.iter().map(|(name, _)| out.text(name)).collect();
        out.align(4);
        let address_table = out.put(&u32s(&addresses));
        let name_table = out.put(&u32s(&name_rvas));
        let ordinals: Vec<u8> = names.iter().flat_map(|(_, index)| index.to_le_bytes()).collect();
        let ordinal_table = out.put(&ordinals);
        let fields = [
            0,
            0,
            0,
            module,
            self.ordinal_base,
            addresses.len() as u32,
            names.len() as u32,
            address_table,
            name_table,
            ordinal_table,
        ];
        out.bytes[head..head + 40].copy_from_slice(&u32s(&fields));
        (start, out.align(4) - start)
    }

    /// Where the record stands in the file when it is in no section.
    fn overlay(&self) -> u32 {
        self.placed().iter().map(|section| section.raw.len() as u32).sum::<u32>() + 0x400
    }

    fn rdata(&self, overlay: u32) -> (Blob, [(u32, u32); 2]) {
        let mut out = Blob { rva: RDATA, bytes: Vec::new() };
        let exports = self.export_directory(&mut out);
        let record = if self.record_mapped { out.put(&self.record) } else { 0 };
        let debug = out.align(4);
        let size = self.record.len() as u32;
        // A reproducible-build entry first: it must be passed over.
        out.put(&u32s(&[0, 9, 0, 16, 4, 0x7fff_0000, 0x7fff_0000]));
        out.put(&u32s(&[0, 9, 0, 2, size, record, if self.record_mapped { 0x1234 } else { overlay }]));
        (out, [exports, (debug, 56)])
    }

    fn resources(&self) -> Vec<u8> {
        let count = self.languages.len();
        let leaves = 0x60 + 8 * count;
        let directory = |named: u16, ids: u16| {
            let mut bytes = vec![0; 12];
            bytes.extend(named.to_le_bytes());
            bytes.extend(ids.to_le_bytes());
            bytes
        };
        let mut out = directory(0, 2);
        // Icons, whose directory is nowhere, then the version.
        out.extend(u32s(&[3, 0x8fff_fff0, 16, 0x8000_0030]));
        out.resize(0x30, 0);
        out.extend(directory(0, 1));
        out.extend(u32s(&[1, 0x8000_0050]));
        out.resize(0x50, 0);
        out.extend(directory(0, count as u16));
        for (index, language) in self.languages.iter().enumerate() {
            out.extend(u32s(&[u32::from(*language), (leaves + 16 * index) as u32]));
        }
        let datas: Vec<Vec<u8>> = self.languages.iter().map(|language| self.version(*language)).collect();
        let mut at = RSRC + (leaves + 16 * count) as u32;
        for data in &datas {
            out.extend(u32s(&[at, data.len() as u32, 0, 0]));
            at += data.len().next_multiple_of(4) as u32;
        }
        for data in datas {
            out.extend(data);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    fn version(&self, language: u16) -> Vec<u8> {
        let fixed =
            u32s(&[0xfeef_04bd, 0x1_0000, 0x000a_0001, 0x0002_0003, 10 << 16, 0, 0x3f, 0xc1, 0x4_0004, 3, 7, 0, 0]);
        let strings: Vec<Vec<u8>> =
            self.strings.iter().map(|(name, value)| node(name, &utf16(value), true, &[])).collect();
        let table = node(&format!("{language:04x}04b0"), &[], true, &strings);
        let translation = node("Translation", &u32s(&[0x04b0_0409]), false, &[]);
        let vars = node("VarFileInfo", &[], true, &[translation]);
        let info = node("StringFileInfo", &[], true, &[table]);
        node("VS_VERSION_INFO", &fixed, false, &[vars, info])
    }

    fn placed(&self) -> Vec<Placed> {
        self.placed_with(0)
    }

    fn placed_with(&self, overlay: u32) -> Vec<Placed> {
        let section = |name: &'static [u8], rva, virtual_size, mut raw: Vec<u8>, flags| {
            raw.resize(raw.len().next_multiple_of(0x200), 0);
            Placed { name, rva, virtual_size, raw, flags }
        };
        let rdata = self.rdata(overlay).0.bytes;
        let rsrc = self.resources();
        vec![
            section(b".text", TEXT, 0x1f0, (0..=255).cycle().take(0x200).collect(), 0x6000_0020),
            section(b".rdata", RDATA, rdata.len() as u32, rdata, 0x4000_0040),
            section(b".rsrc", RSRC, rsrc.len() as u32, rsrc, 0x4000_0040),
            section(b"INIT", INIT, 0x10, vec![0xcc; 0x10], 0x6200_0020),
            section(b".datasec", DATA, 0x1800, vec![0xdd; 0x200], 0xc000_0040),
        ]
    }

    fn headers(&self, sections: &[Placed], directories: [(u32, u32); 2]) -> Vec<u8> {
        let mut out = vec![0; 0x80];
        out[..2].copy_from_slice(b"MZ");
        out[0x3c] = 0x80;
        out.extend(b"PE\0\0");
        out.extend(if self.is_64bit { 0x8664_u16 } else { 0x14c }.to_le_bytes());
        out.extend((sections.len() as u16).to_le_bytes());
        out.extend(u32s(&[0x5f00_1234, 0, 0]));
        out.extend(if self.is_64bit { 240_u16 } else { 224 }.to_le_bytes());
        out.extend(0x2022_u16.to_le_bytes());
        let optional = out.len();
        out.extend(if self.is_64bit { 0x20b_u16 } else { 0x10b }.to_le_bytes());
        out.extend([14, 0]);
        out.extend(u32s(&[0, 0, 0, 0x1010, TEXT]));
        out.extend(if self.is_64bit { BASE.to_le_bytes() } else { u64::to_le_bytes(0x40_0000 << 32) });
        out.extend(u32s(&[0x1000, 0x200, 10, 0, 10, 0, SIZE, 0x400, 0xabcd]));
        out.extend([1, 0, 0x60, 0x41]);
        out.resize(optional + if self.is_64bit { 108 } else { 92 }, 0);
        let exception = if self.is_64bit { (0x2800, 0x24) } else { (0, 0) };
        let mut table = [(0, 0); 16];
        (table[0], table[6]) = (directories[0], directories[1]);
        (table[2], table[3]) = ((RSRC, 0x800), exception);
        out.extend(16_u32.to_le_bytes());
        table.iter().for_each(|(rva, size)| out.extend(u32s(&[*rva, *size])));
        let mut offset = 0x400;
        for section in sections {
            let mut name = section.name.to_vec();
            name.resize(8, 0);
            out.extend(name);
            let raw = section.raw.len() as u32;
            out.extend(u32s(&[section.virtual_size, section.rva, raw, offset, 0, 0, 0, section.flags]));
            offset += raw;
        }
        out.resize(0x400, 0);
        out
    }

    fn parts(&self) -> (Vec<u8>, Vec<Placed>) {
        let overlay = self.overlay();
        let sections = self.placed_with(overlay);
        (self.headers(&sections, self.rdata(overlay).1), sections)
    }

    /// As the linker writes it.
    pub fn file(&self) -> Vec<u8> {
        let (mut out, sections) = self.parts();
        sections.iter().for_each(|section| out.extend(&section.raw));
        if !self.record_mapped {
            out.extend(&self.record);
        }
        out
    }

    /// As the loader maps it.
    pub fn mapped(&self) -> Vec<u8> {
        let (mut out, sections) = self.parts();
        for section in &sections {
            out.resize(section.rva as usize, 0);
            out.extend(&section.raw);
        }
        out.resize(SIZE as usize, 0);
        out
    }

    pub fn memory(&self) -> Pages {
        Pages { base: BASE, bytes: self.mapped(), absent: BTreeSet::new() }
    }
}

fn utf16(text: &str) -> Vec<u8> {
    if text.is_empty() { Vec::new() } else { text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect() }
}

fn node(name: &str, value: &[u8], text: bool, inside: &[Vec<u8>]) -> Vec<u8> {
    let len = if text { value.len() / 2 } else { value.len() } as u16;
    let mut out = vec![0, 0];
    out.extend(len.to_le_bytes());
    out.extend(u16::from(text).to_le_bytes());
    out.extend(utf16(name));
    for part in [value].into_iter().chain(inside.iter().map(Vec::as_slice)).filter(|part| !part.is_empty()) {
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(part);
    }
    let len = (out.len() as u16).to_le_bytes();
    out[..2].copy_from_slice(&len);
    out
}

/// Memory that holds one image, without some of its pages.
pub struct Pages {
    pub base: u64,
    pub bytes: Vec<u8>,
    /// RVAs of pages that the dump does not hold.
    pub absent: BTreeSet<u32>,
}

impl Pages {
    pub fn without(mut self, pages: &[u32]) -> Self {
        self.absent.extend(pages);
        self
    }
}

impl Memory for Pages {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        for (filled, byte) in buf.iter_mut().enumerate() {
            let at = va.0 + filled as u64;
            let rva = at.checked_sub(self.base).filter(|rva| !self.absent.contains(&((*rva as u32) & !0xfff)));
            match rva.and_then(|rva| self.bytes.get(rva as usize)) {
                Some(present) => *byte = *present,
                None => {
                    let fault = Some(Fault::NotInDump { va: Va(at), searched: Searched::TriageBlocks });
                    return ReadOutcome { filled, fault };
                }
            }
        }
        ReadOutcome::complete(buf.len())
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

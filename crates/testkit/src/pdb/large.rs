//! PDBs as large as one likes, sparse on disk: many modules, each with functions and lines, and with a part that readers
//! are to skip. Header, directory, free page maps and everything else a reader looks at are written out; what is skipped
//! is a hole in the file.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom, Write as _},
};

use super::writer::{Out, hash, record, table};

/// Bytes of code of a function.
const STEP: u32 = 0x40;
/// RVA of the one section.
const SECTION: u32 = 0x1000;
/// A part of line information that readers skip: the bit that says so.
const IGNORED: u32 = 0x8000_0000;
/// Streams before those of the modules.
const FIRST_MODULE: u32 = 11;
/// So many modules' streams take pages in turns, as in files that a linker wrote object by object.
const INTERLEAVED: usize = 8;

/// A large PDB.
#[derive(Clone, Debug)]
pub struct LargePdb {
    /// Modules.
    pub modules: u32,
    /// Functions in each.
    pub functions: u32,
    /// Bytes of a page: a power of two, at least 4096.
    pub page: u64,
    /// Bytes in each module's stream that readers skip.
    pub skipped: u32,
    /// Structures of eight members in its types.
    pub structures: u32,
    /// GUID in file order.
    pub guid: [u8; 16],
    /// Age.
    pub age: u32,
}

/// A stream: bytes, a hole, and more bytes.
#[derive(Default)]
struct Stream {
    front: Vec<u8>,
    hole: u64,
    back: Vec<u8>,
    pages: Vec<u32>,
}

impl Stream {
    fn of(out: Out) -> Self {
        Self { front: out.0, ..Self::default() }
    }

    fn len(&self) -> u64 {
        self.front.len() as u64 + self.hole + self.back.len() as u64
    }

    fn write(&self, file: &mut File, page: u64) -> io::Result<()> {
        for (start, bytes) in [(0, &self.front), (self.front.len() as u64 + self.hole, &self.back)] {
            let mut done = 0;
            while done < bytes.len() {
                let at = start + done as u64;
                let (index, within) = ((at / page) as usize, at % page);
                let step = (bytes.len() - done).min((page - within) as usize);
                file.seek(SeekFrom::Start(u64::from(self.pages[index]) * page + within))?;
                file.write_all(&bytes[done..done + step])?;
                done += step;
            }
        }
        Ok(())
    }
}

/// Gives out pages, but for the two free page maps of each interval.
struct Pages {
    next: u32,
    page: u64,
}

impl Pages {
    fn take(&mut self) -> u32 {
        while matches!(u64::from(self.next) % self.page, 1 | 2) {
            self.next += 1;
        }
        self.next += 1;
        self.next - 1
    }

    fn fill(&mut self, stream: &mut Stream) {
        let count = stream.len().div_ceil(self.page);
        stream.pages = (0..count).map(|_| self.take()).collect();
    }
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a part is smaller than 4 GiB")
}

/// Buckets of the hash table of types.
const BUCKETS: u32 = 0x3_ffff;
/// Stream of hashes of types: the last of those before the modules.
const TYPE_HASHES: u16 = 10;

/// Name of a structure.
fn structure_name(structure: u32) -> String {
    format!("_LARGE_STRUCTURE{structure}")
}

/// A stream of types, and that of their hashes: lists of eight numbers, each followed by the structure that has them.
fn types(structures: u32) -> [Out; 2] {
    /// Every so many bytes the place of a type is noted.
    const NOTED: u32 = 8 << 10;
    let (mut records, mut values, mut index) = (Out::default(), Out::default(), Out::default());
    let mut noted = None;
    for structure in 0..structures {
        let (number, at) = (0x1000 + 2 * structure, len(&records.0));
        if noted.is_none_or(|noted| at - noted >= NOTED) {
            index = index.u32(number).u32(at);
            noted = Some(at);
        }
        let list = (0..8_u16).fold(Out::default(), |list, member| {
            let name = format!("Field{structure:06}{member}\0");
            list.u16(0x150d).u16(3).u32(0x22).u16(member * 4).bytes(name.as_bytes()).bytes(&[0xf1])
        });
        let name = structure_name(structure);
        let body = Out::default().u16(8).u16(0).u32(number).u32(0).u32(0).u16(32).bytes(name.as_bytes()).bytes(&[0]);
        records = records.bytes(&record(0x1203, list).0).bytes(&record(0x1505, body).0);
        values = values.u32(number % BUCKETS).u32(hash(name.as_bytes()) % BUCKETS);
    }
    let (values_len, index_len) = (len(&values.0), len(&index.0));
    let hashes = if structures == 0 { 0xffff } else { TYPE_HASHES };
    let header = Out::default().u32(20_040_203).u32(56).u32(0x1000).u32(0x1000 + 2 * structures).u32(len(&records.0));
    let header =
        header.u16(hashes).u16(0xffff).u32(4).u32(BUCKETS).u32(0).u32(values_len).u32(values_len).u32(index_len);
    [header.u32(values_len + index_len).u32(0).bytes(&records.0), values.bytes(&index.0)]
}

impl LargePdb {
    /// One of more than a gigabyte: 2 500 modules, 160 000 functions, and twice as many types as Windows' kernel has.
    #[must_use]
    pub fn gigabyte(guid: [u8; 16], age: u32) -> Self {
        Self { modules: 2_500, functions: 64, page: 4096, skipped: 512 << 10, structures: 20_000, guid, age }
    }

    /// One of more than four gigabytes, in pages of 8 KiB as linkers use them for such files.
    #[must_use]
    pub fn four_gigabytes(guid: [u8; 16], age: u32) -> Self {
        Self { page: 8192, skipped: 1900 << 10, ..Self::gigabyte(guid, age) }
    }

    /// RVA of a function, counted from 0 in the order of addresses.
    #[must_use]
    pub fn rva(&self, function: u32) -> u32 {
        SECTION + function * STEP
    }

    /// Name of a function.
    #[must_use]
    pub fn name(&self, function: u32) -> String {
        format!("large::part{}::function{}", self.module(function), function % self.functions)
    }

    /// Name of a structure of eight members of four bytes, from 0.
    #[must_use]
    pub fn structure(&self, structure: u32) -> String {
        structure_name(structure % self.structures)
    }

    /// The last module has the lowest addresses: who looks for it passes all others.
    fn module(&self, function: u32) -> u32 {
        self.modules - 1 - function / self.functions
    }

    fn public(&self, function: u32) -> String {
        format!("?function{}@part{}@large@@YAXXZ", function % self.functions, self.module(function))
    }

    fn count(&self) -> u32 {
        self.modules * self.functions
    }

    /// Offset in the section of a module's first function.
    fn start(&self, module: u32) -> u32 {
        (self.modules - 1 - module) * self.functions * STEP
    }

    /// Writes the file; how many bytes it has.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn write_to(&self, file: &mut File) -> io::Result<u64> {
        let mut modules: Vec<(Stream, [u32; 2])> = (0..self.modules).map(|module| self.module_stream(module)).collect();
        let sizes: Vec<[u32; 2]> = modules.iter().map(|(_, sizes)| *sizes).collect();
        let mut streams = self.tables(&sizes);
        // The header and the first free page maps come first.
        let mut pages = Pages { next: 3, page: self.page };
        for group in modules.chunks_mut(INTERLEAVED) {
            let most = group.iter().map(|(stream, _)| stream.len().div_ceil(self.page)).max().unwrap_or(0);
            for turn in 0..most {
                for (stream, _) in group.iter_mut().filter(|(stream, _)| turn < stream.len().div_ceil(self.page)) {
                    stream.pages.push(pages.take());
                }
            }
        }
        streams.iter_mut().for_each(|stream| pages.fill(stream));
        streams.extend(modules.into_iter().map(|(stream, _)| stream));
        for stream in &streams {
            stream.write(file, self.page)?;
        }
        self.directory(file, &streams, pages)
    }

    /// Writes directory, free page maps and header.
    fn directory(&self, file: &mut File, streams: &[Stream], mut pages: Pages) -> io::Result<u64> {
        let mut directory = Out::default().u32(u32::try_from(streams.len()).expect("few streams"));
        for stream in streams {
            directory = directory.u32(u32::try_from(stream.len()).expect("streams are smaller than 4 GiB"));
        }
        for page in streams.iter().flat_map(|stream| &stream.pages) {
            directory = directory.u32(*page);
        }
        let mut directory = Stream::of(directory);
        pages.fill(&mut directory);
        let mut list = Stream::of(directory.pages.iter().fold(Out::default(), |out, page| out.u32(*page)));
        pages.fill(&mut list);
        directory.write(file, self.page)?;
        list.write(file, self.page)?;
        let count = pages.next;
        let mut header = Out::default()
            .bytes(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0")
            .u32(u32::try_from(self.page).expect("a small page"))
            .u32(1)
            .u32(count)
            .u32(u32::try_from(directory.len()).expect("a small directory"))
            .u32(0);
        header = list.pages.iter().fold(header, |out, page| out.u32(*page));
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header.0)?;
        file.set_len(u64::from(count) * self.page)?;
        self.free_pages(file, count)?;
        Ok(u64::from(count) * self.page)
    }

    /// Writes the free page map: a bit for each page, set where it is free. Its pages stand one in each interval.
    fn free_pages(&self, file: &mut File, count: u32) -> io::Result<()> {
        // Every page is taken, so that only the bits behind the last one are set.
        let mut last = vec![0xff; (self.page - u64::from(count / 8) % self.page) as usize];
        last[0] = (0xff_u32 << (count % 8)) as u8;
        let at = u64::from(count / 8);
        file.seek(SeekFrom::Start((at / self.page * self.page + 1) * self.page + at % self.page))?;
        file.write_all(&last)
    }

    /// A module's stream, and the bytes of its symbols and of its lines.
    fn module_stream(&self, module: u32) -> (Stream, [u32; 2]) {
        let start = self.start(module);
        let first = start / STEP;
        let mut symbols = Out::default().u32(4);
        let mut lines = Out::default().u32(0xf4).u32(8).u32(1).bytes(&[0; 4]);
        for function in 0..self.functions {
            let name = format!("large::part{module}::function{function}\0");
            let offset = start + function * STEP;
            let procedure = |end: u32| {
                let body = Out::default().u32(0).u32(end).u32(0).u32(STEP).u32(0).u32(0).u32(0);
                record(0x1110, body.u32(offset).u16(1).bytes(&[0]).bytes(name.as_bytes()))
            };
            let end = len(&symbols.0) + len(&procedure(0).0);
            symbols = symbols.bytes(&procedure(end).0).bytes(&record(6, Out::default()).0);
            // Two lines for each function, ten lines apart from the next one's.
            let line = first + function;
            let body = Out::default().u32(offset).u16(1).u16(0).u32(STEP).u32(0).u32(2).u32(12 + 16);
            let body = body.u32(0).u32(0x8000_0000 | (line * 10 % 50_000 + 1));
            let body = body.u32(STEP / 2).u32(0x8000_0000 | (line * 10 % 50_000 + 5));
            lines = lines.u32(0xf2).u32(len(&body.0)).bytes(&body.0);
        }
        let lines = lines.u32(IGNORED | 0xf3).u32(self.skipped);
        let sizes = [len(&symbols.0), len(&lines.0) + self.skipped];
        let front = symbols.bytes(&lines.0).0;
        (Stream { front, hole: self.skipped.into(), back: vec![0; 4], pages: Vec::new() }, sizes)
    }

    /// The streams before those of the modules.
    fn tables(&self, sizes: &[[u32; 2]]) -> Vec<Stream> {
        let info = Out::default().u32(20_000_404).u32(0).u32(self.age).bytes(&self.guid);
        let info = info.u32(7).bytes(b"/names\0").u32(1).u32(1).u32(1).u32(1).u32(0).u32(0).u32(9).u32(0);
        let [records, publics, globals] = self.names();
        let section = Out::default().bytes(b".text\0\0\0").u32(self.count() * STEP).u32(SECTION).u32(0x400).u32(0x400);
        let section = section.bytes(&[0; 12]).u32(0x6000_0020);
        // With a hash table of one name.
        let names = Out::default().u32(0xeffe_effe).u32(1).u32(11).bytes(b"\0large.cpp\0").u32(1).u32(1).u32(1);
        let debug = self.debug_information(sizes);
        let none = Out::default();
        let ([types, hashes], [ids, _]) = (types(self.structures), types(0));
        [none, info, types, debug, ids, records, publics, globals, section, names, hashes].map(Stream::of).into()
    }

    /// Symbol records, public symbols by name and address, procedures by name.
    fn names(&self) -> [Out; 3] {
        let mut records = Out::default();
        let (mut publics, mut globals, mut places) = (Vec::new(), Vec::new(), Out::default());
        for function in 0..self.count() {
            let name = self.public(function);
            let at = len(&records.0);
            let body = Out::default().u32(2).u32(function * STEP).u16(1).bytes(name.as_bytes()).bytes(&[0]);
            records = records.bytes(&record(0x110e, body).0);
            places = places.u32(at);
            publics.push((name, at));
        }
        let mut offset = vec![4; self.modules as usize];
        for function in 0..self.count() {
            let (name, module) = (self.name(function), self.module(function));
            let at = len(&records.0);
            let symbol = offset[module as usize];
            let number = u16::try_from(module + 1).expect("few modules");
            let body = Out::default().u32(0).u32(symbol).u16(number).bytes(name.as_bytes()).bytes(&[0]);
            records = records.bytes(&record(0x1125, body).0);
            // The procedure, whose name ends in a NUL, and its end.
            offset[module as usize] += (4 + 35 + len(name.as_bytes()) + 1).next_multiple_of(4) + 4;
            globals.push((name, at));
        }
        let entries = |list: &[(String, u32)]| {
            let list: Vec<(&str, u32)> = list.iter().map(|(name, at)| (name.as_str(), *at)).collect();
            table(&list)
        };
        let hashes = entries(&publics).0;
        let head = Out::default().u32(len(&hashes)).u32(len(&places.0)).u32(0).u32(0).u32(0).u32(0).u32(0);
        [records, head.bytes(&hashes).bytes(&places.0), entries(&globals)]
    }

    /// Modules, and which addresses are whose.
    fn debug_information(&self, sizes: &[[u32; 2]]) -> Out {
        let contribution = |out: Out, module: u32| {
            let number = u16::try_from(module).expect("few modules");
            let out = out.u16(1).u16(0).u32(self.start(module)).u32(self.functions * STEP).u32(0x6000_0020);
            out.u16(number).u16(0).u32(0).u32(0)
        };
        let (mut modules, mut contributions) = (Out::default(), Out::default().u32(0xf12e_ba2d));
        for (module, [symbols, lines]) in (0..self.modules).zip(sizes) {
            let stream = u16::try_from(FIRST_MODULE + module).expect("few modules");
            modules = contribution(modules.u32(0), module).u16(0).u16(stream).u32(*symbols).u32(0).u32(*lines);
            let name = format!("obj\\part{module}.obj\0");
            modules = modules.u16(0).u16(0).u32(0).u32(0).u32(0).bytes(name.as_bytes()).bytes(name.as_bytes()).align();
        }
        for module in (0..self.modules).rev() {
            contributions = contribution(contributions, module);
        }
        // Source files by module: none are listed.
        let count = u16::try_from(self.modules).expect("few modules");
        let files = (0..2 * self.modules).fold(Out::default().u16(count).u16(0), |out, _| out.u16(0));
        let extra = [0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff];
        let debug =
            Out::default().u32(u32::MAX).u32(19_990_903).u32(self.age).u16(7).u16(0).u16(6).u16(0).u16(5).u16(0);
        let debug = debug.u32(len(&modules.0)).u32(len(&contributions.0));
        let debug = debug.u32(0).u32(len(&files.0)).u32(0).u32(0).u32(22).u32(0).u16(0).u16(0x8664).u32(0);
        let debug = debug.bytes(&modules.0).bytes(&contributions.0).bytes(&files.0);
        extra.iter().fold(debug, |out, number| out.u16(*number))
    }
}

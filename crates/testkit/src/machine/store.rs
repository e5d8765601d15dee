//! The forms in which a machine's memory is stored in a file.

use std::io::{self, Seek, SeekFrom, Write};

use super::{Machine, PAGE, Paging};
use crate::asm::Asm;

/// 2026-03-14T09:26:53Z as a `FILETIME`.
const CRASH_TIME: u64 = 134_179_540_130_000_000;

/// A form of dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Complete: runs in the header (type 1).
    Full,
    /// Kernel memory with a bitmap (type 6, `SDMP`).
    BitmapKernel,
    /// All memory with a bitmap (type 5, `FDMP`).
    BitmapFull,
    /// Kernel memory in the form up to Windows 7 (type 2).
    Summary,
    /// Ranges that end with a zero (type 9, `RDMP`).
    Range,
    /// Ranges that are counted (type 10, `RDMP`).
    RangeCounted,
    /// No header: file offsets are physical addresses.
    Raw,
    /// An ELF core as QEMU writes it.
    Elf,
}

impl Store {
    /// Forms with a dump header.
    pub const DUMPS: [Self; 6] =
        [Self::Full, Self::BitmapKernel, Self::BitmapFull, Self::Summary, Self::Range, Self::RangeCounted];
}

impl Machine {
    /// The dump header, without what depends on the store.
    fn header(&self, dump_type: u32) -> Asm {
        let spec = &self.spec;
        if !spec.release.is_64_bit() {
            return self.header32(dump_type);
        }
        let machine = if spec.release.paging == Paging::Arm64 { 0xaa64 } else { 0x8664 };
        let mut asm = Asm::filled(0x2000, b"PAGE");
        asm.put(4, b"DU64").put_u32(8, 0xf).put_u32(0xc, spec.release.build).put_u64(0x10, self.kernel.root);
        asm.put_u64(0x18, self.pfn_database).put_u64(0x20, self.module_list).put_u64(0x28, self.process_list);
        asm.put_u32(0x30, machine).put_u32(0x34, spec.processors).put_u32(0x38, spec.code);
        for (index, parameter) in spec.parameters.iter().enumerate() {
            asm.put_u64(0x40 + index * 8, *parameter);
        }
        asm.put_u64(0x80, self.debugger_data).put(0x348, &self.context());
        asm.put(0xf00, &crate::context::exception_record(0x8000_0003, self.registers.ip, &[]));
        asm.put_u32(0xf98, dump_type).put_u64(0xfa8, CRASH_TIME).put_u64(0x1030, 16_130_000_000).put_u32(0x1040, 1);
        asm.put_u32(0x1050, 0);
        asm
    }

    fn header32(&self, dump_type: u32) -> Asm {
        let spec = &self.spec;
        let low = |value: u64| (value & 0xffff_ffff) as u32;
        let mut asm = Asm::filled(0x1000, b"PAGE");
        asm.put(4, b"DUMP").put_u32(8, 0xf).put_u32(0xc, spec.release.build).put_u32(0x10, low(self.kernel.root));
        asm.put_u32(0x14, low(self.pfn_database)).put_u32(0x18, low(self.module_list));
        asm.put_u32(0x1c, low(self.process_list)).put_u32(0x20, 0x14c).put_u32(0x24, spec.processors);
        asm.put_u32(0x28, spec.code);
        for (index, parameter) in spec.parameters.iter().enumerate() {
            asm.put_u32(0x2c + index * 4, low(*parameter));
        }
        asm.put(0x5c, &[u8::from(spec.release.paging == Paging::Pae)]).put_u32(0x60, low(self.debugger_data));
        asm.put(0x320, &self.context()).put_u32(0xf88, dump_type).put_u64(0xfb8, 16_130_000_000);
        asm.put_u64(0xfc0, CRASH_TIME);
        asm
    }

    /// The whole file in memory; for machines of a few megabytes.
    #[must_use]
    pub fn write(&self, store: Store) -> Vec<u8> {
        let mut file = io::Cursor::new(Vec::new());
        self.write_to(store, &mut file, 0).expect("a vector takes everything");
        file.into_inner()
    }

    /// Writes the file, leaving holes where pages are zero: on most file systems they take no space.
    ///
    /// With `total_pages`, a complete or bitmap dump claims that many pages from 0 on; those the machine does not have
    /// are holes that read as zeros. Returns the length of the file.
    ///
    /// # Errors
    /// Of the file.
    pub fn write_to(&self, store: Store, file: &mut (impl Write + Seek), total_pages: u64) -> io::Result<u64> {
        let runs = if total_pages > 0 { vec![(0, total_pages)] } else { self.phys.runs() };
        let (header, first_page) = match store {
            Store::Full => self.full_header(&runs),
            Store::BitmapKernel => self.bitmap_header(&runs, 6, b"SDMP"),
            Store::BitmapFull => self.bitmap_header(&runs, 5, b"FDMP"),
            Store::Summary => self.summary_header(&runs),
            Store::Range => self.range_header(&runs, 9),
            Store::RangeCounted => self.range_header(&runs, 10),
            Store::Raw => (Vec::new(), 0),
            Store::Elf => self.elf_header(&runs),
        };
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header)?;
        let mut before = 0;
        let mut end = first_page;
        for (first, count) in &runs {
            for (pfn, page) in self.phys.pages().filter(|(pfn, _)| (*first..first + count).contains(pfn)) {
                let offset = match store {
                    Store::Raw => pfn * PAGE,
                    _ => first_page + (before + pfn - first) * PAGE,
                };
                file.seek(SeekFrom::Start(offset))?;
                file.write_all(page)?;
                end = end.max(offset + PAGE);
            }
            before += count;
        }
        let length = if store == Store::Raw { end } else { first_page + before * PAGE };
        if length > end {
            // The last byte makes the file as long as it should be.
            file.seek(SeekFrom::Start(length - 1))?;
            file.write_all(&[0])?;
        }
        Ok(length)
    }

    fn full_header(&self, runs: &[(u64, u64)]) -> (Vec<u8>, u64) {
        let mut asm = self.header(1);
        let wide = self.spec.release.is_64_bit();
        let pages: u64 = runs.iter().map(|(_, count)| count).sum();
        // Neighbouring runs are joined when the header has too few places; the holes between them become pages of zeros.
        assert!(runs.len() <= 42, "{} runs do not fit the header", runs.len());
        if wide {
            asm.put_u32(0x88, runs.len() as u32).put_u64(0x90, pages);
        } else {
            asm.put_u32(0x64, runs.len() as u32).put_u32(0x68, pages as u32);
        }
        for (index, (first, count)) in runs.iter().enumerate() {
            if wide {
                asm.put_u64(0x98 + index * 16, *first).put_u64(0xa0 + index * 16, *count);
            } else {
                asm.put_u32(0x6c + index * 8, *first as u32).put_u32(0x70 + index * 8, *count as u32);
            }
        }
        let bytes = asm.into_bytes();
        let size = bytes.len() as u64;
        (bytes, size)
    }

    fn bitmap(runs: &[(u64, u64)]) -> (u64, Vec<u8>) {
        let bits = runs.last().map_or(0, |(first, count)| first + count);
        let mut bytes = vec![0_u8; bits.div_ceil(8) as usize];
        for (first, count) in runs {
            for pfn in *first..first + count {
                bytes[(pfn / 8) as usize] |= 1 << (pfn % 8);
            }
        }
        (bits, bytes)
    }

    fn bitmap_header(&self, runs: &[(u64, u64)], dump_type: u32, name: &[u8; 4]) -> (Vec<u8>, u64) {
        let mut asm = self.header(dump_type);
        let start = asm.here() as usize;
        let (bits, bitmap) = Self::bitmap(runs);
        let pages: u64 = runs.iter().map(|(_, count)| count).sum();
        asm.raw(name).raw(b"DUMP").u32(3).zeros(0x14).u64(0).u64(pages).u64(bits).raw(&bitmap).align(PAGE as usize);
        let first_page = u64::from(asm.here());
        asm.put_u64(start + 0x20, first_page);
        (asm.into_bytes(), first_page)
    }

    fn summary_header(&self, runs: &[(u64, u64)]) -> (Vec<u8>, u64) {
        let mut asm = self.header(2);
        let start = asm.here() as usize;
        let (bits, bitmap) = Self::bitmap(runs);
        let pages: u64 = runs.iter().map(|(_, count)| count).sum();
        asm.raw(b"SDMPDUMP").u32(1).u32(0).u32(bits as u32).u32(pages as u32).u32(bits as u32);
        asm.zeros(if self.spec.release.is_64_bit() { 12 } else { 4 }).raw(&bitmap).align(PAGE as usize);
        let first_page = u64::from(asm.here());
        asm.put_u32(start + 0xc, first_page as u32);
        (asm.into_bytes(), first_page)
    }

    fn range_header(&self, runs: &[(u64, u64)], dump_type: u32) -> (Vec<u8>, u64) {
        let mut asm = self.header(dump_type);
        let start = asm.here() as usize;
        let pages: u64 = runs.iter().map(|(_, count)| count).sum();
        asm.u32(0x40).raw(b"RDMPDUMP").u32(0).u64(0).u64(0);
        if dump_type == 10 {
            asm.u32(runs.len() as u32).u16(0).u16(0).u64(pages);
        } else {
            asm.u64(0).u64(0);
        }
        for (first, count) in runs {
            asm.u64(*first).u64(*count);
        }
        asm.zeros(16).align(PAGE as usize);
        let first_page = u64::from(asm.here());
        // What readers check: the list's size and the first page's place say the same.
        asm.put_u64(start + 0x10, first_page - start as u64 - 0x40 + 0x20).put_u64(start + 0x18, first_page);
        (asm.into_bytes(), first_page)
    }

    /// A core with the notes of the first processor, as QEMU writes them.
    fn elf_header(&self, runs: &[(u64, u64)]) -> (Vec<u8>, u64) {
        let machine = if self.spec.release.paging == Paging::Arm64 { 183 } else { 62 };
        let mut asm = Asm::new();
        asm.raw(b"\x7fELF").raw(&[2, 1, 1, 0]).zeros(8).u16(4).u16(machine).u32(1).u64(0).u64(0x40).u64(0).u32(0);
        asm.u16(0x40).u16(0x38).u16(runs.len() as u16 + 1).u16(0).u16(0).u16(0);
        let note_at = 0x40 + (runs.len() as u64 + 1) * 0x38;
        let mut note = Asm::new();
        note.u32(5).u32(440).u32(0).raw(b"QEMU\0\0\0\0").zeros(416).u64(self.kernel.root).zeros(16);
        let note = note.into_bytes();
        let first_page = (note_at + note.len() as u64).next_multiple_of(PAGE);
        asm.u32(4).u32(0).u64(note_at).u64(0).u64(0).u64(note.len() as u64).u64(note.len() as u64).u64(0);
        let mut offset = first_page;
        for (first, count) in runs {
            let size = count * PAGE;
            asm.u32(1).u32(7).u64(offset).u64(0).u64(first * PAGE).u64(size).u64(size).u64(0);
            offset += size;
        }
        asm.raw(&note).align(PAGE as usize);
        (asm.into_bytes(), first_page)
    }
}

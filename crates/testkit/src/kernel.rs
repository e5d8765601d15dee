//! Kernel dumps: headers of both bitnesses, and small dumps of x64.

use crate::asm::{Asm, structure};

/// A driver of a test dump.
#[derive(Clone, Debug)]
pub struct TestDriver {
    /// First address.
    pub base: u64,
    /// `SizeOfImage`.
    pub size: u32,
    /// Path.
    pub path: String,
    /// `TimeDateStamp`.
    pub timestamp: u32,
    /// `CheckSum`.
    pub checksum: u32,
}

/// What a header says.
#[derive(Clone, Debug)]
pub struct Header {
    /// Build number.
    pub build: u32,
    /// Number of processors.
    pub processors: u32,
    /// Bug-check code.
    pub code: u32,
    /// Its parameters.
    pub parameters: [u64; 4],
    /// Type number.
    pub dump_type: u32,
    /// `FILETIME` of the crash.
    pub time: u64,
    /// 100 ns units since the system started.
    pub up_time: u64,
    /// `CONTEXT` record.
    pub context: Vec<u8>,
    /// Address of the debugger data block.
    pub debugger_data: u64,
}

/// `DUMP_HEADER64` of x64; what is not given is filler.
#[must_use]
pub fn header64(header: &Header) -> Asm {
    let mut asm = Asm::filled(0x2000, b"PAGE");
    asm.put(4, b"DU64").put_u32(8, 0xf).put_u32(0xc, header.build).put_u64(0x10, 0x1a_d000);
    asm.put_u64(0x18, 0xffff_f801_2000_0010).put_u64(0x20, 0xffff_f801_2000_0020).put_u64(0x28, 0xffff_f801_2000_0030);
    asm.put_u32(0x30, 0x8664).put_u32(0x34, header.processors).put_u32(0x38, header.code);
    for (index, parameter) in header.parameters.iter().enumerate() {
        asm.put_u64(0x40 + index * 8, *parameter);
    }
    asm.put_u64(0x80, header.debugger_data).put(0x348, &header.context);
    asm.put(0xf00, &crate::context::exception_record(0x8000_0003, header.parameters[3], &[]));
    asm.put_u32(0xf98, header.dump_type).put_u64(0xfa0, 0x20_0000).put_u64(0xfa8, header.time);
    asm.put_u64(0x1030, header.up_time).put_u32(0x1038, 0xcff).put_u32(0x1040, 1).put_u32(0x1044, 0x110);
    asm
}

/// `DUMP_HEADER32` of x86; what is not given is filler. The context is an x86 one.
#[must_use]
pub fn header32(header: &Header) -> Asm {
    let low = |value: u64| (value & 0xffff_ffff) as u32;
    let mut asm = Asm::filled(0x1000, b"PAGE");
    asm.put(4, b"DUMP").put_u32(8, 0xf).put_u32(0xc, header.build).put_u32(0x10, 0x18_5000).put_u32(0x14, 0x8296_0000);
    asm.put_u32(0x18, 0x8296_1000).put_u32(0x1c, 0x8296_2000).put_u32(0x20, 0x14c).put_u32(0x24, header.processors);
    asm.put_u32(0x28, header.code);
    for (index, parameter) in header.parameters.iter().enumerate() {
        asm.put_u32(0x2c + index * 4, low(*parameter));
    }
    asm.put(0x5c, &[1]).put_u32(0x60, low(header.debugger_data)).put(0x320, &header.context);
    asm.put_u32(0xf88, header.dump_type)
        .put_u64(0xfa0, 0x10_0000)
        .put_u64(0xfb8, header.up_time)
        .put_u64(0xfc0, header.time);
    asm
}

/// Everything in a small dump of x64.
#[derive(Clone, Debug)]
pub struct SmallDump {
    /// The header.
    pub header: Header,
    /// Address of the first captured stack byte, and the stack.
    pub stack: (u64, Vec<u8>),
    /// Loaded drivers.
    pub drivers: Vec<TestDriver>,
    /// Unloaded drivers: name, start, end.
    pub unloaded: Vec<(String, u64, u64)>,
    /// Blocks of memory: address and bytes.
    pub blocks: Vec<(u64, Vec<u8>)>,
    /// Address of the thread object.
    pub thread_at: u64,
    /// Address of the process object.
    pub process_at: u64,
    /// Thread id and process id.
    pub ids: (u64, u64),
    /// Image name of the process.
    pub process: String,
    /// Lowest and highest address of the thread's stack.
    pub stack_bounds: (u64, u64),
    /// Tagged data: tag and bytes.
    pub blobs: Vec<([u8; 16], Vec<u8>)>,
}

const SIZE_PRCB: usize = 0x900;
const SIZE_PROCESS: usize = 0xa40;
const SIZE_THREAD: usize = 0x898;

impl SmallDump {
    /// The file. Objects have the layout of build 19041.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut file = header64(&self.header);
        file.zeros(0x80);
        let mm = file.here();
        file.u32(1).u32(0x50).zeros(0x48);
        let unloaded = file.here();
        file.u32(u32::try_from(self.unloaded.len()).unwrap()).u32(0);
        for (name, start, end) in &self.unloaded {
            let units: Vec<u8> = name.encode_utf16().take(12).flat_map(u16::to_le_bytes).collect();
            let mut text = [0; 24];
            text[..units.len()].copy_from_slice(&units);
            let length = u16::try_from(name.len() * 2).unwrap();
            file.u16(length).u16(length).u32(0).u64(0).raw(&text).u64(*start).u64(*end);
        }
        let prcb = file.here();
        file.raw(&structure(SIZE_PRCB, &[(8, self.thread_at, 8), (0x24, 0, 4), (0x44, 3_200, 4)]));
        let process = file.here();
        file.raw(&self.process_object());
        let thread = file.here();
        file.raw(&self.thread_object());
        let stack = file.here();
        file.raw(&self.stack.1).align(8);
        let data = file.here();
        file.raw(&debugger_data());
        let (drivers, pool, pool_end) = self.driver_list(&mut file);
        let table = file.here();
        let mut at = table + u32::try_from(self.blocks.len() * 16).unwrap();
        for (address, bytes) in &self.blocks {
            let size = u32::try_from(bytes.len()).unwrap();
            file.u64(*address).u32(at).u32(size);
            at += size;
        }
        for (_, bytes) in &self.blocks {
            file.raw(bytes);
        }
        file.align(4);
        let valid = file.here();
        file.raw(b"TRGD");
        let end = file.here();
        let fields = [
            0,
            end,
            valid,
            0x348,
            0xf00,
            mm,
            unloaded,
            prcb,
            process,
            thread,
            stack,
            u32::try_from(self.stack.1.len()).unwrap(),
            drivers,
            u32::try_from(self.drivers.len()).unwrap(),
            pool,
            pool_end - pool,
            0,
            u32::MAX,
        ];
        for (index, value) in fields.iter().enumerate() {
            file.put_u32(0x2000 + index * 4, *value);
        }
        file.put_u64(0x2048, self.stack.0);
        file.put_u32(0x2070, data).put_u32(0x2074, 0x380).put_u32(0x2078, table);
        file.put_u32(0x207c, u32::try_from(self.blocks.len()).unwrap());
        self.append_blobs(&mut file);
        file.into_bytes()
    }

    fn process_object(&self) -> Vec<u8> {
        let mut bytes = structure(
            SIZE_PROCESS,
            &[
                (0, 3, 1),
                (0x28, 0x1a_d000, 8),
                (0x440, self.ids.1, 8),
                (0x468, self.header.time - self.header.up_time, 8),
                (0x540, 0, 8),
                (0x5f0, 131, 4),
            ],
        );
        bytes[0x5a8..0x5a8 + self.process.len()].copy_from_slice(self.process.as_bytes());
        bytes
    }

    fn thread_object(&self) -> Vec<u8> {
        let (low, high) = self.stack_bounds;
        structure(
            SIZE_THREAD,
            &[
                (0, 6, 1),
                (0x28, high - 0x370, 8),
                (0x30, low, 8),
                (0x38, high, 8),
                (0xb8, self.process_at, 8),
                (0xc3, 12, 1),
                (0x184, 2, 1),
                (0x430, self.header.time - 36_000_000, 8),
                (0x478, self.ids.1, 8),
                (0x480, self.ids.0, 8),
            ],
        )
    }

    /// Driver entries, then their names; returns the offsets of both and the end.
    fn driver_list(&self, file: &mut Asm) -> (u32, u32, u32) {
        file.align(8);
        let list = file.here();
        let pool = list + u32::try_from(self.drivers.len() * 0x90).unwrap();
        let mut names = Asm::new();
        for driver in &self.drivers {
            let name = pool + names.here();
            names.u32(u32::try_from(driver.path.encode_utf16().count()).unwrap()).utf16(&driver.path).u16(0).align(8);
            file.raw(&structure(
                0x90,
                &[
                    (0, u64::from(name), 4),
                    (0x38, driver.base, 8),
                    (0x48, u64::from(driver.size), 4),
                    (0x80, u64::from(driver.checksum), 4),
                    (0x88, u64::from(driver.timestamp), 4),
                ],
            ));
        }
        file.raw(&names.into_bytes());
        (list, pool, file.here())
    }

    fn append_blobs(&self, file: &mut Asm) {
        file.raw(b"DumpBlob").u32(0x10).u32(0xf000_0000 | self.header.build);
        for (tag, bytes) in &self.blobs {
            let padding = bytes.len().next_multiple_of(8) - bytes.len();
            file.u32(0x20)
                .raw(tag)
                .u32(u32::try_from(bytes.len()).unwrap())
                .u32(0)
                .u32(u32::try_from(padding).unwrap());
            file.raw(bytes).zeros(padding);
        }
    }
}

/// `KDDEBUGGER_DATA64` of build 19041: tag, size, and the offsets of that build.
fn debugger_data() -> Vec<u8> {
    let mut bytes = structure(
        0x380,
        &[
            (0x14, 0x380, 4),
            (0x18, 0xffff_f801_1f00_0000, 8),
            (0x48, 0xffff_f801_2000_0020, 8),
            (0x50, 0xffff_f801_2000_0030, 8),
            (0x29a, 0xf0, 2),
            (0x29c, 0x58, 2),
            (0x29e, 0x28, 2),
            (0x2a0, 0xb8, 2),
            (0x2a2, 0x184, 2),
            (0x2a8, SIZE_PROCESS as u64, 2),
            (0x2aa, 0x550, 2),
            (0x2ac, 0x540, 2),
            (0x2ae, 0x28, 2),
            (0x2b0, SIZE_PRCB as u64, 2),
            (0x2b4, 8, 2),
            (0x2b6, 0x44, 2),
            (0x2be, 0x24, 2),
            (0x2c0, SIZE_THREAD as u64, 2),
            (0x340, 0x30, 4),
            (0x344, 0x38, 4),
            (0x35c, 0x283, 2),
        ],
    );
    bytes[0x10..0x14].copy_from_slice(b"KDBG");
    bytes
}

/// A raw SMBIOS blob: firmware, system and one processor of a fictional machine.
#[must_use]
pub fn smbios(vendor: &str, product: &str) -> ([u8; 16], Vec<u8>) {
    let tag = [0x8f, 0x00, 0x5c, 0xbc, 0x3a, 0x1e, 0xd7, 0x44, 0x98, 0x8d, 0x86, 0xf6, 0x88, 0x4c, 0x67, 0x58];
    let mut tables = Asm::new();
    tables.raw(&structure(0x12, &[(0, 0, 1), (1, 0x12, 1), (4, 1, 1), (5, 2, 1), (8, 3, 1)]));
    tables.raw(b"Contoso Firmware\x001.07\x0002/11/2026\0\0");
    tables.raw(&structure(0x1b, &[(0, 1, 1), (1, 0x1b, 1), (4, 1, 1), (5, 2, 1)]));
    tables.raw(vendor.as_bytes()).u8(0).raw(product.as_bytes()).raw(&[0, 0]);
    tables.raw(&structure(0x30, &[(0, 4, 1), (1, 0x30, 1), (0x10, 1, 1)]));
    tables.raw(b"Contoso C8 at 3.20 GHz\0\0");
    tables.raw(&structure(0x28, &[(0, 17, 1), (1, 0x28, 1), (0xc, 16_384, 2), (0x10, 1, 1), (0x15, 5_600, 2)]));
    tables.raw(b"DIMM A\0\0");
    tables.raw(&[127, 4, 0, 0, 0, 0]);
    let tables = tables.into_bytes();
    let mut raw = Asm::new();
    raw.u8(0).u8(3).u8(4).u8(0).u32(u32::try_from(tables.len()).unwrap()).raw(&tables);
    (tag, raw.into_bytes())
}

/// A small dump of x86: the header's context is an x86 one, addresses are 32 bits wide. It has no debugger data block, as
/// dumps of old systems, so no objects can be located.
#[must_use]
pub fn small_dump32(
    header: &Header,
    stack: (u32, &[u8]),
    drivers: &[TestDriver],
    unloaded: &[(&str, u32, u32)],
    blocks: &[(u32, &[u8])],
) -> Vec<u8> {
    let low = |value: usize| u32::try_from(value).unwrap();
    let mut file = header32(header);
    file.zeros(0x68);
    let gone = file.here();
    file.u32(low(unloaded.len()));
    for (name, start, end) in unloaded {
        let units: Vec<u8> = name.encode_utf16().take(12).flat_map(u16::to_le_bytes).collect();
        let mut text = [0; 24];
        text[..units.len()].copy_from_slice(&units);
        let length = u16::try_from(name.len() * 2).unwrap();
        file.u16(length).u16(length).u32(0).raw(&text).u32(*start).u32(*end);
    }
    let stack_at = file.here();
    file.raw(stack.1).align(8);
    let list = file.here();
    let pool = list + low(drivers.len() * 0x4c);
    let mut names = Asm::new();
    for driver in drivers {
        let name = pool + names.here();
        names.u32(low(driver.path.encode_utf16().count())).utf16(&driver.path).u16(0).align(8);
        file.raw(&structure(
            0x4c,
            &[
                (0, u64::from(name), 4),
                (0x1c, driver.base, 4),
                (0x24, u64::from(driver.size), 4),
                (0x44, u64::from(driver.checksum), 4),
                (0x48, u64::from(driver.timestamp), 4),
            ],
        ));
    }
    file.raw(&names.into_bytes());
    let pool_end = file.here();
    let table = file.here();
    let mut at = table + low(blocks.len() * 16);
    for (address, bytes) in blocks {
        // Addresses of the kernel's half are sign-extended in the file.
        file.u64(i64::from(address.cast_signed()).cast_unsigned()).u32(at).u32(low(bytes.len()));
        at += low(bytes.len());
    }
    for (_, bytes) in blocks {
        file.raw(bytes);
    }
    file.align(4);
    let valid = file.here();
    file.raw(b"TRGD");
    let fields = [
        0,
        valid + 4,
        valid,
        0x320,
        0x7d0,
        0,
        gone,
        0,
        0,
        0,
        stack_at,
        low(stack.1.len()),
        list,
        low(drivers.len()),
        pool,
        pool_end - pool,
        0,
        u32::MAX,
        stack.0,
        0,
        0,
        0,
        0,
        0,
        table,
        low(blocks.len()),
    ];
    for (index, value) in fields.iter().enumerate() {
        file.put_u32(0x1000 + index * 4, *value);
    }
    file.into_bytes()
}

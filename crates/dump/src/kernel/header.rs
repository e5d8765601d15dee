//! `DUMP_HEADER32` and `DUMP_HEADER64`.

use alloc::{string::String, vec::Vec};

use dumplens_base::{ByteSource, Bytes, Machine, Note, ReadError, Va, read_record, utf8_until_nul};

use crate::FileTime;

/// What unset header fields hold: `PAGE`, repeated.
pub(super) const FILLER: u32 = u32::from_le_bytes(*b"PAGE");

/// The header of a kernel dump. Fields that the writer left unset (`PAGE` filler) are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelHeader {
    /// `DUMP_HEADER64` rather than `DUMP_HEADER32`.
    pub is_64_bit: bool,
    /// Architecture.
    pub machine: Machine,
    /// 0xf for a free build of Windows, 0xc for a checked one.
    pub major_version: u32,
    /// Build number of Windows.
    pub build: u32,
    /// CR3 or TTBR at the crash, as recorded.
    pub directory_table_base: u64,
    /// Address of the variable that holds the page frame number database's address.
    pub pfn_database: Va,
    /// Head of the loaded module list.
    pub ps_loaded_module_list: Va,
    /// Head of the process list.
    pub ps_active_process_head: Va,
    /// Number of processors.
    pub processors: u32,
    /// Bug-check code.
    pub bugcheck_code: u32,
    /// Bug-check parameters; of 32-bit dumps zero-extended.
    pub bugcheck_parameters: [u64; 4],
    /// Address of the debugger data block.
    pub kd_debugger_data_block: Option<Va>,
    /// Whether 32-bit paging was PAE.
    pub pae_enabled: Option<bool>,
    /// Physical memory runs of complete dumps; empty where unset.
    pub physical_runs: Vec<PhysicalRun>,
    /// Type number.
    pub dump_type: Option<u32>,
    /// Bytes the whole dump needs, as the writer reckoned. Small dumps are shorter.
    pub required_dump_space: Option<u64>,
    /// When it crashed.
    pub system_time: Option<FileTime>,
    /// Time from system start to the crash, in 100 ns units.
    pub system_up_time: Option<u64>,
    /// Text that some writers leave.
    pub comment: Option<String>,
    /// What a small dump says it contains.
    pub mini_dump_fields: Option<u32>,
    /// NTSTATUS of writing secondary data.
    pub secondary_data_state: Option<u32>,
    /// 1 workstation, 2 domain controller, 3 server.
    pub product_type: Option<u32>,
    /// `VER_SUITE_*` bits.
    pub suite_mask: Option<u32>,
    /// 0 if the writer succeeded.
    pub writer_status: Option<u32>,
    /// How the dump was made.
    pub attributes: Option<Attributes>,
    /// Counter of boots.
    pub boot_id: Option<u32>,
}

/// A run of physical pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysicalRun {
    /// First page frame number.
    pub base_page: u64,
    /// Pages.
    pub page_count: u64,
}

/// `DUMP_FILE_ATTRIBUTES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// Bit 8: everything after the header is ciphertext.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        self.0 & 1 << 8 != 0
    }

    /// Bit 4: a live dump; nothing crashed.
    #[must_use]
    pub const fn is_live(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    /// Names of the set bits.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [&str; 10] = [
            "hibernation crash",
            "dump device powered off",
            "insufficient dump file size",
            "kernel-generated triage dump",
            "live dump",
            "generated offline",
            "filtered",
            "early boot crash",
            "encrypted",
            "decrypted",
        ];
        NAMES.into_iter().enumerate().filter(move |(bit, _)| self.0 & 1 << bit != 0).map(|(_, name)| name)
    }
}

const SIZE_32: u64 = 0x1000;
const SIZE_64: u64 = 0x2000;
/// Bytes of the physical memory descriptor in the header.
const DESCRIPTOR_SIZE: usize = 700;

/// Fixed offsets of the two layouts, where they differ in more than field width.
struct Offsets {
    descriptor: usize,
    dump_type: usize,
    mini_dump_fields: usize,
    required_space: usize,
    up_time: usize,
    time: usize,
    comment: usize,
    attributes: usize,
}

const OFFSETS_32: Offsets = Offsets {
    descriptor: 0x64,
    dump_type: 0xf88,
    mini_dump_fields: 0xf8c,
    required_space: 0xfa0,
    up_time: 0xfb8,
    time: 0xfc0,
    comment: 0x820,
    attributes: 0x8a0,
};

const OFFSETS_64: Offsets = Offsets {
    descriptor: 0x88,
    dump_type: 0xf98,
    mini_dump_fields: 0x1038,
    required_space: 0xfa0,
    up_time: 0x1030,
    time: 0xfa8,
    comment: 0xfb0,
    attributes: 0x1050,
};

impl KernelHeader {
    /// Size of the header in bytes; what follows depends on the type.
    #[must_use]
    pub const fn size(&self) -> u64 {
        if self.is_64_bit { SIZE_64 } else { SIZE_32 }
    }

    pub(super) fn read(source: &dyn ByteSource) -> Result<Self, ReadError> {
        let magic = read_record(source, 0, 8, 8, "dump header signature")?;
        let is_64_bit = match magic.as_slice() {
            b"PAGEDU64" => true,
            b"PAGEDUMP" => false,
            other => {
                let value = other.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                return Err(ReadError::invalid("dump header signature", 0, value));
            }
        };
        let size = if is_64_bit { SIZE_64 } else { SIZE_32 };
        let raw = read_record(source, 0, size, size, "dump header")?;
        Self::parse(&raw, is_64_bit)
    }

    fn parse(raw: &[u8], is_64_bit: bool) -> Result<Self, ReadError> {
        let at = |offset: usize| {
            let mut bytes = Bytes::new(raw, 0);
            bytes.seek(offset, "dump header").map(|()| bytes)
        };
        let offsets = if is_64_bit { OFFSETS_64 } else { OFFSETS_32 };
        let mut bytes = at(8)?;
        let pointer = |bytes: &mut Bytes<'_>, what| {
            if is_64_bit { bytes.u64(what) } else { bytes.u32(what).map(u64::from) }
        };
        let major_version = bytes.u32("major version")?;
        let build = bytes.u32("build number")?;
        let directory_table_base = pointer(&mut bytes, "directory table base")?;
        let pfn_database = Va(pointer(&mut bytes, "PFN database")?);
        let ps_loaded_module_list = Va(pointer(&mut bytes, "loaded module list")?);
        let ps_active_process_head = Va(pointer(&mut bytes, "process list")?);
        let machine = bytes.u32("machine image type")?;
        let processors = bytes.u32("number of processors")?;
        let bugcheck_code = bytes.u32("bug check code")?;
        if is_64_bit {
            bytes.skip(4, "padding")?;
        }
        let mut bugcheck_parameters = [0; 4];
        for parameter in &mut bugcheck_parameters {
            *parameter = pointer(&mut bytes, "bug check parameter")?;
        }
        // After 32 bytes of VersionUser, the 32-bit form has a PAE flag and three more bytes.
        bytes.skip(32, "version text")?;
        let pae = if is_64_bit { None } else { Some(bytes.u32("PAE flag")? & 0xff) };
        let kd_debugger_data_block = pointer(&mut bytes, "debugger data block")?;

        let u32_at = |offset| Ok::<_, ReadError>(set(at(offset)?.u32("dump header")?));
        let u64_at = |offset| Ok::<_, ReadError>(set_64(at(offset)?.u64("dump header")?));
        let [mini_dump_fields, secondary_data_state, product_type, suite_mask, writer_status] =
            [0, 4, 8, 12, 16].map(|step| u32_at(offsets.mini_dump_fields + step));
        let comment = utf8_until_nul(at(offsets.comment)?.take(128, "comment")?);
        let attributes = u32_at(offsets.attributes)?;
        Ok(Self {
            is_64_bit,
            machine: Machine::from_image_file_machine((machine & 0xffff) as u16),
            major_version,
            build,
            directory_table_base,
            pfn_database,
            ps_loaded_module_list,
            ps_active_process_head,
            processors,
            bugcheck_code,
            bugcheck_parameters,
            kd_debugger_data_block: set_pointer(kd_debugger_data_block).map(Va),
            pae_enabled: pae.filter(|flag| *flag <= 1).map(|flag| flag == 1),
            physical_runs: runs(at(offsets.descriptor)?.split(DESCRIPTOR_SIZE, "physical memory block")?, is_64_bit)?,
            dump_type: u32_at(offsets.dump_type)?,
            required_dump_space: u64_at(offsets.required_space)?,
            system_time: u64_at(offsets.time)?.map(FileTime).filter(|time| time.is_plausible()),
            system_up_time: u64_at(offsets.up_time)?,
            comment: Some(comment).filter(|text| !text.is_empty() && !text.starts_with("PAGE")),
            mini_dump_fields: mini_dump_fields?,
            secondary_data_state: secondary_data_state?,
            product_type: product_type?,
            suite_mask: suite_mask?,
            writer_status: writer_status?,
            // Build 26100 sets bits that the public header does not name yet; only the filler means unset.
            attributes: attributes.map(Attributes),
            boot_id: u32_at(offsets.attributes + 4)?,
        })
    }

    /// What in the header cannot be right.
    #[must_use]
    pub fn check(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut damaged = |text: String| notes.push(Note::damaged(text));
        if let Machine::Other(number) = self.machine {
            damaged(alloc::format!(
                "the machine type {number:#x} in the header is not known; registers and stacks cannot be read"
            ));
        }
        let wide = self.machine.pointer_size() == 8;
        if wide != self.is_64_bit && !matches!(self.machine, Machine::Other(_)) {
            damaged(alloc::format!("the header's form does not fit its machine type {}", self.machine));
        }
        if !(1_000..=60_000).contains(&self.build) {
            damaged(alloc::format!("the build number {} in the header cannot be right", self.build));
        }
        if self.processors == 0 || self.processors > 4_096 {
            damaged(alloc::format!("the number of processors {} in the header cannot be right", self.processors));
        }
        if self.system_time.is_none() {
            notes.push(Note::info("the header does not say when the crash happened"));
        }
        if self.attributes.is_some_and(Attributes::is_encrypted) {
            notes.push(Note::missing(
                "the dump is encrypted: only its header can be read; decrypt it with the key's owner's tools first",
            ));
        }
        notes
    }
}

const fn set(value: u32) -> Option<u32> {
    if value == FILLER { None } else { Some(value) }
}

const fn set_64(value: u64) -> Option<u64> {
    if value >> 32 == FILLER as u64 && value & 0xffff_ffff == FILLER as u64 { None } else { Some(value) }
}

const fn set_pointer(value: u64) -> Option<u64> {
    if value == 0 || value == FILLER as u64 { None } else { set_64(value) }
}

/// The runs of a physical memory block; none if it is unset or contradicts itself.
fn runs(mut block: Bytes<'_>, wide: bool) -> Result<Vec<PhysicalRun>, ReadError> {
    let count = block.u32("run count")?;
    let (header, entry) = if wide { (12, 16) } else { (4, 8) };
    block.skip(header, "page count")?;
    let most = block.remaining() / entry;
    if count == FILLER || count as usize > most {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    for _ in 0..count {
        let mut next = || if wide { block.u64("run") } else { block.u32("run").map(u64::from) };
        runs.push(PhysicalRun { base_page: next()?, page_count: next()? });
    }
    Ok(runs)
}

use alloc::{format, string::String, vec::Vec};

use dumplens_base::{Bytes, Machine, utf8_until_nul};

use crate::{ImageBytes, ImageError, bytes, limits};

/// A range of RVAs that the optional header names: where a part of the image stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataDirectory {
    /// First RVA.
    pub rva: u32,
    /// Length in bytes.
    pub size: u32,
}

impl DataDirectory {
    /// Whether `rva` lies in the range.
    #[must_use]
    pub const fn contains(&self, rva: u32) -> bool {
        match rva.checked_sub(self.rva) {
            Some(offset) => offset < self.size,
            None => false,
        }
    }
}

/// The data directories that Dumplens asks for; the value is the index in the optional header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Directory {
    /// `IMAGE_DIRECTORY_ENTRY_EXPORT`.
    Export = 0,
    /// `IMAGE_DIRECTORY_ENTRY_IMPORT`.
    Import = 1,
    /// `IMAGE_DIRECTORY_ENTRY_RESOURCE`.
    Resource = 2,
    /// `IMAGE_DIRECTORY_ENTRY_EXCEPTION`: the function table, usually the section `.pdata`.
    Exception = 3,
    /// `IMAGE_DIRECTORY_ENTRY_BASERELOC`.
    BaseRelocation = 5,
    /// `IMAGE_DIRECTORY_ENTRY_DEBUG`.
    Debug = 6,
    /// `IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG`.
    LoadConfig = 10,
    /// `IMAGE_DIRECTORY_ENTRY_IAT`.
    ImportAddress = 12,
}

/// `IMAGE_SECTION_HEADER`, as far as an image uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Name, at most 8 bytes. `/` and a number stand for a longer name in the file's string table, which is not read.
    pub name: String,
    /// First RVA.
    pub rva: u32,
    /// `VirtualSize`: length in memory, in bytes; 0 means [`Section::raw_size`].
    pub virtual_size: u32,
    /// `PointerToRawData`: file offset.
    pub raw_offset: u32,
    /// `SizeOfRawData`: length in the file, in bytes.
    pub raw_size: u32,
    /// `IMAGE_SCN_*` flags.
    pub characteristics: u32,
}

impl Section {
    /// Length in memory, in bytes, before it is rounded up to the section alignment.
    #[must_use]
    pub const fn memory_size(&self) -> u32 {
        if self.virtual_size == 0 { self.raw_size } else { self.virtual_size }
    }

    /// Whether `rva` lies in the section.
    #[must_use]
    pub const fn contains(&self, rva: u32) -> bool {
        DataDirectory { rva: self.rva, size: self.memory_size() }.contains(rva)
    }

    /// `IMAGE_SCN_MEM_EXECUTE`.
    #[must_use]
    pub const fn is_executable(&self) -> bool {
        self.characteristics & 0x2000_0000 != 0
    }

    /// `IMAGE_SCN_MEM_WRITE`.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.characteristics & 0x8000_0000 != 0
    }

    /// `IMAGE_SCN_MEM_DISCARDABLE`: the kernel may drop it once the image is initialised.
    #[must_use]
    pub const fn is_discardable(&self) -> bool {
        self.characteristics & 0x0200_0000 != 0
    }
}

/// The headers of an image: all that is read when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// The processor that the code is for.
    pub machine: Machine,
    /// Whether the optional header is that of PE32+.
    pub is_64bit: bool,
    /// `TimeDateStamp`; often a hash rather than a time.
    pub timestamp: u32,
    /// `IMAGE_FILE_*` flags of the file header.
    pub characteristics: u16,
    /// `AddressOfEntryPoint`, an RVA; 0 if there is none.
    pub entry_point: u32,
    /// `ImageBase`. In memory the loader has replaced the linker's wish with the address it chose.
    pub image_base: u64,
    /// `SectionAlignment`, in bytes.
    pub section_alignment: u32,
    /// `SizeOfImage`, in bytes of memory.
    pub size_of_image: u32,
    /// `SizeOfHeaders`, in bytes.
    pub size_of_headers: u32,
    /// `CheckSum`; 0 if the linker wrote none.
    pub checksum: u32,
    /// `IMAGE_SUBSYSTEM_*`: 1 is native, which drivers are.
    pub subsystem: u16,
    /// `IMAGE_DLLCHARACTERISTICS_*` flags.
    pub dll_characteristics: u16,
    /// The section table.
    pub sections: Vec<Section>,
    /// The data directories, at most 16; see [`Headers::directory`].
    pub directories: Vec<DataDirectory>,
}

impl Headers {
    /// Reads the headers at RVA 0.
    ///
    /// # Errors
    /// [`ImageError`] if they are absent, no PE headers, or name more than [`limits::SECTIONS`] sections.
    pub fn read(image: &dyn ImageBytes) -> Result<Self, ImageError> {
        let dos = bytes::array::<64>(image, 0, "DOS header")?;
        let mut dos = Bytes::new(&dos, 0);
        let magic = dos.u16("DOS signature")?;
        if magic != 0x5a4d {
            return Err(ImageError::invalid("DOS signature", 0, magic.into()));
        }
        dos.seek(0x3c, "offset of the PE header")?;
        let nt = dos.u32("offset of the PE header")?;
        let after =
            |rva: u32, len: u32, what| rva.checked_add(len).ok_or(ImageError::invalid(what, 0x3c, u64::from(nt)));

        // Signature, file header and the magic of the optional header.
        let head = bytes::array::<26>(image, nt, "PE header")?;
        let mut head = Bytes::new(&head, nt.into());
        let signature = head.u32("PE signature")?;
        if signature != 0x4550 {
            return Err(ImageError::invalid("PE signature", nt, signature.into()));
        }
        let machine = Machine::from_image_file_machine(head.u16("machine")?);
        let section_count = head.u16("number of sections")?;
        let timestamp = head.u32("time stamp")?;
        head.skip(8, "symbol table")?;
        let optional_size = head.u16("size of the optional header")?;
        let characteristics = head.u16("characteristics")?;
        let optional_rva = after(nt, 24, "optional header")?;
        let is_64bit = match head.u16("optional header magic")? {
            0x10b => false,
            0x20b => true,
            other => return Err(ImageError::invalid("optional header magic", optional_rva, other.into())),
        };

        // The loader takes the fixed part as it is; `SizeOfOptionalHeader` only says where the section table starts.
        let fixed_size = if is_64bit { 112 } else { 96 };
        let fixed = bytes::vec(image, optional_rva, fixed_size, "optional header")?;
        let mut fixed = Bytes::new(&fixed, optional_rva.into());
        fixed.seek(16, "optional header")?;
        let entry_point = fixed.u32("entry point")?;
        fixed.seek(if is_64bit { 24 } else { 28 }, "optional header")?;
        let image_base = if is_64bit { fixed.u64("image base")? } else { fixed.u32("image base").map(u64::from)? };
        let section_alignment = fixed.u32("section alignment")?;
        fixed.seek(56, "optional header")?;
        let size_of_image = fixed.u32("size of the image")?;
        let size_of_headers = fixed.u32("size of the headers")?;
        let checksum = fixed.u32("checksum")?;
        let subsystem = fixed.u16("subsystem")?;
        let dll_characteristics = fixed.u16("DLL characteristics")?;
        fixed.seek(if is_64bit { 108 } else { 92 }, "optional header")?;
        let directory_count = fixed.u32("number of data directories")?.min(16);

        let directories_rva = after(optional_rva, fixed_size, "data directories")?;
        let sections_rva = after(optional_rva, optional_size.into(), "section table")?;
        Ok(Self {
            machine,
            is_64bit,
            timestamp,
            characteristics,
            entry_point,
            image_base,
            section_alignment,
            size_of_image,
            size_of_headers,
            checksum,
            subsystem,
            dll_characteristics,
            sections: sections(image, sections_rva, section_count.into())?,
            directories: directories(image, directories_rva, directory_count)?,
        })
    }

    /// The range of a data directory; `None` if the image has none.
    #[must_use]
    pub fn directory(&self, which: Directory) -> Option<DataDirectory> {
        self.directories.get(usize::from(which as u8)).copied().filter(|range| range.rva != 0 && range.size != 0)
    }

    /// The section that holds `rva`.
    #[must_use]
    pub fn section_at(&self, rva: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.contains(rva))
    }

    /// The directory name under which symbol stores keep the image itself: time stamp and size, in hexadecimal.
    #[must_use]
    pub fn store_key(&self) -> String {
        format!("{:08X}{:x}", self.timestamp, self.size_of_image)
    }
}

fn sections(image: &dyn ImageBytes, rva: u32, count: u32) -> Result<Vec<Section>, ImageError> {
    ImageError::check("number of sections", rva, count, limits::SECTIONS)?;
    let table = bytes::vec(image, rva, count.saturating_mul(40), "section table")?;
    let mut table = Bytes::new(&table, rva.into());
    let mut sections = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let name = utf8_until_nul(table.take(8, "section name")?);
        let virtual_size = table.u32("section size")?;
        let rva = table.u32("section RVA")?;
        let raw_size = table.u32("section size in the file")?;
        let raw_offset = table.u32("section offset")?;
        table.skip(12, "section relocations")?;
        let characteristics = table.u32("section characteristics")?;
        sections.push(Section { name, rva, virtual_size, raw_offset, raw_size, characteristics });
    }
    Ok(sections)
}

fn directories(image: &dyn ImageBytes, rva: u32, count: u32) -> Result<Vec<DataDirectory>, ImageError> {
    let table = bytes::vec(image, rva, count.saturating_mul(8), "data directories")?;
    let mut table = Bytes::new(&table, rva.into());
    let entry = |table: &mut Bytes<'_>| {
        Ok(DataDirectory { rva: table.u32("data directory")?, size: table.u32("data directory size")? })
    };
    (0..count).map(|_| entry(&mut table)).collect()
}

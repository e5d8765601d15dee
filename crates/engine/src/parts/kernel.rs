//! The parts of a kernel dump.

use alloc::{rc::Rc, string::String, string::ToString, vec::Vec};

use dumplens_dump::{
    Context, ExceptionRecord,
    kernel::{FileRange, KernelDump, KernelHeader, SecondaryBlob, Smbios, Triage},
};
use dumplens_report::{
    Hex,
    protocol::{Details, Field, Stream},
};

use super::{MOST_ROWS, Parts, explained, field, hex, optional, pages, preview, table};
use crate::kernel::Full;

/// What a part is, so that it can be opened.
enum Part {
    Header,
    TriageHeader,
    Memory,
    Raw(FileRange),
    Blob(SecondaryBlob),
    /// What memory says of itself.
    Live(pages::LivePart),
}

/// The parts of a kernel dump.
pub(crate) struct KernelParts {
    header: KernelHeader,
    description: &'static str,
    exception: Option<ExceptionRecord>,
    triage: Option<Rc<Triage>>,
    smbios: Option<Smbios>,
    parts: Vec<Part>,
    streams: Vec<Stream>,
}

/// Bytes of an undecoded part that are shown.
const PREVIEW: u64 = 512;

impl KernelParts {
    pub(crate) fn new(
        dump: &KernelDump,
        triage: Option<Rc<Triage>>,
        blobs: Vec<SecondaryBlob>,
        smbios: Option<Smbios>,
    ) -> Self {
        let mut parts = Vec::new();
        let mut streams = Vec::new();
        let mut add = |part: Part, kind: Option<u32>, name: &str, offset: u64, size: u64, summary: Option<String>| {
            parts.push(part);
            let (kind, offset) = (kind.map(Hex::from), Hex(offset));
            streams.push(Stream { kind, name: name.into(), offset, size, summary });
        };
        let header = dump.header();
        match &triage {
            None => add(Part::Header, None, "Dump header", 0, header.size(), Some(dump.kind().description().into())),
            Some(triage) => {
                for range in triage.parts() {
                    let (part, summary) = match range.name {
                        "Dump header" => (Part::Header, Some(dump.kind().description().into())),
                        "Triage header" => (Part::TriageHeader, None),
                        "Data block table" => {
                            let count = triage.header().data_blocks_count;
                            (Part::Memory, Some(alloc::format!("{count} blocks of memory")))
                        }
                        "Driver list" => {
                            (Part::Raw(range), Some(alloc::format!("{} drivers", triage.header().driver_count)))
                        }
                        _ => (Part::Raw(range), None),
                    };
                    add(part, None, range.name, range.offset, range.size, summary);
                }
            }
        }
        for blob in blobs {
            let name = alloc::format!("Appended data {}", blob.tag);
            add(Part::Blob(blob), None, &name, blob.offset, blob.size, blob.name.map(String::from));
        }
        Self {
            header: header.clone(),
            description: dump.kind().description(),
            // Whether it is damaged was said when the dump was gathered.
            exception: dump.exception(&mut Vec::new()),
            triage,
            smbios,
            parts,
            streams,
        }
    }

    /// Adds the parts of a dump that holds physical memory.
    pub(crate) fn with_pages(mut self, full: &Full) -> Self {
        for (part, stream) in pages::parts(full, self.header.size()) {
            self.parts.push(Part::Live(part));
            self.streams.push(stream);
        }
        self
    }

    fn header_fields(&self) -> Vec<Field> {
        let h = &self.header;
        let [p1, p2, p3, p4] = h.bugcheck_parameters;
        let mut fields = Vec::from([
            explained(
                "DumpType",
                h.dump_type.map_or_else(|| "unset".into(), |kind| kind.to_string()),
                self.description,
            ),
            explained("MajorVersion", hex(h.major_version), if h.major_version == 0xf { "free build" } else { "" }),
            field("MinorVersion (build)", h.build),
            field("MachineImageType", h.machine),
            field("NumberProcessors", h.processors),
            field("BugCheckCode", hex(h.bugcheck_code)),
            field("BugCheckParameter1", hex(p1)),
            field("BugCheckParameter2", hex(p2)),
            field("BugCheckParameter3", hex(p3)),
            field("BugCheckParameter4", hex(p4)),
            field("DirectoryTableBase", hex(h.directory_table_base)),
            field("PfnDataBase", h.pfn_database),
            field("PsLoadedModuleList", h.ps_loaded_module_list),
            field("PsActiveProcessHead", h.ps_active_process_head),
        ]);
        let more = [
            optional("KdDebuggerDataBlock", h.kd_debugger_data_block),
            optional("PaeEnabled", h.pae_enabled),
            optional("SystemTime", h.system_time),
            h.system_up_time
                .map(|time| explained("SystemUpTime", time, dumplens_report::text::duration(time / 10_000_000))),
            optional("RequiredDumpSpace", h.required_dump_space),
            optional("Comment", h.comment.as_ref()),
            optional("MiniDumpFields", h.mini_dump_fields.map(hex)),
            optional("SecondaryDataState", h.secondary_data_state.map(hex)),
            h.product_type.map(|kind| {
                let meaning = match kind {
                    1 => "workstation",
                    2 => "domain controller",
                    3 => "server",
                    _ => "",
                };
                explained("ProductType", kind, meaning)
            }),
            optional("SuiteMask", h.suite_mask.map(hex)),
            optional("WriterStatus", h.writer_status),
            h.attributes.map(|bits| explained("Attributes", hex(bits.0), bits.names().collect::<Vec<_>>().join(", "))),
            optional("BootId", h.boot_id),
            optional("Exception.ExceptionCode", self.exception.as_ref().map(|record| hex(record.code))),
            optional("Exception.ExceptionAddress", self.exception.as_ref().map(|record| record.address)),
        ];
        fields.extend(more.into_iter().flatten());
        fields
    }

    fn header_details(&self) -> Details {
        let rows = self.header.physical_runs.iter().map(|run| Vec::from([hex(run.base_page), hex(run.page_count)]));
        let rows: Vec<_> = rows.collect();
        let total = rows.len() as u64;
        let tables = if rows.is_empty() {
            Vec::new()
        } else {
            Vec::from([table("Physical memory runs", &["First page", "Pages"], rows, total)])
        };
        Details { title: "Dump header".into(), fields: self.header_fields(), tables, ..Details::default() }
    }

    fn triage_details(triage: &Triage) -> Details {
        let h = triage.header();
        let offsets = [
            ("ServicePackBuild", h.service_pack_build),
            ("SizeOfDump", h.size_of_dump),
            ("ValidOffset", h.valid_offset),
            ("ContextOffset", h.context_offset),
            ("ExceptionOffset", h.exception_offset),
            ("MmOffset", h.mm_offset),
            ("UnloadedDriversOffset", h.unloaded_drivers_offset),
            ("PrcbOffset", h.prcb_offset),
            ("ProcessOffset", h.process_offset),
            ("ThreadOffset", h.thread_offset),
            ("CallStackOffset", h.call_stack_offset),
            ("SizeOfCallStack", h.size_of_call_stack),
            ("DriverListOffset", h.driver_list_offset),
            ("DriverCount", h.driver_count),
            ("StringPoolOffset", h.string_pool_offset),
            ("StringPoolSize", h.string_pool_size),
            ("BrokenDriverOffset", h.broken_driver_offset),
            ("TriageOptions", h.triage_options),
            ("DataPageOffset", h.data_page_offset),
            ("DataPageSize", h.data_page_size),
            ("DebuggerDataOffset", h.debugger_data_offset),
            ("DebuggerDataSize", h.debugger_data_size),
            ("DataBlocksOffset", h.data_blocks_offset),
            ("DataBlocksCount", h.data_blocks_count),
        ];
        let mut fields: Vec<_> = offsets.into_iter().map(|(name, value)| field(name, hex(value))).collect();
        fields.push(field("TopOfStack", h.top_of_stack));
        fields.push(field("DataPageAddress", h.data_page_address));
        Details { title: "Triage header".into(), fields, ..Details::default() }
    }

    fn memory_details(triage: &Triage) -> Details {
        let mut notes = Vec::new();
        let memory = triage.memory(&mut notes);
        let blocks = memory.extents();
        let rows = blocks
            .iter()
            .take(MOST_ROWS)
            .map(|block| Vec::from([block.address.to_string(), hex(block.size), hex(block.offset), block.kind.into()]));
        let rows = rows.collect();
        let columns = ["Address", "Size", "File offset", "Kind"];
        let tables = Vec::from([table("Captured memory", &columns, rows, blocks.len() as u64)]);
        let notes = notes.iter().map(crate::text::note_model).collect();
        Details { title: "Captured memory".into(), tables, notes, ..Details::default() }
    }

    fn raw_details(triage: &Triage, range: FileRange) -> Details {
        let shown = FileRange { size: range.size.min(PREVIEW), ..range };
        let text = triage.bytes(shown).map(|bytes| preview(&bytes)).ok();
        Details { title: range.name.into(), text, ..Details::default() }
    }

    fn smbios_details(smbios: &Smbios) -> Details {
        let (major, minor) = smbios.version;
        let mut fields = Vec::from([field("SMBIOS version", alloc::format!("{major}.{minor}"))]);
        let texts = [
            ("Firmware vendor", &smbios.bios_vendor),
            ("Firmware version", &smbios.bios_version),
            ("Firmware date", &smbios.bios_date),
            ("Manufacturer", &smbios.manufacturer),
            ("Product", &smbios.product),
            ("Board manufacturer", &smbios.board_manufacturer),
            ("Board", &smbios.board),
        ];
        fields.extend(texts.into_iter().filter_map(|(name, text)| optional(name, text.as_ref())));
        fields.extend(smbios.processors.iter().map(|name| field("Processor", name)));
        let rows: Vec<_> = smbios
            .memory
            .iter()
            .map(|device| {
                let speed = device.speed.map(|speed| alloc::format!("{speed} MT/s")).unwrap_or_default();
                Vec::from([
                    device.locator.clone().unwrap_or_default(),
                    alloc::format!("{} MiB", device.size_mib),
                    speed,
                ])
            })
            .collect();
        let total = rows.len() as u64;
        let tables = Vec::from([table("Memory modules", &["Slot", "Size", "Speed"], rows, total)]);
        let text = Some("Serial numbers and identifiers are left out on purpose.".into());
        Details { title: "SMBIOS tables".into(), fields, tables, text, ..Details::default() }
    }
}

impl Parts for KernelParts {
    fn list(&self) -> &[Stream] {
        &self.streams
    }

    fn context(&self, _: usize) -> Option<Context> {
        None
    }

    fn details(&self, index: usize, full: Option<&Full>) -> Option<Details> {
        let part = self.parts.get(index)?;
        let triage = self.triage.as_deref();
        match part {
            Part::Header => Some(self.header_details()),
            Part::Live(part) => full.map(|full| part.details(full)),
            Part::TriageHeader => triage.map(Self::triage_details),
            Part::Memory => triage.map(Self::memory_details),
            Part::Raw(range) => triage.map(|triage| Self::raw_details(triage, *range)),
            Part::Blob(blob) if blob.name == Some("SMBIOS tables") => self.smbios.as_ref().map(Self::smbios_details),
            Part::Blob(blob) => triage.map(|triage| {
                let range =
                    FileRange { name: blob.name.unwrap_or("Appended data"), offset: blob.offset, size: blob.size };
                let mut details = Self::raw_details(triage, range);
                details.fields = Vec::from([field("Tag", blob.tag)]);
                details
            }),
        }
    }
}

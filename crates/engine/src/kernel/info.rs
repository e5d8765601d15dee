//! The file and the machine, as a kernel dump tells of them.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use dumplens_dump::kernel::{DumpKind, KernelDump, Smbios};
use dumplens_report::model::{DumpFormat, DumpInfo};
use dumplens_windows::{Prcb, Process};

/// What memory adds to the header.
#[derive(Default)]
pub(super) struct Seen<'a> {
    pub(super) smbios: Option<&'a Smbios>,
    pub(super) prcb: Option<&'a Prcb>,
    pub(super) process: Option<&'a Process>,
    pub(super) build_lab: Option<String>,
}

pub(super) fn info(dump: &KernelDump, seen: Seen<'_>, file_name: Option<String>, file_size: u64) -> DumpInfo {
    let header = dump.header();
    let server = header.product_type.is_some_and(|kind| kind != 1);
    let Seen { smbios, prcb, process, build_lab } = seen;
    let join = |parts: [Option<&String>; 3]| {
        let present: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        (!present.is_empty()).then(|| present.join(" "))
    };
    let format = match dump.kind() {
        DumpKind::Triage => Some(DumpFormat::KernelTriage),
        DumpKind::Full => Some(DumpFormat::KernelFull),
        DumpKind::BitmapFull | DumpKind::BitmapKernel => Some(DumpFormat::KernelBitmap),
        DumpKind::Summary => Some(DumpFormat::KernelSummary),
        DumpKind::Range => Some(DumpFormat::KernelRange),
        DumpKind::Header | DumpKind::Unknown(_) => None,
    };
    let vendor = prcb.and_then(|prcb| {
        let mhz = prcb.mhz.map(|mhz| alloc::format!(" {mhz} MHz")).unwrap_or_default();
        prcb.vendor.as_ref().map(|vendor| alloc::format!("{vendor}{mhz}"))
    });
    DumpInfo {
        file_name,
        format,
        description: dump.kind().description().into(),
        architecture: Some(header.machine.name().into()),
        os: dumplens_windows::release_name(header.build, server).map(String::from).or_else(|| Some("Windows".into())),
        build: Some(header.build),
        build_string: build_lab,
        processors: Some(header.processors),
        processor: smbios.and_then(|smbios| smbios.processors.first().cloned()).or(vendor),
        machine: smbios.and_then(|smbios| join([smbios.manufacturer.as_ref(), smbios.product.as_ref(), None])),
        firmware: smbios.and_then(|smbios| {
            join([smbios.bios_vendor.as_ref(), smbios.bios_version.as_ref(), smbios.bios_date.as_ref()])
        }),
        time: header.system_time.map(|time| time.to_string()),
        uptime_seconds: header.system_up_time.map(|time| time / 10_000_000),
        process_uptime_seconds: process.and_then(|process| process.create_time).and_then(|start| {
            let crashed = header.system_time?;
            crashed.0.checked_sub(start).map(|time| time / 10_000_000)
        }),
        process: process.and_then(|process| process.name.clone()),
        process_id: process.and_then(|process| process.id),
        comment: header.comment.clone(),
        file_size,
    }
}

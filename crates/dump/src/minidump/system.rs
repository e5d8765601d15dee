//! Processor and operating system.

use alloc::{string::String, vec::Vec};
use core::fmt;

use dumplens_base::{Machine, Note, utf8_until_nul};

use super::{Minidump, StreamType};

/// Operating system of a minidump, by `PlatformId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Windows NT and its successors.
    Windows,
    /// macOS.
    MacOs,
    /// iOS.
    Ios,
    /// Linux.
    Linux,
    /// Android.
    Android,
    /// Another number.
    Unknown(u32),
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Windows => f.write_str("Windows"),
            Self::MacOs => f.write_str("macOS"),
            Self::Ios => f.write_str("iOS"),
            Self::Linux => f.write_str("Linux"),
            Self::Android => f.write_str("Android"),
            Self::Unknown(number) => write!(f, "platform {number:#x}"),
        }
    }
}

/// `MINIDUMP_SYSTEM_INFO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemInfo {
    /// Architecture of the process's contexts.
    pub machine: Machine,
    /// Whether ARM64 contexts have Breakpad's old layout.
    pub breakpad_arm64: bool,
    /// Logical processors.
    pub processors: u8,
    /// 1 workstation, 2 domain controller, 3 server.
    pub product_type: u8,
    /// Operating system.
    pub os: Os,
    /// Major version.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
    /// Build number.
    pub build: u32,
    /// Service pack, or the build text of other systems.
    pub service_pack: Option<String>,
    /// Processor family, model and stepping as the writer packed them: level and revision.
    pub processor_level: u16,
    /// Model in the high byte, stepping in the low one, on x86 and x64.
    pub processor_revision: u16,
    /// CPUID vendor, on x86.
    pub vendor: Option<String>,
}

impl Minidump {
    pub(super) fn read_system_info(&self, notes: &mut Vec<Note>) -> Option<SystemInfo> {
        if self.stream(StreamType::SystemInfo).is_none() {
            notes.push(Note::missing(
                "the minidump has no SystemInfo stream: its architecture is unknown, so registers and stacks cannot be read",
            ));
            return None;
        }
        self.with_stream(StreamType::SystemInfo, notes, |bytes, notes| {
            let architecture = bytes.u16("processor architecture")?;
            let processor_level = bytes.u16("processor level")?;
            let processor_revision = bytes.u16("processor revision")?;
            let processors = bytes.u8("number of processors")?;
            let product_type = bytes.u8("product type")?;
            let major = bytes.u32("major version")?;
            let minor = bytes.u32("minor version")?;
            let build = bytes.u32("build number")?;
            let platform = bytes.u32("platform id")?;
            let service_pack = bytes.u32("service pack string")?;
            // The rest is cut off in some third-party dumps; nothing depends on it.
            let _ = bytes.skip(4, "suite mask");
            let machine = match architecture {
                0 | 10 => Machine::X86,
                5 => Machine::Arm,
                9 => Machine::X64,
                12 | 0x8003 => Machine::Arm64,
                other => Machine::Other(other),
            };
            let os = match platform {
                1 | 2 => Os::Windows,
                0x8101 => Os::MacOs,
                0x8102 => Os::Ios,
                0x8201 => Os::Linux,
                0x8203 => Os::Android,
                other => Os::Unknown(other),
            };
            let vendor = bytes.take(12, "processor vendor").ok().filter(|_| machine == Machine::X86);
            let vendor = vendor.map(utf8_until_nul).filter(|name| name.chars().all(|c| c.is_ascii_graphic()));
            Ok(SystemInfo {
                machine,
                breakpad_arm64: architecture == 0x8003,
                processors,
                product_type,
                os,
                major,
                minor,
                build,
                service_pack: self.string(u64::from(service_pack), notes).filter(|text| !text.is_empty()),
                processor_level,
                processor_revision,
                vendor: vendor.filter(|name| !name.is_empty()),
            })
        })
    }
}

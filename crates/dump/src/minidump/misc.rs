//! Facts about the process and its time zone.

use alloc::{string::String, vec::Vec};

use dumplens_base::{Note, utf16_until_nul};

use super::{Minidump, StreamType};

/// `MINIDUMP_MISC_INFO` of any version; a field is `None` if its version lacks it or its flag says that it is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MiscInfo {
    /// Process id.
    pub process_id: Option<u32>,
    /// When the process started: seconds since 1970.
    pub create_time: Option<u32>,
    /// Seconds in user mode.
    pub user_time: Option<u32>,
    /// Seconds in kernel mode.
    pub kernel_time: Option<u32>,
    /// Nominal processor clock in MHz.
    pub max_mhz: Option<u32>,
    /// Integrity level: 0x2000 is medium.
    pub integrity_level: Option<u32>,
    /// 1 if the process was protected.
    pub protected: Option<u32>,
    /// `TIME_ZONE_ID_*`.
    pub time_zone_id: Option<u32>,
    /// Name of standard time.
    pub time_zone: Option<String>,
    /// Full build string of Windows: `10.0.19041.1 (…)`.
    pub build_string: Option<String>,
    /// Build string of the library that wrote the dump.
    pub debugger_build: Option<String>,
}

impl Minidump {
    /// Facts about the process.
    pub fn misc_info(&self, notes: &mut Vec<Note>) -> Option<MiscInfo> {
        self.with_stream(StreamType::MiscInfo, notes, |bytes, _| {
            let size = bytes.u32("misc info size")?;
            let flags = bytes.u32("misc info flags")?;
            let mut info = MiscInfo::default();
            let has = |bit: u32, end: u32| flags & bit != 0 && size >= end;
            let process_id = bytes.u32("process id")?;
            let times = [bytes.u32("create time")?, bytes.u32("user time")?, bytes.u32("kernel time")?];
            info.process_id = has(1, 0x18).then_some(process_id);
            if has(2, 0x18) {
                [info.create_time, info.user_time, info.kernel_time] = times.map(Some);
            }
            // What follows came with later versions; a short record ends here without being damaged.
            let Ok(mut power) = bytes.split(0x14, "processor power") else { return Ok(info) };
            info.max_mhz = has(4, 0x2c).then(|| power.u32("MHz")).transpose()?;
            let Ok(mut security) = bytes.split(0xc, "process security") else { return Ok(info) };
            let integrity = security.u32("integrity level")?;
            security.skip(4, "execute flags")?;
            let protected = security.u32("protected process")?;
            info.integrity_level = has(0x10, 0x30).then_some(integrity);
            info.protected = has(0x80, 0x38).then_some(protected);
            let Ok(mut zone) = bytes.split(0xb0, "time zone") else { return Ok(info) };
            let id = zone.u32("time zone id")?;
            zone.skip(4, "time zone bias")?;
            let name = utf16_until_nul(zone.take(64, "time zone name")?);
            if has(0x40, 0xe8) {
                info.time_zone_id = Some(id);
                info.time_zone = Some(name).filter(|name| !name.is_empty());
            }
            let Ok(build) = bytes.take(520, "build string") else { return Ok(info) };
            let Ok(debugger) = bytes.take(80, "debugger build string") else { return Ok(info) };
            if has(0x100, 0x340) {
                info.build_string = Some(utf16_until_nul(build)).filter(|text| !text.is_empty());
                info.debugger_build = Some(utf16_until_nul(debugger)).filter(|text| !text.is_empty());
            }
            Ok(info)
        })
    }

    /// The comments that the writer left, ANSI and UTF-16, and other streams that are plain text.
    pub fn text(&self, kind: StreamType, notes: &mut Vec<Note>) -> Option<String> {
        const LIMIT: u64 = 1024 * 1024;
        let stream = self.stream(kind)?;
        let raw = self.stream_bytes(stream, LIMIT, notes)?;
        Some(match kind {
            StreamType::CommentW => utf16_until_nul(&raw),
            // Arguments and environment are separated by NULs.
            StreamType::LinuxCmdLine | StreamType::LinuxEnviron => {
                String::from_utf8_lossy(&raw).trim_end_matches('\0').replace('\0', "\n")
            }
            _ => String::from_utf8_lossy(&raw).trim_end_matches('\0').into(),
        })
    }
}

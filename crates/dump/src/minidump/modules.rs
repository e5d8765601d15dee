//! Loaded and unloaded modules.

use alloc::{string::String, vec::Vec};

use dumplens_base::{Bytes, Note, ReadError, Va, utf8_until_nul};

use super::{Location, Minidump, StreamType};
use crate::{DebugId, Guid, Module, UnloadedModule, Version, limits};

const MODULE_SIZE: u64 = 0x6c;
const UNLOADED_SIZE: u32 = 0x18;
/// `VS_FFI_SIGNATURE`.
const VERSION_SIGNATURE: u32 = 0xfeef_04bd;

impl Minidump {
    /// The loaded modules in list order. A module whose name or debug record is damaged stays, without it.
    pub fn modules(&self, notes: &mut Vec<Note>) -> Vec<Module> {
        let modules = self.with_stream(StreamType::ModuleList, notes, |bytes, notes| {
            let claimed = u64::from(bytes.u32("module count")?);
            let count = Self::entries(bytes, claimed, limits::MODULES, MODULE_SIZE, "module list", notes)?;
            (0..count).map(|_| self.module(bytes, notes)).collect::<Result<_, _>>()
        });
        modules.unwrap_or_default()
    }

    fn module(&self, bytes: &mut Bytes<'_>, notes: &mut Vec<Note>) -> Result<Module, ReadError> {
        let mut entry = bytes.split(MODULE_SIZE as usize, "module")?;
        let base = Va(entry.u64("module base")?);
        let size = u64::from(entry.u32("module size")?);
        let checksum = entry.u32("module checksum")?;
        let timestamp = entry.u32("module timestamp")?;
        let name = u64::from(entry.u32("module name offset")?);
        let version = version(&mut entry.split(0x34, "module version")?)?;
        let codeview = Location::parse(&mut entry, "module debug record")?;
        let (debug_file, debug_id) = self.codeview(codeview, notes);
        let path = self.string(name, notes).unwrap_or_default();
        Ok(Module {
            base,
            size,
            path,
            timestamp: Some(timestamp),
            checksum: Some(checksum),
            version,
            debug_file,
            debug_id,
        })
    }

    /// Name and identity of the debug file, from a CodeView record.
    fn codeview(&self, location: Location, notes: &mut Vec<Note>) -> (Option<String>, Option<DebugId>) {
        if location.size == 0 {
            return (None, None);
        }
        let parse = || {
            let raw = self.located(location, limits::CODEVIEW_BYTES, "debug record")?;
            let mut record = Bytes::new(&raw, location.offset);
            let signature = record.u32("debug record signature")?;
            match &signature.to_le_bytes() {
                b"RSDS" => {
                    let guid = Guid(record.guid("PDB GUID")?);
                    let age = record.u32("PDB age")?;
                    Ok((name(record.rest()), Some(DebugId::Pdb70 { guid, age })))
                }
                b"NB10" => {
                    record.skip(4, "debug record offset")?;
                    let timestamp = record.u32("PDB time")?;
                    let age = record.u32("PDB age")?;
                    Ok((name(record.rest()), Some(DebugId::Pdb20 { timestamp, age })))
                }
                b"LEpB" => Ok((None, Some(DebugId::ElfBuildId(record.rest().into())))),
                _ => Ok((None, None)),
            }
        };
        parse().unwrap_or_else(|error: ReadError| {
            notes.push(Note::damaged(alloc::format!("a module's debug record cannot be read: {error}")));
            (None, None)
        })
    }

    /// Modules that had been unloaded.
    pub fn unloaded_modules(&self, notes: &mut Vec<Note>) -> Vec<UnloadedModule> {
        let modules = self.with_stream(StreamType::UnloadedModuleList, notes, |bytes, notes| {
            let list = Self::sized_list(bytes, UNLOADED_SIZE, false, "unloaded module list")?;
            let size = u64::from(list.entry);
            let count = Self::entries(bytes, list.count, limits::MODULES, size, "unloaded module list", notes)?;
            let mut modules = Vec::with_capacity(count);
            for _ in 0..count {
                let mut entry = bytes.split(list.entry as usize, "unloaded module")?;
                let base = Va(entry.u64("module base")?);
                let size = u64::from(entry.u32("module size")?);
                let checksum = Some(entry.u32("module checksum")?);
                let timestamp = Some(entry.u32("module timestamp")?);
                let name = u64::from(entry.u32("module name offset")?);
                let name = self.string(name, notes).unwrap_or_default();
                modules.push(UnloadedModule { base, size, name, timestamp, checksum });
            }
            Ok(modules)
        });
        modules.unwrap_or_default()
    }
}

fn name(rest: &[u8]) -> Option<String> {
    Some(utf8_until_nul(rest)).filter(|name| !name.is_empty())
}

/// `VS_FIXEDFILEINFO`; absent unless its signature is there. Breakpad's Linux and macOS writers leave it zero or put
/// their own numbers in the same place.
fn version(info: &mut Bytes<'_>) -> Result<Option<Version>, ReadError> {
    let signature = info.u32("version signature")?;
    info.skip(4, "version structure")?;
    let high = info.u32("file version")?;
    let low = info.u32("file version")?;
    let part = |value: u32, shift: u32| (value >> shift & 0xffff) as u16;
    let version = Version(part(high, 16), part(high, 0), part(low, 16), part(low, 0));
    Ok((signature == VERSION_SIGNATURE && version != Version(0, 0, 0, 0)).then_some(version))
}

//! Open handles.

use alloc::{string::String, vec::Vec};

use dumplens_base::{Note, ReadError};

use super::{Minidump, StreamType};
use crate::limits;

/// `MINIDUMP_HANDLE_DESCRIPTOR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The handle's value.
    pub handle: u64,
    /// Type of the object: `File`, `Event`.
    pub type_name: Option<String>,
    /// Name of the object.
    pub object_name: Option<String>,
    /// `OBJ_*` attributes.
    pub attributes: u32,
    /// Granted access mask.
    pub granted_access: u32,
    /// How many handles the object has.
    pub handle_count: u32,
    /// How many pointers the object has.
    pub pointer_count: u32,
}

const DESCRIPTOR_SIZE: u32 = 0x20;

impl Minidump {
    /// The open handles, at most `most` of them, and how many the stream holds in all.
    pub fn handles(&self, most: usize, notes: &mut Vec<Note>) -> Option<(Vec<Handle>, u64)> {
        self.with_stream(StreamType::HandleData, notes, |bytes, notes| {
            let list = Self::sized_list(bytes, DESCRIPTOR_SIZE, false, "handle list")?;
            // The header is 16 bytes: a reserved field follows the count. `sized_list` skipped it if the size says so.
            if list.header < 16 {
                return Err(ReadError::invalid("handle list header size", bytes.offset(), u64::from(list.header)));
            }
            let size = u64::from(list.entry);
            let count = Self::entries(bytes, list.count, limits::ENTRIES, size, "handle list", notes)?;
            let mut handles = Vec::new();
            for _ in 0..count.min(most) {
                let mut entry = bytes.split(list.entry as usize, "handle")?;
                let handle = entry.u64("handle")?;
                let type_name = u64::from(entry.u32("handle type name")?);
                let object_name = u64::from(entry.u32("handle object name")?);
                handles.push(Handle {
                    handle,
                    type_name: self.string(type_name, notes),
                    object_name: self.string(object_name, notes),
                    attributes: entry.u32("handle attributes")?,
                    granted_access: entry.u32("granted access")?,
                    handle_count: entry.u32("handle count")?,
                    pointer_count: entry.u32("pointer count")?,
                });
            }
            Ok((handles, count as u64))
        })
    }
}

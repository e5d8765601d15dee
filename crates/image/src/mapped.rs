use dumplens_base::{Memory, Va};

use crate::{ImageBytes, ImageRead, Unreadable};

/// An image as the loader mapped it: headers and sections at base + RVA.
#[derive(Clone, Copy)]
pub struct MappedImage<'a> {
    memory: &'a dyn Memory,
    base: Va,
}

impl<'a> MappedImage<'a> {
    /// The image at `base`; nothing is read.
    #[must_use]
    pub const fn new(memory: &'a dyn Memory, base: Va) -> Self {
        Self { memory, base }
    }

    /// Where the image's first byte stands.
    #[must_use]
    pub const fn base(&self) -> Va {
        self.base
    }
}

impl core::fmt::Debug for MappedImage<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "MappedImage({})", self.base)
    }
}

impl ImageBytes for MappedImage<'_> {
    fn read_prefix(&self, rva: u32, buf: &mut [u8]) -> ImageRead {
        let Some(va) = self.base.checked_add(rva.into()).filter(|va| va.checked_add(buf.len() as u64).is_some()) else {
            return ImageRead { filled: 0, stopped: Some(Unreadable::AddressOverflow) };
        };
        let read = self.memory.read(va, buf);
        ImageRead { filled: read.filled.min(buf.len()), stopped: read.fault.map(Unreadable::Memory) }
    }
}

use lzxd::{Lzxd, WindowSize};

/// LZX: one stream over all blocks of a folder.
pub(crate) struct Lzx(Lzxd);

impl Lzx {
    /// A decoder with a window of 2 to the `bits`. `None` if cabinets have no such window.
    pub(crate) fn new(bits: u16) -> Option<Self> {
        let window = match bits {
            15 => WindowSize::KB32,
            16 => WindowSize::KB64,
            17 => WindowSize::KB128,
            18 => WindowSize::KB256,
            19 => WindowSize::KB512,
            20 => WindowSize::MB1,
            21 => WindowSize::MB2,
            _ => return None,
        };
        Some(Self(Lzxd::new(window)))
    }

    /// Unpacks one block of `len` bytes. `None` if it is damaged.
    pub(crate) fn block(&mut self, packed: &[u8], len: usize) -> Option<&[u8]> {
        self.0.decompress_next(packed, len).ok()
    }
}

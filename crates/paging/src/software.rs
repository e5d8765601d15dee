//! What Windows writes into entries that the processor ignores (valid bit clear).

use dumplens_base::Va;

use crate::Mode;

/// An invalid entry as the memory manager reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// Zero: nothing is mapped, or the address descriptors (VADs) decide.
    Empty,
    /// A page of zeros, to be made at the first touch.
    DemandZero,
    /// The page is still in memory, on its way in or out.
    Transition {
        /// Page frame number.
        pfn: u64,
    },
    /// Shared memory: another entry decides.
    Prototype {
        /// Address of that entry.
        at: Va,
    },
    /// Shared memory: the process's address descriptors name the entry that decides.
    PrototypeByVad,
    /// Within a prototype entry: the page is in a mapped file.
    Subsection {
        /// Address of the structure that names the file.
        at: Va,
    },
    /// In a paging file.
    PageFile {
        /// Number of the paging file.
        file: u8,
        /// Page number in it.
        offset: u64,
    },
    /// In the compressed store.
    Compressed {
        /// Number of the virtual paging file.
        file: u8,
        /// Page number in it.
        offset: u64,
    },
}

/// How a build of Windows lays out invalid entries.
///
/// Bit 10 marks prototype entries and bit 11 transition entries in every build and architecture; what moved are the number
/// of the paging file and, since the mitigation of L1 terminal fault, the high bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftwareFormat {
    mode: Mode,
    /// Lowest bit of the paging file's number.
    file_shift: u8,
    /// Bits that are flipped where the swizzle bit (bit 4) is clear; 0 where the build or processor needs none.
    swizzle: u64,
    /// Bit that marks pages in the compressed store, in builds that have one.
    in_store: Option<u8>,
    /// Number of the paging file that stands for the compressed store.
    store_file: Option<u8>,
}

/// First build whose entries protect against L1 terminal fault. Serviced 17134 has them too; the original release had not.
const FIRST_L1TF_BUILD: u32 = 17_134;

impl SoftwareFormat {
    /// The format of a build.
    ///
    /// `high_bit` is `L1tfHighPhysicalBitIndex` of the debugger data block: `Some(0)` when the processor needs no protection,
    /// `None` when the block is not at hand, in which case bit 45 is assumed, as on the processors that need it.
    #[must_use]
    pub const fn new(mode: Mode, build: u32, high_bit: Option<u8>) -> Self {
        let protected = build >= FIRST_L1TF_BUILD && !matches!(mode, Mode::X86);
        let swizzle = match (protected, high_bit, mode) {
            (false, ..) | (_, Some(0), _) | (_, _, Mode::Arm64) => 0,
            (true, Some(bit @ 32..=51), _) => 1 << bit,
            (true, ..) => 1 << 45,
        };
        Self {
            mode,
            file_shift: if protected { 12 } else { 1 },
            swizzle,
            in_store: if build >= 7_600 && build < 9_200 && !matches!(mode, Mode::X86) { Some(22) } else { None },
            // Windows 10 and later make the store of compressed memory their paging file number 2.
            store_file: if build >= 10_240 { Some(2) } else { None },
        }
    }

    /// Reads an invalid entry of a page table.
    #[must_use]
    pub const fn decode(&self, entry: u64) -> Software {
        if let Some(shared) = self.shared(entry, false) {
            return shared;
        }
        self.private(entry)
    }

    /// Reads an invalid prototype entry: there, the prototype bit means a mapped file.
    #[must_use]
    pub const fn decode_prototype(&self, entry: u64) -> Software {
        if let Some(shared) = self.shared(entry, true) {
            return shared;
        }
        self.private(entry)
    }

    const fn shared(&self, entry: u64, within_prototype: bool) -> Option<Software> {
        if entry & 1 << 10 == 0 {
            return None;
        }
        let at = match self.mode {
            // The address is split around the flags and counts from the pool's start in units of four bytes.
            Mode::X86 => {
                let low = (entry >> 1) & 0xff;
                let high = (entry >> 11) & 0x1f_ffff;
                Va(0x8000_0000 | ((low << 2 | high << 10) & 0x7fff_ffff))
            }
            Mode::X86Pae => Va(entry >> 32),
            _ => Va((entry.cast_signed() >> 16).cast_unsigned()),
        };
        if within_prototype {
            return Some(Software::Subsection { at });
        }
        let by_vad = match self.mode {
            Mode::X86 => (entry >> 11) & 0x1f_ffff == 0x1f_ffff,
            Mode::X86Pae => at.0 >= 0xffff_0000,
            _ => at.0 >= 0xffff_ffff_ffff_0000 || (entry >> 16) & 0xffff_ffff_0000 == 0xffff_ffff_0000,
        };
        Some(if by_vad { Software::PrototypeByVad } else { Software::Prototype { at } })
    }

    const fn private(&self, entry: u64) -> Software {
        if entry == 0 {
            return Software::Empty;
        }
        // Where the swizzle bit is set, the entry already is as the memory manager means it.
        let plain = if self.swizzle != 0 && entry & 1 << 4 == 0 { entry ^ self.swizzle } else { entry };
        if entry & 1 << 11 != 0 {
            let pfn = match self.mode {
                Mode::X86 => (entry & 0xffff_f000) >> 12,
                Mode::Arm64 => (entry & 0x0000_ffff_ffff_f000) >> 12,
                _ => (plain & 0x000f_ffff_ffff_f000) >> 12,
            };
            return Software::Transition { pfn };
        }
        let file = ((entry >> self.file_shift) & 0xf) as u8;
        let offset = match self.mode {
            Mode::X86 => (entry & 0xffff_ffff) >> 12,
            _ => {
                let raw = entry >> 32;
                // An offset of 0 is never flipped: that entry asks for zeros.
                if raw == 0 { 0 } else { plain >> 32 }
            }
        };
        if offset == 0 && file == 0 {
            return Software::DemandZero;
        }
        let marked = match self.in_store {
            Some(bit) => entry >> bit & 1 == 1,
            None => false,
        };
        let in_store_file = match self.store_file {
            Some(store) => file == store,
            None => false,
        };
        if marked || in_store_file || (offset == 0xffff_ffff && file == 0) {
            return Software::Compressed { file, offset };
        }
        Software::PageFile { file, offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: SoftwareFormat = SoftwareFormat::new(Mode::X64, 7601, None);
    const NEW: SoftwareFormat = SoftwareFormat::new(Mode::X64, 19041, Some(0));
    const FLIPPED: SoftwareFormat = SoftwareFormat::new(Mode::X64, 19041, None);

    #[test]
    fn transition_pages_name_their_frame() {
        assert_eq!(OLD.decode(0x1_2345_6880), Software::Transition { pfn: 0x12_3456 });
        assert_eq!(NEW.decode(0x1_2345_6880), Software::Transition { pfn: 0x12_3456 });
        assert_eq!(FLIPPED.decode(0x1_2345_6880 | 1 << 45), Software::Transition { pfn: 0x12_3456 });
        assert_eq!(FLIPPED.decode(0x1_2345_6890), Software::Transition { pfn: 0x12_3456 }, "bit 4: as it is");
    }

    #[test]
    fn the_paging_file_number_moved_with_the_mitigation() {
        let entry = 0x0000_4321_0000_0080;
        assert_eq!(OLD.decode(entry | 1 << 1), Software::PageFile { file: 1, offset: 0x4321 });
        assert_eq!(NEW.decode(entry | 1 << 12), Software::PageFile { file: 1, offset: 0x4321 });
        assert_eq!(NEW.decode(entry | 2 << 12), Software::Compressed { file: 2, offset: 0x4321 });
        assert_eq!(FLIPPED.decode(entry ^ 1 << 45), Software::PageFile { file: 0, offset: 0x4321 });
        assert_eq!(NEW.decode(0x80), Software::DemandZero);
        assert_eq!(FLIPPED.decode(0x80), Software::DemandZero);
        assert_eq!(NEW.decode(0), Software::Empty);
    }

    #[test]
    fn prototype_entries_point_or_defer_to_the_descriptors() {
        let at = 0xffff_a50f_1234_5678;
        assert_eq!(NEW.decode(at << 16 | 0x400), Software::Prototype { at: Va(at) });
        assert_eq!(NEW.decode(0xffff_ffff_0000_0420), Software::PrototypeByVad);
        assert_eq!(NEW.decode_prototype(at << 16 | 0x400), Software::Subsection { at: Va(at) });
        let pae = SoftwareFormat::new(Mode::X86Pae, 7601, None);
        assert_eq!(pae.decode(0x8765_4320_0000_0400), Software::Prototype { at: Va(0x8765_4320) });
        assert_eq!(pae.decode(0xffff_ffff_0000_0420), Software::PrototypeByVad);
    }
}

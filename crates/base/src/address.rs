use core::fmt;

/// A virtual address of the machine that crashed, always 64 bits wide.
///
/// 32-bit user addresses are zero-extended; 32-bit kernel addresses are kept zero-extended too
/// (dump formats that sign-extend them are normalised where they are parsed).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Va(pub u64);

impl Va {
    /// The address `bytes` further on, or `None` past the end of the 64-bit space.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// How far this address lies above `base`, or `None` if it lies below.
    #[must_use]
    pub const fn offset_from(self, base: Self) -> Option<u64> {
        self.0.checked_sub(base.0)
    }

    /// This address rounded down to a multiple of `alignment`, which must be a power of two.
    #[must_use]
    pub const fn align_down(self, alignment: u64) -> Self {
        Self(self.0 & !(alignment.wrapping_sub(1)))
    }

    /// Whether bits 63..47 are all equal, as 4-level x64 paging and Windows on ARM64 require.
    #[must_use]
    pub const fn is_canonical_48(self) -> bool {
        let top = self.0 >> 47;
        top == 0 || top == 0x1_ffff
    }
}

impl fmt::Display for Va {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Va {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Va({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Va;

    #[test]
    fn arithmetic_is_checked_at_both_ends() {
        assert_eq!(Va(u64::MAX).checked_add(1), None);
        assert_eq!(Va(0x1000).offset_from(Va(0x1001)), None);
        assert_eq!(Va(0x1fff).align_down(0x1000), Va(0x1000));
    }

    #[test]
    fn canonical_means_sign_extended_from_bit_47() {
        assert!(Va(0x7fff_ffff_ffff).is_canonical_48());
        assert!(!Va(0x8000_0000_0000).is_canonical_48());
        assert!(Va(0xffff_8000_0000_0000).is_canonical_48());
        assert!(!Va(0x4141_4141_4141_4141).is_canonical_48());
    }
}

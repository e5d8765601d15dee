use core::fmt;

use dumplens_base::Va;

/// The bits of an address that pointer authentication may use where nothing better is known: all above the 48 bits of
/// an address but bit 55, which tells system addresses from others.
pub const PAC_MASK: u64 = 0xff7f_0000_0000_0000;

/// Takes a signature out of an address. The bits of `mask` become what they are in an address without one: copies of
/// bit 55.
#[must_use]
pub const fn strip(address: u64, mask: u64) -> u64 {
    if address >> 55 & 1 == 1 { address | mask } else { address & !mask }
}

/// A general register of ARM64, by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(u8);

impl Register {
    /// `x29`, the frame pointer.
    pub const FP: Self = Self(29);
    /// `x30`, the link register.
    pub const LR: Self = Self(30);
    /// How many there are.
    pub const COUNT: u8 = 31;

    /// Register `number`; `None` from 31 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// 0 to 30.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name, as debuggers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        const NAMES: [&str; 31] = [
            "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
            "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "fp", "lr",
        ];
        let [.., last] = NAMES;
        let mut names: &[&'static str] = &NAMES;
        let mut number = 0;
        while let [name, rest @ ..] = names {
            if number == self.0 {
                return name;
            }
            number += 1;
            names = rest;
        }
        last
    }

    /// Whether a called function may change it; every call changes the link register.
    #[must_use]
    pub const fn is_volatile(self) -> bool {
        !matches!(self.0, 19..=29)
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The registers of one frame, as far as they are known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// Instruction pointer.
    pub pc: Va,
    /// Stack pointer.
    pub sp: Va,
    general: [u64; 31],
    /// One bit for each register that is known.
    known: u32,
}

impl Registers {
    /// A frame of which nothing else is known.
    #[must_use]
    pub const fn new(pc: Va, sp: Va) -> Self {
        Self { pc, sp, general: [0; 31], known: 0 }
    }

    /// The value of a register, if it is known.
    #[must_use]
    pub fn get(&self, register: Register) -> Option<u64> {
        self.general.get(usize::from(register.0)).copied().filter(|_| self.known & (1 << register.0) != 0)
    }

    /// Sets a register.
    pub fn set(&mut self, register: Register, value: u64) {
        if let Some(slot) = self.general.get_mut(usize::from(register.0)) {
            *slot = value;
            self.known |= 1 << register.0;
        }
    }

    /// Forgets what a call does not preserve.
    pub(crate) fn forget_volatile(&mut self) {
        for register in Register::all().filter(|register| register.is_volatile()) {
            self.known &= !(1 << register.0);
        }
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{pc {}, sp {}", self.pc, self.sp)?;
        for register in Register::all() {
            if let Some(value) = self.get(register) {
                write!(f, ", {} {value:#x}", register.name())?;
            }
        }
        f.write_str("}")
    }
}

use core::fmt;

use dumplens_base::Va;

/// A general register of x64, by the number that instructions and unwind codes use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(u8);

impl Register {
    /// `rax`.
    pub const RAX: Self = Self(0);
    /// `rbx`.
    pub const RBX: Self = Self(3);
    /// `rsp`.
    pub const RSP: Self = Self(4);
    /// `rbp`.
    pub const RBP: Self = Self(5);
    /// `rsi`.
    pub const RSI: Self = Self(6);
    /// `rdi`.
    pub const RDI: Self = Self(7);

    /// What a called function must preserve, beside `rsp`.
    pub const NON_VOLATILE: [Self; 8] =
        [Self::RBX, Self::RBP, Self::RSI, Self::RDI, Self(12), Self(13), Self(14), Self(15)];

    /// Register `number`; only its low four bits count.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number & 15)
    }

    /// 0 (`rax`) to 15 (`r15`).
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "rax",
            1 => "rcx",
            2 => "rdx",
            3 => "rbx",
            4 => "rsp",
            5 => "rbp",
            6 => "rsi",
            7 => "rdi",
            8 => "r8",
            9 => "r9",
            10 => "r10",
            11 => "r11",
            12 => "r12",
            13 => "r13",
            14 => "r14",
            _ => "r15",
        }
    }

    /// Whether a called function may change it.
    #[must_use]
    pub const fn is_volatile(self) -> bool {
        matches!(self.0, 0..=2 | 8..=11)
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The registers of one frame, as far as they are known.
///
/// After a step, what the caller kept in volatile registers is not known; after a guess at the stack nothing but
/// `rip` and `rsp` is. An unwinder that took such values for real would go astray without a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// Instruction pointer.
    pub rip: Va,
    /// Stack pointer.
    pub rsp: Va,
    /// By number; `rsp`'s place is not used.
    general: [u64; 16],
    /// One bit for each register that is known.
    known: u16,
}

impl Registers {
    /// A frame of which nothing else is known.
    #[must_use]
    pub const fn new(rip: Va, rsp: Va) -> Self {
        Self { rip, rsp, general: [0; 16], known: 0 }
    }

    /// The value of a register, if it is known.
    #[must_use]
    pub fn get(&self, register: Register) -> Option<u64> {
        if register == Register::RSP {
            return Some(self.rsp.0);
        }
        self.general.get(usize::from(register.0)).copied().filter(|_| self.known & (1 << register.0) != 0)
    }

    /// Sets a register.
    pub fn set(&mut self, register: Register, value: u64) {
        if register == Register::RSP {
            self.rsp = Va(value);
        } else if let Some(slot) = self.general.get_mut(usize::from(register.0)) {
            *slot = value;
            self.known |= 1 << register.0;
        }
    }

    /// Forgets what a call does not preserve.
    pub(crate) fn forget_volatile(&mut self) {
        const VOLATILE: u16 = {
            let (mut bits, mut number) = (0, 0);
            while number < 16 {
                if Register(number).is_volatile() {
                    bits |= 1 << number;
                }
                number += 1;
            }
            bits
        };
        self.known &= !VOLATILE;
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{rip {}, rsp {}", self.rip, self.rsp)?;
        for register in (0..16).map(Register::new).filter(|register| *register != Register::RSP) {
            if let Some(value) = self.get(register) {
                write!(f, ", {} {value:#x}", register.name())?;
            }
        }
        f.write_str("}")
    }
}

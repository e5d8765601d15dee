use core::fmt;

use dumplens_base::Va;

/// A general register of x86, by the number that instructions use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(u8);

impl Register {
    /// `ebx`.
    pub const EBX: Self = Self(3);
    /// `esp`.
    pub const ESP: Self = Self(4);
    /// `ebp`.
    pub const EBP: Self = Self(5);
    /// `esi`.
    pub const ESI: Self = Self(6);
    /// `edi`.
    pub const EDI: Self = Self(7);

    /// What a called function must preserve, beside `esp`.
    pub const NON_VOLATILE: [Self; 4] = [Self::EBX, Self::EBP, Self::ESI, Self::EDI];

    /// Register `number`; only its low three bits count.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number & 7)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..8).map(Self)
    }

    /// 0 (`eax`) to 7 (`edi`).
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "eax",
            1 => "ecx",
            2 => "edx",
            3 => "ebx",
            4 => "esp",
            5 => "ebp",
            6 => "esi",
            _ => "edi",
        }
    }

    /// Whether a called function may change it.
    #[must_use]
    pub const fn is_volatile(self) -> bool {
        matches!(self.0, 0..=2)
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
    pub eip: u32,
    /// Stack pointer. In a caller, just above the slot its return address was read from: arguments are still there.
    pub esp: u32,
    /// Bytes of arguments at `esp` that the frame has pushed for its callee, as far as that is known.
    pub arguments: u32,
    /// By number; `esp`'s place is not used.
    general: [u32; 8],
    /// One bit for each register that is known.
    known: u8,
}

impl Registers {
    /// A frame of which nothing else is known.
    #[must_use]
    pub const fn new(eip: u32, esp: u32) -> Self {
        Self { eip, esp, arguments: 0, general: [0; 8], known: 0 }
    }

    /// The value of a register, if it is known.
    #[must_use]
    pub fn get(&self, register: Register) -> Option<u32> {
        if register == Register::ESP {
            return Some(self.esp);
        }
        self.general.get(usize::from(register.0)).copied().filter(|_| self.known & (1 << register.0) != 0)
    }

    /// Sets a register.
    pub fn set(&mut self, register: Register, value: u32) {
        if register == Register::ESP {
            self.esp = value;
        } else if let Some(slot) = self.general.get_mut(usize::from(register.0)) {
            *slot = value;
            self.known |= 1 << register.0;
        }
    }

    /// Says that the value of a register is not known.
    pub(crate) const fn forget(&mut self, register: Register) {
        self.known &= !(1 << register.0);
    }

    /// Forgets what a call does not preserve.
    pub(crate) fn forget_volatile(&mut self) {
        for register in Register::all().filter(|register| register.is_volatile()) {
            self.forget(register);
        }
    }

    /// Instruction pointer as an address.
    #[must_use]
    pub fn ip(&self) -> Va {
        Va(self.eip.into())
    }

    /// Stack pointer as an address.
    #[must_use]
    pub fn sp(&self) -> Va {
        Va(self.esp.into())
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{eip {:#x}, esp {:#x}, arguments {:#x}", self.eip, self.esp, self.arguments)?;
        for register in Register::all().filter(|register| *register != Register::ESP) {
            if let Some(value) = self.get(register) {
                write!(f, ", {} {value:#x}", register.name())?;
            }
        }
        f.write_str("}")
    }
}

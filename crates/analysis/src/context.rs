//! Where a bug check's parameters point.
//!
//! From Microsoft's public bug check reference; the forms of 0x3B and 0x7E were checked against real dumps.

use crate::base_code;

/// Where the registers of the real fault stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextSource {
    /// A `CONTEXT` in memory, and perhaps an `EXCEPTION_RECORD`.
    ContextRecord {
        /// Number of the parameter, from 1.
        parameter: u8,
        /// Its value.
        address: u64,
        /// Parameter number and address of the exception record.
        exception: Option<(u8, u64)>,
    },
    /// A `KTRAP_FRAME` in memory, and perhaps an `EXCEPTION_RECORD`.
    TrapFrame {
        /// Number of the parameter, from 1.
        parameter: u8,
        /// Its value.
        address: u64,
        /// Parameter number and address of the exception record.
        exception: Option<(u8, u64)>,
    },
    /// A processor exception during another one (`UNEXPECTED_KERNEL_MODE_TRAP` 8): the interrupted task's state segment
    /// on x86; on x64 a trap frame, in releases of Windows 10 that put it there.
    DoubleFault {
        /// Number of the parameter, from 1.
        parameter: u8,
        /// Its value.
        address: u64,
        /// What parameter 4 says the interrupted instruction was; it tells whether there is a trap frame.
        instruction: u64,
    },
    /// Nowhere: the dump's own context is all there is.
    None,
}

/// First parameter of `UNEXPECTED_KERNEL_MODE_TRAP` for a double fault.
const DOUBLE_FAULT: u64 = 8;

/// How memory was accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Execute.
    Execute,
    /// Not told.
    Unknown,
}

impl AccessKind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Unknown => "unknown",
        }
    }

    /// From `ExceptionInformation[0]` of an access violation, and from the parameters of bug checks that use the same
    /// numbers.
    pub(crate) const fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Read,
            1 | 2 => Self::Write,
            8 | 0x10 => Self::Execute,
            _ => Self::Unknown,
        }
    }
}

/// A memory access that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// How.
    pub kind: AccessKind,
    /// Where; `None` where the processor does not tell.
    pub address: Option<u64>,
    /// The instruction that did it, where known.
    pub instruction: Option<u64>,
}

/// Where the registers of the fault behind a bug check stand.
#[must_use]
pub fn context_source(code: u32, parameters: [u64; 4]) -> ContextSource {
    let [first, second, third, fourth] = parameters;
    match base_code(code) {
        0x3b if third != 0 => ContextSource::ContextRecord { parameter: 3, address: third, exception: None },
        0x7e if fourth != 0 => {
            ContextSource::ContextRecord { parameter: 4, address: fourth, exception: Some((3, third)) }
        }
        0x8e if third != 0 => ContextSource::TrapFrame { parameter: 3, address: third, exception: None },
        0x7f if first == DOUBLE_FAULT && second != 0 => {
            ContextSource::DoubleFault { parameter: 2, address: second, instruction: fourth }
        }
        0x139 if second != 0 => ContextSource::TrapFrame { parameter: 2, address: second, exception: Some((3, third)) },
        0x23 | 0x24 if third != 0 => {
            ContextSource::ContextRecord { parameter: 3, address: third, exception: Some((2, second)) }
        }
        _ => ContextSource::None,
    }
}

/// The memory access that a bug check is about, and the instruction that did it.
#[must_use]
pub fn bug_check_access(code: u32, parameters: [u64; 4]) -> Option<Access> {
    let [first, second, third, fourth] = parameters;
    let access = |kind, instruction| {
        Some(Access { kind: AccessKind::from_number(kind), address: Some(first), instruction: Some(instruction) })
    };
    match base_code(code) {
        0xa | 0xd1 | 0xc5 => access(third, fourth),
        0x50 | 0xcc | 0xcd | 0xce | 0xd5 | 0xd6 => access(second, third),
        0xfc => Some(Access { kind: AccessKind::Execute, address: Some(first), instruction: Some(first) }),
        0xbe => Some(Access { kind: AccessKind::Write, address: Some(first), instruction: None }),
        // The exception-carrying bug checks give the instruction alone.
        0x1e | 0x3b | 0x7e | 0x8e => {
            Some(Access { kind: AccessKind::Unknown, address: None, instruction: Some(second) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exception_carrying_bug_checks_point_at_their_registers() {
        assert_eq!(
            context_source(0x1000_007e, [0xc000_0005, 1, 2, 3]),
            ContextSource::ContextRecord { parameter: 4, address: 3, exception: Some((3, 2)) }
        );
        assert!(matches!(context_source(0x3b, [1, 2, 3, 0]), ContextSource::ContextRecord { address: 3, .. }));
        assert!(matches!(context_source(0x1000_008e, [1, 2, 3, 0]), ContextSource::TrapFrame { address: 3, .. }));
        assert_eq!(context_source(0x1e, [1, 2, 3, 4]), ContextSource::None);
        assert_eq!(
            context_source(0x7f, [8, 2, 3, 4]),
            ContextSource::DoubleFault { parameter: 2, address: 2, instruction: 4 }
        );
        assert_eq!(context_source(0x7f, [0, 2, 3, 4]), ContextSource::None, "a division by zero");
    }

    #[test]
    fn faults_at_raised_irql_name_address_kind_and_instruction() {
        let access = bug_check_access(0xd1, [0x29, 2, 8, 0xffff]).unwrap();
        assert_eq!(access, Access { kind: AccessKind::Execute, address: Some(0x29), instruction: Some(0xffff) });
        let access = bug_check_access(0x50, [0x29, 2, 0xffff, 0]).unwrap();
        assert_eq!((access.kind, access.instruction), (AccessKind::Write, Some(0xffff)));
        assert_eq!(bug_check_access(0x9f, [3, 0, 0, 0]), None);
    }
}

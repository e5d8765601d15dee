use alloc::vec::Vec;

use dumplens_base::{Bytes, ReadError, Va};

use crate::limits;

/// An `EXCEPTION_RECORD` of either bitness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionRecord {
    /// NTSTATUS on Windows; a signal number or `EXC_*` in dumps of other systems.
    pub code: u32,
    /// Bit 0: the exception cannot be continued.
    pub flags: u32,
    /// Address of the record this one is nested in, 0 if none.
    pub nested: u64,
    /// Where it happened: the instruction, or the fault address on systems that say so.
    pub address: Va,
    /// At most 15 values whose meaning depends on the code.
    pub parameters: Vec<u64>,
}

impl ExceptionRecord {
    /// Size in bytes of the 64-bit form.
    pub const SIZE_64: usize = 0x98;
    /// Size in bytes of the 32-bit form.
    pub const SIZE_32: usize = 0x50;

    /// Reads the 64-bit form; minidumps of every architecture use it.
    ///
    /// # Errors
    /// If the record is cut off or claims more than 15 parameters.
    pub fn parse_64(bytes: &mut Bytes<'_>) -> Result<Self, ReadError> {
        let mut record = bytes.split(Self::SIZE_64, "exception record")?;
        let code = record.u32("exception code")?;
        let flags = record.u32("exception flags")?;
        let nested = record.u64("nested exception record")?;
        let address = Va(record.u64("exception address")?);
        let claimed = record.u32("exception parameter count")?;
        record.skip(4, "exception record padding")?;
        let count = record.count(u64::from(claimed), limits::EXCEPTION_PARAMETERS, 8, "exception parameter count")?;
        let parameters = (0..count).map(|_| record.u64("exception parameter")).collect::<Result<_, _>>()?;
        Ok(Self { code, flags, nested, address, parameters })
    }

    /// Reads the 32-bit form of 32-bit kernel dumps; addresses are zero-extended.
    ///
    /// # Errors
    /// If the record is cut off or claims more than 15 parameters.
    pub fn parse_32(bytes: &mut Bytes<'_>) -> Result<Self, ReadError> {
        let mut record = bytes.split(Self::SIZE_32, "exception record")?;
        let code = record.u32("exception code")?;
        let flags = record.u32("exception flags")?;
        let nested = u64::from(record.u32("nested exception record")?);
        let address = Va(u64::from(record.u32("exception address")?));
        let claimed = record.u32("exception parameter count")?;
        let count = record.count(u64::from(claimed), limits::EXCEPTION_PARAMETERS, 4, "exception parameter count")?;
        let parameters =
            (0..count).map(|_| record.u32("exception parameter").map(u64::from)).collect::<Result<_, _>>()?;
        Ok(Self { code, flags, nested, address, parameters })
    }
}

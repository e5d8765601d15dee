use alloc::{format, vec::Vec};

use dumplens_dump::{FileKind, OpenError, sniff};
use dumplens_report::protocol::{Failure, FailureKind};

/// First bytes that [`worth_unpacking`] wants to see: fewer only if the file has no more.
pub const START_BYTES: usize = 4096;

/// Raw images of memory consist of whole pages.
const PAGE: u64 = 4096;

/// Tells from its first bytes whether a packed file is worth unpacking. [`crate::Session::open`] has the last word.
///
/// A raw image of memory has no mark of its own. Content that is not known passes for one if `size` says that it is made
/// of whole pages or, where the size is not known beforehand, if it is `named` like a dump.
///
/// # Errors
/// What the file is instead of a dump.
pub fn worth_unpacking(head: &[u8], size: Option<u64>, named: bool) -> Result<(), Failure> {
    let bytes: Vec<u8> = head.iter().copied().take(START_BYTES).collect();
    let more = bytes.len() >= START_BYTES;
    let may_be_raw = more && size.map_or(named, |size| size.is_multiple_of(PAGE));
    // Bytes in memory can always be read.
    match sniff(&bytes).map_err(OpenError::from) {
        Ok(FileKind::Minidump | FileKind::KernelDump32 | FileKind::KernelDump64 | FileKind::ElfCore) => Ok(()),
        Ok(FileKind::Zeros | FileKind::Unknown { .. }) if may_be_raw => Ok(()),
        Ok(kind) => Err(Failure { kind: FailureKind::NotADump, message: format!("{}", OpenError::NotADump(kind)) }),
        Err(error) => Err(Failure { kind: FailureKind::Damaged, message: format!("{error}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(head: &[u8]) -> alloc::string::String {
        worth_unpacking(head, None, false).unwrap_err().message
    }

    #[test]
    fn dumps_are_known_by_their_start_and_others_by_name() {
        assert_eq!(worth_unpacking(b"PAGEDU64....", None, false), Ok(()));
        assert_eq!(worth_unpacking(b"MDMP....", Some(8), false), Ok(()));
        assert!(refusal(b"Dear support team,\n").contains("not a Windows crash dump: this is a text file"));
        assert!(refusal(b"").contains("empty"));
    }

    #[test]
    fn only_whole_pages_may_be_an_image_of_memory() {
        let image: Vec<u8> = (0..START_BYTES).map(|index| (index % 251) as u8).collect();
        assert_eq!(worth_unpacking(&image, Some(1 << 30), false), Ok(()));
        assert!(worth_unpacking(&image, Some((1 << 30) + 1), true).is_err());
        assert_eq!(worth_unpacking(&image, None, true), Ok(()));
        assert!(worth_unpacking(&image, None, false).is_err());
        assert_eq!(worth_unpacking(&[0; START_BYTES], None, true), Ok(()), "images often start with zeros");
        assert!(worth_unpacking(image.get(..100).unwrap(), None, true).is_err());
    }
}

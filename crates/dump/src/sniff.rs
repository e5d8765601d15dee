//! What a file is, told by its content and never by its name.

use core::fmt;

use dumplens_base::{ByteSource, ReadError, read_record};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A user minidump (`MDMP`).
    Minidump,
    /// A 32-bit kernel dump (`PAGEDUMP`).
    KernelDump32,
    /// A 64-bit kernel dump (`PAGEDU64`).
    KernelDump64,
    /// Something that is known and is no dump that can be opened: what it is, and what to do.
    Other(&'static str),
    /// An ELF core file: of a Linux process, or of a virtual machine that may have run Windows.
    ElfCore,
    /// No bytes at all.
    Empty,
    /// Zeros at the start and at the end.
    Zeros,
    /// Text.
    Text,
    /// Nothing known.
    Unknown {
        /// The first eight bytes.
        magic: [u8; 8],
    },
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minidump => f.write_str("a user minidump"),
            Self::KernelDump32 => f.write_str("a 32-bit kernel dump"),
            Self::KernelDump64 => f.write_str("a 64-bit kernel dump"),
            Self::Other(what) => f.write_str(what),
            Self::ElfCore => f.write_str("this is an ELF core file without a Windows kernel in it"),
            Self::Empty => f.write_str("the file is empty; Windows leaves such files when it could not write the dump"),
            Self::Zeros => f.write_str(
                "the file holds only zeros where a dump has its header; the disk lost the dump or it was never written",
            ),
            Self::Text => f.write_str("this is a text file"),
            Self::Unknown { magic } => {
                f.write_str("the content is not known; it starts with")?;
                magic.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
        }
    }
}

/// Magic bytes at an offset, and what they mean.
const MAGICS: &[(usize, &[u8], FileKind)] = &[
    (0, b"MDMP", FileKind::Minidump),
    (0, b"PAGEDUMP", FileKind::KernelDump32),
    (0, b"PAGEDU64", FileKind::KernelDump64),
    (
        0,
        b"PMDM",
        FileKind::Other(
            "this is a big-endian minidump, as Breakpad wrote on PowerPC; only little-endian ones can be opened",
        ),
    ),
    (0, b"USERDUMP", FileKind::Other("this is a user dump from before Windows XP; open it with an old WinDbg")),
    (0, b"USERDU64", FileKind::Other("this is a user dump from before Windows XP; open it with an old WinDbg")),
    (0, b"hibr", FileKind::Other("this is a hibernation file (hiberfil.sys), not a crash dump")),
    (0, b"HIBR", FileKind::Other("this is a hibernation file (hiberfil.sys), not a crash dump")),
    (0, b"wake", FileKind::Other("this is a used hibernation file (hiberfil.sys), not a crash dump")),
    (0, b"WAKE", FileKind::Other("this is a used hibernation file (hiberfil.sys), not a crash dump")),
    (0, b"RSTR", FileKind::Other("this is a hibernation file (hiberfil.sys), not a crash dump")),
    (0, b"PK\x03\x04", FileKind::Other("this is a zip archive")),
    (0, b"PK\x05\x06", FileKind::Other("this is an empty zip archive")),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind::Other("this is a 7-Zip archive; unpack it and open the dump inside")),
    (0, b"\x1f\x8b", FileKind::Other("this is a gzip file")),
    (0, b"\x28\xb5\x2f\xfd", FileKind::Other("this is a Zstandard file")),
    (0, b"\xfd7zXZ\0", FileKind::Other("this is an xz archive; unpack it and open the dump inside")),
    (0, b"MSCF", FileKind::Other("this is a cabinet")),
    (0, b"Rar!", FileKind::Other("this is a RAR archive; unpack it and open the dump inside")),
    (0, b"BZh", FileKind::Other("this is a bzip2 archive; unpack it and open the dump inside")),
    (257, b"ustar", FileKind::Other("this is a tar archive; unpack it and open the dump inside")),
    (0, b"Microsoft C/C++ MSF 7.00", FileKind::Other("this is a PDB symbol file; open the dump first")),
    (0, b"Microsoft C/C++ program database", FileKind::Other("this is an old PDB symbol file; open the dump first")),
    (0, b"MZ", FileKind::Other("this is a Windows program, driver or library, not a dump")),
    (0, b"KDUMP   ", FileKind::Other("this is a Linux kdump file, not a Windows dump")),
    (0, b"DISKDUMP", FileKind::Other("this is a Linux diskdump file, not a Windows dump")),
    (0, b"EMiL", FileKind::Other("this is a LiME memory image, not a Windows dump")),
    (0, b"regf", FileKind::Other("this is a registry hive, not a dump")),
    (
        0,
        b"ElfFile\0",
        FileKind::Other("this is an event log (.evtx); look there for the crash's time and open its dump"),
    ),
    (0, b"\xd2\xbe\xd2\xbe", FileKind::Other("this is a VMware snapshot (.vmsn or .vmss), not a Windows dump")),
    (0, b"\xce\xfa\xed\xfe", FileKind::Other("this is a macOS program or core file, not a Windows dump")),
    (0, b"\xcf\xfa\xed\xfe", FileKind::Other("this is a macOS program or core file, not a Windows dump")),
    (0, b"%PDF", FileKind::Other("this is a PDF document, not a dump")),
    (0, b"\x89PNG", FileKind::Other("this is a PNG picture, not a dump")),
    (0, b"\xff\xd8\xff", FileKind::Other("this is a JPEG picture, not a dump")),
    (0, b"GIF8", FileKind::Other("this is a GIF picture, not a dump")),
    (0, b"\x00asm", FileKind::Other("this is a WebAssembly module, not a dump")),
    (0, b"SQLite format 3", FileKind::Other("this is an SQLite database, not a dump")),
];

/// Bytes looked at from the start.
const HEAD: u64 = 4096;

/// Tells what `source` is from its first and last 4 KiB.
///
/// # Errors
/// If the bytes cannot be read.
pub fn sniff(source: &dyn ByteSource) -> Result<FileKind, ReadError> {
    let len = source.len();
    if len == 0 {
        return Ok(FileKind::Empty);
    }
    let head = read_record(source, 0, len.min(HEAD), HEAD, "first bytes")?;
    let starts = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((.., kind)) = MAGICS.iter().find(|(offset, magic, _)| starts(*offset, magic)) {
        return Ok(*kind);
    }
    if starts(0, b"\x7fELF") {
        // e_type stands at 16: 4 is a core file.
        let core = starts(16, &[4, 0]);
        return Ok(if core {
            FileKind::ElfCore
        } else {
            FileKind::Other("this is an ELF program or library, not a dump")
        });
    }
    if is_event_trace(&head) {
        return Ok(FileKind::Other(
            "this is an event trace (.etl), not a dump; open it with Windows Performance Analyzer",
        ));
    }
    if head.iter().all(|byte| *byte == 0) && is_zero_throughout(source)? {
        return Ok(FileKind::Zeros);
    }
    if is_text(&head) {
        return Ok(FileKind::Text);
    }
    let mut magic = [0; 8];
    magic.iter_mut().zip(&head).for_each(|(to, from)| *to = *from);
    Ok(FileKind::Unknown { magic })
}

/// Whether samples from the whole file are zeros. A raw image of physical memory may start and end with zeros too.
fn is_zero_throughout(source: &dyn ByteSource) -> Result<bool, ReadError> {
    const SAMPLES: u64 = 256;
    let last = source.len().saturating_sub(HEAD);
    for sample in 1..=SAMPLES {
        let at = (last / SAMPLES * sample) & !(HEAD - 1);
        let at = if sample == SAMPLES { last } else { at };
        let bytes = read_record(source, at, HEAD.min(source.len() - at), HEAD, "sample of the file")?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An event trace starts with a `WMI_BUFFER_HEADER`: its buffer size, a power of two of at least 4 KiB, stands at 0 and
/// the first event is a system trace header (marker 0xc001 or 0xc002 at 0x4a).
fn is_event_trace(head: &[u8]) -> bool {
    let Some(size) = head.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)) else { return false };
    let marker = head.get(0x4a..0x4c);
    (0x1000..=0x10_0000).contains(&size) && matches!(marker, Some([1 | 2, 0xc0]))
}

/// Whether the bytes read as UTF-16 with a byte order mark, or as UTF-8 without control characters.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return true;
    }
    let valid = match core::str::from_utf8(head) {
        Ok(text) => text,
        // The window may cut a character in two.
        Err(error) if error.error_len().is_none() => {
            core::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec, vec::Vec};

    fn kind(bytes: &[u8]) -> FileKind {
        sniff(&bytes.to_vec()).unwrap()
    }

    #[test]
    fn dumps_are_known_by_their_first_bytes() {
        assert_eq!(kind(b"MDMP\x93\xa7"), FileKind::Minidump);
        assert_eq!(kind(b"PAGEDUMP"), FileKind::KernelDump32);
        assert_eq!(kind(b"PAGEDU64"), FileKind::KernelDump64);
    }

    #[test]
    fn what_is_no_dump_is_called_by_its_name() {
        let mut elf = vec![0; 64];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[16] = 4;
        let mut etl = vec![0; 0x100];
        etl[..4].copy_from_slice(&0x1_0000_u32.to_le_bytes());
        etl[0x4a..0x4c].copy_from_slice(&[2, 0xc0]);
        let cases: &[(&[u8], &str)] = &[
            (b"", "empty"),
            (&[0; 9000], "zeros"),
            (&elf, "core"),
            (&etl, "event trace"),
            (b"hibr....", "hibernation"),
            (b"PK\x03\x04....", "zip"),
            (b"Dear support team,\nthe PC crashed.\n", "text"),
            (&[0xff, 0xfe, 0x41, 0], "text"),
            (b"Microsoft C/C++ MSF 7.00\r\n\x1aDS", "PDB"),
            (&[0xde, 0xad, 0xbe, 0xef], "de ad be ef"),
        ];
        for (bytes, word) in cases {
            let said = kind(bytes).to_string();
            assert!(said.contains(word), "{said} should mention {word}");
        }
    }

    #[test]
    fn zeros_at_the_start_only_are_not_called_zeros() {
        let mut bytes: Vec<u8> = vec![0; 10_000];
        bytes.push(1);
        assert!(matches!(kind(&bytes), FileKind::Unknown { .. }));
    }
}

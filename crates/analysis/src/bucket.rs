//! Buckets: the text under which crashes of one kind are filed, and its hash.

use alloc::string::String;
use core::fmt::Write as _;

use md5::{Digest as _, Md5};

/// Whether kernel or user code crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Kernel.
    Kernel,
    /// User.
    User,
}

/// The hash WinDbg prints as `FAILURE_ID_HASH` for a bucket.
///
/// MD5 over the UTF-16 text `km:` or `um:` plus the bucket, in lower case, printed as a GUID. Not documented; it was
/// found by comparing published pairs, and all of them agree.
#[must_use]
pub fn bucket_hash(mode: Mode, bucket: &str) -> String {
    let prefix = match mode {
        Mode::Kernel => "km:",
        Mode::User => "um:",
    };
    let mut md5 = Md5::new();
    for unit in prefix.chars().chain(bucket.chars()).flat_map(char::to_lowercase) {
        let mut units = [0; 2];
        for unit in unit.encode_utf16(&mut units) {
            md5.update(unit.to_le_bytes());
        }
    }
    let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, rest @ ..] = <[u8; 16]>::from(md5.finalize());
    let (a, b, c) = (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]), u16::from_le_bytes([c0, c1]));
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(out, "{{{a:08x}-{b:04x}-{c:04x}-{d0:02x}{d1:02x}-");
    for byte in rest {
        let _ = write!(out, "{byte:02x}");
    }
    out.push('}');
    out
}

/// `text` with the characters that buckets do not hold replaced.
pub(crate) fn cleaned(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '<' | '>' | '`' | ' ' | '/') { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_equal_those_that_debuggers_publish() {
        // Pairs of FAILURE_BUCKET_ID and FAILURE_ID_HASH as they stand in public debugger transcripts.
        for (bucket, hash) in [
            ("MEMORY_CORRUPTION_ONE_BIT", "{e3faf315-c3d0-81db-819a-6c43d23c63a7}"),
            ("AV_nvlddmkm!unknown_function", "{7eea5677-f68d-2154-717e-887e07e55cd3}"),
            ("0x116_IMAGE_nvlddmkm.sys", "{c89bfe8c-ed39-f658-ef27-f2898997fdbd}"),
        ] {
            assert_eq!(bucket_hash(Mode::Kernel, bucket), hash, "{bucket}");
        }
    }

    #[test]
    fn kernel_and_user_buckets_differ() {
        assert_ne!(bucket_hash(Mode::Kernel, "x"), bucket_hash(Mode::User, "x"));
    }
}

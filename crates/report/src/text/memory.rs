//! Hex dumps.

use core::fmt::{self, Write};

use crate::protocol::MemoryChunk;

/// Bytes in a line of a hex dump.
const LINE: u64 = 16;

/// Prints memory as `address  hex  text`, with `??` for bytes that are absent and a line that says why.
///
/// # Errors
/// If `out` does.
pub fn memory(out: &mut impl Write, chunks: &[MemoryChunk]) -> fmt::Result {
    let byte_at = |address: u64| {
        chunks.iter().find_map(|chunk| {
            let offset = address.checked_sub(chunk.address.0).filter(|offset| *offset < u64::from(chunk.length))?;
            let byte = chunk.bytes.as_ref().and_then(|bytes| bytes.0.get(usize::try_from(offset).ok()?).copied());
            Some((byte, chunk))
        })
    };
    let Some(start) = chunks.first().map(|chunk| chunk.address.0) else { return Ok(()) };
    let length = chunks.iter().fold(0_u64, |sum, chunk| sum.saturating_add(u64::from(chunk.length)));
    let end = start.saturating_add(length);
    let mut told = None;
    let mut line = start;
    while line < end {
        let mut reason = None;
        write!(out, "{line:016x} ")?;
        for address in line..line.saturating_add(LINE).min(end) {
            let separator = if address == line.saturating_add(LINE / 2) { '-' } else { ' ' };
            match byte_at(address) {
                Some((Some(byte), _)) => write!(out, "{separator}{byte:02x}")?,
                Some((None, chunk)) => {
                    reason = reason.or(chunk.reason.as_deref().map(|text| (chunk.address, text)));
                    write!(out, "{separator}??")?;
                }
                None => write!(out, "{separator}??")?,
            }
        }
        let shown = end.saturating_sub(line).min(LINE);
        for _ in shown..LINE {
            out.write_str("   ")?;
        }
        out.write_str("  ")?;
        for address in line..line.saturating_add(shown) {
            out.write_char(match byte_at(address) {
                Some((Some(byte @ 0x20..=0x7e), _)) => char::from(byte),
                Some((Some(_), _)) => '.',
                _ => '?',
            })?;
        }
        if let Some((address, text)) = reason
            && told != Some(address)
        {
            write!(out, "  {text}")?;
            told = Some(address);
        }
        writeln!(out)?;
        let Some(next) = line.checked_add(LINE) else { break };
        line = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteString, Hex};
    use alloc::{string::String, vec};

    #[test]
    fn absent_bytes_are_question_marks_and_say_why_once() {
        let chunks = vec![
            MemoryChunk {
                address: Hex(0x1000),
                length: 18,
                bytes: Some(ByteString((0x41..0x53).collect())),
                reason: None,
            },
            MemoryChunk { address: Hex(0x1012), length: 30, bytes: None, reason: Some("not in the dump".into()) },
        ];
        let mut out = String::new();
        memory(&mut out, &chunks).unwrap();
        assert_eq!(
            out,
            "\
0000000000001000  41 42 43 44 45 46 47 48-49 4a 4b 4c 4d 4e 4f 50  ABCDEFGHIJKLMNOP
0000000000001010  51 52 ?? ?? ?? ?? ?? ??-?? ?? ?? ?? ?? ?? ?? ??  QR??????????????  not in the dump
0000000000001020  ?? ?? ?? ?? ?? ?? ?? ??-?? ?? ?? ?? ?? ?? ?? ??  ????????????????
"
        );
    }

    #[test]
    fn the_last_page_of_the_address_space_ends() {
        let chunks =
            vec![MemoryChunk { address: Hex(u64::MAX - 15), length: 15, bytes: None, reason: Some("no".into()) }];
        let mut out = String::new();
        memory(&mut out, &chunks).unwrap();
        assert_eq!(out.lines().count(), 1);
    }
}

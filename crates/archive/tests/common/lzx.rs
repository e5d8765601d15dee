//! A small LZX packer: fixed code lengths, greedy matches. It shares nothing with the reader.

use std::collections::HashMap;

/// Words of 16 bits, each from its top.
#[derive(Default)]
pub struct Words {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Words {
    pub fn put(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            self.held = self.held << 1 | (value >> at & 1);
            self.count += 1;
            if self.count == 16 {
                self.bytes.extend((self.held as u16).to_le_bytes());
                (self.held, self.count) = (0, 0);
            }
        }
    }

    /// Fills up the word, with sixteen bits if it is full already, as stands in front of raw bytes.
    fn align(&mut self) {
        let bits = 16 - self.count;
        self.put(0, bits);
    }

    fn raw(&mut self, bytes: &[u8]) {
        assert_eq!(self.count, 0);
        self.bytes.extend(bytes);
    }

    pub fn finish(&mut self) -> Vec<u8> {
        while self.count != 0 {
            self.put(0, 1);
        }
        std::mem::take(&mut self.bytes)
    }
}

/// Code words for lengths of which `few` symbols from `first` have `short` bits and all others `short + 1`.
fn words(symbols: usize, first: usize, few: usize, short: u32) -> Vec<(u32, u32)> {
    let is_short = |symbol: usize| symbol >= first && symbol < first + few;
    let mut codes = vec![(0, 0); symbols];
    let mut next = 0;
    for symbol in (0..symbols).filter(|symbol| is_short(*symbol)) {
        codes[symbol] = (next, short);
        next += 1;
    }
    next *= 2;
    for symbol in (0..symbols).filter(|symbol| !is_short(*symbol)) {
        codes[symbol] = (next, short + 1);
        next += 1;
    }
    assert_eq!(next, 1 << (short + 1), "the code is complete");
    codes
}

/// The code of length differences used here: symbols 0, 8, 9 and 10, two bits each.
fn put_lengths(out: &mut Words, codes: &[(u32, u32)], first: bool) {
    (0..20).for_each(|symbol| out.put(if [0, 8, 9, 10].contains(&symbol) { 2 } else { 0 }, 4));
    for (_, length) in codes {
        // The difference from no length, modulo 17, is 8, 9 or 10, of which 8 is the second code word; later blocks
        // repeat the lengths, for which the first code word stands.
        out.put(if first { 10 - length } else { 0 }, 2);
    }
}

fn slot(formatted: usize) -> (usize, usize, u32) {
    let (mut start, mut slot) = (0, 0);
    loop {
        let extra = if slot < 4 { 0 } else { (slot / 2 - 1).min(17) } as u32;
        if formatted < start + (1 << extra) {
            return (slot, formatted - start, extra);
        }
        start += 1 << extra;
        slot += 1;
    }
}

/// Packs `content` for a window of 32 KiB. Blocks of the stream are `block` bytes and verbatim, aligned and uncompressed
/// in turns. With a `translation` size the reader will translate calls in it. Answers the cabinet's blocks: packed bytes
/// and unpacked size.
pub fn pack(content: &[u8], block: usize, translation: Option<u32>) -> Vec<(Vec<u8>, u16)> {
    let main = words(256 + 240, 256, 16, 8);
    let length = words(249, 0, 7, 7);
    let (mut out, mut blocks) = (Words::default(), Vec::new());
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    let mut recent = [1_usize; 3];
    out.put(u32::from(translation.is_some()), 1);
    if let Some(size) = translation {
        out.put(size, 32);
    }
    let (mut at, mut block_end, mut number) = (0, 0, 0);
    while at < content.len() {
        if at == block_end {
            let size = block.min(content.len() - at);
            block_end = at + size;
            out.put(number % 3 + 1, 3);
            out.put(size as u32, 24);
            if number % 3 == 2 {
                out.align();
                recent.iter().for_each(|offset| out.raw(&(*offset as u32).to_le_bytes()));
                while at < block_end {
                    let end = block_end.min((at / 32768 + 1) * 32768);
                    out.raw(&content[at..end]);
                    if end == block_end && !size.is_multiple_of(2) {
                        out.raw(&[0]);
                    }
                    at = end;
                    cut(&mut out, &mut blocks, at, content.len());
                }
                number += 1;
                continue;
            }
            if number % 3 == 1 {
                (0..8).for_each(|_| out.put(3, 3));
            }
            put_lengths(&mut out, &main[..256], number == 0);
            put_lengths(&mut out, &main[256..], number == 0);
            put_lengths(&mut out, &length, number == 0);
            number += 1;
        }
        let frame_end = (at / 32768 + 1) * 32768;
        let most = (block_end.min(frame_end).min(content.len()) - at).min(257);
        let key = content.get(at..at + 3);
        let candidate = key.and_then(|key| seen.get(key)).copied().filter(|from| at - from < 32_000 && most >= 3);
        // Now and then one of the last offsets, where it fits.
        let repeated = recent
            .iter()
            .copied()
            .find(|offset| *offset <= at && most >= 2 && content[at - offset..at - offset + 2] == content[at..at + 2]);
        let offset = repeated.filter(|_| at % 3 == 0).or(candidate.map(|from| at - from));
        if let Some(key) = key {
            seen.insert(key, at);
        }
        let Some(offset) = offset else {
            let (word, bits) = main[usize::from(content[at])];
            out.put(word, bits);
            at += 1;
            cut(&mut out, &mut blocks, at, content.len());
            continue;
        };
        let len = (0..most).take_while(|step| content[at + step - offset] == content[at + step]).count();
        let (slot, below, extra) = match recent.iter().position(|known| *known == offset) {
            Some(known) => {
                recent.swap(0, known);
                (known, 0, 0)
            }
            None => {
                recent = [offset, recent[0], recent[1]];
                slot(offset + 2)
            }
        };
        let (word, bits) = main[256 + slot * 8 + (len - 2).min(7)];
        out.put(word, bits);
        if len >= 9 {
            let (word, bits) = length[len - 9];
            out.put(word, bits);
        }
        // In an aligned block the low three bits are a code, here of three bits each: the same.
        out.put(below as u32, extra);
        at += len;
        cut(&mut out, &mut blocks, at, content.len());
    }
    blocks
}

fn cut(out: &mut Words, blocks: &mut Vec<(Vec<u8>, u16)>, at: usize, end: usize) {
    if at.is_multiple_of(32768) || at == end {
        let before: usize = blocks.iter().map(|block| usize::from(block.1)).sum();
        blocks.push((out.finish(), (at - before) as u16));
    }
}

use core::ops::Range;
use std::rc::Rc;

use dumplens_base::{Bytes, ReadError, Source, read_record};

use crate::{
    ArchiveError, ArchiveErrorKind, MOST_MEMBERS, Member, Unpacker,
    deflate::Deflate,
    input::Input,
    names::{cp437, utf8},
    stored::Stored,
    unpack::{Decode, Promise},
    zstandard::Zstandard,
};

const LOCAL: u32 = 0x0403_4b50;
const ENTRY: u32 = 0x0201_4b50;
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
/// What a 16-bit or 32-bit field holds if the value stands in the 64-bit structure.
const ELSEWHERE_16: u64 = 0xffff;
const ELSEWHERE_32: u64 = 0xffff_ffff;

const END_LEN: usize = 22;
const LOCATOR_64_LEN: u64 = 20;
const END_64_LEN: u64 = 56;
const LOCAL_LEN: u64 = 30;
/// Most bytes of comment behind the end record: its length field has 16 bits.
const MOST_COMMENT: u64 = 0xffff;
/// Most bytes of names kept.
const MOST_NAMES: usize = 16 << 20;

const FLAG_ENCRYPTED: u16 = 1;
const FLAG_STRONG: u16 = 1 << 6;
const FLAG_UTF8: u16 = 1 << 11;
const FLAG_MASKED: u16 = 1 << 13;
/// The method that hides the real one behind AES encryption.
const METHOD_AES: u16 = 99;

struct Entry {
    method: u16,
    encrypted: bool,
    checksum: u32,
    compressed_size: u64,
    size: u64,
    header: u64,
    disk: u32,
}

/// A zip archive's directory.
pub(crate) struct Zip {
    entries: Vec<Entry>,
    /// Where the directory starts, before which all members end.
    directory: u64,
}

/// What the record at the end says about the directory.
struct End {
    count: u64,
    offset: u64,
    len: u64,
}

impl Zip {
    /// Reads the directory. The flag says whether members were left out.
    pub(crate) fn open(source: &Source) -> Result<(Self, Vec<Member>, bool), ArchiveError> {
        let end = find_end(source)?;
        let mut input = Input::new(Rc::clone(source), end.offset..end.offset.saturating_add(end.len));
        let (mut entries, mut members, mut names) = (Vec::new(), Vec::new(), 0_usize);
        let mut cut = false;
        for index in 0..end.count {
            if index >= MOST_MEMBERS as u64 || names > MOST_NAMES {
                cut = true;
                break;
            }
            let (entry, member) = read_entry(&mut input)?;
            names = names.saturating_add(member.name.len());
            entries.push(entry);
            members.push(member);
        }
        Ok((Self { entries, directory: end.offset }, members, cut))
    }

    /// The member's bytes in the file, as its local header and the directory say together.
    fn data(&self, source: &Source, entry: &Entry) -> Result<Range<u64>, ArchiveError> {
        const WHAT: &str = "zip member header";
        let header = read_record(source, entry.header, LOCAL_LEN, LOCAL_LEN, WHAT)?;
        let mut bytes = Bytes::new(&header, entry.header);
        let signature = bytes.u32(WHAT)?;
        bytes.skip(4, WHAT)?;
        let method = bytes.u16(WHAT)?;
        if signature != LOCAL || method != entry.method {
            return Err(ArchiveError::damaged(entry.header, WHAT));
        }
        bytes.skip(16, WHAT)?;
        let (name, extra) = (bytes.u16(WHAT)?, bytes.u16(WHAT)?);
        let start = entry.header.saturating_add(LOCAL_LEN).saturating_add(name.into()).saturating_add(extra.into());
        match start.checked_add(entry.compressed_size) {
            Some(end) if end <= self.directory => Ok(start..end),
            _ => Err(ArchiveError::damaged(entry.header, WHAT)),
        }
    }

    pub(crate) fn stored_range(&self, source: &Source, index: usize) -> Option<Range<u64>> {
        let entry = self.entries.get(index)?;
        let plain = entry.method == 0 && !entry.encrypted && entry.disk == 0 && entry.size == entry.compressed_size;
        if plain { self.data(source, entry).ok() } else { None }
    }

    pub(crate) fn unpack(&self, source: &Source, index: usize, limit: u64) -> Result<Unpacker, ArchiveError> {
        let Some(entry) = self.entries.get(index) else {
            return Err(ArchiveError::new(0, ArchiveErrorKind::NoMember { index }));
        };
        let fail = |kind| Err(ArchiveError::new(entry.header, kind));
        if entry.disk != 0 {
            return fail(ArchiveErrorKind::Spanned);
        }
        if entry.encrypted {
            return fail(ArchiveErrorKind::Encrypted);
        }
        let range = self.data(source, entry)?;
        let input = Input::new(Rc::clone(source), range);
        let decoder: Box<dyn Decode> = match entry.method {
            0 => Box::new(Stored(input)),
            8 => Box::new(Deflate::new(input)),
            20 | 93 => Box::new(Zstandard::new(input)),
            number => return fail(ArchiveErrorKind::Method { number, name: method_name(number) }),
        };
        let promise = Promise { size: Some(entry.size), checksum: Some(entry.checksum) };
        Unpacker::new(decoder, promise, entry.compressed_size, limit)
    }
}

const fn method_name(number: u16) -> &'static str {
    match number {
        0 => "stored",
        1 => "shrink",
        2..=5 => "reduce",
        6 => "implode",
        8 => "deflate",
        9 => "deflate64",
        10 => "DCL implode",
        12 => "bzip2",
        14 => "LZMA",
        16 => "CMPSC",
        18 => "TERSE",
        19 => "LZ77",
        20 | 93 => "Zstandard",
        94 => "MP3",
        95 => "xz",
        96 => "JPEG",
        97 => "WavPack",
        98 => "PPMd",
        METHOD_AES => "AES",
        _ => "unknown",
    }
}

/// Looks for the end record from the file's end backwards: a comment of any content may stand behind it.
fn find_end(source: &Source) -> Result<End, ArchiveError> {
    let len = source.len().min(MOST_COMMENT.saturating_add(END_LEN as u64));
    let start = source.len().saturating_sub(len);
    let tail = read_record(source, start, len, len, "end of the zip archive")?;
    let mut first_problem = None;
    for (at, record) in tail.windows(END_LEN).enumerate().rev() {
        if !record.starts_with(&END) {
            continue;
        }
        let offset = start.saturating_add(at as u64);
        match read_end(source, record, offset) {
            Ok(end) => return Ok(end),
            Err(error) => first_problem = first_problem.or(Some(error)),
        }
    }
    Err(first_problem.unwrap_or_else(|| {
        let volume =
            tail.starts_with(b"PK\x07\x08") || read_record(source, 0, 4, 4, "").is_ok_and(|m| m == b"PK\x07\x08");
        let kind = if volume { ArchiveErrorKind::Spanned } else { ArchiveErrorKind::NoDirectory };
        ArchiveError::new(source.len(), kind)
    }))
}

fn read_end(source: &Source, record: &[u8], offset: u64) -> Result<End, ArchiveError> {
    const WHAT: &str = "zip end record";
    let mut bytes = Bytes::new(record, offset);
    bytes.skip(4, WHAT)?;
    let (disk, directory_disk) = (u64::from(bytes.u16(WHAT)?), u64::from(bytes.u16(WHAT)?));
    let (here, count) = (u64::from(bytes.u16(WHAT)?), u64::from(bytes.u16(WHAT)?));
    let (len, start) = (u64::from(bytes.u32(WHAT)?), u64::from(bytes.u32(WHAT)?));
    let comment = u64::from(bytes.u16(WHAT)?);
    if offset.saturating_add(END_LEN as u64).saturating_add(comment) > source.len() {
        return Err(ArchiveError::truncated(offset, WHAT));
    }
    let elsewhere = [disk, directory_disk, here, count].contains(&ELSEWHERE_16) || [len, start].contains(&ELSEWHERE_32);
    if elsewhere && let Some(end) = read_end_64(source, offset)? {
        return Ok(end);
    }
    check_end(End { count, offset: start, len }, [disk, directory_disk], here, offset)
}

fn check_end(end: End, disks: [u64; 2], here: u64, offset: u64) -> Result<End, ArchiveError> {
    if disks != [0, 0] || here != end.count {
        return Err(ArchiveError::new(offset, ArchiveErrorKind::Spanned));
    }
    if end.offset.checked_add(end.len).is_none_or(|behind| behind > offset) {
        return Err(ArchiveError::damaged(offset, "zip end record"));
    }
    Ok(end)
}

/// The 64-bit end record, through its locator in front of the plain one. `None` if there is no locator: then the plain
/// record's values happen to be those that stand for "elsewhere".
fn read_end_64(source: &Source, plain: u64) -> Result<Option<End>, ArchiveError> {
    const WHAT: &str = "zip64 end record";
    let Some(locator) = plain.checked_sub(LOCATOR_64_LEN) else { return Ok(None) };
    let record = read_record(source, locator, LOCATOR_64_LEN, LOCATOR_64_LEN, "zip64 locator")?;
    let mut bytes = Bytes::new(&record, locator);
    if bytes.u32(WHAT)? != LOCATOR_64 {
        return Ok(None);
    }
    bytes.skip(4, WHAT)?;
    let offset = bytes.u64(WHAT)?;
    if bytes.u32(WHAT)? > 1 {
        return Err(ArchiveError::new(locator, ArchiveErrorKind::Spanned));
    }
    let record = read_record(source, offset, END_64_LEN, END_64_LEN, WHAT)?;
    let mut bytes = Bytes::new(&record, offset);
    if bytes.u32(WHAT)? != END_64 {
        return Err(ArchiveError::damaged(offset, WHAT));
    }
    bytes.skip(12, WHAT)?;
    let disks = [u64::from(bytes.u32(WHAT)?), u64::from(bytes.u32(WHAT)?)];
    let here = bytes.u64(WHAT)?;
    let (count, len, start) = (bytes.u64(WHAT)?, bytes.u64(WHAT)?, bytes.u64(WHAT)?);
    check_end(End { count, offset: start, len }, disks, here, offset).map(Some)
}

fn read_entry(input: &mut Input) -> Result<(Entry, Member), ArchiveError> {
    const WHAT: &str = "zip directory entry";
    let offset = input.offset();
    let fixed: [u8; 46] = input.record(WHAT)?;
    let mut bytes = Bytes::new(&fixed, offset);
    if bytes.u32(WHAT)? != ENTRY {
        return Err(ArchiveError::damaged(offset, WHAT));
    }
    bytes.skip(4, WHAT)?;
    let (flags, mut method) = (bytes.u16(WHAT)?, bytes.u16(WHAT)?);
    bytes.skip(4, WHAT)?;
    let checksum = bytes.u32(WHAT)?;
    let (compressed, size) = (bytes.u32(WHAT)?, bytes.u32(WHAT)?);
    let (name_len, extra_len, comment_len) = (bytes.u16(WHAT)?, bytes.u16(WHAT)?, bytes.u16(WHAT)?);
    let disk = bytes.u16(WHAT)?;
    bytes.skip(6, WHAT)?;
    let header = bytes.u32(WHAT)?;
    let mut entry = Entry {
        method,
        encrypted: flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED) != 0 || method == METHOD_AES,
        checksum,
        compressed_size: compressed.into(),
        size: size.into(),
        header: header.into(),
        disk: disk.into(),
    };
    let mut raw = Vec::new();
    input.take_into(name_len, &mut raw, WHAT)?;
    let name = if flags & FLAG_UTF8 != 0 { utf8(&raw) } else { cp437(&raw) };
    let extra_start = input.offset();
    input.take_into(extra_len, &mut raw, WHAT)?;
    input.skip(comment_len.into(), WHAT)?;
    read_extra(&raw, extra_start, &mut entry, &mut method)?;
    let member = Member {
        folder: name.ends_with(['/', '\\']),
        name,
        compressed_size: entry.compressed_size,
        size: Some(entry.size),
        encrypted: entry.encrypted,
        method: method_name(method).into(),
    };
    Ok((entry, member))
}

/// Follows the extra fields: 64-bit values, and the method behind AES.
fn read_extra(extra: &[u8], offset: u64, entry: &mut Entry, method: &mut u16) -> Result<(), ReadError> {
    const WHAT: &str = "zip64 field";
    let mut bytes = Bytes::new(extra, offset);
    // Fewer than four bytes at the end are padding, and a field that passes the end is sloppiness: a size that stands
    // elsewhere and is nowhere shows as one that does not hold.
    while bytes.remaining() >= 4 {
        let (id, len) = (bytes.u16(WHAT)?, bytes.u16(WHAT)?);
        let Ok(mut field) = bytes.split(len.into(), WHAT) else { return Ok(()) };
        match id {
            1 => {
                for value in [&mut entry.size, &mut entry.compressed_size, &mut entry.header] {
                    if *value == ELSEWHERE_32 {
                        *value = field.u64(WHAT)?;
                    }
                }
                if u64::from(entry.disk) == ELSEWHERE_16 {
                    entry.disk = field.u32(WHAT)?;
                }
            }
            // Version, maker and strength stand in front. A short field costs the real method's name only.
            0x9901 if entry.method == METHOD_AES && field.skip(5, WHAT).is_ok() => {
                *method = field.u16(WHAT).unwrap_or(METHOD_AES);
            }
            _ => {}
        }
    }
    Ok(())
}

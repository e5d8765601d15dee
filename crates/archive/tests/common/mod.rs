//! Makers of archives. Where a crate's writer serves it is used; the rest is laid out by hand, so that it can lie.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod lzx;

use std::{
    io::{Cursor, Write},
    rc::Rc,
};

use dumplens_archive::{Archive, ArchiveError, Unpacker};
use dumplens_base::Source;

/// Content that shrinks and is no mere repetition.
pub fn content(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(format!("{:08x} page of memory ", state >> 12).as_bytes());
        out.push((state >> 24) as u8);
    }
    out.truncate(len);
    out
}

pub fn source(bytes: Vec<u8>) -> Source {
    Rc::new(bytes)
}

pub fn open(bytes: &[u8]) -> Result<Archive, ArchiveError> {
    Archive::open(source(bytes.to_vec()))
}

/// All bytes of a member, with the promises every unpacker makes on the way.
pub fn drain(mut unpacker: Unpacker) -> Result<Vec<u8>, ArchiveError> {
    let mut out = Vec::new();
    let mut read = 0;
    while let Some(chunk) = unpacker.next_chunk()? {
        assert!(chunk.len() <= dumplens_archive::CHUNK);
        out.extend_from_slice(chunk);
        assert_eq!(unpacker.written(), out.len() as u64);
        assert!(unpacker.compressed_read() >= read && unpacker.compressed_read() <= unpacker.compressed_total());
        read = unpacker.compressed_read();
    }
    assert!(unpacker.next_chunk()?.is_none(), "the end stays the end");
    Ok(out)
}

pub fn unpack(bytes: &[u8], index: usize) -> Result<Vec<u8>, ArchiveError> {
    drain(open(bytes)?.unpack(index, 64 << 20)?)
}

pub fn gzip(content: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut builder = flate2::GzBuilder::new();
    if let Some(name) = name {
        builder = builder.filename(name).comment("a comment").extra(*b"abcd");
    }
    let mut writer = builder.write(Vec::new(), flate2::Compression::default());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

pub fn zstandard(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

pub fn zip(files: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content, packed) in files {
        let method = if *packed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

pub fn cabinet(kind: cab::CompressionType, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = cab::CabinetBuilder::new();
    let folder = builder.add_folder(kind);
    for (name, _) in files {
        folder.add_file(*name);
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    let mut contents = files.iter();
    while let Some(mut file) = writer.next_file().unwrap() {
        file.write_all(contents.next().unwrap().1).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// One zip member laid out by hand.
pub struct ByHand {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub size: u64,
    pub checksum: u32,
    /// Whether sizes, offsets and counts stand in 64-bit structures.
    pub large: bool,
    pub disk: u16,
}

impl ByHand {
    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            data: content.to_vec(),
            method: 0,
            flags: 0,
            size: content.len() as u64,
            checksum: crc32fast::hash(content),
            large: false,
            disk: 0,
        }
    }

    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let name_len = (self.name.len() as u16).to_le_bytes();
        let short = |value: u64| if self.large { u32::MAX } else { value as u32 };
        let fixed = |out: &mut Vec<u8>, extra: u16| {
            [self.flags, self.method, 0, 0].iter().for_each(|value| out.extend(value.to_le_bytes()));
            out.extend(self.checksum.to_le_bytes());
            out.extend(short(self.data.len() as u64).to_le_bytes());
            out.extend(short(self.size).to_le_bytes());
            out.extend(name_len);
            out.extend(extra.to_le_bytes());
        };
        out.extend(b"PK\x03\x04\x2d\0");
        fixed(&mut out, 5);
        out.extend(&self.name);
        out.extend(b"\x99\x99\x01\0x");
        out.extend(&self.data);
        let directory = out.len() as u64;
        out.extend(b"PK\x01\x02\x2d\0\x2d\0");
        fixed(&mut out, if self.large { 28 } else { 0 });
        out.extend([0, 0]);
        out.extend(self.disk.to_le_bytes());
        out.extend([0; 6]);
        out.extend(short(0).to_le_bytes());
        out.extend(&self.name);
        if self.large {
            out.extend(b"\x01\0\x18\0");
            [self.size, self.data.len() as u64, 0].iter().for_each(|value| out.extend(value.to_le_bytes()));
        }
        let len = out.len() as u64 - directory;
        if self.large {
            let record = out.len() as u64;
            out.extend(b"PK\x06\x06");
            out.extend(44_u64.to_le_bytes());
            out.extend([0x2d, 0, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            [1, 1, len, directory].iter().for_each(|value: &u64| out.extend(value.to_le_bytes()));
            out.extend(b"PK\x06\x07\0\0\0\0");
            out.extend(record.to_le_bytes());
            out.extend(1_u32.to_le_bytes());
        }
        out.extend(b"PK\x05\x06\0\0\0\0");
        let count = if self.large { u16::MAX } else { 1 };
        out.extend(count.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(short(len).to_le_bytes());
        out.extend(short(directory).to_le_bytes());
        out.extend([0, 0]);
        out
    }
}

/// A cabinet with one folder, laid out by hand: its method, its blocks (packed bytes, unpacked size) and its files
/// (name, start, size, folder number).
pub fn cabinet_by_hand(method: u16, blocks: &[(Vec<u8>, u16)], files: &[(&str, u32, u32, u16)]) -> Vec<u8> {
    let entries: usize = files.iter().map(|file| 16 + file.0.len() + 1).sum();
    let data = 36 + 8 + entries;
    let total = data + blocks.iter().map(|block| 8 + block.0.len()).sum::<usize>();
    let mut out = b"MSCF\0\0\0\0".to_vec();
    out.extend((total as u32).to_le_bytes());
    out.extend([0; 4]);
    out.extend(44_u32.to_le_bytes());
    out.extend([0, 0, 0, 0, 3, 1, 1, 0]);
    out.extend((files.len() as u16).to_le_bytes());
    out.extend([0; 6]);
    out.extend((data as u32).to_le_bytes());
    out.extend((blocks.len() as u16).to_le_bytes());
    out.extend(method.to_le_bytes());
    for (name, start, size, folder) in files {
        out.extend(size.to_le_bytes());
        out.extend(start.to_le_bytes());
        out.extend(folder.to_le_bytes());
        out.extend([0; 6]);
        out.extend(name.as_bytes());
        out.push(0);
    }
    for (packed, len) in blocks {
        // No checksum: the format lets writers leave it out.
        out.extend([0; 4]);
        out.extend((packed.len() as u16).to_le_bytes());
        out.extend(len.to_le_bytes());
        out.extend(packed);
    }
    out
}

//! What well-known writers pack comes out as it went in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::rc::Rc;

use common::{ByHand, cabinet, cabinet_by_hand, content, drain, gzip, open, source, unpack, zip, zstandard};
use dumplens_archive::{Archive, Format, SubSource};
use dumplens_base::{ByteSource, SourceError};

#[test]
fn a_zip_archive_lists_files_and_folders_and_unpacks_each() {
    let (large, small) = (content(700_000), content(100));
    let archive = zip(&[("dumps/", b"", false), ("dumps/MEMORY.DMP", &large, true), ("kurz.dmp", &small, false)]);
    let opened = open(&archive).unwrap();
    assert_eq!((opened.format(), opened.is_cut()), (Format::Zip, false));
    let told: Vec<_> =
        opened.members().iter().map(|m| (m.name.as_str(), m.size, m.folder, m.encrypted, m.method.as_str())).collect();
    assert_eq!(
        told,
        [
            ("dumps/", Some(0), true, false, "stored"),
            ("dumps/MEMORY.DMP", Some(700_000), false, false, "deflate"),
            ("kurz.dmp", Some(100), false, false, "stored"),
        ]
    );
    assert!(opened.members()[1].compressed_size < 700_000);
    assert_eq!(unpack(&archive, 1).unwrap(), large);
    assert_eq!(unpack(&archive, 2).unwrap(), small);
}

#[test]
fn a_stored_zip_member_is_read_in_place() {
    let inner = content(5000);
    let file = source(zip(&[("packed", &inner, true), ("plain", &inner, false), ("folder/", b"", false)]));
    let opened = Archive::open(Rc::clone(&file)).unwrap();
    assert_eq!((opened.stored_range(0), opened.stored_range(2), opened.stored_range(3)), (None, None, None));
    let part = SubSource::new(file, opened.stored_range(1).unwrap()).unwrap();
    let mut seen = vec![0; 5000];
    part.read_at(0, &mut seen).unwrap();
    assert_eq!((part.len(), seen), (5000, inner));
}

#[test]
fn sizes_and_offsets_of_a_large_zip_archive_stand_in_64_bit_structures() {
    let inner = content(3000);
    let mut member = ByHand::stored("big.dmp", &inner);
    member.large = true;
    let archive = member.build();
    let opened = open(&archive).unwrap();
    assert_eq!((opened.members()[0].size, opened.members()[0].compressed_size), (Some(3000), 3000));
    assert_eq!(opened.stored_range(0).unwrap(), 42..3042);
    assert_eq!(unpack(&archive, 0).unwrap(), inner);
}

/// A file of zeros with bytes at its start and its end.
struct Sparse {
    head: Vec<u8>,
    hole: u64,
    tail: Vec<u8>,
}

impl ByteSource for Sparse {
    fn len(&self) -> u64 {
        self.head.len() as u64 + self.hole + self.tail.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        for (place, byte) in (offset..).zip(buf) {
            let behind = place.checked_sub(self.head.len() as u64 + self.hole);
            let known = behind.map_or_else(|| self.head.get(place as usize), |at| self.tail.get(at as usize));
            *byte = known.copied().unwrap_or(0);
        }
        Ok(())
    }
}

#[test]
fn a_dump_of_five_gigabytes_stored_in_a_zip_archive_is_read_in_place() {
    const HOLE: u64 = 5 << 30;
    let mut member = ByHand::stored("a", b"");
    member.large = true;
    let mut head = member.build();
    let mut tail = head.split_off(36);
    // The member's two sizes, the directory's offset, and the offset of the 64-bit end record.
    for at in [51, 59, 75 + 48, 75 + 56 + 8] {
        let value = u64::from_le_bytes(*tail[at..].first_chunk().unwrap()) + HOLE;
        tail[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    let opened = Archive::open(Rc::new(Sparse { head, hole: HOLE, tail })).unwrap();
    assert_eq!(opened.members()[0].size, Some(HOLE));
    assert_eq!(opened.stored_range(0).unwrap(), 36..36 + HOLE);
    let mut unpacker = opened.unpack(0, u64::MAX).unwrap();
    assert_eq!(unpacker.next_chunk().unwrap().unwrap()[..10], [0; 10]);
}

#[test]
fn a_zip_member_may_be_packed_with_zstandard() {
    let inner = content(100_000);
    let mut member = ByHand::stored("a.dmp", &inner);
    (member.data, member.method) = (zstandard(&inner), 93);
    let archive = member.build();
    assert_eq!(open(&archive).unwrap().members()[0].method, "Zstandard");
    assert_eq!(unpack(&archive, 0).unwrap(), inner);
}

#[test]
fn zip_names_are_utf8_if_they_say_so_and_code_page_437_if_not() {
    let mut member = ByHand::stored("ü", b"");
    let name = |member: &ByHand| open(&member.build()).unwrap().members()[0].name.clone();
    assert_eq!(name(&member), "├╝");
    member.flags = 1 << 11;
    assert_eq!(name(&member), "ü");
    member.name = b"\xff\xfe".to_vec();
    assert_eq!(name(&member), "\u{fffd}\u{fffd}");
    // A name that tries to leave its folder is text like any other.
    assert_eq!(name(&ByHand::stored("../../etc/passwd", b"")), "../../etc/passwd");
}

#[test]
fn a_comment_behind_the_zip_directory_is_passed_over() {
    let mut archive = zip(&[("a", b"text", true)]);
    let comment = b"signed PK\x05\x06 by nobody, and long enough for an end record";
    let at = archive.len() - 2;
    archive[at..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    archive.extend(comment);
    assert_eq!(unpack(&archive, 0).unwrap(), b"text");
}

#[test]
fn a_gzip_file_has_one_member_with_the_name_in_its_header() {
    let inner = content(600_000);
    let archive = gzip(&inner, Some("MEMORY.DMP"));
    let opened = open(&archive).unwrap();
    assert_eq!(opened.format(), Format::Gzip);
    let member = &opened.members()[0];
    assert_eq!((member.name.as_str(), member.size, member.compressed_size), ("MEMORY.DMP", None, archive.len() as u64));
    assert_eq!(drain(opened.unpack(0, 600_000).unwrap()).unwrap(), inner);
    assert_eq!(open(&gzip(b"", None)).unwrap().members()[0].name, "");
    assert_eq!(unpack(&gzip(b"", None), 0).unwrap(), b"");
}

#[test]
fn several_gzip_members_are_one_content_and_zeros_behind_them_are_padding() {
    let (one, two) = (content(70_000), content(300));
    let mut archive = gzip(&one, None);
    archive.extend(gzip(b"", None));
    archive.extend(gzip(&two, Some("second")));
    let whole = [one, two].concat();
    assert_eq!(unpack(&archive, 0).unwrap(), whole);
    archive.extend([0; 512]);
    assert_eq!(unpack(&archive, 0).unwrap(), whole);
    archive.extend(b"garbage");
    assert_eq!(unpack(&archive, 0).unwrap(), whole, "what stands behind padding is not looked at");
}

#[test]
fn zstandard_frames_follow_each_other_with_skippable_frames_between() {
    let (one, two) = (content(400_000), content(3));
    let mut archive = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    archive.extend(zstandard(&one));
    archive.extend(b"\x5f\x2a\x4d\x18\0\0\0\0");
    archive.extend(zstandard(&two));
    let opened = open(&archive).unwrap();
    assert_eq!(opened.format(), Format::Zstandard);
    assert_eq!(opened.members().len(), 1);
    assert_eq!(unpack(&archive, 0).unwrap(), [one, two].concat());
}

#[test]
fn a_raw_zstandard_block_written_by_hand_unpacks() {
    // Single segment, one byte of content size; a raw last block of five bytes.
    let archive = b"\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello";
    assert_eq!(unpack(archive, 0).unwrap(), b"hello");
}

#[test]
fn cabinets_unpack_stored_and_mszip_folders() {
    let (one, two) = (content(100_000), content(50_000));
    for (kind, method) in [(cab::CompressionType::None, "stored"), (cab::CompressionType::MsZip, "MSZIP")] {
        let archive = cabinet(kind, &[("one.dmp", &one), ("two.dmp", &two), ("empty", b"")]);
        let opened = open(&archive).unwrap();
        assert_eq!(opened.format(), Format::Cabinet);
        let told: Vec<_> = opened.members().iter().map(|m| (m.name.as_str(), m.size, m.method.as_str())).collect();
        assert_eq!(
            told,
            [("one.dmp", Some(100_000), method), ("two.dmp", Some(50_000), method), ("empty", Some(0), method)]
        );
        assert_eq!(unpack(&archive, 0).unwrap(), one);
        assert_eq!(unpack(&archive, 1).unwrap(), two);
        assert_eq!(unpack(&archive, 2).unwrap(), b"");
    }
}

#[test]
fn an_mszip_block_refers_to_the_blocks_before_it() {
    // A last block with fixed codes: a match of ten bytes, 32 back, then the end. Written bit by bit.
    let mut bits = Bits::default();
    bits.low_first(0b011, 3);
    bits.high_first(0b000_1000, 7); // length symbol 264 is ten bytes
    bits.high_first(9, 5); // distances 25 to 32, three more bits
    bits.low_first(7, 3);
    bits.high_first(0, 7);
    let mut first = b"CK\x01\x20\0\xdf\xff".to_vec();
    let text = b"thirty-two bytes of a history...";
    first.extend(text);
    let second = [b"CK".to_vec(), bits.bytes].concat();
    let archive = cabinet_by_hand(1, &[(first, 32), (second, 10)], &[("a", 0, 42, 0), ("b", 30, 6, 0)]);
    assert_eq!(unpack(&archive, 0).unwrap(), b"thirty-two bytes of a history...thirty-two");
    assert_eq!(unpack(&archive, 1).unwrap(), b"..thir");
}

#[test]
fn an_uncompressed_lzx_block_unpacks() {
    // One bit without a translation size, three bits of block type 3, 24 bits of length, padding to a word.
    let mut block = vec![0x00, 0x30, 0x50, 0x00];
    block.extend([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    block.extend(b"hello\0");
    let archive = cabinet_by_hand(0x0f03, &[(block, 5)], &[("a", 0, 5, 0)]);
    assert_eq!(open(&archive).unwrap().members()[0].method, "LZX");
    assert_eq!(unpack(&archive, 0).unwrap(), b"hello");
}

/// What another reader makes of LZX blocks.
fn read_by_lzxd(blocks: &[(Vec<u8>, u16)]) -> Vec<u8> {
    let mut other = lzxd::Lzxd::new(lzxd::WindowSize::KB32);
    blocks.iter().flat_map(|(packed, len)| other.decompress_next(packed, usize::from(*len)).unwrap().to_vec()).collect()
}

#[test]
fn lzx_folders_unpack_and_another_reader_agrees() {
    let repeats = [content(20_000), vec![7; 70_000], content(30_000)].concat();
    for (inner, block) in [(content(200_000), 50_001), (repeats, 9_999), (content(10), 3), (content(65_536), 32_768)] {
        let blocks = common::lzx::pack(&inner, block, None);
        assert!(read_by_lzxd(&blocks) == inner, "the packer is right");
        let size = inner.len() as u32;
        let archive = cabinet_by_hand(0x0f03, &blocks, &[("a", 0, size, 0), ("b", size - 3, 3, 0)]);
        assert!(unpack(&archive, 0).unwrap() == inner);
        assert_eq!(unpack(&archive, 1).unwrap(), inner[inner.len() - 3..]);
    }
}

#[test]
fn calls_in_lzx_folders_are_translated_back() {
    let mut inner = content(100_000);
    for (at, target) in (0..inner.len() - 8).step_by(13).zip((1_u32..).step_by(77)) {
        inner[at] = 0xe8;
        inner[at + 1..at + 5].copy_from_slice(&target.wrapping_sub(40_000).to_le_bytes());
    }
    let blocks = common::lzx::pack(&inner, 30_001, Some(300_000));
    let theirs = read_by_lzxd(&blocks);
    assert!(theirs != inner, "some calls are translated");
    let archive = cabinet_by_hand(0x0f03, &blocks, &[("a", 0, inner.len() as u32, 0)]);
    assert!(unpack(&archive, 0).unwrap() == theirs);
}

/// Deflate's bits: numbers low bit first, codes high bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.count.is_multiple_of(8) {
            self.bytes.push(0);
        }
        *self.bytes.last_mut().unwrap() |= u8::from(bit) << (self.count % 8);
        self.count += 1;
    }

    fn low_first(&mut self, value: u32, count: u32) {
        (0..count).for_each(|at| self.bit(value >> at & 1 != 0));
    }

    fn high_first(&mut self, value: u32, count: u32) {
        (0..count).rev().for_each(|at| self.bit(value >> at & 1 != 0));
    }
}

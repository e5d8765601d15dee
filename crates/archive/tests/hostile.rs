//! What is damaged, cut off, too large or not ours is refused by name, and nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{cell::Cell, rc::Rc, sync::LazyLock};

use common::{ByHand, cabinet, cabinet_by_hand, content, drain, gzip, open, unpack, zip, zstandard};
use dumplens_archive::{Archive, ArchiveErrorKind as Kind, MOST_WINDOW};
use dumplens_base::{ByteSource, SourceError, SourceErrorKind};
use proptest::prelude::*;

fn kind(bytes: &[u8]) -> Kind {
    unpack(bytes, 0).unwrap_err().kind
}

#[test]
fn what_is_no_archive_of_ours_is_refused() {
    assert_eq!(kind(b""), Kind::NotAnArchive);
    assert_eq!(kind(b"MDMP and more"), Kind::NotAnArchive);
    assert_eq!(kind(b"7z\xbc\xaf\x27\x1c"), Kind::NotAnArchive);
}

#[test]
fn a_number_without_a_file_is_refused() {
    let archive = zip(&[("folder/", b"", false)]);
    assert_eq!(unpack(&archive, 0).unwrap_err().kind, Kind::NoMember { index: 0 });
    assert_eq!(unpack(&archive, 7).unwrap_err().kind, Kind::NoMember { index: 7 });
    assert!(open(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").unwrap().members().is_empty());
}

#[test]
fn encrypted_zip_members_are_listed_and_refused() {
    let mut member = ByHand::stored("secret.dmp", b"noise");
    member.flags = 1;
    assert!(open(&member.build()).unwrap().members()[0].encrypted);
    assert_eq!(open(&member.build()).unwrap().stored_range(0), None);
    assert_eq!(kind(&member.build()), Kind::Encrypted);
    (member.flags, member.method) = (0, 99);
    assert_eq!(kind(&member.build()), Kind::Encrypted);
}

#[test]
fn methods_that_cannot_be_unpacked_are_named() {
    for (method, name) in [(9, "deflate64"), (12, "bzip2"), (14, "LZMA"), (98, "PPMd"), (95, "xz"), (777, "unknown")] {
        let mut member = ByHand::stored("a", b"noise");
        member.method = method;
        let error = unpack(&member.build(), 0).unwrap_err();
        assert_eq!(error.kind, Kind::Method { number: method, name });
        assert!(error.to_string().contains(name), "{error}");
    }
    let quantum = cabinet_by_hand(0x0a12, &[(vec![0], 1)], &[("a", 0, 1, 0)]);
    assert_eq!(kind(&quantum), Kind::Method { number: 0x0a12, name: "Quantum" });
}

#[test]
fn parts_of_a_split_archive_are_refused() {
    let mut member = ByHand::stored("a", b"text");
    member.disk = 1;
    assert_eq!(kind(&member.build()), Kind::Spanned);
    let mut archive = ByHand::stored("a", b"text").build();
    let end = archive.len() - 22;
    archive[end + 4] = 2;
    assert_eq!(kind(&archive), Kind::Spanned);
    assert_eq!(kind(b"PK\x07\x08PK\x03\x04 the first volume has no directory"), Kind::Spanned);
    for folder in [0xfffd, 0xfffe, 0xffff] {
        assert_eq!(kind(&cabinet_by_hand(0, &[(vec![1], 1)], &[("a", 0, 1, folder)])), Kind::Spanned);
    }
    // A block that goes on in the next cabinet.
    assert_eq!(kind(&cabinet_by_hand(0, &[(vec![1], 0)], &[("a", 0, 1, 0)])), Kind::Spanned);
}

#[test]
fn half_a_download_says_so() {
    let whole = zip(&[("a", &content(5000), true)]);
    assert_eq!(kind(&whole[..whole.len() / 2]), Kind::NoDirectory);
    let packed = content(5000);
    for whole in [gzip(&packed, None), zstandard(&packed), cabinet(cab::CompressionType::MsZip, &[("a", &packed)])] {
        let error = unpack(&whole[..whole.len() - 3], 0).unwrap_err();
        assert!(matches!(error.kind, Kind::Truncated { .. }), "{error}");
    }
}

#[test]
fn the_limit_bounds_what_comes_out() {
    let zeros = vec![0; 3_000_000];
    let member = zip(&[("bomb", &zeros, true)]);
    assert_eq!(open(&member).unwrap().unpack(0, 1000).err().unwrap().kind, Kind::Limit { limit: 1000 });
    for bomb in [gzip(&zeros, None), zstandard(&zeros)] {
        let mut unpacker = open(&bomb).unwrap().unpack(0, 1_000_000).unwrap();
        let mut seen = 0;
        let error = loop {
            match unpacker.next_chunk() {
                Ok(chunk) => seen += chunk.unwrap().len(),
                Err(error) => break error,
            }
        };
        assert!(seen <= 1_000_000);
        assert_eq!(error.kind, Kind::Limit { limit: 1_000_000 });
        assert_eq!(unpacker.next_chunk().unwrap_err(), error, "an error stays");
        assert_eq!(drain(open(&bomb).unwrap().unpack(0, 3_000_000).unwrap()).unwrap().len(), 3_000_000);
    }
}

#[test]
fn sizes_and_checksums_that_do_not_hold_are_noticed() {
    let mut member = ByHand::stored("a", b"text");
    member.size = 3;
    assert_eq!(kind(&member.build()), Kind::Size { expected: 3, actual: 4 });
    assert_eq!(open(&member.build()).unwrap().stored_range(0), None, "such a member is not read in place");
    member.size = 5;
    assert_eq!(kind(&member.build()), Kind::Size { expected: 5, actual: 4 });
    member.size = 4;
    member.checksum ^= 1;
    assert!(matches!(kind(&member.build()), Kind::Checksum { .. }));

    let mut file = gzip(b"text", None);
    let at = file.len() - 8;
    file[at] ^= 1;
    assert!(matches!(kind(&file), Kind::Checksum { .. }));
    file[at] ^= 1;
    file[at + 4] ^= 1;
    assert_eq!(kind(&file), Kind::Size { expected: 5, actual: 4 });

    // The frame's header says six bytes, its block has five.
    assert_eq!(kind(b"\x28\xb5\x2f\xfd\x20\x06\x29\0\0hello"), Kind::Size { expected: 6, actual: 5 });
    // The frame has a checksum, and it is wrong.
    assert!(
        matches!(kind(b"\x28\xb5\x2f\xfd\x24\x05\x29\0\0hello\0\0\0\0"), Kind::Checksum { actual, .. } if actual != 0)
    );

    let mut archive = cabinet(cab::CompressionType::None, &[("a", b"some text")]);
    *archive.last_mut().unwrap() ^= 1;
    assert!(matches!(kind(&archive), Kind::Checksum { .. }));
}

#[test]
fn a_zip_directory_that_lies_about_places_is_refused() {
    let good = ByHand::stored("a", b"text").build();
    let (directory, end) = (good.len() - 22 - 47, good.len() - 22);
    let lie = |at: usize, value: u32| {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
        kind(&bad)
    };
    // The member's header is elsewhere, or past the end.
    assert!(matches!(lie(directory + 42, 2), Kind::Damaged { .. }));
    assert!(matches!(lie(directory + 42, 0x7fff_fff0), Kind::Read(_)));
    // The member would reach into the directory.
    assert!(matches!(lie(directory + 20, 5), Kind::Damaged { .. }));
    // The directory would reach into or past the end record, or there are fewer entries than it says.
    assert!(matches!(lie(end + 16, 0x7fff_fff0), Kind::Damaged { .. }));
    assert!(matches!(lie(end + 12, 0x7fff_fff0), Kind::Damaged { .. }));
    assert!(matches!(lie(end + 8, 0x0002_0002), Kind::Truncated { .. }));
}

#[test]
fn a_zip64_count_of_billions_ends_where_the_directory_does() {
    let mut member = ByHand::stored("a", b"text");
    member.large = true;
    let mut archive = member.build();
    let record = archive.len() - 22 - 20 - 56;
    for at in [24, 32] {
        archive[record + at..record + at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    }
    assert!(matches!(kind(&archive), Kind::Truncated { .. }));
}

#[test]
fn a_directory_of_too_many_members_is_cut_and_says_so() {
    let one = ByHand::stored("a", b"").build();
    // Signature to name: the entry stands behind a local header of 30 bytes, a name of one and an extra field of five.
    let entry = &one[36..36 + 47];
    let count = 70_000_u64;
    let mut archive = one[..36].to_vec();
    (0..count).for_each(|_| archive.extend(entry));
    let record = archive.len() as u64;
    archive.extend(b"PK\x06\x06");
    archive.extend(44_u64.to_le_bytes());
    archive.extend([0; 12]);
    [count, count, count * 47, 36].iter().for_each(|value| archive.extend(value.to_le_bytes()));
    archive.extend(b"PK\x06\x07\0\0\0\0");
    archive.extend(record.to_le_bytes());
    archive.extend(1_u32.to_le_bytes());
    archive.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    let opened = open(&archive).unwrap();
    assert_eq!((opened.members().len(), opened.is_cut()), (65_536, true));
}

#[test]
fn a_zstandard_window_beyond_the_cap_is_refused_before_memory_is_taken() {
    // Window descriptor: 2 to the 10 + 18, twice the cap.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0];
    assert_eq!(kind(&frame), Kind::Window { size: 2 * MOST_WINDOW, limit: MOST_WINDOW });
    // One byte of dictionary number, a single segment of no bytes.
    assert_eq!(kind(&[0x28, 0xb5, 0x2f, 0xfd, 0x21, 9, 0, 1, 0, 0]), Kind::Dictionary { id: 9 });
}

#[test]
fn cabinet_files_outside_their_folder_end_with_an_error() {
    let blocks = [(b"text".to_vec(), 4)];
    assert!(matches!(kind(&cabinet_by_hand(0, &blocks, &[("a", 2, 3, 0)])), Kind::Truncated { .. }));
    assert!(matches!(kind(&cabinet_by_hand(0, &blocks, &[("a", 1 << 31, 1, 0)])), Kind::Truncated { .. }));
    assert!(matches!(kind(&cabinet_by_hand(0, &blocks, &[("a", 0, 1, 5)])), Kind::Damaged { .. }));
    // A block that holds less or more than it says, and one that says more than a block may hold.
    assert!(matches!(kind(&cabinet_by_hand(0, &[(vec![0; 4], 5)], &[("a", 0, 1, 0)])), Kind::Damaged { .. }));
    assert!(matches!(kind(&cabinet_by_hand(1, &[(b"CK\x03\0".to_vec(), 5)], &[("a", 0, 1, 0)])), Kind::Damaged { .. }));
    assert!(matches!(kind(&cabinet_by_hand(0, &[(vec![0; 4], 0x8001)], &[("a", 0, 1, 0)])), Kind::Damaged { .. }));
}

/// A file that is taken away after the first reads.
struct Vanishing(Vec<u8>, Cell<usize>);

impl ByteSource for Vanishing {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let Some(left) = self.1.get().checked_sub(1) else {
            return Err(SourceError { offset, len: buf.len() as u64, kind: SourceErrorKind::Changed });
        };
        self.1.set(left);
        self.0.read_at(offset, buf)
    }
}

#[test]
fn a_file_that_vanishes_is_told_apart_from_a_damaged_one() {
    for bytes in samples() {
        for reads in 0..4 {
            let file = Rc::new(Vanishing(bytes.clone(), Cell::new(reads)));
            match Archive::open(file).and_then(|archive| archive.unpack(0, 1 << 20)).and_then(drain) {
                Ok(_) => {}
                Err(error) => assert!(error.to_string().contains("was removed"), "{error:?}"),
            }
        }
    }
}

/// Small archives of every kind, with one or two members each.
fn samples() -> Vec<Vec<u8>> {
    let (text, more) = (content(2000), content(40_000));
    let mut large = ByHand::stored("big", &text);
    large.large = true;
    let mut lzx = vec![0x00, 0x30, 0x50, 0x00, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    lzx.extend(b"hello\0");
    let mut packed = ByHand::stored("zst", &text);
    (packed.data, packed.method) = (zstandard(&text), 93);
    let lzx_blocks = common::lzx::pack(&more, 9001, Some(50_000));
    vec![
        cabinet_by_hand(0x0f03, &lzx_blocks, &[("a", 0, 40_000, 0), ("b", 39_000, 1000, 0)]),
        zip(&[("a", &text, true), ("b", &text, false)]),
        large.build(),
        packed.build(),
        [gzip(&text, Some("name")), gzip(&text, None)].concat(),
        [zstandard(&text), zstandard(&more)].concat(),
        cabinet(cab::CompressionType::MsZip, &[("a", &more), ("b", &text)]),
        cabinet(cab::CompressionType::None, &[("a", &text)]),
        cabinet_by_hand(0x0f03, &[(lzx, 5)], &[("a", 0, 5, 0)]),
    ]
}

static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(samples);

fn try_all(bytes: &[u8]) {
    const LIMIT: u64 = 200_000;
    let Ok(archive) = open(bytes) else { return };
    for index in 0..archive.members().len().min(8) {
        if let Some(range) = archive.stored_range(index) {
            assert!(range.start <= range.end && range.end <= bytes.len() as u64);
        }
        let Ok(unpacker) = archive.unpack(index, LIMIT) else { continue };
        match drain(unpacker) {
            Ok(out) => assert!(out.len() as u64 <= LIMIT),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_archive_gives_content_or_an_error(
        which in 0..9_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = SAMPLES[which].clone();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        try_all(&bytes);
    }

    #[test]
    fn noise_behind_a_signature_gives_content_or_an_error(
        head in prop::sample::select(vec![
            &b"PK\x03\x04"[..], b"PK\x05\x06", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"MSCF\0\0\0\0",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        try_all(&[head, &noise].concat());
    }

    #[test]
    fn noise_in_an_lzx_or_mszip_block_gives_content_or_an_error(
        method in prop::sample::select(vec![1_u16, 0x0f03, 0x1203, 0x1503]),
        noise in prop::collection::vec(any::<u8>(), 0..400),
        len in 1..0x8001_u16,
    ) {
        let noise = if method == 1 { [b"CK".to_vec(), noise].concat() } else { noise };
        let size = u32::from(len);
        try_all(&cabinet_by_hand(method, &[(noise.clone(), len), (noise, len)], &[("a", 0, 2 * size, 0)]));
    }
}

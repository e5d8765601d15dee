use std::rc::Rc;

use dumplens_archive::{Archive, CHUNK, MOST_MEMBERS, SubSource, Unpacker};
use dumplens_base::{ByteSource, Source};

use crate::{budget, file::File};

/// Most bytes that may come out of a member.
const LIMIT: u64 = 1 << 20;

/// An archive: its directory, and what comes out of its first members.
pub fn archive(data: &[u8]) {
    // A Zstandard window alone may take 128 MiB.
    budget::within(256, || {
        let source = File::plain(data);
        match Archive::open(Rc::clone(&source)) {
            Ok(archive) => everything(&archive, &source),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

fn everything(archive: &Archive, source: &Source) {
    assert!(archive.members().len() <= MOST_MEMBERS);
    for index in 0..archive.members().len().min(4) {
        if let Some(range) = archive.stored_range(index) {
            let part = SubSource::new(Rc::clone(source), range).expect("a stored member stands in the file");
            let mut byte = [0];
            assert!(part.is_empty() || part.read_at(part.len() - 1, &mut byte).is_ok());
        }
        match archive.unpack(index, LIMIT) {
            Ok(unpacker) => drain(unpacker),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(archive.unpack(archive.members().len(), LIMIT).is_err());
}

/// Unpacks a member to its end or its first error.
fn drain(mut unpacker: Unpacker) {
    let (mut total, mut read) = (0, 0);
    // Empty pieces are allowed, but they must come to an end.
    for _ in 0..200_000 {
        let len = match unpacker.next_chunk() {
            Ok(Some(chunk)) => chunk.len(),
            Ok(None) => {
                assert!(matches!(unpacker.next_chunk(), Ok(None)), "the end stays the end");
                return;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(unpacker.next_chunk().err(), Some(error), "an error stays");
                return;
            }
        };
        assert!(len <= CHUNK);
        total += len as u64;
        assert!(total <= LIMIT && unpacker.written() == total, "more came out than may");
        assert!((read..=unpacker.compressed_total()).contains(&unpacker.compressed_read()), "progress goes forward");
        read = unpacker.compressed_read();
    }
    panic!("the unpacking does not end");
}

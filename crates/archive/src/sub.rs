use core::ops::Range;

use dumplens_base::{ByteSource, Source, SourceError, SourceErrorKind};

/// A range of another source, as a source of its own: a stored member read in place.
pub struct SubSource {
    source: Source,
    start: u64,
    len: u64,
}

impl SubSource {
    /// The bytes `range` of `source`. `None` if the range is reversed or passes the end of `source`.
    #[must_use]
    pub fn new(source: Source, range: Range<u64>) -> Option<Self> {
        let len = range.end.checked_sub(range.start)?;
        (range.end <= source.len()).then_some(Self { source, start: range.start, len })
    }
}

impl ByteSource for SubSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let wanted = buf.len() as u64;
        if offset.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(SourceError { offset, len: wanted, kind: SourceErrorKind::OutOfRange });
        }
        // The caller knows offsets in this range only, so errors are told in them too.
        self.source.read_at(self.start.saturating_add(offset), buf).map_err(|error| SourceError { offset, ..error })
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_range_is_read_in_its_own_offsets_and_never_beyond_its_end() {
        let file: Source = Rc::new((0..100).collect::<Vec<u8>>());
        let part = SubSource::new(Rc::clone(&file), 10..20).unwrap();
        let mut buf = [0; 4];
        part.read_at(6, &mut buf).unwrap();
        assert_eq!((part.len(), buf), (10, [16, 17, 18, 19]));
        let error = part.read_at(7, &mut buf).unwrap_err();
        assert_eq!((error.offset, error.kind), (7, SourceErrorKind::OutOfRange));
        assert!(part.read_at(u64::MAX, &mut buf).is_err());
        assert!(SubSource::new(Rc::clone(&file), 90..101).is_none());
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = SubSource::new(file, 20..10);
        assert!(reversed.is_none());
    }
}

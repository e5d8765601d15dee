use alloc::vec::Vec;

use dumplens_base::{ByteSource as _, Source, SourceError, SourceErrorKind};

use crate::{Headers, ImageBytes, ImageError, ImageRead, Unreadable};

/// An image as the linker wrote it: an RVA is turned into a file offset by way of the section table.
///
/// Where a section is longer in memory than in the file, the format says that the rest is zero; such bytes read as
/// zeros. Where no section is, nothing is invented.
#[derive(Clone)]
pub struct FileImage {
    source: Source,
    extents: Vec<Extent>,
}

/// A run of RVAs and the file bytes behind it.
#[derive(Clone, Copy, Debug)]
struct Extent {
    rva: u32,
    /// Bytes in memory.
    len: u64,
    offset: u64,
    /// Bytes in the file; the others are zero.
    raw: u64,
}

impl FileImage {
    /// Reads the headers of `source` and takes the layout from them.
    pub(crate) fn open(source: Source) -> Result<(Self, Headers), ImageError> {
        // The headers stand at the same place in both layouts.
        let all = Extent { rva: 0, len: source.len(), offset: 0, raw: source.len() };
        let mut file = Self { source, extents: Vec::from([all]) };
        let headers = Headers::read(&file)?;
        file.extents = extents(&headers);
        Ok((file, headers))
    }

    /// Reads the bytes of the file at `offset`, as many as there are.
    fn read_source(&self, offset: u64, buf: &mut [u8]) -> ImageRead {
        let available = self.source.len().saturating_sub(offset);
        let filled = usize::try_from(available).unwrap_or(usize::MAX).min(buf.len());
        let fail = |kind| Some(Unreadable::Source(SourceError { offset, len: buf.len() as u64, kind }));
        let short = if filled < buf.len() { fail(SourceErrorKind::OutOfRange) } else { None };
        let Some(part) = buf.get_mut(..filled) else { return ImageRead { filled: 0, stopped: short } };
        match self.source.read_at(offset, part) {
            Ok(()) => ImageRead { filled, stopped: short },
            Err(error) => ImageRead { filled: 0, stopped: Some(Unreadable::Source(error)) },
        }
    }
}

/// The layout that the loader would make of the file.
fn extents(headers: &Headers) -> Vec<Extent> {
    // The headers end where the first section begins, whatever they claim.
    let first = headers.sections.iter().map(|section| section.rva).filter(|rva| *rva != 0).min();
    let head = u64::from(headers.size_of_headers.min(first.unwrap_or(u32::MAX)));
    let head = Extent { rva: 0, len: head, offset: 0, raw: head };
    // Sections are mapped in whole units of their alignment; an alignment that is no power of two is nonsense.
    let unit = u64::from(headers.section_alignment.max(1));
    let unit = if unit.is_power_of_two() { unit } else { 1 };
    let section = |section: &crate::Section| {
        let len = (u64::from(section.memory_size()) + unit - 1) & !(unit - 1);
        // The loader rounds the offset down to a disk sector of 512 bytes, unless the image is mapped like a file.
        let offset = if unit >= 0x1000 { section.raw_offset & !0x1ff } else { section.raw_offset };
        // A section of uninitialised data may carry a size without having an offset.
        let raw = if section.raw_offset == 0 { 0 } else { u64::from(section.raw_size) };
        Extent { rva: section.rva, len, offset: offset.into(), raw: raw.min(len) }
    };
    headers.sections.iter().map(section).chain([head]).collect()
}

impl ImageBytes for FileImage {
    fn read_prefix(&self, rva: u32, buf: &mut [u8]) -> ImageRead {
        let mut filled = 0;
        // Every turn fills at least one byte.
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = u64::from(rva).saturating_add(filled as u64);
            let inside = |extent: &&Extent| at.checked_sub(extent.rva.into()).is_some_and(|into| into < extent.len);
            let Some(extent) = self.extents.iter().find(inside) else {
                return ImageRead { filled, stopped: Some(Unreadable::NoSection) };
            };
            let into = at.saturating_sub(extent.rva.into());
            let in_file = into < extent.raw;
            let run = if in_file { extent.raw } else { extent.len }.saturating_sub(into);
            let len = usize::try_from(run).unwrap_or(usize::MAX).min(rest.len());
            let Some(part) = rest.get_mut(..len) else { break };
            if in_file {
                let read = self.read_source(extent.offset.saturating_add(into), part);
                if read.stopped.is_some() {
                    return ImageRead { filled: filled.saturating_add(read.filled), ..read };
                }
            } else {
                part.fill(0);
            }
            filled = filled.saturating_add(len);
        }
        ImageRead { filled, stopped: None }
    }

    fn read_file(&self, offset: u32, buf: &mut [u8]) -> ImageRead {
        self.read_source(offset.into(), buf)
    }
}

impl core::fmt::Debug for FileImage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FileImage").field("extents", &self.extents).finish_non_exhaustive()
    }
}

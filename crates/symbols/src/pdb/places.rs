//! From RVAs to sections and back, through OMAP tables if the image was rearranged after linking.

use dumplens_base::{ByteSource as _, Bytes};

use super::stream::PdbStream;
use crate::SymbolError;

/// Size of `IMAGE_SECTION_HEADER`.
const HEADER: u64 = 40;
/// Most sections of an image.
const SECTIONS: u64 = 1 << 16;
/// Size of an OMAP record: two RVAs.
const RECORD: u64 = 8;

/// A place as the linker knew it: what symbols, lines and contributions speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Section, counted from 1.
    pub section: u16,
    /// Offset in the section, in bytes.
    pub offset: u32,
}

/// A section as the linker laid it out.
#[derive(Clone, Copy, Debug)]
struct Section {
    rva: u32,
    size: u32,
}

/// One of the two OMAP tables, sorted by the address that is looked up.
struct Omap(PdbStream);

impl Omap {
    fn record(&self, index: u64) -> Result<(u32, u32), SymbolError> {
        let [a, b, c, d, e, f, g, h] = self.0.array::<8>(index.saturating_mul(RECORD), "OMAP record")?;
        Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }

    /// Where `rva` is on the other side, and how many bytes from there go the same way; `None` if it was removed, or
    /// added.
    fn translate(&self, rva: u32) -> Result<Option<(u32, u32)>, SymbolError> {
        let (mut low, mut high) = (0, self.0.len() / RECORD);
        let count = high;
        while low < high {
            let middle = low.midpoint(high);
            if self.record(middle)?.0 <= rva { low = middle.saturating_add(1) } else { high = middle }
        }
        let Some(before) = low.checked_sub(1) else { return Ok(None) };
        let (from, to) = self.record(before)?;
        let end = if low < count { self.record(low)?.0 } else { u32::MAX };
        let moved = to.checked_add(rva.wrapping_sub(from)).filter(|_| to != 0);
        Ok(moved.map(|to| (to, end.saturating_sub(rva))))
    }
}

/// The sections of an image, and how it was rearranged.
pub(crate) struct Places {
    sections: Vec<Section>,
    to_source: Option<Omap>,
    from_source: Option<Omap>,
}

impl Places {
    /// `headers`: section headers before the image was rearranged.
    pub(crate) fn open(
        headers: &PdbStream,
        to_source: Option<PdbStream>,
        from_source: Option<PdbStream>,
    ) -> Result<Self, SymbolError> {
        let len = headers.len().min(SECTIONS * HEADER);
        let bytes = headers.vec(0, len, SECTIONS * HEADER, "section headers")?;
        let mut bytes = Bytes::new(&bytes, headers.file_offset(0));
        let mut sections = Vec::new();
        while bytes.remaining() as u64 >= HEADER {
            bytes.skip(8, "section name")?;
            let (memory, rva, file) = (bytes.u32("size")?, bytes.u32("RVA")?, bytes.u32("size in the file")?);
            bytes.skip(20, "section header")?;
            sections.push(Section { rva, size: memory.max(file) });
        }
        Ok(Self { sections, to_source: to_source.map(Omap), from_source: from_source.map(Omap) })
    }

    /// Whether the image was rearranged after linking.
    pub(crate) const fn is_rearranged(&self) -> bool {
        self.from_source.is_some() || self.to_source.is_some()
    }

    /// The RVA that `rva` had when the image was linked, and how many bytes from there were moved with it.
    pub(crate) fn linked(&self, rva: u32) -> Result<Option<(u32, u32)>, SymbolError> {
        match &self.to_source {
            Some(omap) => omap.translate(rva),
            None => Ok(Some((rva, u32::MAX.saturating_sub(rva)))),
        }
    }

    /// The RVA that a linked RVA has now; `None` if it was removed.
    pub(crate) fn current(&self, linked: u32) -> Result<Option<u32>, SymbolError> {
        match &self.from_source {
            Some(omap) => Ok(omap.translate(linked)?.map(|(rva, _)| rva)),
            None => Ok(Some(linked)),
        }
    }

    /// The section that a linked RVA is in.
    pub(crate) fn place(&self, linked: u32) -> Option<Place> {
        // A section that would run over the end of the address space does not go on at its start.
        (1..).zip(&self.sections).find_map(|(number, section)| {
            let offset = linked.checked_sub(section.rva).filter(|offset| *offset < section.size)?;
            Some(Place { section: number, offset })
        })
    }

    /// The linked RVA of a place; `None` if there is no such section.
    pub(crate) fn linked_rva(&self, place: Place) -> Option<u32> {
        let section = self.sections.get(usize::from(place.section.checked_sub(1)?))?;
        section.rva.checked_add(place.offset)
    }

    /// The RVA of a place in the image as it is.
    pub(crate) fn rva(&self, place: Place) -> Result<Option<u32>, SymbolError> {
        self.linked_rva(place).map_or(Ok(None), |linked| self.current(linked))
    }

    /// Bytes of a section.
    pub(crate) fn size(&self, section: u16) -> u32 {
        let index = usize::from(section).checked_sub(1);
        index.and_then(|index| self.sections.get(index)).map_or(0, |section| section.size)
    }
}

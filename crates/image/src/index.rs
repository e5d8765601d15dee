use alloc::vec::Vec;
use core::ops::Range;

use crate::{Export, Exports, Headers};

/// The exports of an image, sorted by RVA.
///
/// An export below an address is not the function at that address: between two exports stand any number of functions
/// that are not exported. Whoever shows the answer must show the distance with it.
#[derive(Clone, Debug, Default)]
pub struct ExportIndex {
    by_rva: Vec<Export>,
    /// RVAs of each section, sorted.
    sections: Vec<Range<u32>>,
}

impl ExportIndex {
    /// Sorts `exports`; forwarders are left out, they stand for code of another module.
    #[must_use]
    pub fn new(exports: Exports, headers: &Headers) -> Self {
        let mut by_rva = exports.list;
        by_rva.retain(|export| export.forwarder.is_none());
        // Of several at one RVA the last wins: named before nameless, then the first in the alphabet.
        by_rva.sort_by(|a, b| (a.rva, a.name.is_some()).cmp(&(b.rva, b.name.is_some())).then(b.name.cmp(&a.name)));
        let range = |section: &crate::Section| section.rva..section.rva.saturating_add(section.memory_size());
        let mut sections: Vec<_> = headers.sections.iter().map(range).collect();
        sections.sort_by_key(|range| range.start);
        Self { by_rva, sections }
    }

    /// The exports in order of their RVA.
    #[must_use]
    pub fn exports(&self) -> &[Export] {
        &self.by_rva
    }

    /// The last export at or below `rva` in the same section, and how many bytes below it stands.
    #[must_use]
    pub fn nearest(&self, rva: u32) -> Option<(&Export, u32)> {
        let after = self.by_rva.partition_point(|export| export.rva <= rva);
        let export = self.by_rva.get(after.checked_sub(1)?)?;
        let after = self.sections.partition_point(|section| section.start <= rva);
        let section = self.sections.get(after.checked_sub(1)?)?;
        // The end of the section counts too: a return address after a call that never returns may be there.
        let same = rva <= section.end && export.rva >= section.start;
        same.then(|| (export, rva.saturating_sub(export.rva)))
    }
}

use crate::{Archive, Format};

/// Archives within archives are opened this deep: a `.gz` in a `.zip` is, one deeper is not.
pub const MOST_LEVELS: usize = 2;

/// Which member there is to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// There is no file in the archive.
    Nothing,
    /// Only this one can be meant.
    One(usize),
    /// Somebody must choose.
    Several,
}

/// Endings of names that dumps and images of memory have.
const ENDINGS: [&str; 8] = [".dmp", ".mdmp", ".hdmp", ".dump", ".mem", ".raw", ".vmem", ".elf"];
/// Endings that packers append.
const PACKED: [&str; 6] = [".gz", ".gzip", ".zst", ".zstd", ".zip", ".cab"];

/// Whether a name is one that dumps have, packed once more or not. The content decides; this only helps to choose.
#[must_use]
pub fn could_be_dump(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ends_in(without_packing(&name), &ENDINGS)
}

fn ends_in(name: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The name without a packer's ending. What would be left empty is left alone.
fn without_packing(name: &str) -> &str {
    let lower = name.to_ascii_lowercase();
    let ending = PACKED.iter().find(|ending| lower.ends_with(*ending)).map_or(0, |ending| ending.len());
    name.get(..name.len().saturating_sub(ending)).filter(|rest| !rest.is_empty()).unwrap_or(name)
}

impl Archive {
    /// Numbers of the members that are files, in the directory's order.
    pub fn files(&self) -> impl Iterator<Item = usize> {
        self.members().iter().enumerate().filter(|(_, member)| !member.folder).map(|(index, _)| index)
    }

    /// Which member there is to open: the only file, or the only one with a name that dumps have.
    #[must_use]
    pub fn choice(&self) -> Choice {
        let mut files = self.files();
        match (files.next(), files.next()) {
            (None, _) => return Choice::Nothing,
            (Some(one), None) if !self.is_cut() => return Choice::One(one),
            _ => {}
        }
        let named = |index: &usize| self.members().get(*index).is_some_and(|member| could_be_dump(&member.name));
        let mut dumps = self.files().filter(named);
        match (dumps.next(), dumps.next()) {
            (Some(one), None) if !self.is_cut() => Choice::One(one),
            _ => Choice::Several,
        }
    }

    /// What to call member `index` of an archive in a file named `archive`. A gzip or Zstandard file often does not
    /// name its content: then it is called what the archive is called, without the ending.
    #[must_use]
    pub fn member_name(&self, index: usize, archive: &str) -> String {
        let name = self.members().get(index).map(|member| member.name.as_str()).unwrap_or_default();
        if !name.is_empty() {
            return name.into();
        }
        match self.format() {
            Format::Gzip | Format::Zstandard if without_packing(archive) != archive => without_packing(archive).into(),
            _ => "(no name)".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_dumps_have() {
        for name in ["MEMORY.DMP", "a/b.mdmp", "x.vmem", "crash.dmp.gz", "crash.dmp.ZST"] {
            assert!(could_be_dump(name), "{name}");
        }
        for name in ["readme.txt", "dmp", "a.dmp.txt", "logs.zip", ""] {
            assert!(!could_be_dump(name), "{name}");
        }
    }

    #[test]
    fn a_packers_ending_is_taken_off_once() {
        assert_eq!(without_packing("a.dmp.gz"), "a.dmp");
        assert_eq!(without_packing("a.gz.ZST"), "a.gz");
        assert_eq!(without_packing(".gz"), ".gz");
        assert_eq!(without_packing("ä.dmp"), "ä.dmp");
    }
}

//! Which files of a folder are worth adding: those that the dump asks for. A folder can be a symbol store with a hundred
//! thousand files, so most of its folders are not even entered.

use dumplens_report::{
    model::SymbolStatus,
    symbols::{SymbolNeed, packed},
};

/// Endings of names that folders of symbol stores have.
const STORED: [&str; 8] = [".pdb", ".sys", ".dll", ".exe", ".dbg", ".efi", ".drv", ".ocx"];
/// Folders are entered this deep.
const DEEPEST: usize = 8;

/// A wanted file, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    name: String,
    /// The packed twin: `ntkrnlmp.pd_`.
    twin: String,
    /// `None` if the dump does not identify the file.
    key: Option<String>,
}

/// The files that a dump wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    files: Vec<File>,
}

impl Wanted {
    /// What modules without a loaded PDB want.
    pub(crate) fn of(needs: &[SymbolNeed]) -> Self {
        let file = |name: &str, key: Option<&str>| {
            let name = name.to_lowercase();
            File { twin: packed(&name), name, key: key.map(str::to_lowercase) }
        };
        let open = needs.iter().filter(|need| need.symbols != SymbolStatus::Loaded);
        let files = open.flat_map(|need| match need.files.as_slice() {
            [] if need.image.is_empty() => Vec::new(),
            [] => vec![file(&need.image, None)],
            files => files.iter().map(|wanted| file(&wanted.name, Some(&wanted.key))).collect(),
        });
        Self { files: files.collect() }
    }

    /// How many files are wanted.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether a file is wanted that stands in these folders, outermost first. In a store, `name/KEY/name`, the key
    /// decides; elsewhere the name.
    pub(crate) fn takes(&self, folders: &[String], name: &str) -> bool {
        let name = name.to_lowercase();
        let mut upper = folders.iter().rev().map(|folder| folder.to_lowercase());
        let (key, stem) = (upper.next(), upper.next());
        let by_name = self.files.iter().filter(|file| file.name == name || file.twin == name);
        let mut in_place = by_name.filter(|file| match (&file.key, &key, &stem) {
            (Some(wanted), Some(key), Some(stem)) if *stem == file.name => key == wanted,
            _ => true,
        });
        in_place.next().is_some() || self.is_table(&name)
    }

    /// Whether a name is that of a table for a wanted PDB: `GUID-AGE.json.xz`, as Volatility calls them.
    fn is_table(&self, name: &str) -> bool {
        let Some((stem, _)) = name.split_once(".json") else { return false };
        let stem: String = stem.chars().filter(|c| *c != '-').collect();
        self.files.iter().any(|file| file.key.as_ref().is_some_and(|key| stem.ends_with(key.as_str())))
    }

    /// Whether a folder is worth entering that stands in these folders.
    pub(crate) fn enters(&self, folders: &[String], name: &str) -> bool {
        if folders.len() >= DEEPEST || name.starts_with(['.', '$']) {
            return false;
        }
        let name = name.to_lowercase();
        if is_stored(&name) {
            return self.files.iter().any(|file| file.name == name);
        }
        match folders.last().map(|folder| folder.to_lowercase()).filter(|folder| is_stored(folder)) {
            // Tables of kernel symbols stand right in such a folder; below it, keys.
            Some(stem) => {
                let mut keys = self.files.iter().filter(|file| file.name == stem);
                keys.any(|file| file.key.as_ref().is_none_or(|key| *key == name))
            }
            None => true,
        }
    }

    /// Where a file is kept so that the next dump of that build finds it: the folders `name/KEY` of a wanted file.
    pub(crate) fn place(need: &SymbolNeed, name: &str) -> Option<(String, String)> {
        let lower = name.to_lowercase();
        let same = |wanted: &str| {
            let wanted = wanted.to_lowercase();
            wanted == lower || wanted.strip_suffix(|_: char| true) == lower.strip_suffix('_')
        };
        let file = need.files.iter().find(|file| same(&file.name)).or(need.files.first())?;
        Some((file.name.clone(), file.key.clone()))
    }
}

/// Whether a folder has the name of a file, as stores have them.
fn is_stored(name: &str) -> bool {
    STORED.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumplens_report::symbols::WantedFile;

    fn wanted() -> Wanted {
        let files = vec![
            WantedFile::pdb("ntkrnlmp.pdb", "5278AFF81", true).unwrap(),
            WantedFile::image("ntoskrnl.exe", 0x0d83_33e6, 0x104_6000, true).unwrap(),
        ];
        let need = |image: &str, symbols, files| SymbolNeed {
            module: "m".into(),
            image: image.into(),
            symbols,
            reason: None,
            mismatches: vec![],
            matters: None,
            files,
        };
        Wanted::of(&[
            need("ntoskrnl.exe", SymbolStatus::Exports, files.clone()),
            need("lost.sys", SymbolStatus::Missing, vec![]),
            need("done.sys", SymbolStatus::Loaded, vec![WantedFile::pdb("done.pdb", "1", true).unwrap()]),
        ])
    }

    fn folders(path: &str) -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(String::from).collect()
    }

    #[test]
    fn in_a_store_the_key_decides() {
        let wanted = wanted();
        assert_eq!(wanted.len(), 3);
        for path in ["store/ntkrnlmp.pdb/5278AFF81", "S/nt/NTKRNLMP.PDB/5278aff81", "", "my files"] {
            assert!(wanted.takes(&folders(path), "ntkrnlmp.pdb"), "{path}");
            assert!(wanted.takes(&folders(path), "NTKRNLMP.PD_"), "{path}");
        }
        assert!(!wanted.takes(&folders("store/ntkrnlmp.pdb/5278AFF82"), "ntkrnlmp.pdb"));
        assert!(wanted.takes(&folders("ntoskrnl.exe/0D8333E61046000"), "ntoskrnl.ex_"));
        assert!(!wanted.takes(&[], "done.pdb"), "it has all names already");
        assert!(wanted.takes(&[], "LOST.SYS"), "what the dump does not identify is taken by name");
        assert!(wanted.takes(&folders("windows/ntkrnlmp.pdb"), "5278AFF8-1.json.xz"));
        assert!(!wanted.takes(&folders("windows/ntkrnlmp.pdb"), "5278AFF8-2.json.xz"));
    }

    #[test]
    fn folders_of_other_files_are_not_entered() {
        let wanted = wanted();
        assert!(wanted.enters(&[], "symbols"));
        assert!(wanted.enters(&[], "nt"));
        assert!(wanted.enters(&folders("symbols/nt"), "NtKrnlMp.pdb"));
        assert!(!wanted.enters(&folders("symbols"), "ntdll.pdb"));
        assert!(wanted.enters(&folders("symbols/ntkrnlmp.pdb"), "5278AFF81"));
        assert!(!wanted.enters(&folders("symbols/ntkrnlmp.pdb"), "5278AFF82"));
        assert!(!wanted.enters(&[], ".git"));
        assert!(!wanted.enters(&folders("1/2/3/4/5/6/7/8"), "9"));
    }

    #[test]
    fn a_kept_file_stands_where_the_dump_looks_for_it() {
        let need = SymbolNeed {
            module: "nt".into(),
            image: "ntoskrnl.exe".into(),
            symbols: SymbolStatus::Missing,
            reason: None,
            mismatches: vec![],
            matters: None,
            files: vec![
                WantedFile::pdb("ntkrnlmp.pdb", "5278AFF81", true).unwrap(),
                WantedFile::image("ntoskrnl.exe", 1, 2, true).unwrap(),
            ],
        };
        let place = |name: &str| Wanted::place(&need, name).unwrap();
        assert_eq!(place("ntoskrnl.exe").1, "000000012");
        assert_eq!(place("ntoskrnl.ex_").1, "000000012");
        assert_eq!(place("renamed.bin"), ("ntkrnlmp.pdb".into(), "5278AFF81".into()));
    }
}

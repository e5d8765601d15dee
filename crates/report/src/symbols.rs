//! What symbol files a dump wants, and how to fetch them: keys of symbol stores, links, scripts and a manifest.
//!
//! Paths in a store are `name/KEY/name`. The key of a PDB is its GUID and age; that of an image its time stamp, eight
//! upper-case digits, and its size, lower case.

use alloc::{format, string::String, vec::Vec};
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::model::SymbolStatus;

/// Where Microsoft publishes symbols of Windows. The page only links there; it never fetches.
pub const MICROSOFT_SERVER: &str = "https://msdl.microsoft.com/download/symbols/";

/// A module and what would name its functions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SymbolNeed {
    /// The debugger's short name.
    pub module: String,
    /// File name of its image.
    pub image: String,
    /// How far its names are known.
    pub symbols: SymbolStatus,
    /// Why it has that status: what was loaded, or what did not match.
    pub reason: Option<String>,
    /// Files that were offered for it and do not fit. Empty where it has all its names.
    pub mismatches: Vec<Mismatch>,
    /// Why it matters to this crash, if it does: "frame 3 of the crash".
    pub matters: Option<String>,
    /// Files that would help, the most useful first. Empty if the dump does not identify the module.
    pub files: Vec<WantedFile>,
}

/// A file that was offered for a module and does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Its name.
    pub file: String,
    /// What differs.
    pub reason: String,
}

impl core::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} does not fit: {}", self.file, self.reason)
    }
}

/// A file in a symbol store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedFile {
    /// Whether it is a PDB or an image.
    pub kind: FileKind,
    /// Its name: `ntkrnlmp.pdb`.
    pub name: String,
    /// Its key.
    pub key: String,
    /// Its path in a store: `ntkrnlmp.pdb/KEY/ntkrnlmp.pdb`.
    pub path: String,
    /// Whether Microsoft's public server may have it: files of Windows.
    pub public: bool,
}

/// Kinds of symbol files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A program database.
    Pdb,
    /// An image: it names its PDB, and holds exports and unwind data.
    Image,
}

impl WantedFile {
    /// A PDB by its name and key.
    #[must_use]
    pub fn pdb(name: &str, key: &str, public: bool) -> Option<Self> {
        Self::new(FileKind::Pdb, name, key.into(), public)
    }

    /// An image by its name, time stamp and size.
    #[must_use]
    pub fn image(name: &str, timestamp: u32, size: u64, public: bool) -> Option<Self> {
        Self::new(FileKind::Image, name, format!("{timestamp:08X}{size:x}"), public)
    }

    /// `None` if the name cannot be a file's: it comes from a dump and ends up in paths and scripts.
    fn new(kind: FileKind, name: &str, key: String, public: bool) -> Option<Self> {
        let name = name.rsplit(['\\', '/']).next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | ' ' | '(' | ')');
        let fits = !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(plain);
        let path = format!("{name}/{key}/{name}");
        fits.then(|| Self { kind, name: name.into(), key, path, public })
    }

    /// Where Microsoft's server would have it.
    #[must_use]
    pub fn url(&self) -> String {
        url(MICROSOFT_SERVER, &self.path)
    }

    /// Where a server of symbols would have it, as it is and packed, with the name it has there. `server` ends in `/`.
    #[must_use]
    pub fn urls(&self, server: &str) -> [(String, String); 2] {
        let packed = packed(&self.name);
        let path = format!("{}/{}/{packed}", self.name, self.key);
        [(url(server, &self.path), self.name.clone()), (url(server, &path), packed)]
    }
}

fn url(server: &str, path: &str) -> String {
    let mut url = String::from(server);
    for c in path.chars() {
        match c {
            ' ' => url.push_str("%20"),
            '+' => url.push_str("%2B"),
            c => url.push(c),
        }
    }
    url
}

/// The name of a file that a store keeps in a cabinet: `ntkrnlmp.pd_`.
#[must_use]
pub fn packed(name: &str) -> String {
    let mut packed = String::from(name);
    packed.pop();
    packed.push('_');
    packed
}

/// What came of a symbol file that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedSymbols {
    /// Its name.
    pub name: String,
    /// What it is: "PDB 5278AFF8…, age 1".
    pub identity: String,
    /// Short names of the modules it names now. Empty if it belongs to none: it is kept, for it may yet be wanted.
    pub modules: Vec<String>,
    /// Whether a file of the same identity and size was there already: this one takes its place.
    pub again: bool,
}

/// Forms in which the list of wanted files can be carried to a connected machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptKind {
    /// A PowerShell script.
    PowerShell,
    /// A POSIX shell script.
    Shell,
    /// A manifest for `symchk /im`: `name,KEY,1` on each line.
    SymChk,
}

/// The list of wanted files in one of its forms. Files that the public server cannot have are left out.
#[must_use]
pub fn script(needs: &[SymbolNeed], kind: ScriptKind) -> String {
    let files: Vec<&WantedFile> = needs
        .iter()
        .filter(|need| !matches!(need.symbols, SymbolStatus::Loaded))
        .flat_map(|need| &need.files)
        .filter(|file| file.public)
        .collect();
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match kind {
        ScriptKind::SymChk => files.iter().try_for_each(|file| writeln!(out, "{},{},1", file.name, file.key)),
        ScriptKind::Shell => shell(&mut out, &files),
        ScriptKind::PowerShell => power_shell(&mut out, &files),
    };
    out
}

fn shell(out: &mut String, files: &[&WantedFile]) -> core::fmt::Result {
    out.push_str(
        "#!/bin/sh\n# Fetches symbol files into the folder 'symbols', laid out as a symbol store.\n# Drop that folder on Dumplens, or \
         name it with --symbols.\nset -u\n\nfetch() {\n  mkdir -p \"symbols/${1%/*}\"\n  [ -s \"symbols/$1\" ] && return\n  \
         echo \"$1\"\n  curl -fsSL -A Microsoft-Symbol-Server/10.0 -o \"symbols/$1\" \"$2\" || { rm -f \"symbols/$1\"; echo \"  not there\"; }\n}\n\n",
    );
    files.iter().try_for_each(|file| writeln!(out, "fetch '{}' '{}'", file.path, file.url()))
}

fn power_shell(out: &mut String, files: &[&WantedFile]) -> core::fmt::Result {
    out.push_str(
        "# Fetches symbol files into the folder 'symbols', laid out as a symbol store.\n# Drop that folder on Dumplens, or name it with \
         --symbols.\n$ProgressPreference = 'SilentlyContinue'\nfunction Fetch($Path, $Url) {\n  $Target = Join-Path 'symbols' $Path\n  \
         if (Test-Path $Target) { return }\n  New-Item -ItemType Directory -Force (Split-Path $Target) | Out-Null\n  Write-Host $Path\n  \
         try { Invoke-WebRequest -UseBasicParsing -UserAgent 'Microsoft-Symbol-Server/10.0' -OutFile $Target $Url }\n  \
         catch { Write-Host '  not there' }\n}\n\n",
    );
    files.iter().try_for_each(|file| writeln!(out, "Fetch '{}' '{}'", file.path, file.url()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn keys_are_spelled_as_stores_spell_them() {
        let image = WantedFile::image("amdppm.sys", 0x0f3a_8b1c, 0x4_1000, true).unwrap();
        assert_eq!(image.path, "amdppm.sys/0F3A8B1C41000/amdppm.sys");
        let pdb = WantedFile::pdb("D:\\os\\obj\\ntkrnlmp.pdb", "5278AFF81", true).unwrap();
        assert_eq!(pdb.path, "ntkrnlmp.pdb/5278AFF81/ntkrnlmp.pdb");
        assert_eq!(pdb.url(), "https://msdl.microsoft.com/download/symbols/ntkrnlmp.pdb/5278AFF81/ntkrnlmp.pdb");
    }

    #[test]
    fn a_server_is_asked_for_the_file_and_for_its_packed_twin() {
        let file = WantedFile::pdb("a b.pdb", "12", false).unwrap();
        let [plain, packed] = file.urls("https://symbols.example/store/");
        assert_eq!(plain, ("https://symbols.example/store/a%20b.pdb/12/a%20b.pdb".into(), "a b.pdb".into()));
        assert_eq!(packed, ("https://symbols.example/store/a%20b.pdb/12/a%20b.pd_".into(), "a b.pd_".into()));
    }

    #[test]
    fn names_that_would_escape_a_path_or_a_script_are_not_taken() {
        for name in ["", ".", "..", "a'b.pdb", "a\"b", "a$(x)", "a\nb", "é.pdb", "a\u{202e}b", "%41.pdb", "a;b"] {
            assert!(WantedFile::pdb(name, "1", true).is_none(), "{name:?}");
        }
        assert_eq!(WantedFile::pdb("..\\..\\evil.pdb", "1", true).unwrap().path, "evil.pdb/1/evil.pdb");
    }

    #[test]
    fn scripts_hold_what_is_missing_and_public() {
        let need = |symbols, public| SymbolNeed {
            module: "nt".into(),
            image: "ntoskrnl.exe".into(),
            symbols,
            reason: None,
            mismatches: vec![],
            matters: None,
            files: vec![WantedFile::pdb("a b.pdb", "12", public).unwrap()],
        };
        let needs =
            [need(SymbolStatus::Missing, true), need(SymbolStatus::Loaded, true), need(SymbolStatus::Missing, false)];
        assert_eq!(script(&needs, ScriptKind::SymChk), "a b.pdb,12,1\n");
        let shell = script(&needs, ScriptKind::Shell);
        assert_eq!(shell.matches("\nfetch '").count(), 1);
        assert!(
            shell.contains("'a b.pdb/12/a b.pdb' 'https://msdl.microsoft.com/download/symbols/a%20b.pdb/12/a%20b.pdb'")
        );
        assert_eq!(script(&needs, ScriptKind::PowerShell).matches("\nFetch '").count(), 1);
    }
}

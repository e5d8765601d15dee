//! Folders with symbol files: stores, caches, or any folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use dumplens_archive::{Archive, SubSource, sniff};
use dumplens_base::{BlockCache, Source};
use dumplens_engine::{AddError, Session};
use dumplens_report::{
    protocol::{Reply, Request},
    symbols::{AddedSymbols, SymbolNeed, packed},
};

use crate::{archive, commands::answer, source::FileSource};

/// Files that one folder may hold before the rest is left alone.
const MOST_FILES: usize = 50_000;
/// Symbol tables that are tried one after another.
const MOST_TABLES: usize = 64;
/// How deep folders are searched: a two-tier store has four levels.
const MOST_DEPTH: usize = 5;

/// Adds what the folders hold for this dump. Says on standard error what cannot be read.
pub(crate) fn add(session: &mut Session, folders: &[PathBuf]) {
    let folders: Vec<PathBuf> = folders.iter().cloned().chain(search_path()).collect();
    if folders.is_empty() {
        return;
    }
    // A file named instead of a folder is meant as it is.
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = folders.into_iter().partition(|path| !path.is_file());
    for file in &files {
        add_file(session, file);
    }
    let index = Index::new(&folders);
    let mut taken = BTreeSet::new();
    // An image may name the PDB that a small dump does not: so ask again as long as files are found.
    for _ in 0..3 {
        let Ok(Reply::Symbols(needs)) = answer(session, Request::Symbols) else { return };
        let found: Vec<PathBuf> =
            needs.iter().flat_map(|need| index.candidates(need)).filter(|path| taken.insert(path.clone())).collect();
        if found.is_empty() {
            return;
        }
        for path in found {
            add_file(session, &path);
        }
    }
}

/// Uses files for modules whatever their identity: `MODULE=FILE`.
pub(crate) fn force(session: &mut Session, wanted: &[String]) {
    for text in wanted {
        let Some((module, path)) = text.split_once('=') else {
            eprintln!("dumplens: --force {text}: this is not MODULE=FILE");
            continue;
        };
        let path = Path::new(path);
        add_file(session, path);
        let base = match answer(session, Request::Modules) {
            Ok(Reply::Modules(rows)) => {
                rows.iter().find(|row| row.name.eq_ignore_ascii_case(module)).map(|row| row.base)
            }
            _ => None,
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let result = match base {
            Some(module) => answer(session, Request::ForceSymbols { module, file: name }).map(|_| ()),
            None => {
                eprintln!("dumplens: --force {text}: there is no module {module}");
                continue;
            }
        };
        if let Err(failure) = result {
            eprintln!("dumplens: --force {text}: {failure}");
        }
    }
}

fn add_file(session: &mut Session, path: &Path) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let explain = |reason: &dyn std::fmt::Display| eprintln!("dumplens: {}: {reason}", path.display());
    let source: Source = match FileSource::open(path) {
        Ok(file) => Rc::new(BlockCache::for_files(file)),
        Err(error) => return explain(&error),
    };
    match session.add_symbols(Rc::clone(&source), &name) {
        Ok(added) => tell(&added, &explain),
        // Stores keep files in cabinets (`name.pd_`), colleagues send them in zips.
        Err(AddError::NotSymbols(_)) if sniff(&*source).is_some() => match members(&source) {
            Ok(files) => {
                for (name, file) in files {
                    match session.add_symbols(file, &name) {
                        Ok(added) => tell(&added, &explain),
                        Err(error) => explain(&format_args!("{name}: {error}")),
                    }
                }
            }
            Err(reason) => explain(&reason),
        },
        Err(error) => explain(&error),
    }
}

/// Says if a file came twice: two folders may both hold it.
fn tell(added: &AddedSymbols, explain: &dyn Fn(&dyn std::fmt::Display)) {
    if added.again {
        explain(&format_args!("the same file was added before ({}); one of them is kept", added.identity));
    }
}

/// Members of an archive of symbols that are unpacked.
const MOST_MEMBERS: usize = 256;
/// Bytes of one of them.
const MOST_MEMBER: u64 = 8 << 30;

/// The files in an archive, where they are or in temporary files that vanish with the last use.
fn members(source: &Source) -> Result<Vec<(String, Source)>, String> {
    let archive = Archive::open(Rc::clone(source)).map_err(|error| error.to_string())?;
    let mut files = Vec::new();
    for index in archive.files().take(MOST_MEMBERS) {
        let Some(member) = archive.members().get(index) else { continue };
        let name = member.name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let stored = archive.stored_range(index).and_then(|range| SubSource::new(Rc::clone(source), range));
        let file: Source = match stored {
            Some(part) => Rc::new(part),
            None => Rc::new(unpack(&archive, index)?),
        };
        files.push((name, file));
    }
    Ok(files)
}

fn unpack(archive: &Archive, index: usize) -> Result<FileSource, String> {
    let mut unpacker = archive.unpack(index, MOST_MEMBER).map_err(|error| archive::explain(&error))?;
    let mut file = tempfile::tempfile().map_err(|error| archive::disk(&error, 0))?;
    loop {
        match unpacker.next_chunk() {
            Ok(Some(bytes)) => file.write_all(bytes).map_err(|error| archive::disk(&error, 0))?,
            Ok(None) => return archive::finish(file).map_err(|error| archive::disk(&error, 0)),
            Err(error) => return Err(archive::explain(&error)),
        }
    }
}

/// Local folders of `_NT_SYMBOL_PATH`, such as `cache*C:\symbols;srv*C:\store*https://…`. Servers are left out.
fn search_path() -> Vec<PathBuf> {
    let text = std::env::var("_NT_SYMBOL_PATH").unwrap_or_default();
    let elements = text.split(';').flat_map(|element| element.split('*'));
    let local = elements
        .map(str::trim)
        .filter(|part| !part.is_empty() && !part.contains("://"))
        .filter(|part| !["srv", "cache", "symsrv", "symsrv.dll"].contains(&part.to_lowercase().as_str()));
    local.map(PathBuf::from).filter(|path| path.is_dir()).collect()
}

/// The files of some folders by their lower-case names.
struct Index {
    by_name: BTreeMap<String, Vec<PathBuf>>,
}

impl Index {
    fn new(folders: &[PathBuf]) -> Self {
        let mut by_name: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let mut left = MOST_FILES;
        for folder in folders {
            walk(folder, 0, &mut left, &mut by_name);
            if left == 0 {
                eprintln!("dumplens: {}: more than {MOST_FILES} files; the rest is not searched", folder.display());
                break;
            }
        }
        Self { by_name }
    }

    /// Files that may be what a module wants: under its key in a store first, then under its name anywhere.
    fn candidates(&self, need: &SymbolNeed) -> Vec<PathBuf> {
        let names = need.files.iter().map(|file| file.name.as_str()).chain([need.image.as_str()]);
        // Compressed files in a store end in an underscore: `amdppm.pd_`.
        let both = names.map(str::to_lowercase).flat_map(|name| [packed(&name), name]);
        let names: BTreeSet<String> = both.collect();
        let keys: BTreeSet<String> = need.files.iter().map(|file| file.key.to_lowercase()).collect();
        let keyed = |path: &&PathBuf| {
            let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().to_lowercase());
            folder.is_some_and(|folder| keys.contains(&folder))
        };
        // In a store with many versions only the right key is worth opening. A PDB may be in a store and its image beside it.
        let worthy = |paths: &Vec<PathBuf>| -> Vec<PathBuf> {
            let any = paths.iter().any(|path| keyed(&path));
            paths.iter().filter(|path| !any || keyed(path)).cloned().collect()
        };
        let mut found: Vec<PathBuf> = names.iter().filter_map(|name| self.by_name.get(name)).flat_map(worthy).collect();
        found.truncate(16);
        if need.module == "nt" {
            found.extend(self.tables(need));
        }
        found
    }

    /// Symbol tables of Volatility 3 for kernels: `ntkrnlmp.pdb/GUID-AGE.json.xz`. Where the dump does not tell which PDB its
    /// kernel has, each is tried: the addresses in the dump's header prove the right one.
    fn tables(&self, need: &SymbolNeed) -> Vec<PathBuf> {
        let keys: BTreeSet<String> = need.files.iter().map(|file| file.key.to_lowercase()).collect();
        let is_table = |name: &str| [".json", ".json.xz", ".json.gz"].iter().any(|end| name.ends_with(end));
        let all = self.by_name.iter().filter(|(name, _)| is_table(name));
        let keyed: Vec<PathBuf> = all
            .clone()
            .filter(|(name, _)| keys.contains(&name.split('.').next().unwrap_or_default().replace('-', "")))
            .flat_map(|(_, paths)| paths.clone())
            .collect();
        if !keyed.is_empty() {
            return keyed;
        }
        all.flat_map(|(_, paths)| paths.clone()).take(MOST_TABLES).collect()
    }
}

fn walk(folder: &Path, depth: usize, left: &mut usize, by_name: &mut BTreeMap<String, Vec<PathBuf>>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if depth == 0 => {
            eprintln!("dumplens: {}: {error}", folder.display());
            return;
        }
        // A folder within that cannot be read may still leave what is wanted in its neighbours.
        Err(_) => return,
    };
    for entry in entries.flatten() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < MOST_DEPTH {
            walk(&entry.path(), depth + 1, left, by_name);
        } else if !kind.is_dir() {
            by_name.entry(entry.file_name().to_string_lossy().to_lowercase()).or_default().push(entry.path());
        }
    }
}

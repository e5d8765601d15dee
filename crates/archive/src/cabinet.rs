use std::rc::Rc;

use dumplens_base::{Bytes, Source};

use crate::{
    ArchiveError, ArchiveErrorKind, Member, Unpacker,
    folder::{Coder, FolderPart},
    input::Input,
    names::{latin1, utf8},
    unpack::Promise,
};

const HAS_PREVIOUS: u16 = 1;
const HAS_NEXT: u16 = 2;
const HAS_RESERVE: u16 = 4;
/// Folder numbers from here on say that a file begins or ends in another cabinet.
const CONTINUED: u16 = 0xfffd;
/// The attribute of a file whose name is UTF-8.
const NAME_IS_UTF8: u16 = 0x80;
/// Most bytes of a name: the format allows 255.
const MOST_NAME: usize = 256;
const FILE: &str = "cabinet file entry";
const HEADER: &str = "cabinet header";

struct Folder {
    start: u64,
    /// Where the next folder or the cabinet ends, for estimates only.
    end: u64,
    blocks: u16,
    method: u16,
    /// Bytes of all its files.
    size: u64,
}

struct File {
    folder: u16,
    /// Where it starts in the folder's content.
    start: u64,
    size: u64,
    /// Where its entry stands.
    entry: u64,
}

/// A cabinet's directory.
pub(crate) struct Cabinet {
    folders: Vec<Folder>,
    files: Vec<File>,
    /// Bytes between a block's header and its data.
    block_reserve: u8,
}

impl Cabinet {
    pub(crate) fn open(source: &Source) -> Result<(Self, Vec<Member>), ArchiveError> {
        let mut input = Input::new(Rc::clone(source), 0..source.len());
        let fixed: [u8; 36] = input.record(HEADER)?;
        let mut bytes = Bytes::new(&fixed, 0);
        bytes.skip(8, HEADER)?;
        let end = u64::from(bytes.u32(HEADER)?).min(source.len());
        bytes.skip(4, HEADER)?;
        let files_start = u64::from(bytes.u32(HEADER)?);
        bytes.skip(6, HEADER)?;
        let (folder_count, file_count) = (bytes.u16(HEADER)?, bytes.u16(HEADER)?);
        let flags = bytes.u16(HEADER)?;
        let (mut folder_reserve, mut block_reserve) = (0, 0);
        if flags & HAS_RESERVE != 0 {
            let [low, high, folder, block] = input.record(HEADER)?;
            (folder_reserve, block_reserve) = (folder, block);
            input.skip(u16::from_le_bytes([low, high]).into(), HEADER)?;
        }
        for flag in [HAS_PREVIOUS, HAS_NEXT] {
            if flags & flag != 0 {
                // The other cabinet's file name and its disk's label.
                input.take_until_nul(MOST_NAME, HEADER)?;
                input.take_until_nul(MOST_NAME, HEADER)?;
            }
        }
        let mut folders = read_folders(&mut input, folder_count, folder_reserve)?;
        let (files, names) = read_files(source, files_start, file_count)?;
        measure(&mut folders, &files, end);
        let cabinet = Self { folders, files, block_reserve };
        let members = cabinet.files.iter().zip(names).map(|(file, name)| cabinet.member(file, name)).collect();
        Ok((cabinet, members))
    }

    fn member(&self, file: &File, name: String) -> Member {
        let folder = self.folders.get(usize::from(file.folder));
        Member {
            name,
            compressed_size: folder.map_or(0, |folder| folder.share(file.size)),
            size: Some(file.size),
            encrypted: false,
            folder: false,
            method: folder.map_or("unknown", |folder| method_name(folder.method)).into(),
        }
    }

    pub(crate) fn unpack(&self, source: &Source, index: usize, limit: u64) -> Result<Unpacker, ArchiveError> {
        let Some(file) = self.files.get(index) else {
            return Err(ArchiveError::new(0, ArchiveErrorKind::NoMember { index }));
        };
        if file.folder >= CONTINUED {
            return Err(ArchiveError::new(file.entry, ArchiveErrorKind::Spanned));
        }
        let Some(folder) = self.folders.get(usize::from(file.folder)) else {
            return Err(ArchiveError::damaged(file.entry, FILE));
        };
        let Some(coder) = Coder::new(folder.method) else {
            let kind = ArchiveErrorKind::Method { number: folder.method, name: method_name(folder.method) };
            return Err(ArchiveError::new(file.entry, kind));
        };
        let input = Input::new(Rc::clone(source), folder.start..source.len());
        let part = FolderPart::new(input, coder, folder.blocks, self.block_reserve, file.start, file.size);
        let total = folder.share(file.start.saturating_add(file.size));
        Unpacker::new(Box::new(part), Promise { size: Some(file.size), checksum: None }, total, limit)
    }
}

impl Folder {
    /// How many packed bytes stand for `size` bytes, if the folder is packed evenly.
    fn share(&self, size: u64) -> u64 {
        let packed = u128::from(self.end.saturating_sub(self.start));
        let share = packed.saturating_mul(size.into()).checked_div(self.size.into()).unwrap_or(0);
        u64::try_from(share.min(packed)).unwrap_or(u64::MAX)
    }
}

const fn method_name(method: u16) -> &'static str {
    match method & 0xf {
        0 => "stored",
        1 => "MSZIP",
        2 => "Quantum",
        3 => "LZX",
        _ => "unknown",
    }
}

fn read_folders(input: &mut Input, count: u16, reserve: u8) -> Result<Vec<Folder>, ArchiveError> {
    const WHAT: &str = "cabinet folder entry";
    let mut folders = Vec::new();
    for _ in 0..count {
        let [a, b, c, d, e, f, g, h] = input.record(WHAT)?;
        input.skip(reserve.into(), WHAT)?;
        folders.push(Folder {
            start: u32::from_le_bytes([a, b, c, d]).into(),
            end: 0,
            blocks: u16::from_le_bytes([e, f]),
            method: u16::from_le_bytes([g, h]),
            size: 0,
        });
    }
    Ok(folders)
}

fn read_files(source: &Source, start: u64, count: u16) -> Result<(Vec<File>, Vec<String>), ArchiveError> {
    let mut input = Input::new(Rc::clone(source), start..source.len());
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let entry = input.offset();
        let fixed: [u8; 16] = input.record(FILE)?;
        let mut bytes = Bytes::new(&fixed, entry);
        let (size, start) = (bytes.u32(FILE)?, bytes.u32(FILE)?);
        let folder = bytes.u16(FILE)?;
        bytes.skip(4, FILE)?;
        let attributes = bytes.u16(FILE)?;
        let name = input.take_until_nul(MOST_NAME, FILE)?;
        // Without the attribute the name is in the packing machine's code page, which nothing tells.
        let is_utf8 = attributes & NAME_IS_UTF8 != 0 || name.is_ascii();
        names.push(if is_utf8 { utf8(&name) } else { latin1(&name) });
        files.push(File { folder, start: start.into(), size: size.into(), entry });
    }
    Ok((files, names))
}

/// Fills in what the estimates need: where each folder's data ends and how much content it has.
fn measure(folders: &mut [Folder], files: &[File], end: u64) {
    let mut starts: Vec<u64> = folders.iter().map(|folder| folder.start).collect();
    starts.sort_unstable();
    for folder in &mut *folders {
        let next = starts.partition_point(|start| *start <= folder.start);
        folder.end = starts.get(next).copied().unwrap_or(end).min(end);
    }
    for file in files {
        if let Some(folder) = folders.get_mut(usize::from(file.folder)) {
            folder.size = folder.size.max(file.start.saturating_add(file.size));
        }
    }
}

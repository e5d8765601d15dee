use alloc::{string::String, vec::Vec};

use dumplens_base::{Bytes, utf16_until_nul};

use crate::{DataDirectory, ImageBytes, ImageError, ImageErrorKind, bytes, limits, resource};

/// `RT_VERSION`.
const VERSION: u32 = 16;

/// `VS_FIXEDFILEINFO`, as far as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedFileInfo {
    /// File version: four parts, most significant first.
    pub file_version: [u16; 4],
    /// Product version, likewise.
    pub product_version: [u16; 4],
    /// `VS_FF_*` flags, of which only those in the resource's mask are kept: 1 is a debug build, 2 a prerelease.
    pub flags: u32,
    /// `VFT_*`: 1 application, 2 DLL, 3 driver.
    pub file_type: u32,
}

/// One string of a version resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionString {
    /// The name: `CompanyName`, `FileDescription`.
    pub name: String,
    /// The text.
    pub value: String,
}

/// What a version resource holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionInfo {
    /// The numbers; `None` if the resource has none.
    pub fixed: Option<FixedFileInfo>,
    /// Language of the resource, a Windows `LANGID`; 0 is neutral.
    pub language: u16,
    /// The strings, in order. A resource may hold them in several languages; the first language comes first.
    pub strings: Vec<VersionString>,
    /// Why the rest could not be read, if it could not.
    pub error: Option<ImageError>,
}

impl VersionInfo {
    /// The first string called `name`, if it is not empty.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<&str> {
        let named = self.strings.iter().find(|string| string.name.eq_ignore_ascii_case(name))?;
        Some(named.value.as_str()).filter(|value| !value.is_empty())
    }
}

/// The version resource of an image.
pub(crate) fn read(image: &dyn ImageBytes, tree: Option<DataDirectory>) -> Result<Option<VersionInfo>, ImageError> {
    let Some(tree) = tree else { return Ok(None) };
    let Some(found) = resource::find(image, tree, VERSION)? else { return Ok(None) };
    ImageError::check("size of the version resource", found.rva, found.size, limits::VERSION)?;
    let (data, present) = bytes::prefix(image, found.rva, found.size, "version resource");
    let origin = found.rva;
    let mut info = VersionInfo { language: found.language, ..VersionInfo::default() };
    let root = match Node::read(&data, origin, 0, data.len()) {
        Ok(Some(root)) => root,
        // Absent bytes explain a head that cannot be parsed.
        Ok(None) => return present.map(|()| Some(info)),
        Err(error) => return Err(present.err().unwrap_or(error)),
    };
    if root.name != "VS_VERSION_INFO" {
        return Err(ImageError::invalid("version resource", origin, data.len() as u64));
    }
    info.fixed = match fixed(&data, origin, &root) {
        Ok(fixed) => fixed,
        Err(error) => return Err(present.err().unwrap_or(error)),
    };
    info.error = present.err();
    // A text that reaches the end of incomplete data is cut: leave it out.
    let cut_at = if info.error.is_none() { usize::MAX } else { data.len() };
    if let Err(error) = strings(&data, origin, &root, cut_at, &mut info.strings) {
        info.error.get_or_insert(error);
    }
    Ok(Some(info))
}

/// One node of the resource: a length, a name, a value and nodes inside. All positions count from the resource's
/// first byte, and values and nodes stand at multiples of 4.
struct Node {
    name: String,
    /// Length of the value: bytes, or UTF-16 units for text.
    value_len: u16,
    value: usize,
    end: usize,
}

impl Node {
    /// The node at `position`, which must end at or before `end`; `None` where only padding is left.
    fn read(data: &[u8], origin: u32, position: usize, end: usize) -> Result<Option<Self>, ImageError> {
        let mut bytes = Bytes::new(data.get(..end).unwrap_or(data), origin.into());
        bytes.seek(position, "version node")?;
        if bytes.remaining() < 2 {
            return Ok(None);
        }
        let rva = u32::try_from(bytes.offset()).unwrap_or(u32::MAX);
        let len = usize::from(bytes.u16("length of a version node")?);
        if len == 0 {
            return Ok(None);
        }
        if len < 6 {
            return Err(ImageError::invalid("length of a version node", rva, len as u64));
        }
        let value_len = bytes.u16("length of a version value")?;
        bytes.skip(2, "type of a version node")?;
        // Writers that pad the last node, or forget to count a terminator, make lengths that pass the parent's end.
        let node_end = position.saturating_add(len).min(end);
        let room = node_end.saturating_sub(position).saturating_sub(6);
        let name = bytes.rest().get(..room.min(bytes.remaining())).unwrap_or_default();
        let units = name.as_chunks::<2>().0.iter().position(|unit| *unit == [0, 0]);
        let Some(units) = units else {
            let kind = ImageErrorKind::Truncated { needed: room as u64 + 2, available: room as u64 };
            return Err(ImageError { what: "name of a version node", rva, kind });
        };
        let value = align(position.saturating_add(8).saturating_add(units.saturating_mul(2)));
        Ok(Some(Self { name: utf16_until_nul(name), value_len, value, end: node_end }))
    }

    /// Where the nodes inside begin.
    fn inside(&self) -> usize {
        align(self.value.saturating_add(self.value_len.into()))
    }

    /// Where the next node of the same parent begins.
    fn next(&self) -> usize {
        align(self.end)
    }
}

fn align(position: usize) -> usize {
    position.saturating_add(3) & !3
}

fn fixed(data: &[u8], origin: u32, root: &Node) -> Result<Option<FixedFileInfo>, ImageError> {
    if root.value_len == 0 {
        return Ok(None);
    }
    let mut bytes = Bytes::new(data, origin.into());
    bytes.seek(root.value, "fixed version information")?;
    let mut bytes = bytes.split(52, "fixed version information")?;
    let rva = u32::try_from(bytes.offset()).unwrap_or(u32::MAX);
    let signature = bytes.u32("version signature")?;
    if signature != 0xfeef_04bd {
        return Err(ImageError::invalid("version signature", rva, signature.into()));
    }
    bytes.skip(4, "structure version")?;
    let mut version = |what| {
        let (high, low) = (bytes.u32(what)?, bytes.u32(what)?);
        Ok::<_, ImageError>([(high >> 16) as u16, high as u16, (low >> 16) as u16, low as u16])
    };
    let (file_version, product_version) = (version("file version")?, version("product version")?);
    let (mask, flags) = (bytes.u32("version flag mask")?, bytes.u32("version flags")?);
    bytes.skip(4, "operating system")?;
    let file_type = bytes.u32("file type")?;
    Ok(Some(FixedFileInfo { file_version, product_version, flags: flags & mask, file_type }))
}

/// Walks root → `StringFileInfo` → language → string: three fixed steps, each of which moves on by its node's length.
fn strings(
    data: &[u8],
    origin: u32,
    root: &Node,
    cut_at: usize,
    out: &mut Vec<VersionString>,
) -> Result<(), ImageError> {
    let mut block_at = root.inside();
    while let Some(block) = child(data, origin, block_at, root)? {
        block_at = block.next();
        if block.name != "StringFileInfo" {
            continue;
        }
        let mut table_at = block.inside();
        while let Some(table) = child(data, origin, table_at, &block)? {
            table_at = table.next();
            let mut string_at = table.inside();
            while let Some(string) = child(data, origin, string_at, &table)? {
                string_at = string.next();
                if string.end >= cut_at {
                    return Ok(());
                }
                let count = u32::try_from(out.len()).unwrap_or(u32::MAX).saturating_add(1);
                ImageError::check("number of version strings", origin, count, limits::VERSION_STRINGS)?;
                // Writers disagree whether the value's length counts bytes or units; the node's end is reliable.
                let value = if string.value_len == 0 { None } else { data.get(string.value..string.end) };
                let value = utf16_until_nul(value.unwrap_or_default());
                out.push(VersionString { name: string.name, value });
            }
        }
    }
    Ok(())
}

fn child(data: &[u8], origin: u32, position: usize, parent: &Node) -> Result<Option<Node>, ImageError> {
    if position >= parent.end { Ok(None) } else { Node::read(data, origin, position, parent.end) }
}

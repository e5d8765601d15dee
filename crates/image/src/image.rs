use alloc::{string::String, vec::Vec};

use dumplens_base::{Memory, Source, Va};

use crate::{
    CodeView, DataDirectory, Directory, Export, ExportIndex, Exports, FileImage, Headers, ImageBytes, ImageError,
    ImageRead, MappedImage, Section, Unreadable, VersionInfo, codeview, exports, version,
};

/// An image whose headers have been read. Every other part is read when it is asked for, and fails alone.
#[derive(Clone, Debug)]
pub struct Image<B> {
    bytes: B,
    headers: Headers,
}

impl<'a> Image<MappedImage<'a>> {
    /// Opens the image that was mapped at `base`.
    ///
    /// # Errors
    /// As [`Headers::read`].
    pub fn mapped(memory: &'a dyn Memory, base: Va) -> Result<Self, ImageError> {
        Self::new(MappedImage::new(memory, base))
    }
}

impl Image<FileImage> {
    /// Opens the image in a file.
    ///
    /// # Errors
    /// As [`Headers::read`].
    pub fn file(source: Source) -> Result<Self, ImageError> {
        let (bytes, headers) = FileImage::open(source)?;
        Ok(Self { bytes, headers })
    }
}

impl<B: ImageBytes> Image<B> {
    /// Opens an image by way of any bytes in the mapped layout.
    ///
    /// # Errors
    /// As [`Headers::read`].
    pub fn new(bytes: B) -> Result<Self, ImageError> {
        let headers = Headers::read(&bytes)?;
        Ok(Self { bytes, headers })
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The section table.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.headers.sections
    }

    /// The first CodeView record that names a debug file; `None` if the image has none. Debug entries of other kinds,
    /// such as the mark of a reproducible build, are passed over.
    ///
    /// # Errors
    /// [`ImageError`] if the debug directory or the record is absent or damaged. In a dump that is common: linkers
    /// put both where the dump may not reach.
    pub fn code_view(&self) -> Result<Option<CodeView>, ImageError> {
        codeview::read(self, self.headers.directory(Directory::Debug))
    }

    /// All exports, ordered by ordinal; empty if the image has no export directory.
    ///
    /// # Errors
    /// [`ImageError`] if the directory itself is absent, or claims more than [`crate::limits`] allow. What is absent
    /// or damaged behind it is counted in [`Exports::unreadable`].
    pub fn exports(&self) -> Result<Exports, ImageError> {
        exports::all(self, self.headers.directory(Directory::Export))
    }

    /// The name that the image had when it was linked, from the export directory.
    ///
    /// # Errors
    /// [`ImageError`] if the directory or the name is absent.
    pub fn export_module_name(&self) -> Result<Option<String>, ImageError> {
        exports::module_name(self, self.headers.directory(Directory::Export))
    }

    /// The export called `name`, by binary search: at most 17 names are read.
    ///
    /// Names are sorted by byte value, as the loader needs them; in a directory that is not, a name may not be found.
    ///
    /// # Errors
    /// [`ImageError`] if something on the way is absent; whether the name exists is not known then.
    pub fn find_export(&self, name: &str) -> Result<Option<Export>, ImageError> {
        exports::find(self, self.headers.directory(Directory::Export), name)
    }

    /// The exports, ready to be asked for the nearest one below an RVA.
    ///
    /// # Errors
    /// As [`Image::exports`].
    pub fn export_index(&self) -> Result<ExportIndex, ImageError> {
        Ok(ExportIndex::new(self.exports()?, &self.headers))
    }

    /// The version resource; `None` if the image has none.
    ///
    /// # Errors
    /// [`ImageError`] if the way to it is absent or damaged, or its head is. A damaged rest is told in
    /// [`VersionInfo::error`].
    pub fn version(&self) -> Result<Option<VersionInfo>, ImageError> {
        version::read(self, self.headers.directory(Directory::Resource))
    }

    /// Where the function table (`.pdata`) stands; `None` if there is none, as in every 32-bit x86 image.
    #[must_use]
    pub fn exception_directory(&self) -> Option<DataDirectory> {
        self.headers.directory(Directory::Exception)
    }

    /// Reads `len` bytes at `rva`; `what` names them in the error. Callers bound `len`.
    ///
    /// # Errors
    /// [`ImageError`] with the first missing RVA. Nothing is allocated for a range that passes `SizeOfImage`.
    pub fn read_vec(&self, rva: u32, len: u32, what: &'static str) -> Result<Vec<u8>, ImageError> {
        let size = self.headers.size_of_image;
        if rva.checked_add(len).is_none_or(|end| end > size) {
            return Err(ImageError::unreadable(what, rva.max(size), Unreadable::BeyondImage { size }));
        }
        crate::bytes::vec(self, rva, len, what)
    }
}

/// Reads stop at `SizeOfImage`: in memory, what follows is another module.
impl<B: ImageBytes> ImageBytes for Image<B> {
    fn read_prefix(&self, rva: u32, buf: &mut [u8]) -> ImageRead {
        let size = self.headers.size_of_image;
        let inside = (size.saturating_sub(rva) as usize).min(buf.len());
        let cut = inside < buf.len();
        let read = match buf.get_mut(..inside) {
            Some(part) if !part.is_empty() => self.bytes.read_prefix(rva, part),
            _ => ImageRead { filled: 0, stopped: None },
        };
        match read.stopped {
            None if cut => ImageRead { stopped: Some(Unreadable::BeyondImage { size }), ..read },
            _ => read,
        }
    }

    fn read_file(&self, offset: u32, buf: &mut [u8]) -> ImageRead {
        self.bytes.read_file(offset, buf)
    }
}

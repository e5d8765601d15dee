//! PE images: what a module says about itself.
//!
//! A module of a crashed machine can be read in two places, and both may be incomplete:
//!
//! * *in memory* ([`MappedImage`]): sections stand at base + RVA, any page may be absent from the dump, and what the
//!   loader discards (initialisation code, often the debug directory) is gone;
//! * *in a file* ([`FileImage`]): sections stand at their file offsets, and the file may be cut short.
//!
//! [`ImageBytes`] is the seam: bytes by RVA. [`Image`] reads the headers when it is opened, and every other part when
//! it is asked for: [`Image::code_view`], [`Image::exports`], [`Image::find_export`], [`Image::version`]. Each part
//! fails alone, with an [`ImageError`] that names the part, the RVA and the reason.
//!
//! ```
//! use dumplens_base::{Memory, Va};
//! use dumplens_image::{CodeView, Image, ImageError};
//!
//! fn debug_file(memory: &dyn Memory, base: Va) -> Result<Option<CodeView>, ImageError> {
//!     Image::mapped(memory, base)?.code_view()
//! }
//! ```
//!
//! The layouts are those of Microsoft's "PE Format" specification and of the `winnt.h` and `verrsrc.h` headers of the
//! Windows SDK.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bytes;
mod codeview;
mod error;
mod exports;
mod file;
mod headers;
mod image;
mod index;
mod mapped;
mod resource;
mod version;

pub use bytes::{ImageBytes, ImageRead};
pub use codeview::CodeView;
pub use error::{ImageError, ImageErrorKind, Unreadable};
pub use exports::{Export, Exports};
pub use file::FileImage;
pub use headers::{DataDirectory, Directory, Headers, Section};
pub use image::Image;
pub use index::ExportIndex;
pub use mapped::MappedImage;
pub use version::{FixedFileInfo, VersionInfo, VersionString};

/// What a hostile image can make this crate do at most. Beyond a limit is [`ImageErrorKind::TooMany`].
pub mod limits {
    /// Sections. The loader of Windows takes 96; other writers and old formats may have more.
    pub const SECTIONS: u32 = 1024;
    /// Entries of the debug directory. Linkers write fewer than ten.
    pub const DEBUG_ENTRIES: u32 = 256;
    /// Bytes of one CodeView record: its head and one text.
    pub const CODE_VIEW: u32 = 24 + TEXT;
    /// Entries of each table of the export directory: ordinals have 16 bits.
    pub const EXPORTS: u32 = 0x1_0000;
    /// Bytes of one name or path. MSVC cuts decorated names at 4095 characters.
    pub const TEXT: u32 = 4096;
    /// Bytes of all names and forwarders of one export list together.
    pub const EXPORT_TEXT: u32 = 16 << 20;
    /// Entries of one resource directory that are looked at.
    pub const RESOURCE_ENTRIES: u32 = 4096;
    /// Bytes of a version resource: its length field has 16 bits.
    pub const VERSION: u32 = 0x1_0000;
    /// Strings of a version resource.
    pub const VERSION_STRINGS: u32 = 512;
}

//! Archives that dumps travel in: zip, gzip, Zstandard and cabinets.
//!
//! An [`Archive`] lists what is inside without unpacking anything. An [`Unpacker`] yields one member piece by piece, in
//! bounded memory: the caller decides where the bytes go and when to stop. A zip member that is only stored can be read
//! in place, through [`SubSource`].
//!
//! Everything in an archive is hostile until checked: sizes, counts and offsets are held against the file before they
//! are followed, checksums are verified at the end, and the caller's limit bounds what comes out. Names are text and
//! never paths.
//!
//! | format | methods | checked at the end |
//! |---|---|---|
//! | zip, zip64 | stored, deflate, Zstandard | size, CRC-32 |
//! | gzip, any number of members | deflate | size, CRC-32 |
//! | Zstandard, any number of frames | | size and checksum where the frame has them |
//! | cabinet | stored, MSZIP, LZX | size; every block's checksum |
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod archive;
mod cabinet;
mod choice;
mod deflate;
mod error;
mod folder;
mod gzip;
mod input;
mod lzx;
mod names;
mod sniff;
mod stored;
mod sub;
mod unpack;
mod zip;
mod zstandard;

pub use archive::{Archive, MOST_MEMBERS, Member};
pub use choice::{Choice, MOST_LEVELS, could_be_dump};
pub use error::{ArchiveError, ArchiveErrorKind};
pub use sniff::{Format, sniff};
pub use sub::SubSource;
pub use unpack::{CHUNK, Unpacker};
pub use zstandard::MOST_WINDOW;

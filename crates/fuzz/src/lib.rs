//! Fuzz targets for everything that reads untrusted bytes.
//!
//! Each target is a plain function of bytes. It fails by a panic: of the code it calls, of a check of its own, or of a
//! budget for memory ([`budget`]) or reading. `cargo xtask fuzz` builds all of them with libFuzzer on the stable
//! toolchain and runs them; who has cargo-fuzz and a nightly toolchain can also say, in the top folder,
//!
//! ```text
//! cargo run --package dumplens-fuzz --example make-seeds -- target/fuzz/seeds
//! cargo fuzz run --fuzz-dir crates/fuzz --features libfuzzer minidump target/fuzz/corpus/minidump target/fuzz/seeds/minidump
//! ```
//!
//! | target | what the bytes are |
//! |---|---|
//! | [`minidump`] | a file |
//! | [`kernel_dump`] | which dump of the testkit, and patches to it; or a file |
//! | [`translate`] | a paging mode, addresses, and page table entries or patches to a machine's |
//! | [`kernel_objects`] | which machine of the testkit, and patches to what is read of it |
//! | [`image`] | which pages are absent, and a PE image, in a file and in memory |
//! | [`archive`] | a file |
//! | [`pdb`] | RVAs, and patches to a PDB or a file; or a mangled name |
//! | [`isf`] | a file, plain or packed |
//! | [`unwind`] | registers, a stack, and patches to an image with unwind data |
//! | [`unwind_x86`] | registers, a stack, code, and records of x86 frames with their programs |
//!
//! What crashes is kept in `crates/fuzz/crashes`, which git ignores, and tried first by every later run. Once it is
//! understood it becomes a test of the crate that failed, and the file is removed.
//!
//! Patches ([`Patch`]) reach what arbitrary bytes would not: behind signatures and page tables. Seeds are in `seeds/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod budget;
mod file;
mod machine;
mod patch;
mod targets;

pub use patch::{Op, Patch};
pub use targets::{
    archive::archive,
    image::image,
    isf::isf,
    kernel_dump::{KERNEL_DUMPS, kernel_dump},
    kernel_objects::{KERNELS, kernel_objects, places},
    minidump::minidump,
    pdb::pdb,
    translate::{TINY, translate},
    unwind::{FUNCTIONS, IMAGE, STACK, unwind},
    unwind_x86::unwind_x86,
};

/// A target: its name, and the function that takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 10] = [
    ("minidump", minidump),
    ("kernel_dump", kernel_dump),
    ("translate", translate),
    ("kernel_objects", kernel_objects),
    ("image", image),
    ("archive", archive),
    ("pdb", pdb),
    ("isf", isf),
    ("unwind", unwind),
    ("unwind_x86", unwind_x86),
];

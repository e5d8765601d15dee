//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use dumplens_report::Hex;

use crate::stack::StackArgs;

/// Opens Windows crash dumps and says what crashed and why.
#[derive(Debug, Parser)]
#[command(name = "dumplens", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 analysed; 1 analysed, with parts missing or damaged; 2 not readable as a dump.")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) unpacking: Unpacking,
}

/// How dumps in archives are found and unpacked.
#[derive(Debug, clap::Args)]
pub(crate) struct Unpacking {
    /// Which file to open in an archive that holds several; once more for an archive in an archive
    #[arg(long, global = true, value_name = "NAME-OR-NUMBER")]
    pub(crate) member: Vec<String>,
    /// Most that is unpacked into a temporary file: bytes, or a number with K, M, G or T
    #[arg(long, global = true, value_name = "SIZE", default_value = "256G", value_parser = size)]
    pub(crate) max_unpacked: u64,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what crashed and why, with the evidence
    Analyze {
        /// Print one JSON document per line instead of text (see docs/report.md)
        #[arg(long)]
        json: bool,
        /// Folder, symbol store, archive or file with symbols; may be given several times
        #[arg(long, value_name = "DIR")]
        symbols: Vec<PathBuf>,
        /// Use a symbol file for a module although it does not match; may be given several times
        #[arg(long, value_name = "MODULE=FILE")]
        force: Vec<String>,
        /// Dump files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print memory as a hex dump
    Read {
        #[command(flatten)]
        space: SpaceArgs,
        /// Dump file
        file: PathBuf,
        /// First address, hexadecimal
        #[arg(value_parser = address)]
        address: Hex,
        /// Number of bytes, decimal or 0x-prefixed hexadecimal
        #[arg(value_parser = length)]
        length: u32,
    },
    /// Show how an address is translated, entry by entry
    Translate {
        #[command(flatten)]
        space: SpaceArgs,
        /// Print one JSON document instead of text
        #[arg(long)]
        json: bool,
        /// Dump file
        file: PathBuf,
        /// Addresses, hexadecimal
        #[arg(required = true, value_parser = address, value_name = "ADDRESS")]
        addresses: Vec<Hex>,
    },
    /// List the ranges of memory that can be read
    Regions {
        #[command(flatten)]
        space: SpaceArgs,
        /// Print one JSON document instead of a table
        #[arg(long)]
        json: bool,
        /// First address of interest, hexadecimal
        #[arg(long, value_parser = address, default_value = "0")]
        from: Hex,
        /// Dump file
        file: PathBuf,
    },
    /// Name addresses of an image, from its PDB or its exports
    Lookup {
        /// Print one JSON document per address instead of text
        #[arg(long)]
        json: bool,
        /// PDB, or an image (EXE, DLL, SYS)
        #[arg(value_name = "PDB-OR-IMAGE")]
        file: PathBuf,
        /// Addresses relative to the image's base, hexadecimal; - reads them from standard input, one a line
        #[arg(required = true, value_parser = rva, value_name = "RVA")]
        rvas: Vec<Rvas>,
    },
    /// Show what structures, unions and enumerations look like in memory, from a PDB
    Types(TypesArgs),
    /// Print the stack of the crash, of a thread, or of all threads
    Stack(StackArgs),
    /// List loaded and unloaded modules
    Modules(List),
    /// List threads
    Threads(List),
    /// List processes as a tree
    Processes(List),
    /// List the parts of the file: minidump streams, or the parts of a kernel dump
    Streams(List),
    /// List the symbol files that would help, the most important first, with their paths in a symbol store
    Symbols {
        /// Print a script that fetches them, to run on a connected machine
        #[arg(long, value_enum, conflicts_with = "json")]
        script: Option<Script>,
        /// Folder, symbol store, archive or file with symbols that are at hand; may be given several times
        #[arg(long, value_name = "DIR")]
        symbols: Vec<PathBuf>,
        /// Use a symbol file for a module although it does not match; may be given several times
        #[arg(long, value_name = "MODULE=FILE")]
        force: Vec<String>,
        #[command(flatten)]
        list: List,
    },
}

/// Scripts that fetch symbol files.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Script {
    /// A PowerShell script
    Powershell,
    /// A POSIX shell script
    Sh,
    /// A manifest for `symchk /im`
    Symchk,
}

/// Whose addresses are meant: what was current at the crash, unless one of these is given.
#[derive(Debug, clap::Args)]
pub(crate) struct SpaceArgs {
    /// Addresses are physical ones
    #[arg(long, conflicts_with = "process")]
    pub(crate) physical: bool,
    /// Addresses are those of this process: its id, its image name, or the address of its object
    #[arg(long, value_name = "PROCESS")]
    pub(crate) process: Option<String>,
}

/// Which types are shown, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct TypesArgs {
    /// Print one JSON document per type instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Levels of the structures in a structure to show as well
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) depth: u32,
    /// Show the values that a structure has in this dump
    #[arg(long, value_name = "FILE", requires = "address")]
    pub(crate) dump: Option<PathBuf>,
    /// Where in the dump the structure is, hexadecimal
    #[arg(long, value_parser = address, requires = "dump", conflicts_with = "json")]
    pub(crate) address: Option<Hex>,
    /// The address is the head of a list: follow it, and show each structure that this member links
    #[arg(long, value_name = "MEMBER", requires = "address")]
    pub(crate) list: Option<String>,
    #[command(flatten)]
    pub(crate) space: SpaceArgs,
    /// PDB
    #[arg(value_name = "PDB")]
    pub(crate) file: PathBuf,
    /// Names; with * or ? in one, the types whose names are of that form are listed
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// A command that lists something.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Dump file
    pub(crate) file: PathBuf,
}

/// Most bytes that `read` prints.
const MAX_LENGTH: u32 = 64 * 1024 * 1024;

pub(crate) fn address(text: &str) -> Result<Hex, String> {
    Hex::parse(text).ok_or_else(|| "an address is hexadecimal, such as fffff804`8b58334c".into())
}

/// One address, or all that standard input has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rvas {
    One(Hex),
    Input,
}

fn rva(text: &str) -> Result<Rvas, String> {
    if text == "-" { Ok(Rvas::Input) } else { address(text).map(Rvas::One) }
}

fn length(text: &str) -> Result<u32, String> {
    let length = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    length
        .filter(|length| (1..=MAX_LENGTH).contains(length))
        .ok_or_else(|| format!("a length is a number from 1 to {MAX_LENGTH}, decimal or 0x-prefixed"))
}

fn size(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let number = upper.trim_end_matches('B').trim_end_matches('I');
    let digits = number.trim_end_matches(['K', 'M', 'G', 'T']);
    let unit = match number.get(digits.len()..) {
        Some("") => Some(1),
        Some("K") => Some(1 << 10),
        Some("M") => Some(1 << 20),
        Some("G") => Some(1 << 30),
        Some("T") => Some(1 << 40),
        _ => None,
    };
    let size = digits.trim_end().parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    size.ok_or_else(|| "a size is a number of bytes, or a number with K, M, G or T, such as 64G".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!((size("2K"), size("3m"), size("4GiB")), (Ok(2048), Ok(3 << 20), Ok(4 << 30)));
        assert_eq!(size("1 TB"), Ok(1 << 40));
        assert!(size("").is_err() && size("G").is_err() && size("1KM").is_err() && size("-1").is_err());
        assert!(size("99999999T").is_err());
    }

    #[test]
    fn lengths_are_decimal_or_prefixed_and_bounded() {
        assert_eq!(length("64"), Ok(64));
        assert_eq!(length("0x40"), Ok(64));
        assert!(length("0").is_err() && length("-1").is_err() && length("4294967295").is_err());
    }
}

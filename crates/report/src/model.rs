//! The report: every type a front end shows.
//!
//! Addresses, register values, bug-check and exception codes, time stamps and checksums are [`Hex`]; counts, sizes and
//! seconds are plain numbers. Any optional field is `null` when the dump does not hold it.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

use crate::Hex;

/// Name and version of the JSON form, the value of its `schema` field.
pub const SCHEMA: &str = "dumplens.report.v1";

/// Everything Dumplens has to say about one dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The file and the machine.
    pub dump: DumpInfo,
    /// The bug check, in kernel dumps.
    pub bugcheck: Option<BugCheck>,
    /// The exception that was not handled.
    pub exception: Option<Exception>,
    /// The registers at the crash.
    pub context: Option<Context>,
    /// Id of the thread that crashed.
    pub crashing_thread: Option<u64>,
    /// Threads in the dump's order, each with its stack.
    pub threads: Vec<Thread>,
    /// The stack of the crash.
    pub stack: Option<Stack>,
    /// Loaded images in list order.
    pub modules: Vec<Module>,
    /// Images that had been unloaded.
    pub unloaded_modules: Vec<UnloadedModule>,
    /// Processes the dump knows of.
    pub processes: Vec<Process>,
    /// What crashed and why, with its evidence.
    pub verdict: Verdict,
    /// What a reader should know about this result: missing and damaged parts above all.
    pub notes: Vec<Note>,
}

/// The kind of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DumpFormat {
    /// A user minidump.
    Minidump,
    /// A small kernel dump.
    KernelTriage,
    /// A complete dump stored as physical runs.
    KernelFull,
    /// A complete, active or kernel dump with a page bitmap.
    KernelBitmap,
    /// A kernel dump in the older summary form.
    KernelSummary,
    /// A dump stored as page ranges.
    KernelRange,
}

impl DumpFormat {
    /// The name in the JSON form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minidump => "minidump",
            Self::KernelTriage => "kernel-triage",
            Self::KernelFull => "kernel-full",
            Self::KernelBitmap => "kernel-bitmap",
            Self::KernelSummary => "kernel-summary",
            Self::KernelRange => "kernel-range",
        }
    }
}

/// The file and the machine it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DumpInfo {
    /// Name of the file, without its directory.
    pub file_name: Option<String>,
    /// Kind of dump, where it is one of the known kinds.
    pub format: Option<DumpFormat>,
    /// The kind in words: what it holds and what it does not.
    pub description: String,
    /// `x86`, `x64`, `arm`, `arm64`.
    pub architecture: Option<String>,
    /// Name of the operating system: `Windows 10 22H2`.
    pub os: Option<String>,
    /// Build number: 19045.
    pub build: Option<u32>,
    /// Build string with branch and revision, where the dump holds one.
    pub build_string: Option<String>,
    /// Number of logical processors.
    pub processors: Option<u32>,
    /// Processor name or vendor.
    pub processor: Option<String>,
    /// Manufacturer and model of the machine, where the dump holds SMBIOS data.
    pub machine: Option<String>,
    /// Firmware vendor, version and date.
    pub firmware: Option<String>,
    /// When the dump was taken, ISO 8601, UTC.
    pub time: Option<String>,
    /// Seconds from system start to the crash.
    pub uptime_seconds: Option<u64>,
    /// Seconds from the start of the crashed process to the dump.
    pub process_uptime_seconds: Option<u64>,
    /// Name of the process that crashed or that was current.
    pub process: Option<String>,
    /// Its process id.
    pub process_id: Option<u64>,
    /// Comment that the writer left.
    pub comment: Option<String>,
    /// Size of the file in bytes.
    pub file_size: u64,
}

/// The bug check ("blue screen") of a kernel dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BugCheck {
    /// The code as recorded: `0x1000007e`.
    pub code: Hex,
    /// The code under which it is documented: `0x7e`.
    pub base_code: Hex,
    /// Symbolic name.
    pub name: Option<String>,
    /// What Windows means by it, in a sentence or two.
    pub description: Option<String>,
    /// The four parameters.
    pub parameters: [Hex; 4],
    /// What each parameter means, and what its value says.
    pub meaning: Vec<Option<String>>,
}

/// An exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exception {
    /// NTSTATUS, or the signal or `EXC_*` number on other systems.
    pub code: Hex,
    /// Symbolic name.
    pub name: Option<String>,
    /// Address of the instruction.
    pub address: Hex,
    /// What happened, in a sentence.
    pub description: Option<String>,
    /// `ExceptionFlags`.
    pub flags: Hex,
    /// `ExceptionInformation`.
    pub parameters: Vec<Hex>,
    /// The memory access that failed.
    pub access: Option<MemoryAccess>,
    /// Where the record was found: "exception stream", "bug check parameter 3".
    pub source: String,
}

/// A memory access that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryAccess {
    /// `read`, `write`, `execute`, or `unknown`.
    pub kind: String,
    /// The address accessed; `null` where the processor does not tell.
    pub address: Option<Hex>,
}

/// Register state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Where it was found: "bug check parameter 4", "dump header", "exception stream".
    pub source: String,
    /// Registers in the debugger's order.
    pub registers: Registers,
}

/// Register names and values; a JSON object whose members stand in the debugger's order.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Registers(pub Vec<(String, Hex)>);

impl Serialize for Registers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Registers;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object of registers")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Registers, A::Error> {
                let mut registers = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    registers.push(entry);
                }
                Ok(Registers(registers))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// The thread it belongs to.
    pub thread: Option<u64>,
    /// Which registers it starts from.
    pub context: String,
    /// Frames, innermost first.
    pub frames: Vec<Frame>,
    /// Why it ends where it ends.
    pub stop: String,
    /// What a reader must know to believe it rightly.
    pub warnings: Vec<String>,
    /// Names of files that would help to find frames: images whose unwind data the walk lacked, and PDBs whose frame data it
    /// lacked (x86).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
}

/// How a frame was found; the order is from most to least believable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The instruction pointer of a register context.
    Context,
    /// An inlined call within a frame; as believable as that frame.
    Inline,
    /// Unwound with the image's unwind data.
    Unwind,
    /// Followed the chain of frame pointers.
    FramePointer,
    /// Found by scanning the stack for return addresses: may be left over from an earlier call.
    Scan,
}

impl Trust {
    /// The name in the JSON form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Inline => "inline",
            Self::Unwind => "unwind",
            Self::FramePointer => "frame_pointer",
            Self::Scan => "scan",
        }
    }

    /// One sentence for a tool tip.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Context => "The instruction pointer of a captured register context: certain.",
            Self::Inline => "A call the compiler inlined: as certain as the frame it stands in.",
            Self::Unwind => "Unwound with the image's own unwind data, or its PDB's frame data on x86: reliable.",
            Self::FramePointer => "Found by following the chain of frame pointers: usually right.",
            Self::Scan => "Found by scanning the stack for return addresses: may be left over from an earlier call.",
        }
    }
}

/// One frame of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Instruction pointer, or return address in frames below the first.
    pub address: Hex,
    /// Stack pointer, where known.
    pub stack_pointer: Option<Hex>,
    /// Short name of the module that holds the address: `nt`.
    pub module: Option<String>,
    /// Offset of the address in that module.
    pub offset: Option<Hex>,
    /// Function name.
    pub function: Option<String>,
    /// Offset of the address in that function.
    pub function_offset: Option<Hex>,
    /// Source file.
    pub file: Option<String>,
    /// Source line.
    pub line: Option<u32>,
    /// How the frame was found.
    pub trust: Trust,
    /// Whether this is an inlined call within the next frame.
    pub inline: bool,
    /// Name of the unloaded module that had covered the address.
    pub unloaded_module: Option<String>,
    /// Anything else a reader should know about this frame.
    pub note: Option<String>,
    /// The words where arguments were passed (x86) or may have been stored (x64), where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Hex>,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Thread id.
    pub id: u64,
    /// Name given by the program.
    pub name: Option<String>,
    /// Id of its process.
    pub process_id: Option<u64>,
    /// Whether this is the thread that crashed.
    pub crashed: bool,
    /// Scheduler state: `Running`, `Waiting`.
    pub state: Option<String>,
    /// Why it waits.
    pub wait_reason: Option<String>,
    /// Current priority.
    pub priority: Option<i32>,
    /// How often it is suspended.
    pub suspend_count: Option<u32>,
    /// Address of the kernel thread object.
    pub object: Option<Hex>,
    /// Thread environment block.
    pub teb: Option<Hex>,
    /// Where it started.
    pub start_address: Option<Hex>,
    /// Lowest address of its stack.
    pub stack_limit: Option<Hex>,
    /// Address just above its stack.
    pub stack_base: Option<Hex>,
    /// Instruction pointer of its context.
    pub instruction_pointer: Option<Hex>,
    /// `module+offset` of the instruction pointer.
    pub location: Option<String>,
    /// When it was created, ISO 8601, UTC.
    pub create_time: Option<String>,
    /// Its stack; empty where only a list of threads was asked for.
    pub frames: Vec<Frame>,
}

/// How far a module's names are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SymbolStatus {
    /// Its debug file is loaded.
    Loaded,
    /// A debug file that does not match is loaded because the user insisted.
    Forced,
    /// Only exported names are known.
    Exports,
    /// Nothing is known.
    Missing,
    /// A debug file was offered that does not match.
    Mismatched,
}

/// A loaded image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// The debugger's short name: `nt`, `amdppm`.
    pub name: String,
    /// The recorded path.
    pub image: String,
    /// First address.
    pub base: Hex,
    /// Length in bytes.
    pub size: u64,
    /// Link time or reproducible-build hash.
    pub timestamp: Option<Hex>,
    /// Image checksum.
    pub checksum: Option<Hex>,
    /// File version.
    pub version: Option<String>,
    /// Name of the debug file.
    pub debug_file: Option<String>,
    /// Its identity as symbol stores spell it: GUID and age, without separators.
    pub debug_id: Option<String>,
    /// How far its names are known.
    pub symbols: SymbolStatus,
}

/// An image that had been unloaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnloadedModule {
    /// Recorded name.
    pub name: String,
    /// First address.
    pub base: Hex,
    /// Length in bytes.
    pub size: u64,
    /// Link time.
    pub timestamp: Option<Hex>,
    /// Image checksum.
    pub checksum: Option<Hex>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub id: Option<u64>,
    /// Id of the process that created it.
    pub parent_id: Option<u64>,
    /// Image name; kernel structures keep at most 15 characters.
    pub name: Option<String>,
    /// Whether it was current at the crash.
    pub current: bool,
    /// Terminal session.
    pub session: Option<u32>,
    /// Address of the kernel process object.
    pub object: Option<Hex>,
    /// Process environment block.
    pub peb: Option<Hex>,
    /// Directory table base, as recorded.
    pub directory_table_base: Option<Hex>,
    /// Number of threads.
    pub threads: Option<u32>,
    /// When it was created, ISO 8601, UTC.
    pub create_time: Option<String>,
}

/// How sure the verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Facts of the dump say so directly.
    High,
    /// Usual reading of the facts.
    Medium,
    /// A hint, no more.
    Low,
}

/// What crashed and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What happened, in one sentence for a reader who is no expert.
    pub title: String,
    /// Who is blamed, if anybody.
    pub blamed: Option<Blame>,
    /// Bucket text, in WinDbg's grammar.
    pub bucket: Option<String>,
    /// The hash by which such buckets are searched.
    pub bucket_hash: Option<String>,
    /// What the verdict rests on.
    pub evidence: Vec<Evidence>,
    /// What would make it surer.
    pub missing: Vec<String>,
    /// What to do next.
    pub next_steps: Vec<String>,
}

/// Who is blamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blame {
    /// Short module name.
    pub module: String,
    /// Image file name.
    pub image: Option<String>,
    /// Function name.
    pub function: Option<String>,
    /// Why this module.
    pub reason: String,
    /// How sure.
    pub confidence: Confidence,
}

/// One fact the verdict rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The fact.
    pub statement: String,
    /// Where it was read.
    pub source: String,
}

/// How much a note takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// Worth knowing.
    Info,
    /// A part is absent.
    Missing,
    /// A part is damaged.
    Damaged,
}

/// Something a reader should know about the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// How much it takes away.
    pub kind: NoteKind,
    /// One plain sentence.
    pub text: String,
}

impl Report {
    /// Whether something the file promised is missing or damaged.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.notes.iter().any(|note| note.kind != NoteKind::Info)
    }
}

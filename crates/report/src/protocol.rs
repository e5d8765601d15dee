//! Requests a front end makes of the engine, and what it gets back.
//!
//! A request is self-contained, and every request ends in exactly one of reply, failure or cancellation.
//! Between page and worker the messages travel as plain JavaScript objects; a `File` travels beside [`ToWorker::Open`].

use alloc::{boxed::Box, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    ByteString, Hex, StackGroup,
    model::{BugCheck, Context, DumpInfo, Exception, Module, Note, Process, Stack, Thread, UnloadedModule, Verdict},
    symbols::{AddedSymbols, ScriptKind, SymbolNeed},
};

/// Number by which the page matches answers to requests.
pub type RequestId = u32;

/// What the page asks of an opened dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// What crashed: everything of the report but the long lists.
    Summary,
    /// Loaded modules.
    Modules,
    /// Unloaded modules.
    UnloadedModules,
    /// Threads, without stacks.
    Threads,
    /// Processes.
    Processes,
    /// Registers and a stack.
    Stack {
        /// Where the walk starts.
        of: StackOf,
        /// Whether frames tell the words where their arguments were passed or may have been stored.
        arguments: bool,
    },
    /// The stacks of all threads, those that are the same put together. Long for dumps with many threads.
    Stacks,
    /// Places where registers were saved, from which a stack can be walked.
    Contexts,
    /// The parts of the file: minidump streams, or the parts of a kernel dump.
    Streams,
    /// One part, field by field.
    StreamDetails {
        /// Index in the list that [`Request::Streams`] gave.
        index: u32,
    },
    /// Threads of one process, without stacks.
    ProcessThreads {
        /// Address of the process object.
        object: Hex,
    },
    /// Memory. At most [`MAX_MEMORY_READ`] bytes.
    Memory {
        /// Whose addresses are meant.
        space: Space,
        /// First address.
        address: Hex,
        /// Bytes.
        length: u32,
    },
    /// Memory ranges that can be read, from an address on. At most [`MAX_REGIONS`].
    Regions {
        /// Whose addresses are meant.
        space: Space,
        /// First address of interest.
        from: Hex,
        /// How many ranges.
        count: u32,
    },
    /// How an address is translated, level by level.
    Translate {
        /// Whose addresses are meant; [`Space::Physical`] asks where the page stands in the file.
        space: Space,
        /// The address.
        address: Hex,
    },
    /// Which symbol files would help, the most important first.
    Symbols,
    /// Use a symbol file for a module although it does not match, or stop doing so. It is marked as forced everywhere.
    ForceSymbols {
        /// Base address of the module.
        module: Hex,
        /// Name of the file, as it was added; `None` undoes.
        file: Option<String>,
    },
    /// The list of wanted symbol files in a form to carry to a connected machine.
    SymbolScript {
        /// Which form.
        kind: ScriptKind,
    },
    /// The whole report as a document. Long for dumps with many threads.
    Export {
        /// Which form.
        format: ExportFormat,
    },
    /// What the session has cost so far.
    Statistics,
}

/// Where a stack walk starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StackOf {
    /// At the crash.
    #[default]
    Crash,
    /// In the registers that the dump's header holds: those of the crash, or those of the routine that wrote the dump.
    Header,
    /// In a thread.
    Thread {
        /// Its id.
        id: u64,
    },
    /// In a thread of a kernel dump: idle threads share an id.
    ThreadObject {
        /// Address of the thread object.
        object: Hex,
    },
    /// In what a processor ran when the system stopped.
    Processor {
        /// Its number.
        number: u32,
    },
    /// At a register context (`CONTEXT`) in memory, as the debuggers' `.cxr` takes it.
    Context {
        /// Its address.
        address: Hex,
    },
    /// At a trap frame (`KTRAP_FRAME`) in memory, as the debuggers' `.trap` takes it.
    TrapFrame {
        /// Its address.
        address: Hex,
    },
}

/// A place where registers were saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContextChoice {
    /// What to ask for.
    pub of: StackOf,
    /// Id of the thread that ran there, where it is known.
    pub thread: Option<u64>,
    /// Where the registers are: "processor 3", "trap frame at 0xffffb20000001e70".
    pub source: String,
    /// Instruction pointer.
    pub instruction_pointer: Hex,
    /// What stands there, where a module does.
    pub location: Option<String>,
}

/// Whose addresses are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Space {
    /// What was current at the crash: the program of a user dump; the kernel and the process that ran of a kernel dump.
    #[default]
    Current,
    /// A process's own addresses, with the kernel above them.
    Process {
        /// Address of the process object.
        object: Hex,
    },
    /// Physical memory.
    Physical,
}

/// Most bytes that one [`Request::Memory`] answers.
pub const MAX_MEMORY_READ: u32 = 64 * 1024;
/// Most ranges that one [`Request::Regions`] answers.
pub const MAX_REGIONS: u32 = 1_000;

/// Form of an exported report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportFormat {
    /// For people.
    Text,
    /// For programs: `docs/report.md`.
    Json,
}

/// Answers to [`Request`]s, one variant each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Summary`].
    Summary(Box<Summary>),
    /// To [`Request::Modules`].
    Modules(Vec<Module>),
    /// To [`Request::UnloadedModules`].
    UnloadedModules(Vec<UnloadedModule>),
    /// To [`Request::Threads`] and [`Request::ProcessThreads`].
    Threads(Vec<Thread>),
    /// To [`Request::Processes`].
    Processes(Vec<Process>),
    /// To [`Request::Stack`].
    Stack(ThreadStack),
    /// To [`Request::Stacks`].
    Stacks(#[serde(with = "crate::packed")] Vec<StackGroup>),
    /// To [`Request::Contexts`].
    Contexts(Vec<ContextChoice>),
    /// To [`Request::Streams`].
    Streams(Vec<Stream>),
    /// To [`Request::StreamDetails`].
    StreamDetails(Details),
    /// To [`Request::Memory`].
    Memory(Vec<MemoryChunk>),
    /// To [`Request::Regions`].
    Regions(Regions),
    /// To [`Request::Translate`].
    Translation(Translation),
    /// To [`ToWorker::Open`], when the file is an archive with several members or one that must be unpacked first.
    Archive(ArchiveListing),
    /// To [`Request::Symbols`] and [`Request::ForceSymbols`].
    Symbols(Vec<SymbolNeed>),
    /// To [`ToWorker::AddSymbols`].
    SymbolsAdded(AddedSymbols),
    /// To [`Request::Export`] and [`Request::SymbolScript`].
    Export(String),
    /// To [`Request::Statistics`].
    Statistics(Statistics),
}

/// What crashed, and how much more there is to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
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
    /// The stack of the crash.
    pub stack: Option<Stack>,
    /// What crashed and why.
    pub verdict: Verdict,
    /// What a reader should know about this result.
    pub notes: Vec<Note>,
    /// Lengths of the lists.
    pub counts: Counts,
}

/// Lengths of the lists, for the tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Loaded modules.
    pub modules: u32,
    /// Unloaded modules.
    pub unloaded_modules: u32,
    /// Threads; `None` if they have not been counted.
    pub threads: Option<u32>,
    /// Processes; `None` if they have not been counted.
    pub processes: Option<u32>,
    /// Streams or parts.
    pub streams: u32,
}

/// One thread's registers and stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadStack {
    /// Its registers.
    pub context: Option<Context>,
    /// Its stack.
    pub stack: Stack,
}

/// One part of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Number of the stream type, in minidumps and for tagged data.
    pub kind: Option<Hex>,
    /// What it is called.
    pub name: String,
    /// Where it stands in the file.
    pub offset: Hex,
    /// Its length in bytes.
    pub size: u64,
    /// What is in it, in a few words.
    pub summary: Option<String>,
}

/// One part of the file, field by field.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Details {
    /// What it is called.
    pub title: String,
    /// Named values.
    pub fields: Vec<Field>,
    /// Lists within it.
    pub tables: Vec<Table>,
    /// Text within it, such as `/proc/cpuinfo`.
    pub text: Option<String>,
    /// What could not be read.
    pub notes: Vec<Note>,
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Name, as the format calls it.
    pub name: String,
    /// Value.
    pub value: String,
    /// What the value means.
    pub meaning: Option<String>,
}

/// A small table of text.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Table {
    /// What it lists.
    pub title: String,
    /// Column headings.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<String>>,
    /// Rows that were left out because the table is long.
    pub omitted: u32,
}

/// A run of memory that is either present or absent as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryChunk {
    /// First address.
    pub address: Hex,
    /// Length in bytes.
    pub length: u32,
    /// The bytes, `length` of them, if present.
    pub bytes: Option<ByteString>,
    /// Why they are absent, if so.
    pub reason: Option<String>,
}

/// A captured range of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryRegion {
    /// First address.
    pub start: Hex,
    /// Length in bytes.
    pub length: Hex,
    /// What the dump calls it.
    pub kind: String,
}

/// Ranges of memory, in address order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Regions {
    /// The ranges.
    pub regions: Vec<MemoryRegion>,
    /// Where to ask on; `None` if nothing follows.
    pub next: Option<Hex>,
}

/// How an address is translated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Translation {
    /// The address.
    pub address: Hex,
    /// Whose addresses these are, and the root of their tables: "notepad.exe (4816), directory table base 0x1ad000".
    pub space: String,
    /// How the processor translates: "x64, 4 levels".
    pub mode: String,
    /// Every entry on the way.
    pub steps: Vec<TranslationStep>,
    /// The physical address, if the walk led to one.
    pub physical: Option<Hex>,
    /// Size of the page in bytes.
    pub page_size: Option<u64>,
    /// Where the byte stands in the file, if it does.
    pub file_offset: Option<Hex>,
    /// What came of it, in a sentence.
    pub outcome: String,
}

/// One entry on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TranslationStep {
    /// What debuggers call the entry: `PXE`, `PPE`, `PDE`, `PTE`, `prototype PTE`.
    pub level: String,
    /// Its physical address.
    pub at: Option<Hex>,
    /// Its virtual address, of prototype entries.
    pub virtual_address: Option<Hex>,
    /// Its value.
    pub entry: Hex,
    /// Page frame number it names.
    pub frame: Option<Hex>,
    /// Its flags in the letters of Windows debuggers: `---DA--KWEV`.
    pub flags: String,
    /// What it means.
    pub meaning: String,
}

/// What is in an archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArchiveListing {
    /// What kind of archive it is: "zip archive".
    pub format: String,
    /// Its members; folders are left out.
    pub members: Vec<ArchiveMember>,
    /// Whether there are more members than are listed.
    pub is_cut: bool,
}

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArchiveMember {
    /// Its number, for [`ToWorker::OpenMember`].
    pub index: u32,
    /// Its name, as recorded.
    pub name: String,
    /// Its size in bytes, where the archive says.
    pub size: Option<u64>,
    /// Its size within the archive.
    pub compressed_size: u64,
    /// How it is compressed.
    pub method: String,
    /// Why it cannot be opened, if so.
    pub problem: Option<String>,
}

/// What a session has cost so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Reads that reached the file.
    pub file_reads: u64,
    /// Bytes those reads fetched.
    pub file_bytes: u64,
    /// Reads served from the cache.
    pub cache_hits: u64,
    /// Reads of symbol files.
    pub symbol_reads: u64,
    /// Bytes those reads fetched.
    pub symbol_bytes: u64,
    /// Size of the engine's memory in bytes, where the front end knows it.
    pub engine_memory: Option<u64>,
}

/// Messages from the page to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Open the file that travels beside this message; answered like any request, with [`Reply::Summary`].
    Open {
        /// Number of this request.
        id: RequestId,
    },
    /// Unpack a member of the archive that was opened last and open it; answered like [`ToWorker::Open`].
    OpenMember {
        /// Number of this request.
        id: RequestId,
        /// Number of the member.
        member: u32,
    },
    /// Add the symbol file that travels beside this message to the open dump; answered with [`Reply::SymbolsAdded`].
    AddSymbols {
        /// Number of this request.
        id: RequestId,
    },
    /// Ask about the opened dump.
    Call {
        /// Number of this request.
        id: RequestId,
        /// What is asked.
        request: Request,
    },
    /// Give up on a request that has not been answered yet.
    Cancel {
        /// Its number.
        id: RequestId,
    },
}

/// Messages from the worker to the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The engine is loaded.
    Ready {
        /// Its version.
        version: String,
    },
    /// A request is answered.
    Reply {
        /// Its number.
        id: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// A request cannot be answered.
    Failed {
        /// Its number.
        id: RequestId,
        /// Why.
        failure: Failure,
    },
    /// A request was cancelled.
    Cancelled {
        /// Its number.
        id: RequestId,
    },
    /// A long request goes on.
    Progress {
        /// Its number.
        id: RequestId,
        /// How far it is.
        progress: Progress,
    },
    /// The engine stopped on an internal error and must be restarted.
    Crashed {
        /// What it said.
        message: String,
    },
}

/// Why a request cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// One sentence: what, where, and what to do.
    pub message: String,
}

/// Kinds of failures, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The file is not a dump.
    NotADump,
    /// The file starts like a dump but cannot be opened.
    Damaged,
    /// The request names something that is not there.
    NotFound,
    /// No dump is open.
    NothingOpen,
    /// The request itself is wrong.
    BadRequest,
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Failure {}

/// How far a long request is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done: "walking stacks".
    pub phase: String,
    /// Steps (or bytes) done.
    pub done: u64,
    /// Steps (or bytes) in all; 0 if that is not known.
    pub total: u64,
}

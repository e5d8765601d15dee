//! Names of stream types.

macro_rules! stream_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// A documented stream type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum StreamType { $($(#[$doc])* $name = $number,)* }

        /// The documented name of a stream type, or `unknown`.
        #[must_use]
        pub const fn stream_name(kind: u32) -> &'static str {
            match kind {
                $($number => stringify!($name),)*
                0x8000..=0x800c => "Windows CE",
                0x1_0000.. => "application",
                _ => "unknown",
            }
        }
    };
}

stream_types! {
    /// Threads.
    ThreadList = 3;
    /// Loaded modules.
    ModuleList = 4;
    /// Memory ranges.
    MemoryList = 5;
    /// The exception.
    Exception = 6;
    /// Processor and operating system.
    SystemInfo = 7;
    /// Threads with a second stack (IA-64).
    ThreadExList = 8;
    /// Memory ranges of full dumps.
    Memory64List = 9;
    /// ANSI comment.
    CommentA = 10;
    /// UTF-16 comment.
    CommentW = 11;
    /// Open handles.
    HandleData = 12;
    /// Function tables of generated code.
    FunctionTable = 13;
    /// Unloaded modules.
    UnloadedModuleList = 14;
    /// Process times and more.
    MiscInfo = 15;
    /// State and protection of memory.
    MemoryInfoList = 16;
    /// Thread times.
    ThreadInfoList = 17;
    /// History of handles.
    HandleOperationList = 18;
    /// Access tokens.
    Token = 19;
    /// Script engine data.
    JavaScriptData = 20;
    /// Memory of the whole system.
    SystemMemoryInfo = 21;
    /// Memory counters of the process.
    ProcessVmCounters = 22;
    /// Intel processor trace.
    IptTrace = 23;
    /// Thread names.
    ThreadNames = 24;
    /// Crashpad annotations.
    CrashpadInfo = 0x4350_0001;
    /// Which thread dumped and which asked for it.
    BreakpadInfo = 0x4767_0001;
    /// A failed assertion or invalid parameter.
    BreakpadAssertion = 0x4767_0002;
    /// `/proc/cpuinfo`.
    LinuxCpuInfo = 0x4767_0003;
    /// `/proc/self/status`.
    LinuxProcStatus = 0x4767_0004;
    /// `/etc/lsb-release`.
    LinuxLsbRelease = 0x4767_0005;
    /// `/proc/self/cmdline`.
    LinuxCmdLine = 0x4767_0006;
    /// `/proc/self/environ`.
    LinuxEnviron = 0x4767_0007;
    /// `/proc/self/auxv`.
    LinuxAuxv = 0x4767_0008;
    /// `/proc/self/maps`.
    LinuxMaps = 0x4767_0009;
    /// Dynamic linker data.
    LinuxDsoDebug = 0x4767_000a;
    /// Chromium stability report.
    StabilityReport = 0x4b6b_0002;
    /// Mozilla's macOS crash information.
    MacCrashInfo = 0x4d7a_0001;
    /// Mozilla's macOS boot arguments.
    MacBootArgs = 0x4d7a_0002;
    /// Mozilla's copy of `/proc/self/limits`.
    LinuxLimits = 0x4d7a_0003;
    /// Errors that the writer met.
    SoftErrors = 0x4d7a_0004;
}

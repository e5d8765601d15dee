//! Names of NTSTATUS values and exception codes, from Microsoft's public documentation.

/// Code, name, what it means.
#[rustfmt::skip]
const STATUSES: &[(u32, &str, &str)] = &[
    (0x4000_0015, "STATUS_FATAL_APP_EXIT", "the application ended itself on a fatal error"),
    (0x4001_0005, "DBG_CONTROL_C", "Ctrl+C was pressed"),
    (0x4001_0006, "DBG_PRINTEXCEPTION_C", "debug output"),
    (0x8000_0001, "STATUS_GUARD_PAGE_VIOLATION", "a guard page was touched"),
    (0x8000_0002, "STATUS_DATATYPE_MISALIGNMENT", "data was accessed at a misaligned address"),
    (0x8000_0003, "STATUS_BREAKPOINT", "a breakpoint was hit outside a debugger: often a failed assertion, or a request for a dump"),
    (0x8000_0004, "STATUS_SINGLE_STEP", "a single step or data breakpoint was hit"),
    (0x80ac_0005, "STATUS_SECCORE_INVALID_COMMAND", "the secure processor got an invalid command"),
    (0xc000_0001, "STATUS_UNSUCCESSFUL", "the operation failed"),
    (0xc000_0005, "STATUS_ACCESS_VIOLATION", "memory was accessed that may not be accessed so"),
    (0xc000_0006, "STATUS_IN_PAGE_ERROR", "a page could not be read back from disk or network"),
    (0xc000_0008, "STATUS_INVALID_HANDLE", "an invalid handle was used"),
    (0xc000_000d, "STATUS_INVALID_PARAMETER", "an invalid parameter was passed"),
    (0xc000_000e, "STATUS_NO_SUCH_DEVICE", "a device does not exist"),
    (0xc000_0017, "STATUS_NO_MEMORY", "memory ran out"),
    (0xc000_001d, "STATUS_ILLEGAL_INSTRUCTION", "an instruction was executed that the processor does not know"),
    (0xc000_0022, "STATUS_ACCESS_DENIED", "access was denied"),
    (0xc000_0025, "STATUS_NONCONTINUABLE_EXCEPTION", "an exception was continued that cannot be"),
    (0xc000_0026, "STATUS_INVALID_DISPOSITION", "an exception handler gave an invalid answer"),
    (0xc000_0034, "STATUS_OBJECT_NAME_NOT_FOUND", "an object was not found"),
    (0xc000_003a, "STATUS_OBJECT_PATH_NOT_FOUND", "a path was not found"),
    (0xc000_0043, "STATUS_SHARING_VIOLATION", "a file is in use"),
    (0xc000_0044, "STATUS_QUOTA_EXCEEDED", "a quota was exceeded"),
    (0xc000_008c, "STATUS_ARRAY_BOUNDS_EXCEEDED", "an array bound was exceeded"),
    (0xc000_008e, "STATUS_FLOAT_DIVIDE_BY_ZERO", "a floating-point number was divided by zero"),
    (0xc000_0090, "STATUS_FLOAT_INVALID_OPERATION", "an invalid floating-point operation was done"),
    (0xc000_0091, "STATUS_FLOAT_OVERFLOW", "a floating-point result was too large"),
    (0xc000_0094, "STATUS_INTEGER_DIVIDE_BY_ZERO", "an integer was divided by zero"),
    (0xc000_0095, "STATUS_INTEGER_OVERFLOW", "an integer result was too large"),
    (0xc000_0096, "STATUS_PRIVILEGED_INSTRUCTION", "a privileged instruction was executed"),
    (0xc000_009a, "STATUS_INSUFFICIENT_RESOURCES", "system resources ran out"),
    (0xc000_009c, "STATUS_DEVICE_DATA_ERROR", "the disk reported a data error: bad sectors"),
    (0xc000_009d, "STATUS_DEVICE_NOT_CONNECTED", "the device is not connected: disk, cable or power"),
    (0xc000_00b5, "STATUS_IO_TIMEOUT", "the device did not answer in time"),
    (0xc000_00bb, "STATUS_NOT_SUPPORTED", "the request is not supported"),
    (0xc000_00e5, "STATUS_INTERNAL_ERROR", "an internal error occurred"),
    (0xc000_00fd, "STATUS_STACK_OVERFLOW", "the stack overflowed: usually recursion without end"),
    (0xc000_0102, "STATUS_FILE_CORRUPT_ERROR", "a file or folder is corrupt"),
    (0xc000_012d, "STATUS_COMMITMENT_LIMIT", "the commit limit was reached: memory and page file are full"),
    (0xc000_0135, "STATUS_DLL_NOT_FOUND", "a DLL was not found"),
    (0xc000_0138, "STATUS_ORDINAL_NOT_FOUND", "a DLL lacks a function that was asked for by number"),
    (0xc000_0139, "STATUS_ENTRYPOINT_NOT_FOUND", "a DLL lacks a function that was asked for by name"),
    (0xc000_0142, "STATUS_DLL_INIT_FAILED", "a DLL could not initialise"),
    (0xc000_0144, "STATUS_UNHANDLED_EXCEPTION", "an exception was not handled"),
    (0xc000_0185, "STATUS_IO_DEVICE_ERROR", "the device reported an I/O error: disk, cable or controller"),
    (0xc000_0188, "STATUS_LOG_FILE_FULL", "a log file is full"),
    (0xc000_0194, "STATUS_POSSIBLE_DEADLOCK", "threads wait for each other"),
    (0xc000_01aa, "STATUS_FORMS_AUTH_REQUIRED", "authentication is required"),
    (0xc000_0218, "STATUS_CANNOT_LOAD_REGISTRY_FILE", "a registry file cannot be loaded"),
    (0xc000_021a, "STATUS_SYSTEM_PROCESS_TERMINATED", "a process that Windows cannot do without ended"),
    (0xc000_0221, "STATUS_IMAGE_CHECKSUM_MISMATCH", "an image file is corrupt"),
    (0xc000_026e, "STATUS_VOLUME_DISMOUNTED", "the volume was dismounted"),
    (0xc000_0354, "STATUS_DEBUGGER_INACTIVE", "no debugger is attached"),
    (0xc000_0374, "STATUS_HEAP_CORRUPTION", "the heap is corrupt: something wrote past a block or freed one twice, earlier than here"),
    (0xc000_0409, "STATUS_STACK_BUFFER_OVERRUN", "the program ended itself at once (fail fast): a security check or an internal check failed"),
    (0xc000_0417, "STATUS_INVALID_CRUNTIME_PARAMETER", "the C runtime was given an invalid parameter"),
    (0xc000_0420, "STATUS_ASSERTION_FAILURE", "an assertion failed"),
    (0xc000_041d, "STATUS_FATAL_USER_CALLBACK_EXCEPTION", "an exception was not handled in a callback from the window system"),
    (0xc000_0428, "STATUS_INVALID_IMAGE_HASH", "an image's signature is not valid"),
    (0xc000_0602, "STATUS_FAIL_FAST_EXCEPTION", "the program ended itself at once (fail fast)"),
    (0xc000_06ba, "RPC_NT_SERVER_UNAVAILABLE", "the RPC server is not available"),
    (0xc000_1000, "STATUS_APPLICATION_HANG", "the application hangs"),
    (0xc015_000f, "STATUS_SXS_EARLY_DEACTIVATION", "an activation context was released out of order"),
    (0xc01e_0000, "STATUS_GRAPHICS_NOT_EXCLUSIVE_MODE_OWNER", "the graphics device is owned by another"),
    (0xe043_4352, ".NET exception", "an exception of the .NET runtime was not handled"),
    (0xe043_4f4d, ".NET exception (1.x)", "an exception of an old .NET runtime was not handled"),
    (0xe06d_7363, "C++ exception", "a C++ exception was thrown and not caught"),
    (0xe073_616e, "AddressSanitizer report", "AddressSanitizer found a memory error"),
    (0xeedf_ade0, "Delphi exception", "a Delphi exception was not handled"),
    (0x0517_a7ed, "Crashpad simulated crash", "the program asked Crashpad for a dump without crashing"),
    (0x406d_1388, "SetThreadName", "a thread told a debugger its name"),
];

/// Fast-fail codes (`FAST_FAIL_*`), from Microsoft's public `winnt.h`.
const FAST_FAILS: &[(u64, &str)] = &[
    (0, "a /GS check of the old kind failed"),
    (1, "a virtual-function table check failed"),
    (2, "a stack buffer was overrun (/GS cookie)"),
    (3, "a linked list is corrupt (LIST_ENTRY)"),
    (4, "the stack pointer left the stack"),
    (5, "a function was given an invalid argument"),
    (6, "the stack cookie was not initialised"),
    (7, "the program asked to end (abort)"),
    (8, "an array bound was exceeded"),
    (9, "a reference count is wrong"),
    (10, "an indirect call went to an invalid target (control flow guard)"),
    (11, "write protection failed"),
    (14, "a reference count is wrong"),
    (18, "a set of registers is wrong"),
    (19, "an invalid exception chain"),
    (21, "a jump buffer is invalid"),
    (22, "memory was modified"),
    (24, "a call to an invalid target was made"),
    (25, "an invalid fiber switch"),
    (26, "an invalid set of contexts"),
    (29, "a balanced tree is corrupt"),
    (30, "a next thread is invalid"),
    (31, "an invalid callout"),
    (33, "a lock tree is corrupt"),
    (35, "an invalid image"),
    (39, "a control flow guard import failed"),
    (42, "a handle table is corrupt"),
    (57, "a shadow stack mismatch (CET)"),
];

/// Name of an NTSTATUS or exception code.
#[must_use]
pub fn status_name(code: u32) -> Option<&'static str> {
    STATUSES.iter().find(|row| row.0 == code).map(|row| row.1)
}

/// What an NTSTATUS or exception code means.
#[must_use]
pub fn status_meaning(code: u32) -> Option<&'static str> {
    STATUSES.iter().find(|row| row.0 == code).map(|row| row.2)
}

/// What a fast-fail code means.
#[must_use]
pub fn fast_fail(code: u64) -> Option<&'static str> {
    FAST_FAILS.iter().find(|row| row.0 == code).map(|row| row.1)
}

//! Which modules are worth blaming.
//!
//! The mechanism is that of WinDbg's documented triage file: a frame's owner is ignored, blamed only as a last resort,
//! blamed if nothing better is found, or blamed outright. The list is our own.

/// How readily a module is blamed, from never to at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// Only reports crashes.
    Ignore,
    /// The kernel and its innermost helpers: nearly always on the stack, rarely at fault.
    Last,
    /// Microsoft's port and class drivers, which act for others.
    Maybe,
    /// Everybody else.
    Plain,
}

const LAST: &[&str] = &[
    "nt",
    "hal",
    "kdcom",
    "ci",
    "clfs",
    "ksecdd",
    "cng",
    "werkernel",
    "mcupdate_authenticamd",
    "mcupdate_genuineintel",
    "pshed",
    "bootvid",
];

const MAYBE: &[&str] = &[
    "win32k",
    "win32kbase",
    "win32kfull",
    "win32kns",
    "cdd",
    "ntfs",
    "fltmgr",
    "fastfat",
    "refs",
    "ndis",
    "netio",
    "tcpip",
    "fwpkclnt",
    "afd",
    "http",
    "storport",
    "classpnp",
    "disk",
    "partmgr",
    "volmgr",
    "volsnap",
    "volume",
    "stornvme",
    "storahci",
    "ataport",
    "dxgkrnl",
    "dxgmms1",
    "dxgmms2",
    "wdf01000",
    "wdfldr",
    "usbport",
    "usbhub",
    "usbhub3",
    "usbxhci",
    "ucx01000",
    "usbccgp",
    "hidclass",
    "hidusb",
    "kbdclass",
    "mouclass",
    "ks",
    "portcls",
    "hdaudbus",
    "acpi",
    "pci",
    "rdbss",
    "mup",
    "mrxsmb",
    "srv2",
    "srvnet",
    "watchdog",
    "monitor",
    "videoprt",
    "intelppm",
    "amdppm",
    "wmilib",
    "verifierext",
];

/// User-mode modules of Windows and of compilers.
const USER_LAST: &[&str] = &[
    "ntdll",
    "kernel32",
    "kernelbase",
    "user32",
    "win32u",
    "gdi32",
    "gdi32full",
    "ucrtbase",
    "msvcrt",
    "vcruntime140",
    "vcruntime140_1",
    "msvcp140",
    "combase",
    "rpcrt4",
    "sechost",
    "advapi32",
    "ole32",
    "oleaut32",
    "shell32",
    "wow64",
    "wow64cpu",
    "wow64win",
    "imm32",
    "comctl32",
    "msvcr120",
    "msvcr110",
    "msvcr100",
    "msvcr90",
    "msvcr80",
    "clr",
    "coreclr",
    "mscorwks",
];

/// The owner class of a module.
pub(crate) fn owner(module: &str, kernel: bool) -> Owner {
    let listed = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(module));
    match (kernel, module) {
        (true, _) if listed(LAST) => Owner::Last,
        (true, _) if listed(MAYBE) => Owner::Maybe,
        (false, _) if listed(USER_LAST) => Owner::Last,
        // Copies of the storage stack that exist only to write this dump.
        (true, name) if name.starts_with("dump_") => Owner::Ignore,
        _ => Owner::Plain,
    }
}

//! What an exception means, on each system that writes minidumps.

use alloc::{borrow::ToOwned, string::String};

use crate::{Access, AccessKind, fast_fail, status_meaning, status_name};

/// Whose exception codes these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// NTSTATUS.
    Windows,
    /// Signals.
    Linux,
    /// `EXC_*` and their codes.
    MacOs,
}

/// An exception explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionInfo {
    /// Symbolic name.
    pub name: Option<&'static str>,
    /// What happened, in a sentence.
    pub description: Option<String>,
    /// The memory access that failed.
    pub access: Option<Access>,
}

const SIGNALS: [(u32, &str, &str); 11] = [
    (0, "DUMP_REQUESTED", "The program asked for a dump without crashing."),
    (3, "SIGQUIT", "The program was asked to quit with a core dump."),
    (4, "SIGILL", "An illegal instruction was executed."),
    (5, "SIGTRAP", "A breakpoint was hit."),
    (6, "SIGABRT", "The program ended itself (abort)."),
    (7, "SIGBUS", "Memory was accessed that the hardware or the mapped file does not have."),
    (8, "SIGFPE", "An arithmetic error, such as a division by zero."),
    (11, "SIGSEGV", "Memory was accessed that may not be accessed so."),
    (16, "SIGSTKFLT", "A stack fault on the coprocessor."),
    (31, "SIGSYS", "A forbidden system call was made."),
    (0xffff_ffff, "DUMP_REQUESTED", "The program asked for a dump without crashing."),
];

const MACH: [(u32, &str, &str); 12] = [
    (0, "DUMP_REQUESTED", "The program asked for a dump without crashing."),
    (1, "EXC_BAD_ACCESS", "Memory was accessed that may not be accessed so."),
    (2, "EXC_BAD_INSTRUCTION", "An illegal instruction was executed."),
    (3, "EXC_ARITHMETIC", "An arithmetic error, such as a division by zero."),
    (4, "EXC_EMULATION", "An emulation trap."),
    (5, "EXC_SOFTWARE", "An exception raised by software."),
    (6, "EXC_BREAKPOINT", "A breakpoint or trap instruction was hit."),
    (10, "EXC_CRASH", "The process ended abnormally."),
    (11, "EXC_RESOURCE", "A resource limit was exceeded."),
    (12, "EXC_GUARD", "A guarded resource was misused."),
    (0x4350_6e78, "NSException", "An Objective-C exception was not handled."),
    (0x4350_7378, "Simulated", "The program asked Crashpad for a dump without crashing."),
];

/// Explains an exception.
#[must_use]
pub fn exception_info(system: System, code: u32, address: u64, parameters: &[u64]) -> ExceptionInfo {
    let rows = match system {
        System::Windows => return windows(code, address, parameters),
        System::Linux => &SIGNALS[..],
        System::MacOs => &MACH[..],
    };
    let row = rows.iter().find(|row| row.0 == code);
    let faults = matches!((system, code), (System::Linux, 7 | 11) | (System::MacOs, 1));
    let access = faults.then_some(Access { kind: AccessKind::Unknown, address: Some(address), instruction: None });
    ExceptionInfo { name: row.map(|row| row.1), description: row.map(|row| row.2.to_owned()), access }
}

fn windows(code: u32, address: u64, parameters: &[u64]) -> ExceptionInfo {
    let mut access = None;
    let parameter = |index: usize| parameters.get(index).copied();
    let description = match (code, parameter(0), parameter(1)) {
        (0xc000_0005 | 0xc000_0006, Some(how), Some(target)) => {
            let kind = AccessKind::from_number(how);
            // Reported for a non-canonical address: the processor does not say which.
            let known = (target != u64::MAX).then_some(target);
            access = Some(Access { kind, address: known, instruction: Some(address) });
            Some(access_sentence(code, kind, known, parameter(2)))
        }
        (0xc000_0409, Some(subcode), _) => {
            let why = fast_fail(subcode).unwrap_or("the subcode is not known");
            Some(alloc::format!("The program ended itself at once (fail fast {subcode}): {why}."))
        }
        _ => status_meaning(code).map(sentence),
    };
    ExceptionInfo { name: status_name(code), description, access }
}

fn access_sentence(code: u32, kind: AccessKind, target: Option<u64>, status: Option<u64>) -> String {
    let verb = match kind {
        AccessKind::Read => "read from",
        AccessKind::Write => "write to",
        AccessKind::Execute => "execute code at",
        AccessKind::Unknown => "access",
    };
    let place = match target {
        None => "an address that is not canonical; the processor does not say which".to_owned(),
        Some(target) if target < 0x1000 => alloc::format!("address {target:#x}: a null pointer"),
        Some(target) => alloc::format!("address {target:#x}"),
    };
    if code == 0xc000_0006 {
        let why = status.and_then(|status| status_meaning(status as u32)).unwrap_or("the page could not be read");
        return alloc::format!("The program tried to {verb} {place}, but {why}.");
    }
    alloc::format!("The program tried to {verb} {place}.")
}

fn sentence(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(1));
    let mut rest = text.chars();
    out.extend(rest.next().into_iter().flat_map(char::to_uppercase));
    out.push_str(rest.as_str());
    out.push('.');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_violations_say_how_and_where() {
        let info = exception_info(System::Windows, 0xc000_0005, 0, &[8, 0]);
        assert_eq!(info.name, Some("STATUS_ACCESS_VIOLATION"));
        assert!(info.description.unwrap().contains("execute code at address 0x0"));
        let info = exception_info(System::Windows, 0xc000_0005, 0x1000, &[0, u64::MAX]);
        assert_eq!(info.access.unwrap().address, None);
    }

    #[test]
    fn fail_fast_names_its_reason() {
        let info = exception_info(System::Windows, 0xc000_0409, 0, &[2]);
        assert!(info.description.unwrap().contains("cookie"));
    }

    #[test]
    fn other_systems_have_their_own_codes() {
        assert_eq!(exception_info(System::Linux, 11, 8, &[]).name, Some("SIGSEGV"));
        assert_eq!(exception_info(System::MacOs, 1, 8, &[]).access.unwrap().address, Some(8));
        assert_eq!(exception_info(System::Linux, 99, 8, &[]).name, None);
    }
}

//! The lists of a dump, a line for each entry.

use alloc::string::{String, ToString};
use core::fmt::{self, Write};

use super::table::{Table, cell};
use crate::{
    model::{Module, Process, SymbolStatus, Thread, UnloadedModule},
    process_tree,
    protocol::Stream,
    symbols::SymbolNeed,
};

/// Prints loaded modules.
///
/// # Errors
/// If `out` does.
pub fn modules(out: &mut impl Write, modules: &[Module]) -> fmt::Result {
    let mut table = Table::new(&[
        "Base",
        "Size",
        "Name",
        "Version",
        "Timestamp",
        "Checksum",
        "Symbols",
        "Debug file",
        "Debug id",
        "Image",
    ]);
    for module in modules {
        table.row([
            module.base.to_string(),
            alloc::format!("{:#x}", module.size),
            module.name.clone(),
            cell(module.version.as_ref()),
            cell(module.timestamp),
            cell(module.checksum),
            String::from(symbols(module.symbols)),
            cell(module.debug_file.as_deref().map(file_name)),
            cell(module.debug_id.as_ref()),
            module.image.clone(),
        ]);
    }
    table.write(out, "")
}

/// Prints which symbol files would help: a line for each module, and the paths of its files below it.
///
/// # Errors
/// If `out` does.
pub fn symbol_needs(out: &mut impl Write, needs: &[SymbolNeed]) -> fmt::Result {
    let mut table = Table::new(&["Module", "Symbols", "Matters", "Wanted, as a store keeps it"]);
    for need in needs {
        let mut files = need.files.iter().map(|file| file.path.as_str());
        // What does not fit has a line of its own.
        let reason = need.reason.clone().filter(|_| need.symbols != SymbolStatus::Mismatched);
        let first = files.next().map(String::from).or_else(|| reason.clone()).unwrap_or_default();
        table.row([need.module.clone(), String::from(symbols(need.symbols)), cell(need.matters.as_ref()), first]);
        for path in files {
            table.row([String::new(), String::new(), String::new(), String::from(path)]);
        }
        let reason = reason.filter(|_| !need.files.is_empty());
        for text in reason.into_iter().chain(need.mismatches.iter().map(ToString::to_string)) {
            table.row([String::new(), String::new(), String::new(), text]);
        }
    }
    table.write(out, "")
}

const fn symbols(status: SymbolStatus) -> &'static str {
    match status {
        SymbolStatus::Loaded => "loaded",
        SymbolStatus::Forced => "forced",
        SymbolStatus::Exports => "exports",
        SymbolStatus::Missing => "missing",
        SymbolStatus::Mismatched => "mismatched",
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// Prints unloaded modules.
///
/// # Errors
/// If `out` does.
pub fn unloaded_modules(out: &mut impl Write, modules: &[UnloadedModule]) -> fmt::Result {
    let mut table = Table::new(&["Base", "Size", "Timestamp", "Name"]);
    for module in modules {
        let size = alloc::format!("{:#x}", module.size);
        table.row([module.base.to_string(), size, cell(module.timestamp), module.name.clone()]);
    }
    table.write(out, "")
}

/// Prints threads.
///
/// # Errors
/// If `out` does.
pub fn threads(out: &mut impl Write, threads: &[Thread]) -> fmt::Result {
    let mut table = Table::new(&["", "Id", "Process", "State", "Waits for", "Priority", "TEB", "At", "Name"]);
    for thread in threads {
        table.row([
            String::from(if thread.crashed { "*" } else { "" }),
            thread.id.to_string(),
            cell(thread.process_id),
            cell(thread.state.as_ref()),
            cell(thread.wait_reason.as_ref()),
            cell(thread.priority),
            cell(thread.teb),
            cell(thread.location.as_ref()),
            cell(thread.name.as_ref()),
        ]);
    }
    table.write(out, "")
}

/// Prints processes as the tree of who created whom.
///
/// # Errors
/// If `out` does.
pub fn processes(out: &mut impl Write, processes: &[Process]) -> fmt::Result {
    let mut table =
        Table::new(&["", "Name", "Id", "Parent", "Session", "Threads", "Created", "Object", "Directory base"]);
    for branch in process_tree(processes) {
        let Some(process) = processes.get(branch.index) else { continue };
        table.row([
            String::from(if process.current { "*" } else { "" }),
            alloc::format!("{:indent$}{}", "", cell(process.name.as_ref()), indent = branch.depth.saturating_mul(2)),
            cell(process.id),
            cell(process.parent_id),
            cell(process.session),
            cell(process.threads),
            cell(process.create_time.as_ref()),
            cell(process.object),
            cell(process.directory_table_base),
        ]);
    }
    table.write(out, "")
}

/// Prints the parts of a file.
///
/// # Errors
/// If `out` does.
pub fn streams(out: &mut impl Write, streams: &[Stream]) -> fmt::Result {
    let mut table = Table::new(&["Offset", "Size", "Type", "Name", "Holds"]);
    for stream in streams {
        table.row([
            stream.offset.to_string(),
            stream.size.to_string(),
            cell(stream.kind),
            stream.name.clone(),
            cell(stream.summary.as_ref()),
        ]);
    }
    table.write(out, "")
}

//! The whole report: what happened first, then what it rests on.

use alloc::string::{String, ToString};
use core::fmt::{self, Write};

use super::{clean, duration, location, size, table::Table, trust_label};
use crate::StackGroup;
use crate::model::{BugCheck, Confidence, Context, Exception, Note, NoteKind, Report, Stack, Verdict};
use crate::protocol::{ContextChoice, StackOf};

/// Prints a report.
///
/// # Errors
/// If `out` does.
pub fn report(out: &mut impl Write, report: &Report) -> fmt::Result {
    dump(out, report)?;
    verdict(out, &report.verdict)?;
    if let Some(bugcheck) = &report.bugcheck {
        bug_check(out, bugcheck)?;
    }
    if let Some(record) = &report.exception {
        exception(out, record)?;
    }
    if let Some(stack) = &report.stack {
        stack_table(out, stack)?;
    }
    if let Some(context) = &report.context {
        registers(out, context)?;
    }
    evidence(out, &report.verdict)?;
    notes(out, &report.notes)
}

fn heading(out: &mut impl Write, title: &str) -> fmt::Result {
    writeln!(out, "\n{title}")
}

fn line(out: &mut impl Write, label: &str, value: Option<impl AsRef<str>>) -> fmt::Result {
    match value {
        Some(value) => writeln!(out, "{label:<11}{}", clean(value.as_ref())),
        None => Ok(()),
    }
}

/// The present parts joined by commas, or `None` if there are none.
fn joined<const N: usize>(parts: [Option<String>; N]) -> Option<String> {
    parts.into_iter().flatten().reduce(|all, part| all + ", " + &part)
}

fn dump(out: &mut impl Write, report: &Report) -> fmt::Result {
    let dump = &report.dump;
    let name = dump.file_name.clone().unwrap_or_else(|| String::from("(unnamed)"));
    line(out, "File", Some(alloc::format!("{name} ({})", size(dump.file_size))))?;
    line(out, "", Some(&dump.description))?;
    let processors =
        dump.processors.map(|count| alloc::format!("{count} processor{}", if count == 1 { "" } else { "s" }));
    line(
        out,
        "Machine",
        joined([dump.architecture.clone(), processors, dump.processor.clone(), dump.machine.clone()]),
    )?;
    let build = dump.build.map(|build| alloc::format!("build {build}"));
    line(out, "System", joined([dump.os.clone(), build, dump.build_string.clone()]))?;
    let uptime = dump.uptime_seconds.map(|seconds| alloc::format!("system up {}", duration(seconds)));
    let process_uptime = dump.process_uptime_seconds.map(|seconds| alloc::format!("process up {}", duration(seconds)));
    line(out, "Time", joined([dump.time.clone(), uptime, process_uptime]))?;
    let process_id = dump.process_id.map(|id| alloc::format!("id {id}"));
    let thread = report.crashing_thread.map(|id| alloc::format!("thread {id}"));
    line(out, "Process", joined([dump.process.clone(), process_id, thread]))?;
    line(out, "Comment", dump.comment.as_ref())
}

fn verdict(out: &mut impl Write, verdict: &Verdict) -> fmt::Result {
    heading(out, "What happened")?;
    writeln!(out, "  {}", clean(&verdict.title))?;
    if let Some(blame) = &verdict.blamed {
        let who = blame.image.as_ref().unwrap_or(&blame.module);
        let sure = match blame.confidence {
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
        };
        writeln!(out, "  Points to {} (confidence: {sure}): {}", clean(who), clean(&blame.reason))?;
    }
    if let Some(bucket) = &verdict.bucket {
        let hash = verdict.bucket_hash.as_deref().map(|hash| alloc::format!("  {hash}")).unwrap_or_default();
        writeln!(out, "  Bucket {}{}", clean(bucket), clean(&hash))?;
    }
    Ok(())
}

fn bug_check(out: &mut impl Write, bugcheck: &BugCheck) -> fmt::Result {
    let name = bugcheck.name.as_deref().unwrap_or("Unknown bug check");
    heading(out, &alloc::format!("{name} ({:x})", bugcheck.code.0))?;
    if let Some(description) = &bugcheck.description {
        writeln!(out, "  {}", clean(description))?;
    }
    for (index, value) in bugcheck.parameters.iter().enumerate() {
        let meaning = bugcheck.meaning.get(index).and_then(Option::as_deref);
        let meaning = meaning.map(|meaning| alloc::format!("  {}", clean(meaning))).unwrap_or_default();
        writeln!(out, "  Arg{}: {:016x}{meaning}", index.saturating_add(1), value.0)?;
    }
    Ok(())
}

fn exception(out: &mut impl Write, exception: &Exception) -> fmt::Result {
    let name = exception.name.as_deref().unwrap_or("Exception");
    heading(out, &alloc::format!("{} ({:x}) at {}", clean(name), exception.code.0, exception.address))?;
    if let Some(description) = &exception.description {
        writeln!(out, "  {}", clean(description))?;
    }
    for (index, value) in exception.parameters.iter().enumerate() {
        writeln!(out, "  Parameter[{index}]: {:016x}", value.0)?;
    }
    writeln!(out, "  From: {}", clean(&exception.source))
}

/// Prints a stack that one or more threads have.
///
/// # Errors
/// If `out` does.
pub fn thread_stack(out: &mut impl Write, group: &StackGroup) -> fmt::Result {
    const MOST_NAMED: usize = 16;
    let mut ids: String = String::new();
    for (index, id) in group.threads.iter().take(MOST_NAMED).enumerate() {
        write!(ids, "{}{id}", if index > 0 { ", " } else { "" })?;
    }
    let more = group.threads.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        write!(ids, " and {more} more")?;
    }
    let title = match group.threads.len() {
        0 => alloc::format!("Stack of the crash, from the {}", clean(&group.stack.context)),
        1 => alloc::format!("Stack of thread {ids}, from the {}", clean(&group.stack.context)),
        count => alloc::format!("Stack of {count} threads: {ids}"),
    };
    frames(out, &title, &group.stack)
}

/// Prints places where registers were saved.
///
/// # Errors
/// If `out` does.
pub fn contexts(out: &mut impl Write, choices: &[ContextChoice]) -> fmt::Result {
    let mut table = Table::new(&["Ask for", "Instruction", "Location", "Registers"]);
    for choice in choices {
        let option = match choice.of {
            StackOf::Crash => String::from("(the crash)"),
            StackOf::Header => String::from("--header"),
            StackOf::Thread { id } => alloc::format!("--thread {id}"),
            StackOf::ThreadObject { object } => alloc::format!("--thread {object}"),
            StackOf::Processor { number } => alloc::format!("--cpu {number}"),
            StackOf::Context { address } => alloc::format!("--cxr {address}"),
            StackOf::TrapFrame { address } => alloc::format!("--trap {address}"),
        };
        let location = choice.location.clone().unwrap_or_default();
        table.row([option, choice.instruction_pointer.to_string(), location, choice.source.clone()]);
    }
    table.write(out, "")
}

fn stack_table(out: &mut impl Write, stack: &Stack) -> fmt::Result {
    let thread = stack.thread.map(|id| alloc::format!(" of thread {id}")).unwrap_or_default();
    frames(out, &alloc::format!("Stack{thread}, from the {}", clean(&stack.context)), stack)
}

fn frames(out: &mut impl Write, title: &str, stack: &Stack) -> fmt::Result {
    heading(out, title)?;
    let mut table = Table::new(&["#", "Address", "Found by", "Location"]);
    for (index, frame) in stack.frames.iter().enumerate() {
        let mut place = location(frame);
        if let (Some(file), Some(line)) = (&frame.file, frame.line) {
            let _ = write!(place, " [{file} @ {line}]");
        }
        if let Some(note) = &frame.note {
            let _ = write!(place, "  ({note})");
        }
        let address = alloc::format!("{:016x}", frame.address.0);
        if !frame.arguments.is_empty() {
            place.push_str("  [");
            for (index, word) in frame.arguments.iter().enumerate() {
                write!(place, "{}{:x}", if index > 0 { " " } else { "" }, word.0)?;
            }
            place.push(']');
        }
        table.row([alloc::format!("{index:02x}"), address, trust_label(frame.trust).to_string(), place]);
    }
    table.write(out, "  ")?;
    writeln!(out, "  {}", clean(&stack.stop))?;
    stack.warnings.iter().try_for_each(|warning| writeln!(out, "  Warning: {}", clean(warning)))
}

fn registers(out: &mut impl Write, context: &Context) -> fmt::Result {
    heading(out, &alloc::format!("Registers, from the {}", clean(&context.source)))?;
    for row in context.registers.0.chunks(4) {
        out.write_str(" ")?;
        for (name, value) in row {
            write!(out, " {:>4}={:016x}", clean(name), value.0)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn bullets(out: &mut impl Write, title: &str, items: &[String]) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    heading(out, title)?;
    items.iter().try_for_each(|item| writeln!(out, "  - {}", clean(item)))
}

fn evidence(out: &mut impl Write, verdict: &Verdict) -> fmt::Result {
    if !verdict.evidence.is_empty() {
        heading(out, "Evidence")?;
    }
    for fact in &verdict.evidence {
        writeln!(out, "  - {} ({})", clean(&fact.statement), clean(&fact.source))?;
    }
    bullets(out, "What would make this surer", &verdict.missing)?;
    bullets(out, "What to do next", &verdict.next_steps)
}

fn notes(out: &mut impl Write, notes: &[Note]) -> fmt::Result {
    if notes.is_empty() {
        return Ok(());
    }
    heading(out, "Notes")?;
    for note in notes {
        let kind = match note.kind {
            NoteKind::Info => "note",
            NoteKind::Missing => "missing",
            NoteKind::Damaged => "damaged",
        };
        writeln!(out, "  {kind}: {}", clean(&note.text))?;
    }
    Ok(())
}

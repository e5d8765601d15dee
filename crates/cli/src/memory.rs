//! Commands about memory: hex dumps, translations, ranges.

use std::{
    io::{self, Write},
    path::Path,
};

use dumplens_engine::Session;
use dumplens_report::{
    Hex,
    model::Process,
    protocol::{MAX_MEMORY_READ, MAX_REGIONS, Reply, Request, Space},
    text,
};

use crate::{
    args::{SpaceArgs, Unpacking},
    commands::{Outcome, answer, open, render, unexpected},
};

/// The space that the options name, or the outcome if they name none. Says why on standard error.
fn space(session: &mut Session, options: &SpaceArgs, path: &Path) -> Result<Space, Outcome> {
    if options.physical {
        return Ok(Space::Physical);
    }
    let Some(wanted) = &options.process else { return Ok(Space::Current) };
    let processes = match answer(session, Request::Processes) {
        Ok(Reply::Processes(processes)) => processes,
        other => return Err(unexpected(path, other)),
    };
    let found: Vec<&Process> = processes.iter().filter(|process| names(process, wanted)).collect();
    match found.as_slice() {
        [Process { object: Some(object), .. }] => Ok(Space::Process { object: *object }),
        [] => {
            eprintln!("dumplens: {}: there is no process {wanted}; `dumplens processes` lists them", path.display());
            Err(Outcome::Unreadable)
        }
        several => {
            let ids: Vec<String> = several.iter().filter_map(|process| process.id).map(|id| id.to_string()).collect();
            eprintln!("dumplens: {}: several processes are called {wanted}: {}", path.display(), ids.join(", "));
            Err(Outcome::Unreadable)
        }
    }
}

/// Whether a process is meant by its id, its name or the address of its object.
fn names(process: &Process, wanted: &str) -> bool {
    let by_id = wanted.parse().ok().is_some_and(|id: u64| process.id == Some(id));
    let by_name = process.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
    let by_object = Hex::parse(wanted).is_some_and(|object| process.object == Some(object));
    by_id || by_name || by_object
}

/// Opens a dump and settles which of its address spaces is asked about. What stands in the way has been reported.
pub(crate) fn open_in(options: &SpaceArgs, path: &Path, unpacking: &Unpacking) -> Result<(Session, Space), Outcome> {
    let mut session = open(path, unpacking).ok_or(Outcome::Unreadable)?;
    let space = space(&mut session, options, path)?;
    Ok((session, space))
}

/// Prints a hex dump.
pub(crate) fn read(
    out: &mut impl Write,
    options: &SpaceArgs,
    path: &Path,
    address: Hex,
    length: u32,
    unpacking: &Unpacking,
) -> io::Result<Outcome> {
    let (mut session, space) = match open_in(options, path, unpacking) {
        Ok(opened) => opened,
        Err(outcome) => return Ok(outcome),
    };
    let mut outcome = Outcome::Complete;
    let mut done = 0;
    while done < length {
        let step = (length - done).min(MAX_MEMORY_READ);
        let Some(start) = address.0.checked_add(u64::from(done)) else { break };
        match answer(&mut session, Request::Memory { space, address: Hex(start), length: step }) {
            Ok(Reply::Memory(chunks)) => {
                if chunks.iter().any(|chunk| chunk.bytes.is_none()) {
                    outcome = Outcome::Partial;
                }
                out.write_all(render(|text| text::memory(text, &chunks)).as_bytes())?;
            }
            other => return Ok(unexpected(path, other)),
        }
        done += step;
    }
    Ok(outcome)
}

/// Prints how addresses are translated. An address that leads to no readable byte makes the outcome partial.
pub(crate) fn translate(
    out: &mut impl Write,
    options: &SpaceArgs,
    json: bool,
    path: &Path,
    addresses: &[Hex],
    unpacking: &Unpacking,
) -> io::Result<Outcome> {
    let (mut session, space) = match open_in(options, path, unpacking) {
        Ok(opened) => opened,
        Err(outcome) => return Ok(outcome),
    };
    let mut outcome = Outcome::Complete;
    for (index, address) in addresses.iter().enumerate() {
        match answer(&mut session, Request::Translate { space, address: *address }) {
            Ok(Reply::Translation(translation)) => {
                if translation.file_offset.is_none() {
                    outcome = Outcome::Partial;
                }
                if json {
                    writeln!(out, "{}", serde_json::to_string(&translation).map_err(io::Error::other)?)?;
                } else {
                    if index > 0 {
                        writeln!(out)?;
                    }
                    out.write_all(render(|text| text::translation(text, &translation)).as_bytes())?;
                }
            }
            other => return Ok(unexpected(path, other)),
        }
    }
    Ok(outcome)
}

/// Prints the ranges that can be read.
pub(crate) fn regions(
    out: &mut impl Write,
    options: &SpaceArgs,
    json: bool,
    from: Hex,
    path: &Path,
    unpacking: &Unpacking,
) -> io::Result<Outcome> {
    let (mut session, space) = match open_in(options, path, unpacking) {
        Ok(opened) => opened,
        Err(outcome) => return Ok(outcome),
    };
    let mut all = Vec::new();
    let mut next = Some(from);
    while let Some(from) = next {
        match answer(&mut session, Request::Regions { space, from, count: MAX_REGIONS }) {
            Ok(Reply::Regions(part)) => {
                all.extend(part.regions);
                next = part.next;
            }
            other => return Ok(unexpected(path, other)),
        }
        if all.len() >= MOST_REGIONS {
            eprintln!(
                "dumplens: {}: stopped after {} ranges; go on with --from {}",
                path.display(),
                all.len(),
                next.unwrap_or_default()
            );
            break;
        }
    }
    if json {
        writeln!(out, "{}", serde_json::to_string(&all).map_err(io::Error::other)?)?;
    } else {
        out.write_all(render(|text| text::regions(text, &all)).as_bytes())?;
    }
    Ok(Outcome::Complete)
}

/// Ranges that one command prints.
const MOST_REGIONS: usize = 1_000_000;

//! `dumplens stack`: one stack, or all with the threads that share them.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use dumplens_report::{
    StackGroup, group_stacks,
    protocol::{Reply, Request},
    text,
};

use crate::{
    args::Unpacking,
    commands::{Outcome, answer, open, render, unexpected},
    symbols,
};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct StackArgs {
    /// Id of the thread; without it, the stack of the crash
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    thread: Option<u64>,
    /// The stacks of all threads; threads with the same stack are shown together
    #[arg(long)]
    all: bool,
    /// Folder, symbol store, archive or file with symbols; may be given several times
    #[arg(long, value_name = "DIR")]
    symbols: Vec<PathBuf>,
    /// Print one JSON document per stack instead of text
    #[arg(long)]
    json: bool,
    /// Dump file
    file: PathBuf,
}

/// Prints the stacks.
pub(crate) fn stack(out: &mut impl Write, args: &StackArgs, unpacking: &Unpacking) -> io::Result<Outcome> {
    let Some(mut session) = open(&args.file, unpacking) else { return Ok(Outcome::Unreadable) };
    symbols::add(&mut session, &args.symbols);
    let groups = if args.all {
        let threads = match answer(&mut session, Request::Threads) {
            Ok(Reply::Threads(threads)) => threads,
            other => return Ok(unexpected(&args.file, other)),
        };
        let mut stacks = Vec::new();
        for thread in threads {
            if let Ok(Reply::Stack(found)) = answer(&mut session, Request::Stack { thread: thread.id }) {
                stacks.push((thread.id, found.stack));
            }
        }
        group_stacks(stacks)
    } else if let Some(thread) = args.thread {
        match answer(&mut session, Request::Stack { thread }) {
            Ok(Reply::Stack(found)) => vec![StackGroup { threads: vec![thread], stack: found.stack }],
            other => return Ok(unexpected(&args.file, other)),
        }
    } else {
        match answer(&mut session, Request::Summary) {
            Ok(Reply::Summary(summary)) => match summary.stack {
                Some(stack) => vec![StackGroup { threads: summary.crashing_thread.into_iter().collect(), stack }],
                None => {
                    eprintln!(
                        "dumplens: {}: the dump does not tell where it crashed; --all shows every thread",
                        args.file.display()
                    );
                    return Ok(Outcome::Partial);
                }
            },
            other => return Ok(unexpected(&args.file, other)),
        }
    };
    for group in &groups {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(group).map_err(io::Error::other)?)?;
        } else {
            out.write_all(render(|text| text::thread_stack(text, group)).trim_start_matches('\n').as_bytes())?;
            writeln!(out)?;
        }
    }
    Ok(Outcome::Complete)
}

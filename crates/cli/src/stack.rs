//! `dumplens stack`: one stack, or all with the threads that share them.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use dumplens_engine::Session;
use dumplens_report::{
    Hex, StackGroup,
    protocol::{Reply, Request, StackOf},
    text,
};

use crate::{
    args::{Unpacking, address},
    commands::{Outcome, answer, open, render, unexpected},
    symbols,
};

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct StackArgs {
    #[command(flatten)]
    of: Of,
    /// Show the words where arguments were passed (x86), or where functions may have stored them (x64)
    #[arg(long, conflicts_with = "all")]
    args: bool,
    /// Folder, symbol store, archive or file with symbols; may be given several times
    #[arg(long, value_name = "DIR")]
    symbols: Vec<PathBuf>,
    /// Print one JSON document per stack instead of text
    #[arg(long)]
    json: bool,
    /// Dump file
    file: PathBuf,
}

/// Whose stack; without any of these, that of the crash.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Of {
    /// Id of the thread, or the address of its object (0x...)
    #[arg(long, value_name = "ID", value_parser = thread)]
    thread: Option<StackOf>,
    /// Number of the processor: what it ran
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<u32>,
    /// Address of a register context in memory, hexadecimal, as .cxr takes it
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    cxr: Option<Hex>,
    /// Address of a trap frame in memory, hexadecimal, as .trap takes it
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    trap: Option<Hex>,
    /// The registers in the header of a kernel dump
    #[arg(long)]
    header: bool,
    /// The stacks of all threads; threads with the same stack are shown together
    #[arg(long)]
    all: bool,
    /// List the places where registers were saved, from which a stack can be walked
    #[arg(long)]
    contexts: bool,
}

fn thread(text: &str) -> Result<StackOf, String> {
    if text.starts_with("0x") {
        let object = Hex::parse(text).ok_or("an object's address is hexadecimal: 0xffffa50f00001080")?;
        return Ok(StackOf::ThreadObject { object });
    }
    let id = text.parse().map_err(|_| "a thread's id is a decimal number; its object's address starts with 0x")?;
    Ok(StackOf::Thread { id })
}

impl Of {
    /// The one stack that is meant.
    fn one(&self) -> StackOf {
        let cpu = self.cpu.map(|number| StackOf::Processor { number });
        let cxr = self.cxr.map(|address| StackOf::Context { address });
        let trap = self.trap.map(|address| StackOf::TrapFrame { address });
        let header = self.header.then_some(StackOf::Header);
        self.thread.or(cpu).or(cxr).or(trap).or(header).unwrap_or_default()
    }
}

/// Prints the stacks.
pub(crate) fn stack(out: &mut impl Write, args: &StackArgs, unpacking: &Unpacking) -> io::Result<Outcome> {
    let Some(mut session) = open(&args.file, unpacking) else { return Ok(Outcome::Unreadable) };
    symbols::add(&mut session, &args.symbols);
    if args.of.contexts {
        return contexts(out, args, &mut session);
    }
    let groups = if args.of.all {
        match answer(&mut session, Request::Stacks) {
            Ok(Reply::Stacks(groups)) => groups,
            other => return Ok(unexpected(&args.file, other)),
        }
    } else {
        let of = args.of.one();
        match answer(&mut session, Request::Stack { of, arguments: args.args }) {
            Ok(Reply::Stack(found)) => {
                let threads = found.stack.thread.into_iter().collect();
                vec![StackGroup { threads, objects: Vec::new(), stack: found.stack }]
            }
            // There is a report on such a dump, and it says why.
            Err(failure) if of == StackOf::Crash => {
                eprintln!("dumplens: {}: {failure}; --all shows every thread", args.file.display());
                return Ok(Outcome::Partial);
            }
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

/// Lists the places where registers were saved.
fn contexts(out: &mut impl Write, args: &StackArgs, session: &mut Session) -> io::Result<Outcome> {
    let choices = match answer(session, Request::Contexts) {
        Ok(Reply::Contexts(choices)) => choices,
        other => return Ok(unexpected(&args.file, other)),
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&choices).map_err(io::Error::other)?)?;
    } else {
        out.write_all(render(|text| text::contexts(text, &choices)).as_bytes())?;
    }
    Ok(Outcome::Complete)
}

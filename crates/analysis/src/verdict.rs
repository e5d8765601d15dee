//! What a crash's facts add up to.

use alloc::{
    borrow::ToOwned,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    Access, AccessKind, Mode, base_code,
    bucket::cleaned,
    bucket_hash,
    owners::{Owner, owner},
    status_name, stop_code,
};

/// How a frame was found, from most to least believable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// A register context.
    Context,
    /// An inlined call.
    Inline,
    /// Unwind data.
    Unwind,
    /// The chain of frame pointers.
    FramePointer,
    /// A scan.
    Scan,
}

/// One frame of the crash's stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameFact {
    /// Short module name.
    pub module: Option<String>,
    /// Image file name.
    pub image: Option<String>,
    /// Function name.
    pub function: Option<String>,
    /// `module+offset`, or the address.
    pub location: String,
    /// How it was found.
    pub trust: Trust,
    /// Whether its address is known to follow a call instruction.
    pub after_call: bool,
}

/// The exception behind the crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionFacts {
    /// Code.
    pub code: u32,
    /// Name.
    pub name: Option<String>,
    /// What happened, in a sentence.
    pub description: Option<String>,
    /// The memory access that failed.
    pub access: Option<Access>,
    /// Where the record was found.
    pub source: String,
}

/// What is known about a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Kernel or user.
    pub mode: Mode,
    /// Code and parameters of the bug check.
    pub bug_check: Option<(u32, [u64; 4])>,
    /// The exception.
    pub exception: Option<ExceptionFacts>,
    /// The access the bug check is about.
    pub access: Option<Access>,
    /// The frame of the instruction that failed: from the bug check's parameters or the exception's context.
    pub culprit: Option<FrameFact>,
    /// The stack of the crash, innermost first.
    pub frames: Vec<FrameFact>,
    /// A module that a parameter points into, with the parameter's number: the graphics driver of 0x116.
    pub parameter_module: Option<(u8, FrameFact)>,
    /// The driver that the kernel itself named.
    pub named_driver: Option<String>,
    /// The process.
    pub process: Option<String>,
    /// The unloaded image that the failing address had belonged to.
    pub unloaded: Option<String>,
}

/// How sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Facts of the dump say so directly.
    High,
    /// The usual reading of the facts.
    Medium,
    /// A hint, no more.
    Low,
}

/// Who is blamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Short module name.
    pub module: String,
    /// Image file name.
    pub image: Option<String>,
    /// Function name.
    pub function: Option<String>,
    /// Why.
    pub reason: String,
    /// How sure.
    pub confidence: Confidence,
}

/// A fact the verdict rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The fact.
    pub statement: String,
    /// Where it was read.
    pub source: String,
}

/// What crashed and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence for a reader who is no expert.
    pub title: String,
    /// Who is blamed.
    pub blamed: Option<Blame>,
    /// Bucket text.
    pub bucket: Option<String>,
    /// Its hash.
    pub bucket_hash: Option<String>,
    /// What the verdict rests on.
    pub evidence: Vec<Evidence>,
    /// What would make it surer.
    pub missing: Vec<String>,
    /// What to do next.
    pub next_steps: Vec<String>,
}

/// What kind of crash it is, as far as blame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Nobody: someone asked for it, or nothing crashed.
    Asked,
    /// The hardware reported or shows an error.
    Hardware,
    /// A watchdog ran out: the stack is that of the watchdog, not of the culprit.
    Watchdog,
    /// The code at the failing instruction.
    Code,
    /// A disk or file error.
    Storage,
    /// A process ended.
    Process,
}

/// 0x1A subcodes whose third parameter is an entry that should be empty.
const EMPTY_ENTRY: u64 = 0x41792;

fn class(facts: &Facts) -> Class {
    let Some((code, parameters)) = facts.bug_check else { return Class::Code };
    let [first, _, third, _] = parameters;
    match base_code(code) {
        0xe2 | 0xdead_dead | 0x161 | 0x1c8 => Class::Asked,
        0x124 if first == 0x10 => Class::Code,
        0x124 | 0x9c | 0x80 | 0x12b | 0x101 => Class::Hardware,
        0x1a if first == EMPTY_ENTRY && third.count_ones() == 1 => Class::Hardware,
        0x9f | 0x133 | 0x1ca | 0x1d5 | 0x14f | 0x15f | 0x116 | 0x117 | 0x141 | 0x119 | 0xea => Class::Watchdog,
        0x7a | 0x77 | 0x24 | 0x7b | 0xed | 0x154 | 0x23 | 0x51 | 0x74 => Class::Storage,
        0xef | 0xf4 | 0xc000_021a => Class::Process,
        _ => Class::Code,
    }
}

/// Reaches the verdict.
#[must_use]
pub fn verdict(facts: &Facts) -> Verdict {
    let class = class(facts);
    let blamed = match class {
        Class::Asked | Class::Hardware => None,
        _ => blame(facts, class),
    };
    let bucket = bucket(facts, class, blamed.as_ref());
    Verdict {
        title: title(facts, class, blamed.as_ref()),
        bucket_hash: bucket.as_deref().map(|bucket| bucket_hash(facts.mode, bucket)),
        bucket,
        evidence: evidence(facts, class),
        missing: missing(facts, blamed.as_ref()),
        next_steps: next_steps(facts, class, blamed.as_ref()),
        blamed,
    }
}

fn blame(facts: &Facts, class: Class) -> Option<Blame> {
    let kernel = facts.mode == Mode::Kernel;
    if let Some((number, frame)) = &facts.parameter_module {
        return accuse(frame, Confidence::High, alloc::format!("bug check parameter {number} points into it"));
    }
    if let Some(name) = &facts.named_driver {
        let stem = name.rsplit(['\\', '/']).next().unwrap_or(name);
        let module = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem).to_owned();
        let reason = "the kernel itself named it when it stopped".to_owned();
        let image = Some(stem.to_owned());
        return Some(Blame { module, image, function: None, reason, confidence: Confidence::High });
    }
    if let Some(frame) = facts.culprit.as_ref().filter(|_| class == Class::Code) {
        let class = frame.module.as_deref().map(|module| owner(module, kernel));
        if class == Some(Owner::Plain) || class == Some(Owner::Maybe) {
            let confidence = if class == Some(Owner::Plain) { Confidence::High } else { Confidence::Medium };
            return accuse(frame, confidence, "the failing instruction is in it".to_owned());
        }
    }
    // A call to where no code is leaves its return address on top of the stack.
    if let [lost, caller, ..] = facts.frames.as_slice()
        && lost.module.is_none()
        && caller.after_call
        && caller.module.as_deref().is_some_and(|module| owner(module, kernel) == Owner::Plain)
    {
        let reason =
            "it called an address where no code is: the return address on top of the stack is in it".to_owned();
        return accuse(caller, Confidence::Medium, reason);
    }
    // The best owner wins; of two alike, the one nearer to the crash.
    let ranked = facts.frames.iter().filter_map(|frame| Some((owner(frame.module.as_deref()?, kernel), frame)));
    let mut best: Option<(Owner, &FrameFact)> = None;
    for (class, frame) in ranked.filter(|(class, _)| *class != Owner::Ignore) {
        if best.is_none_or(|(found, _)| class > found) {
            best = Some((class, frame));
        }
    }
    let (class, frame) = best?;
    let scanned = frame.trust == Trust::Scan;
    let confidence = match (class, frame.trust) {
        (_, Trust::Scan) | (Owner::Last | Owner::Ignore, _) => Confidence::Low,
        (Owner::Plain, Trust::Context | Trust::Unwind | Trust::Inline) => Confidence::High,
        _ => Confidence::Medium,
    };
    let what = match class {
        Owner::Plain => "the first module on the stack that is not part of Windows",
        Owner::Maybe => "no module of another maker is on the stack; this is the first that acts on its own",
        Owner::Last | Owner::Ignore => "only modules of Windows itself are on the stack; this one is first",
    };
    let doubt = if scanned { ", but it was found by scanning and may be left over from an earlier call" } else { "" };
    accuse(frame, confidence, alloc::format!("{what}{doubt}"))
}

fn accuse(frame: &FrameFact, confidence: Confidence, reason: String) -> Option<Blame> {
    let module = frame.module.clone()?;
    Some(Blame { module, image: frame.image.clone(), function: frame.function.clone(), reason, confidence })
}

fn stop_name(code: u32) -> String {
    stop_code(code).map_or_else(|| alloc::format!("bug check {code:#x}"), |stop| stop.name.to_owned())
}

fn title(facts: &Facts, class: Class, blamed: Option<&Blame>) -> String {
    let who = blamed.map(|blame| blame.image.as_deref().unwrap_or(&blame.module).to_owned());
    if let (Mode::User, exception) = (facts.mode, &facts.exception) {
        return user_title(facts, exception.as_ref(), who);
    }
    let Some((code, _)) = facts.bug_check else { return "The dump does not say why it was written.".to_owned() };
    let name = stop_name(code);
    match (class, who) {
        (Class::Asked, _) => match base_code(code) {
            0x161 => "Nothing crashed: this is a live dump of a running system.".to_owned(),
            0x1c8 => "The power button was held down; nothing else is known to have failed.".to_owned(),
            _ => "Somebody asked Windows to crash; nothing failed by itself.".to_owned(),
        },
        (Class::Hardware, _) => {
            alloc::format!("Windows stopped because of what looks like a hardware problem ({name}).")
        }
        (Class::Storage, _) => alloc::format!("Windows stopped because it could not read or write its disk ({name})."),
        (Class::Process, _) => {
            alloc::format!("Windows stopped because a process it cannot do without ended ({name}).")
        }
        (Class::Watchdog, Some(who)) => {
            alloc::format!("Windows stopped because something took too long ({name}); it points to {who}.")
        }
        (Class::Watchdog, None) => alloc::format!("Windows stopped because something took too long ({name})."),
        (Class::Code, who) => {
            let sure = blamed.map(|blame| blame.confidence);
            let what = kernel_cause(facts).unwrap_or_else(|| alloc::format!("on {name}"));
            match (sure, who) {
                (Some(Confidence::High), Some(who)) => alloc::format!("{who} crashed Windows {what}."),
                (Some(Confidence::Medium), Some(who)) => alloc::format!("{who} probably crashed Windows {what}."),
                (Some(Confidence::Low), Some(who)) => {
                    alloc::format!("Windows crashed {what}; {who} is possibly involved.")
                }
                _ => alloc::format!("Windows crashed {what}; nothing points to a culprit."),
            }
        }
    }
}

/// "by reading memory at ffff…", for crashes on a memory access.
fn kernel_cause(facts: &Facts) -> Option<String> {
    let raised = facts.bug_check.is_some_and(|(code, _)| matches!(base_code(code), 0xa | 0xd1));
    let access = facts.exception.as_ref().and_then(|exception| exception.access).or(facts.access);
    let verb = match access?.kind {
        AccessKind::Read => "by reading",
        AccessKind::Write => "by writing to",
        AccessKind::Execute => "by executing code in",
        AccessKind::Unknown => return exception_cause(facts),
    };
    let Some(address) = access?.address else { return Some(alloc::format!("{verb} an invalid address")) };
    let null = if address < 0x1000 { " (a null pointer)" } else { "" };
    let when = if raised { " that was not available at raised IRQL" } else { " that it may not access" };
    Some(alloc::format!("{verb} memory at {address:#x}{null}{when}"))
}

fn exception_cause(facts: &Facts) -> Option<String> {
    let exception = facts.exception.as_ref()?;
    Some(match &exception.name {
        Some(name) => alloc::format!("with an exception that nobody handled ({name})"),
        None => alloc::format!("with an exception that nobody handled ({:#x})", exception.code),
    })
}

fn user_title(facts: &Facts, exception: Option<&ExceptionFacts>, who: Option<String>) -> String {
    let program = facts.process.as_deref().unwrap_or("The program");
    let Some(exception) = exception else {
        return alloc::format!("{program} was dumped without a recorded crash.");
    };
    let null_call = exception.access.is_some_and(|access| {
        access.kind == AccessKind::Execute && access.address.is_some_and(|address| address < 0x1_0000)
    });
    let what = match (&exception.description, &exception.name) {
        _ if null_call => "called a function through a null pointer".to_owned(),
        (Some(description), _) => return attributed(&alloc::format!("{program} crashed. {description}"), who),
        (None, Some(name)) => alloc::format!("crashed with {name}"),
        (None, None) => alloc::format!("crashed with exception {:#x}", exception.code),
    };
    attributed(&alloc::format!("{program} {what}."), who)
}

fn attributed(sentence: &str, who: Option<String>) -> String {
    match who {
        Some(who) => alloc::format!("{sentence} It points to {who}."),
        None => sentence.to_owned(),
    }
}

fn evidence(facts: &Facts, class: Class) -> Vec<Evidence> {
    let mut list = Vec::new();
    let mut add = |statement: String, source: &str| list.push(Evidence { statement, source: source.to_owned() });
    if let Some((code, parameters)) = facts.bug_check {
        let [a, b, c, d] = parameters;
        add(alloc::format!("bug check {code:#x} ({a:#x}, {b:#x}, {c:#x}, {d:#x})"), "dump header");
        if class == Class::Hardware && base_code(code) == 0x1a {
            add(alloc::format!("exactly one bit of {c:#x} is set where none should be"), "bug check parameter 3");
        }
    }
    if let Some(exception) = &facts.exception {
        let name = exception.name.clone().unwrap_or_else(|| "exception".to_owned());
        add(alloc::format!("{name} ({:#x})", exception.code), &exception.source);
    }
    if let Some(frame) = &facts.culprit {
        add(alloc::format!("the failing instruction is at {}", frame.location), "bug check parameters or registers");
    }
    if let Some((number, frame)) = &facts.parameter_module {
        add(alloc::format!("parameter {number} is {}", frame.location), "bug check parameters and driver list");
    }
    if let Some(name) = &facts.unloaded {
        add(alloc::format!("the failing address lay in {name}, which had been unloaded"), "list of unloaded modules");
    }
    if let Some(name) = &facts.named_driver {
        add(alloc::format!("the kernel named {name}"), "small dump header");
    }
    if let Some(process) = &facts.process {
        add(alloc::format!("the process was {process}"), "process object or module list");
    }
    list
}

fn missing(facts: &Facts, blamed: Option<&Blame>) -> Vec<String> {
    let mut list = Vec::new();
    let scanned = facts.frames.iter().any(|frame| frame.trust == Trust::Scan);
    if let (true, Some(blame)) = (scanned, blamed) {
        let image = blame.image.as_deref().unwrap_or(&blame.module);
        list.push(alloc::format!(
            "Frames were found by scanning. Unwind data of the images on the stack, {image} first, would tell true callers from leftovers."
        ));
    }
    if facts.frames.is_empty() {
        list.push("The crash's stack could not be read.".to_owned());
    } else if facts.frames.iter().all(|frame| frame.function.is_none()) {
        list.push("No symbols are loaded: functions have no names.".to_owned());
    }
    if facts.mode == Mode::User && facts.exception.is_none() {
        list.push("No exception was recorded: the dump may have been taken of a hang or on request.".to_owned());
    }
    list
}

fn next_steps(facts: &Facts, class: Class, blamed: Option<&Blame>) -> Vec<String> {
    let step = |text: &str| text.to_string();
    let kernel = facts.mode == Mode::Kernel;
    match class {
        Class::Asked => {
            Vec::from([step("If the system hung before, look at its threads; otherwise there is nothing to mend.")])
        }
        Class::Hardware => Vec::from([
            step("Test the memory, and undo overclocking and undervolting."),
            step("Check temperatures and power, and update the firmware."),
            step("Compare with other dumps of this machine: random faults in many modules mean hardware."),
        ]),
        Class::Storage => Vec::from([
            step("Check the disk's health (SMART), its cable and its firmware."),
            step("Run a file system check."),
        ]),
        Class::Process => Vec::from([step("Look for the process's own crash in the event log just before.")]),
        Class::Watchdog | Class::Code => match blamed {
            Some(blame) if kernel && owner(&blame.module, true) == Owner::Plain => {
                let who = blame.image.as_deref().unwrap_or(&blame.module);
                Vec::from([
                    alloc::format!("Update or roll back the driver {who}, or remove what installed it."),
                    step("If it goes on, turn on Driver Verifier for it and open the next dump."),
                ])
            }
            _ if kernel => Vec::from([
                step(
                    "Compare with other dumps of this machine: one driver that returns is the suspect, changing ones mean memory.",
                ),
                step("Turn on Driver Verifier for drivers that are not Microsoft's and open the next dump."),
            ]),
            Some(blame) => {
                let who = blame.image.as_deref().unwrap_or(&blame.module);
                Vec::from([alloc::format!(
                    "Report this to the maker of {who} with the stack; load its symbols to name the function."
                )])
            }
            None => Vec::new(),
        },
    }
}

fn bucket(facts: &Facts, class: Class, blamed: Option<&Blame>) -> Option<String> {
    let target = |blame: &Blame| {
        let function = blame.function.as_deref().unwrap_or("unknown_function");
        cleaned(&alloc::format!("{}!{function}", blame.module))
    };
    if let Some((code, [first, ..])) = facts.bug_check {
        let base = base_code(code);
        let kernel_access = matches!(base, 0xa | 0xd1 | 0x50 | 0xc5 | 0xd5 | 0xce);
        let exception = facts.exception.as_ref().filter(|_| matches!(base, 0x1e | 0x3b | 0x7e | 0x8e));
        let av = kernel_access || exception.is_some_and(|exception| exception.code == 0xc000_0005);
        return Some(match (class, blamed) {
            (Class::Asked, _) => "MANUALLY_INITIATED_CRASH".to_owned(),
            (Class::Hardware, _) if base == 0x1a => "MEMORY_CORRUPTION_ONE_BIT".to_owned(),
            (Class::Hardware, _) => alloc::format!("{base:#x}"),
            (_, Some(blame)) if facts.parameter_module.is_some() => {
                let image = blame.image.as_deref().unwrap_or(&blame.module);
                cleaned(&alloc::format!("{base:#x}_IMAGE_{image}"))
            }
            (_, Some(blame)) if av => alloc::format!("AV_{}", target(blame)),
            (_, Some(blame)) if matches!(base, 0x9f | 0x133 | 0x13a | 0x139 | 0x1a | 0x19 | 0xc4) => {
                alloc::format!("{base:#x}_{first:x}_{}", target(blame))
            }
            (_, Some(blame)) => alloc::format!("{base:#x}_{}", target(blame)),
            (_, None) if base == 0x9f => alloc::format!("0x9F_{first:x}"),
            (_, None) => alloc::format!("{base:#x}"),
        });
    }
    let exception = facts.exception.as_ref()?;
    let blame = blamed?;
    let problem = match (exception.code, exception.access) {
        (0xc000_0005, Some(access)) => {
            let null = access.address.is_some_and(|address| address < 0x1_0000);
            let how = match access.kind {
                AccessKind::Write => "WRITE",
                AccessKind::Execute => "EXECUTE",
                AccessKind::Read | AccessKind::Unknown => "READ",
            };
            alloc::format!("{}_POINTER_{how}", if null { "NULL" } else { "INVALID" })
        }
        (0x8000_0003, _) => "BREAKPOINT".to_owned(),
        (0xc000_0374, _) => "HEAP_CORRUPTION".to_owned(),
        (0xc000_0409, _) => "FAIL_FAST".to_owned(),
        (code, _) => status_name(code).map_or_else(|| "APPLICATION_FAULT".to_owned(), ToOwned::to_owned),
    };
    let image = blame.image.as_deref().unwrap_or(&blame.module);
    let function = blame.function.as_deref().unwrap_or("Unknown");
    Some(cleaned(&alloc::format!("{problem}_{:x}_{image}!{function}", exception.code)))
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;

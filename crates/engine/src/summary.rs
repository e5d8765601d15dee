//! What crashed, in the report's terms.

use alloc::{string::String, string::ToString, vec::Vec};

use dumplens_analysis::{self as analysis, ExceptionFacts, Facts, FrameFact, Mode, base_code, bug_check_info, verdict};
use dumplens_base::Va;
use dumplens_report::{
    Hex,
    model::{self, BugCheck, Confidence, Stack, Trust},
    protocol::Summary,
    text::location,
};

use crate::{facts::World, stacks, symbols::needs, text::note_model};

/// Reaches the summary of a dump.
pub(crate) fn summary(world: &World) -> Summary {
    let stack = world.crash_stack(false);
    let bugcheck = world.crash.bugcheck.map(|(code, parameters)| bug_check(code, parameters));
    let verdict = verdict(&facts(world, stack.as_ref()));
    Summary {
        dump: world.dump.clone(),
        bugcheck,
        exception: world.crash.exception.clone(),
        context: world.crash.context.as_ref().map(|(context, source)| stacks::context(context, source)),
        crashing_thread: world.crash.thread,
        stack,
        verdict: verdict_model(verdict),
        notes: world.notes.iter().chain(&needs::notes(world)).map(note_model).collect(),
        counts: world.counts(),
    }
}

fn bug_check(code: u32, parameters: [u64; 4]) -> BugCheck {
    let info = bug_check_info(code, parameters);
    BugCheck {
        code: Hex::from(code),
        base_code: Hex::from(info.base_code),
        name: info.name.map(String::from),
        description: info.description.map(String::from),
        parameters: parameters.map(Hex),
        meaning: info.meaning.into(),
    }
}

fn facts(world: &World, stack: Option<&Stack>) -> Facts {
    let crash = &world.crash;
    let frames = stack.map(|stack| stack.frames.iter().map(|frame| frame_fact(world, frame)).collect());
    let ip = crash.instruction.map(Va).or_else(|| {
        // A bug check's own context is inside the routine that stopped the system: it is nobody's fault.
        let own = crash.context.as_ref().filter(|_| world.mode == Mode::User);
        own.map(|(context, _)| context.instruction_pointer())
    });
    Facts {
        mode: world.mode,
        bug_check: crash.bugcheck,
        exception: crash.exception.as_ref().map(|exception| ExceptionFacts {
            code: exception.code.0 as u32,
            name: exception.name.clone(),
            description: exception.description.clone(),
            access: exception.access.as_ref().map(|access| analysis::Access {
                kind: match access.kind.as_str() {
                    "read" => analysis::AccessKind::Read,
                    "write" => analysis::AccessKind::Write,
                    "execute" => analysis::AccessKind::Execute,
                    _ => analysis::AccessKind::Unknown,
                },
                address: access.address.map(|address| address.0),
                instruction: Some(exception.address.0),
            }),
            source: exception.source.clone(),
        }),
        access: crash.access,
        culprit: ip.and_then(|ip| address_fact(world, ip)),
        frames: frames.unwrap_or_default(),
        parameter_module: parameter_module(world),
        named_driver: crash.named_driver.clone(),
        process: world.dump.process.clone(),
        unloaded: ip.and_then(|ip| world.modules.find_unloaded(ip)).map(|module| module.name.clone()),
    }
}

/// The graphics driver that the time-out bug checks point into.
fn parameter_module(world: &World) -> Option<(u8, FrameFact)> {
    let (code, [_, second, ..]) = world.crash.bugcheck?;
    if !matches!(base_code(code), 0x116 | 0x117) {
        return None;
    }
    Some((2, address_fact(world, Va(second))?))
}

fn address_fact(world: &World, address: Va) -> Option<FrameFact> {
    let (named, place) = world.modules.place(address)?;
    Some(FrameFact {
        module: Some(named.name.clone()),
        image: Some(named.module.file_name().to_string()),
        function: place.map(|place| place.function),
        location: world.modules.location(address)?,
        trust: analysis::Trust::Context,
        after_call: false,
    })
}

fn frame_fact(world: &World, frame: &model::Frame) -> FrameFact {
    let named = world.modules.find(Va(frame.address.0));
    FrameFact {
        module: frame.module.clone(),
        image: named.map(|named| named.module.file_name().to_string()),
        function: frame.function.clone(),
        location: location(frame),
        trust: match frame.trust {
            Trust::Context => analysis::Trust::Context,
            Trust::Inline => analysis::Trust::Inline,
            Trust::Unwind => analysis::Trust::Unwind,
            Trust::FramePointer => analysis::Trust::FramePointer,
            Trust::Scan => analysis::Trust::Scan,
        },
        after_call: frame.note.as_deref() == Some(crate::stacks::FOLLOWS_CALL),
    }
}

fn verdict_model(verdict: analysis::Verdict) -> model::Verdict {
    let evidence = verdict.evidence.into_iter();
    model::Verdict {
        title: verdict.title,
        blamed: verdict.blamed.map(|blame| model::Blame {
            module: blame.module,
            image: blame.image,
            function: blame.function,
            reason: blame.reason,
            confidence: match blame.confidence {
                analysis::Confidence::High => Confidence::High,
                analysis::Confidence::Medium => Confidence::Medium,
                analysis::Confidence::Low => Confidence::Low,
            },
        }),
        bucket: verdict.bucket,
        bucket_hash: verdict.bucket_hash,
        evidence: evidence
            .map(|fact| model::Evidence { statement: fact.statement, source: fact.source })
            .collect::<Vec<_>>(),
        missing: verdict.missing,
        next_steps: verdict.next_steps,
    }
}

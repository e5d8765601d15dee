//! Where a stack starts: as a word of the address bar and of a choice, and in words for people.

use dumplens_report::{
    Hex,
    model::Thread,
    protocol::{ContextChoice, StackOf},
    text::clean,
};

/// The word that stands for a place; empty for the crash.
pub(crate) fn word(of: StackOf) -> String {
    match of {
        StackOf::Crash => String::new(),
        StackOf::Header => "header".into(),
        StackOf::Thread { id } => id.to_string(),
        StackOf::ThreadObject { object } => format!("thread-{object}"),
        StackOf::Processor { number } => format!("cpu-{number}"),
        StackOf::Context { address } => format!("context-{address}"),
        StackOf::TrapFrame { address } => format!("trap-{address}"),
    }
}

/// The place that a word stands for; the crash if it is not known.
pub(crate) fn place(word: &str) -> StackOf {
    let known = match word.split_once('-') {
        Some(("thread", object)) => Hex::parse(object).map(|object| StackOf::ThreadObject { object }),
        Some(("cpu", number)) => number.parse().ok().map(|number| StackOf::Processor { number }),
        Some(("context", address)) => Hex::parse(address).map(|address| StackOf::Context { address }),
        Some(("trap", address)) => Hex::parse(address).map(|address| StackOf::TrapFrame { address }),
        _ if word == "header" => Some(StackOf::Header),
        _ => word.parse().ok().map(|id| StackOf::Thread { id }),
    };
    known.unwrap_or_default()
}

/// What a place is called.
pub(crate) fn title(of: StackOf) -> String {
    match of {
        StackOf::Crash => "the crash".into(),
        StackOf::Header => "registers in the dump's header".into(),
        StackOf::Thread { id } => format!("thread {id}"),
        StackOf::ThreadObject { object } => format!("thread object {object}"),
        StackOf::Processor { number } => format!("CPU {number}"),
        StackOf::Context { address } => format!("context record at {address}"),
        StackOf::TrapFrame { address } => format!("trap frame at {address}"),
    }
}

/// A place with what stands there: "CPU 1 – nt!HalProcessorIdle+0xf".
pub(crate) fn label(choice: &ContextChoice) -> String {
    let at = choice.location.as_deref().map_or_else(|| choice.instruction_pointer.to_string(), |at| clean(at).into());
    format!("{} – {at}", title(choice.of))
}

/// A thread's own stack. Ids of kernel dumps may be shared, objects are not.
pub(crate) fn of_thread(thread: &Thread) -> StackOf {
    thread.object.map_or(StackOf::Thread { id: thread.id }, |object| StackOf::ThreadObject { object })
}

/// Whether a place is a thread's own stack, by object or by an id that is not shared.
pub(crate) fn is_of(of: StackOf, thread: &Thread) -> bool {
    of == of_thread(thread) || (thread.id != 0 && of == StackOf::Thread { id: thread.id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_survives_as_a_word() {
        let address = Hex(0xffff_b200_0000_1e70);
        for (of, expected) in [
            (StackOf::Crash, ""),
            (StackOf::Header, "header"),
            (StackOf::Thread { id: 264 }, "264"),
            (StackOf::ThreadObject { object: address }, "thread-0xffffb20000001e70"),
            (StackOf::Processor { number: 1 }, "cpu-1"),
            (StackOf::Context { address }, "context-0xffffb20000001e70"),
            (StackOf::TrapFrame { address }, "trap-0xffffb20000001e70"),
        ] {
            assert_eq!(word(of), expected);
            assert_eq!(place(expected), of);
        }
    }

    #[test]
    fn words_that_mean_nothing_are_the_crash() {
        for unknown in ["zz", "cpu-", "cpu-x", "cpu--1", "thread-", "trap-zz", "-5", "header-1", "99999999999999999999"]
        {
            assert_eq!(place(unknown), StackOf::Crash, "{unknown}");
        }
    }

    #[test]
    fn a_place_without_a_module_is_called_by_its_address() {
        let choice = |location: Option<&str>| ContextChoice {
            of: StackOf::Processor { number: 3 },
            thread: None,
            source: "processor 3".into(),
            instruction_pointer: Hex(0x1000),
            location: location.map(Into::into),
        };
        assert_eq!(label(&choice(None)), "CPU 3 – 0x1000");
        assert_eq!(label(&choice(Some("nt+0x10"))), "CPU 3 – nt+0x10");
    }
}

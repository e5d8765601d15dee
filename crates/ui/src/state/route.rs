//! Which view is shown; it stands in the address bar, so that back, forward and bookmarks work.

use dumplens_report::{
    Hex,
    protocol::{Space, StackOf},
};

use super::places;

/// A view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Route {
    #[default]
    Summary,
    /// One stack.
    Stack(StackOf),
    /// The stacks of all threads.
    Stacks,
    Registers,
    Modules,
    Unloaded,
    /// What symbols are known, and which files would help.
    Symbols,
    Threads,
    /// All processes; one of them, by its object, with its details.
    Processes(Option<Hex>),
    /// The parts of the file, or one of them.
    Parts(Option<u32>),
    /// Memory of a space from an address on.
    Memory(Space, Option<Hex>),
    Notes,
}

impl Route {
    /// From the part of the URL after `#`. What is not known shows the summary.
    pub(crate) fn parse(hash: &str) -> Self {
        let mut words = hash.trim_start_matches(['#', '/']).split('/');
        let (view, argument, second) = (words.next().unwrap_or_default(), words.next(), words.next());
        match view {
            "stack" => Self::Stack(argument.map(places::place).unwrap_or_default()),
            "stacks" => Self::Stacks,
            "registers" => Self::Registers,
            "modules" => Self::Modules,
            "unloaded" => Self::Unloaded,
            "symbols" => Self::Symbols,
            "threads" => Self::Threads,
            "processes" => Self::Processes(argument.and_then(Hex::parse)),
            "parts" => Self::Parts(argument.and_then(|index| index.parse().ok())),
            "memory" => match (argument, second) {
                (Some("p"), address) => Self::Memory(Space::Physical, address.and_then(Hex::parse)),
                // Two words: a process and an address in it, which may be left open.
                (Some(object), Some(address)) => match Hex::parse(object) {
                    Some(object) => Self::Memory(Space::Process { object }, Hex::parse(address)),
                    None => Self::Memory(Space::Current, None),
                },
                (address, None) => Self::Memory(Space::Current, address.and_then(Hex::parse)),
                (None, Some(_)) => Self::Memory(Space::Current, None),
            },
            "notes" => Self::Notes,
            _ => Self::Summary,
        }
    }

    /// The part of the URL after `#`.
    pub(crate) fn hash(self) -> String {
        match self {
            Self::Stack(of) if of != StackOf::Crash => format!("#/stack/{}", places::word(of)),
            Self::Stacks => "#/stacks".into(),
            Self::Parts(Some(index)) => format!("#/parts/{index}"),
            Self::Processes(Some(object)) => format!("#/processes/{object}"),
            Self::Memory(space, address) => {
                let address = address.map(|address| address.to_string());
                match (space, address) {
                    (Space::Current, None) => "#/memory".into(),
                    (Space::Current, Some(address)) => format!("#/memory/{address}"),
                    (Space::Physical, None) => "#/memory/p".into(),
                    (Space::Physical, Some(address)) => format!("#/memory/p/{address}"),
                    (Space::Process { object }, address) => {
                        format!("#/memory/{object}/{}", address.unwrap_or_default())
                    }
                }
            }
            other => format!("#/{}", other.name()),
        }
    }

    /// The view without what changes inside it: memory, processes and one stack follow the address bar themselves, so
    /// that a step there keeps focus, filter and scroll position.
    pub(crate) fn frame(self) -> Self {
        match self {
            Self::Memory(..) => Self::Memory(Space::Current, None),
            Self::Processes(_) => Self::Processes(None),
            Self::Stack(_) => Self::Stack(StackOf::Crash),
            other => other,
        }
    }

    /// The word that stands for the view's tab.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Stack(_) | Self::Stacks => "stack",
            Self::Registers => "registers",
            Self::Modules => "modules",
            Self::Unloaded => "unloaded",
            Self::Symbols => "symbols",
            Self::Threads => "threads",
            Self::Processes(_) => "processes",
            Self::Parts(_) => "parts",
            Self::Memory(..) => "memory",
            Self::Notes => "notes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_survives_the_address_bar() {
        for route in [
            Route::Summary,
            Route::Stack(StackOf::Crash),
            Route::Stack(StackOf::Thread { id: 264 }),
            Route::Stack(StackOf::Processor { number: 1 }),
            Route::Stack(StackOf::TrapFrame { address: Hex(0xffff_8504_2989_1080) }),
            Route::Stacks,
            Route::Registers,
            Route::Modules,
            Route::Unloaded,
            Route::Symbols,
            Route::Threads,
            Route::Processes(None),
            Route::Processes(Some(Hex(0xffff_8504_2989_1080))),
            Route::Parts(Some(3)),
            Route::Memory(Space::Current, None),
            Route::Memory(Space::Current, Some(Hex(0xffff_8504_2989_1720))),
            Route::Memory(Space::Physical, None),
            Route::Memory(Space::Physical, Some(Hex(0x1a_0000))),
            Route::Memory(Space::Process { object: Hex(0xffff_8504_2989_1080) }, None),
            Route::Memory(Space::Process { object: Hex(0xffff_8504_2989_1080) }, Some(Hex(0x7ff6_1234_0000))),
            Route::Notes,
        ] {
            assert_eq!(Route::parse(&route.hash()), route);
        }
    }

    #[test]
    fn what_is_not_known_shows_the_summary() {
        assert_eq!(Route::parse(""), Route::Summary);
        assert_eq!(Route::parse("#/nonsense/1"), Route::Summary);
        for unknown in ["#/memory/zz", "#/memory/zz/1000", "#/memory//1000", "#/memory/"] {
            assert_eq!(Route::parse(unknown), Route::Memory(Space::Current, None), "{unknown}");
        }
        assert_eq!(Route::parse("#/memory/p/zz"), Route::Memory(Space::Physical, None));
    }
}

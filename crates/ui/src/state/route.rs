//! Which view is shown; it stands in the address bar, so that back, forward and bookmarks work.

use dumplens_report::Hex;

/// A view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Route {
    #[default]
    Summary,
    /// The stack of the crash, or of one thread.
    Stack(Option<u64>),
    Registers,
    Modules,
    Unloaded,
    Threads,
    Processes,
    /// The parts of the file, or one of them.
    Parts(Option<u32>),
    /// Memory from an address on.
    Memory(Option<Hex>),
    Notes,
}

impl Route {
    /// From the part of the URL after `#`. What is not known shows the summary.
    pub(crate) fn parse(hash: &str) -> Self {
        let mut words = hash.trim_start_matches(['#', '/']).split('/');
        let (view, argument) = (words.next().unwrap_or_default(), words.next());
        match view {
            "stack" => Self::Stack(argument.and_then(|id| id.parse().ok())),
            "registers" => Self::Registers,
            "modules" => Self::Modules,
            "unloaded" => Self::Unloaded,
            "threads" => Self::Threads,
            "processes" => Self::Processes,
            "parts" => Self::Parts(argument.and_then(|index| index.parse().ok())),
            "memory" => Self::Memory(argument.and_then(Hex::parse)),
            "notes" => Self::Notes,
            _ => Self::Summary,
        }
    }

    /// The part of the URL after `#`.
    pub(crate) fn hash(self) -> String {
        match self {
            Self::Stack(Some(id)) => format!("#/stack/{id}"),
            Self::Parts(Some(index)) => format!("#/parts/{index}"),
            Self::Memory(Some(address)) => format!("#/memory/{address}"),
            other => format!("#/{}", other.name()),
        }
    }

    /// The word that stands for the view.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Stack(_) => "stack",
            Self::Registers => "registers",
            Self::Modules => "modules",
            Self::Unloaded => "unloaded",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::Parts(_) => "parts",
            Self::Memory(_) => "memory",
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
            Route::Stack(None),
            Route::Stack(Some(264)),
            Route::Registers,
            Route::Modules,
            Route::Unloaded,
            Route::Threads,
            Route::Processes,
            Route::Parts(Some(3)),
            Route::Memory(Some(Hex(0xffff_8504_2989_1720))),
            Route::Notes,
        ] {
            assert_eq!(Route::parse(&route.hash()), route);
        }
    }

    #[test]
    fn what_is_not_known_shows_the_summary() {
        assert_eq!(Route::parse(""), Route::Summary);
        assert_eq!(Route::parse("#/nonsense/1"), Route::Summary);
        assert_eq!(Route::parse("#/memory/zz"), Route::Memory(None));
    }
}

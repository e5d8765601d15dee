//! Names as people read them.

use std::{borrow::Cow, fmt::Write as _};

use cpp_demangle::DemangleOptions;
use msvc_demangler::DemangleFlags;

/// Most bytes of a mangled name that is looked into; MSVC itself stops at 4096.
const LONGEST: usize = 4096;

/// Most bytes of a demangled name. References back to earlier parts let a short name stand for one of any length.
const LONGEST_OUT: usize = 16 << 10;

/// How names are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `Namespace::Class::function`, as debuggers name places.
    #[default]
    Name,
    /// With return type, parameters and calling convention.
    Full,
}

/// `name` in readable form; `None` if it is not mangled, or in no way that is known here.
///
/// The schemes are told apart by how a name begins: `?` MSVC, `_R` Rust, `_Z` Itanium (or Rust's older scheme, which
/// borrows it). What the linker puts in front of a name, such as `__imp_`, is kept.
#[must_use]
pub fn demangle(name: &str, style: Style) -> Option<String> {
    let (prefix, name) = match name.strip_prefix("__imp_") {
        Some(rest) => ("__imp_", rest),
        None => ("", name),
    };
    if name.len() > LONGEST {
        return None;
    }
    let plain = if name.starts_with('?') {
        msvc(name, style)
    } else if name.starts_with("_R") || name.starts_with("_Z") || name.starts_with("__Z") || name.starts_with("__R") {
        rust(name, style).or_else(|| itanium(name, style))
    } else {
        None
    };
    plain.map(|plain| format!("{prefix}{plain}"))
}

/// [`demangle`]d, or as it is.
pub(crate) fn readable(name: &str) -> Cow<'_, str> {
    demangle(name, Style::Name).map_or(Cow::Borrowed(name), Cow::Owned)
}

/// [`demangle`]d, or without what compilers for 32-bit x86 put around names of C to tell calling conventions apart:
/// `_main`, `_CloseHandle@4`, `@fast@8`, `vector@@16`.
pub(crate) fn readable_x86(name: &str) -> Cow<'_, str> {
    if let Some(plain) = demangle(name, Style::Name) {
        return Cow::Owned(plain);
    }
    let (start, bytes) = match name.rsplit_once('@') {
        Some((start, bytes)) if !bytes.is_empty() && bytes.bytes().all(|byte| byte.is_ascii_digit()) => (start, true),
        _ => (name, false),
    };
    let plain = if bytes { start.strip_suffix('@').or_else(|| start.strip_prefix('@')) } else { None };
    let plain = plain.or_else(|| start.strip_prefix('_')).unwrap_or(name);
    Cow::Borrowed(if plain.is_empty() { name } else { plain })
}

fn msvc(name: &str, style: Style) -> Option<String> {
    if !is_modest(name) {
        return None;
    }
    let flags = match style {
        Style::Name => DemangleFlags::NAME_ONLY,
        Style::Full => DemangleFlags::COMPLETE,
    };
    let plain = msvc_demangler::demangle(name, flags | DemangleFlags::NO_CLASS_TYPE).ok()?;
    Some(plain).filter(|plain| !plain.is_empty() && plain.len() <= LONGEST_OUT)
}

/// Whether the MSVC demangler may be let loose on `name`. It calls itself for each nested type and copies what it
/// refers back to, without limits of its own: names made for it would exhaust stack and memory.
fn is_modest(name: &str) -> bool {
    /// Longest run of characters that nest types without naming one.
    const DEEPEST: usize = 96;
    /// Most templates: where one ends cannot be told without reading all of the name, so each may stand in another.
    const TEMPLATES: usize = 128;
    /// Binary logarithm of how often what it refers back to may multiply it.
    const GROWTH: u32 = 18;
    let (mut run, mut templates, mut functions, mut references) = (0_usize, 0_usize, 0_u32, 0_u32);
    let mut before = b' ';
    for byte in name.bytes() {
        run = match byte {
            // The numbers of an array's dimensions.
            b'0'..=b'9' | b'Y' => run,
            _ if b"PQRSABCDEFGI$?_".contains(&byte) => run.saturating_add(1),
            _ => 0,
        };
        match (before, byte) {
            (b'?', b'$') => templates = templates.saturating_add(1),
            // Parameters of a function type may refer to those before it, which may be function types.
            (b'P'..=b'S' | b'A', b'6' | b'8') => functions = functions.saturating_add(1),
            (_, b'0'..=b'9') => references = references.saturating_add(1),
            _ => {}
        }
        if run > DEEPEST || templates > TEMPLATES {
            return false;
        }
        before = byte;
    }
    let each = references.checked_div(functions).unwrap_or(0).saturating_add(2);
    functions.saturating_mul(u32::BITS.saturating_sub(each.leading_zeros())) <= GROWTH
}

/// Text that refuses to grow past [`LONGEST_OUT`].
#[derive(Default)]
struct Capped(String);

impl std::fmt::Write for Capped {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len().saturating_add(text.len()) > LONGEST_OUT {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn rust(name: &str, style: Style) -> Option<String> {
    let name = rustc_demangle::try_demangle(name).ok()?;
    let mut out = Capped::default();
    match style {
        Style::Name => write!(out, "{name:#}"),
        Style::Full => write!(out, "{name}"),
    }
    .ok()?;
    Some(out.0)
}

fn itanium(name: &str, style: Style) -> Option<String> {
    let options = match style {
        Style::Name => DemangleOptions::new().no_params().no_return_type(),
        Style::Full => DemangleOptions::new(),
    };
    let symbol = cpp_demangle::Symbol::new(name.as_bytes()).ok()?;
    let mut out = Capped::default();
    symbol.structured_demangle(&mut out, &options).ok()?;
    Some(out.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_is_known_by_its_first_letters() {
        for (mangled, plain) in [
            ("?crash@@YAXXZ", "crash"),
            ("?run@Engine@app@@QEAAHPEBD@Z", "app::Engine::run"),
            ("??0Engine@@QEAA@XZ", "Engine::Engine"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_ZN3app6Engine3runEPKc", "app::Engine::run"),
            ("__imp_?crash@@YAXXZ", "__imp_crash"),
        ] {
            assert_eq!(demangle(mangled, Style::Name).as_deref(), Some(plain), "{mangled}");
        }
        for plain in ["main", "_main", "?", "?@", "_Z", "_R", "", "memcpy$fin$0"] {
            assert_eq!(demangle(plain, Style::Name), None, "{plain}");
        }
    }

    #[test]
    fn names_of_c_lose_their_calling_convention() {
        for (decorated, plain) in [
            ("_main", "main"),
            ("_CloseHandle@4", "CloseHandle"),
            ("__imp__CloseHandle@4", "_imp__CloseHandle"),
            ("@fast@8", "fast"),
            ("vector@@16", "vector"),
            ("plain", "plain"),
            ("_", "_"),
            ("@", "@"),
            ("a@b", "a@b"),
            ("?crash@@YAXXZ", "crash"),
        ] {
            assert_eq!(readable_x86(decorated), plain, "{decorated}");
        }
    }

    #[test]
    fn the_full_form_has_types() {
        assert_eq!(demangle("?add@@YAHHH@Z", Style::Full).as_deref(), Some("int __cdecl add(int,int)"));
        assert_eq!(demangle("_ZN3app3runEPKc", Style::Full).as_deref(), Some("app::run(char const*)"));
    }

    /// Half of the stack that a browser gives its worker, the other half being the caller's part. Frames of a debug
    /// build are four times as large and more.
    fn on_a_small_stack(names: Vec<String>) {
        let size = if cfg!(debug_assertions) { 4 << 20 } else { 512 << 10 };
        let thread = std::thread::Builder::new().stack_size(size).spawn(move || {
            for name in names {
                let _ = demangle(&name, Style::Name);
                let _ = demangle(&name, Style::Full);
            }
        });
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn names_made_to_exhaust_the_stack_do_not() {
        fn nest(open: &str, middle: &str, close: &str) -> Vec<String> {
            let names = (1..LONGEST).step_by(37).map(|n| format!("{}{middle}{}", open.repeat(n), close.repeat(n)));
            names.take_while(|name| name.len() < LONGEST - 16).collect()
        }
        let mut names = Vec::new();
        for (open, middle, close) in [
            ("PEA", "X@Z", ""),
            ("V?$A@", "H", "@@"),
            ("PEAV?$A@", "H", "@@"),
            ("P6AX", "H", "@Z"),
            ("??$f@", "H", "@"),
            ("PEAQEAY01", "H", ""),
            ("V?A@?1??b", "@", ""),
            ("$$A6AX", "X", "@Z"),
        ] {
            names.extend(nest(open, middle, close).into_iter().map(|name| format!("?a@@YAX{name}@Z")));
            names.extend(nest(open, middle, close).into_iter().map(|name| format!("??$a@{name}@@3HA")));
        }
        for (open, close) in [("P", ""), ("N1a", "E"), ("1aI", "E"), ("FvP", "E"), ("X", "E"), ("A1_", "")] {
            names.extend(nest(open, "i", close).into_iter().map(|name| format!("_Z1f{name}")));
        }
        on_a_small_stack(names);
    }

    #[test]
    fn names_made_to_exhaust_memory_do_not() {
        let mut name = String::from("?a@@YAXPAH");
        for level in 0..9 {
            name += &format!("P6AX{}@Z", format!("{level}").repeat(40));
        }
        name += "@Z";
        assert_eq!(demangle(&name, Style::Full), None);
    }
}

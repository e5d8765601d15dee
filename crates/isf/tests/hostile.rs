//! What is damaged, too large or built to harm is refused by name, and nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::rc::Rc;

use common::{SMALL, SMALL_XZ, gzip, open};
use dumplens_base::{ByteSource, SourceError, SourceErrorKind};
use dumplens_isf::{Isf, IsfError, IsfErrorKind as Kind, Limits, MOST_DEPTH, MOST_TEXT, Packing};
use proptest::prelude::*;

fn kind(text: &str) -> Kind {
    open(text.as_bytes()).unwrap_err().kind
}

/// The error after one replacement in the small table, which must change it.
fn changed(from: &str, to: &str) -> IsfError {
    let text = SMALL.replacen(from, to, 1);
    assert_ne!(text, SMALL, "{from}");
    open(text.as_bytes()).unwrap_err()
}

#[test]
fn what_is_no_table_is_refused() {
    for text in ["", "{}", "[]", "MDMP", "{\"name\": 1}", "null"] {
        assert_eq!(kind(text), Kind::NotAnIsf, "{text}");
    }
    assert_eq!(open(&gzip(b"PAGEDU64")).unwrap_err().kind, Kind::NotAnIsf);
}

#[test]
fn values_of_the_wrong_type_are_named() {
    let address = "\"address\": 8192";
    for value in ["-1", "1.5", "\"8192\"", "null", "[8192]", "true", "18446744073709551616", "1e400"] {
        let error = changed(address, &format!("\"address\": {value}"));
        let expected = Kind::Invalid { what: "address of a symbol" };
        // A number that no number can hold breaks the rules of the JSON reader already.
        assert!(error.kind == expected || (value == "1e400" && error.kind == Kind::Syntax), "{value}: {error}");
    }
    let cases = [
        ("\"offset\": 16", "\"offset\": -16", "offset of a field"),
        ("\"offset\": 16", "\"offset\": 4294967296", "offset of a field"),
        ("\"bit_length\": 31", "\"bit_length\": 200", "position or length of a bit field"),
        ("\"bit_length\": 31", "\"bit_length\": 300", "length of a bit field"),
        ("\"kind\": \"enum\"", "\"kind\": \"enigma\"", "kind in a type description"),
        ("\"kind\": \"union\",\n", "\"kind\": \"onion\",\n", "kind of a type"),
        ("little", "big", "byte order of a base type"),
        ("\"signed\": true", "\"signed\": 1", "sign of a base type"),
        ("00112233445566778899AABBCCDDEEFF", "00112233445566778899AABBCCDDEE", "GUID"),
        ("00112233445566778899AABBCCDDEEFF", "+0112233445566778899AABBCCDDEEFF", "GUID"),
        ("\"age\": 3", "\"age\": -3", "age"),
        ("\"Kernel\": 0", "\"Kernel\": 0.5", "value of a constant"),
        ("\"symbols\": {", "\"symbols\": [], \"x\": {", "symbols"),
        ("\"6.1.0\"", "\"six\"", "format version"),
    ];
    for (from, to, what) in cases {
        assert_eq!(changed(from, to).kind, Kind::Invalid { what }, "{to}");
    }
    assert_eq!(changed(address, "\"address\": NaN").kind, Kind::Syntax);
    assert_eq!(changed(address, "\"address\": 08192").kind, Kind::Syntax);
}

#[test]
fn what_is_missing_is_named() {
    let cases = [
        ("\"address\": 8192, ", "", "address of a symbol"),
        ("\"offset\": 16, ", "", "offset or type of a field"),
        ("\"count\": 4, ", "", "count of an array"),
        (", \"subtype\": {\"kind\": \"function\"}", "", "inner type of a type description"),
        ("\"GUID\"", "\"guid\"", "GUID and age of the PDB it was made from"),
        ("\"format\"", "\"Format\"", "format version"),
        ("\"base\": \"int\", ", "", "size or base of an enumeration"),
    ];
    for (from, to, what) in cases {
        assert_eq!(changed(from, to).kind, Kind::Missing { what }, "{from}");
    }
    assert_eq!(changed("\"windows\"", "\"linux\"").kind, Kind::Foreign { system: "Linux" });
    assert_eq!(changed("6.1.0", "7.0.0").kind, Kind::Version { format: "7.0.0".into() });
}

#[test]
fn names_that_come_twice_are_refused_where_they_stand() {
    let cases = [
        ("\"Also\"", "\"Folded\"", "symbols", "Folded"),
        ("\"Also\"", "\"F\\u006flded\"", "symbols", "Folded"),
        ("\"Short\"", "\"Next\"", "fields of a type", "Next"),
        ("\"__unnamed_1\":", "\"_ALL\":", "types", "_ALL"),
        ("\"User\"", "\"Kernel\"", "constants of an enumeration", "Kernel"),
        ("\"pointer32\"", "\"pointer\"", "base types", "pointer"),
        ("\"user_types\"", "\"symbols\"", "table", "symbols"),
        ("\"database\"", "\"age\"", "metadata of the PDB", "age"),
    ];
    for (from, to, what, name) in cases {
        let error = changed(from, to);
        assert_eq!(error.kind, Kind::Duplicate { what, name: name.into() });
        let at = SMALL.find(from).unwrap() + to.trim_end_matches(':').len();
        assert_eq!(error.offset, at as u64, "{error}");
    }
}

#[test]
fn nesting_and_texts_are_bounded() {
    let deep = 100_000;
    // In what is passed over, in a type, and never closed.
    let skipped = format!("{{\"symbols\": {{}}, \"x\": {}{}}}", "[".repeat(deep), "]".repeat(deep));
    let pointers = "{\"kind\": \"pointer\", \"subtype\": ".repeat(deep);
    let typed = format!("{{\"user_types\": {{\"a\": {{\"fields\": {{\"b\": {{\"offset\": 0, \"type\": {pointers}");
    for text in [skipped, typed] {
        assert_eq!(kind(&text), Kind::TooDeep { limit: MOST_DEPTH });
    }
    let long = "x".repeat(MOST_TEXT as usize + 1);
    for text in [format!("{{\"symbols\": {{\"{long}\": 1}}}}"), format!("{{\"symbols\": {{}}, \"x\": \"{long}")] {
        assert_eq!(kind(&text), Kind::TooLong { limit: MOST_TEXT });
    }
}

#[test]
fn every_limit_holds() {
    let with = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        Isf::open(Rc::new(SMALL.as_bytes().to_vec()), limits).unwrap_err().kind
    };
    assert_eq!(with(&|limits| limits.symbols = 4), Kind::TooMany { what: "symbols", limit: 4 });
    assert_eq!(with(&|limits| limits.types = 7), Kind::TooMany { what: "types", limit: 7 });
    assert_eq!(with(&|limits| limits.fields = 14), Kind::TooMany { what: "fields and constants", limit: 14 });
    assert_eq!(with(&|limits| limits.names = 50), Kind::TooMany { what: "bytes of names", limit: 50 });
    assert_eq!(with(&|limits| limits.unpacked = 1000), Kind::Unpacked { limit: 1000 });
    let exact = Limits { symbols: 5, types: 8, fields: 15, unpacked: SMALL.len() as u64, ..Limits::default() };
    assert!(Isf::open(Rc::new(SMALL.as_bytes().to_vec()), exact).is_ok());
    let small = Limits { dictionary: 1 << 20, ..Limits::default() };
    let error = Isf::open(Rc::new(SMALL_XZ.to_vec()), small).unwrap_err();
    assert_eq!(error.kind, Kind::Dictionary { size: 8 << 20, limit: 1 << 20 });
    // A bomb: a long run of spaces packs to nearly nothing.
    let bomb = gzip(format!("{{{}", " ".repeat(1 << 20)).as_bytes());
    assert_eq!(open(&bomb).unwrap_err().kind, Kind::NotAnIsf);
    let bomb = gzip(format!("{{\"symbols\":{}", " ".repeat(1 << 20)).as_bytes());
    let limits = Limits { unpacked: 1 << 19, ..Limits::default() };
    assert_eq!(Isf::open(Rc::new(bomb), limits).unwrap_err().kind, Kind::Unpacked { limit: 1 << 19 });
}

#[test]
fn half_a_download_says_so() {
    let end = SMALL.trim_end().len();
    for cut in [30, 500, 1000, end - 1] {
        let error = open(&SMALL.as_bytes()[..cut]).unwrap_err();
        assert_eq!((error.kind, error.offset), (Kind::Truncated, cut as u64));
    }
    let gz = gzip(SMALL.as_bytes());
    for (packed, packing) in [(gz.as_slice(), Packing::Gzip), (SMALL_XZ, Packing::Xz)] {
        for less in [1, 4, 20] {
            let error = open(&packed[..packed.len() - less]).unwrap_err();
            assert_eq!(error.kind, Kind::PackedTruncated { packing }, "{less} bytes less");
        }
        // What is packed is verified to its end, though the JSON was whole before.
        let mut damaged = packed.to_vec();
        let checksum = if packing == Packing::Gzip { packed.len() - 6 } else { packed.len() - 8 };
        damaged[checksum] ^= 1;
        assert_eq!(open(&damaged).unwrap_err().kind, Kind::PackedDamaged { packing });
    }
    let error = open(format!("{SMALL} {{}}").as_bytes()).unwrap_err();
    assert_eq!(error.kind, Kind::Syntax);
}

/// A file that vanishes.
struct Vanishing(Vec<u8>, u64);

impl ByteSource for Vanishing {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let len = buf.len() as u64;
        if offset + len > self.1 {
            return Err(SourceError { offset, len, kind: SourceErrorKind::Changed });
        }
        self.0.as_slice().read_at(offset, buf)
    }
}

#[test]
fn a_source_that_fails_is_not_called_damage() {
    for packed in [SMALL.as_bytes().to_vec(), gzip(SMALL.as_bytes()), SMALL_XZ.to_vec()] {
        let error = Isf::open(Rc::new(Vanishing(packed, 6)), Limits::default()).unwrap_err();
        assert!(matches!(error.kind, Kind::Source(source) if source.kind == SourceErrorKind::Changed), "{error}");
    }
}

/// Asks everything of a table that could be opened.
fn exercise(bytes: &[u8]) {
    let isf = match open(bytes) {
        Ok(isf) => isf,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for symbol in isf.symbols() {
        assert!(isf.symbol(symbol.name).is_some());
        assert!(isf.nearest(symbol.rva).is_some_and(|(_, offset)| offset == 0));
    }
    for name in isf.types() {
        for field in isf.type_layout(name).unwrap().fields {
            let _ = isf.size_of(&field.of);
            assert!(isf.field_offset(name, &field.name).is_some());
        }
    }
    for name in isf.enumerations() {
        assert!(isf.enumeration(name).is_some());
    }
    let _ = isf.prove(u64::MAX, &[("Later", 0)]).to_string();
}

/// `bytes` with some of them changed, then cut.
fn mangled(bytes: &[u8], changes: &[(usize, u8)], cut: Option<usize>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in changes {
        let at = at % bytes.len();
        bytes[at] = *value;
    }
    bytes.truncate(cut.map_or(usize::MAX, |cut| cut % (bytes.len() + 1)));
    bytes
}

fn json_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\",:-0123456789.eE\\u tfn"[..])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mangled_json_never_panics(
        changes in prop::collection::vec((any::<usize>(), json_byte()), 0..6),
        cut in prop::option::weighted(0.2, any::<usize>()),
    ) {
        exercise(&mangled(SMALL.as_bytes(), &changes, cut));
    }

    #[test]
    fn mangled_xz_never_panics(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<usize>()),
    ) {
        exercise(&mangled(SMALL_XZ, &changes, cut));
    }

    #[test]
    fn mangled_gzip_never_panics(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<usize>()),
    ) {
        exercise(&mangled(&gzip(SMALL.as_bytes()), &changes, cut));
    }
}

use std::rc::Rc;

use dumplens_isf::{Isf, Limits, sniff};

use crate::{budget, file::File};

const LIMITS: Limits =
    Limits { unpacked: 1 << 20, dictionary: 8 << 20, symbols: 2_000, types: 1_000, fields: 4_000, names: 1 << 18 };

/// A Volatility symbol table: JSON, plain or packed. The last eight bytes are also an address to look up.
pub fn isf(data: &[u8]) {
    // The dictionary of an xz file alone may take 64 MiB where it is only sniffed.
    budget::within(128, || {
        let source = File::plain(data);
        let packing = sniff(&*source);
        assert_eq!(sniff(&*source), packing, "another answer to the same question");
        match Isf::open(Rc::clone(&source), LIMITS) {
            Ok(isf) => {
                assert!(packing.is_some(), "what opens looks like a table");
                everything(&isf, data.last_chunk().map_or(0, |last| u64::from_le_bytes(*last)));
            }
            Err(error) => {
                assert!(!error.to_string().is_empty() && error.offset <= LIMITS.unpacked);
                assert_eq!(Isf::open(source, LIMITS).err(), Some(error), "another answer to the same question");
            }
        }
    });
}

fn everything(isf: &Isf, rva: u64) {
    assert!(isf.symbols().len() <= LIMITS.symbols && isf.types().len() + isf.enumerations().len() <= LIMITS.types);
    assert!(isf.held_bytes() <= 4 << 20, "a table that holds {} bytes", isf.held_bytes());
    assert!(isf.symbols().is_sorted_by_key(|symbol| symbol.rva));
    assert!(isf.identity().matches(&isf.identity().guid, isf.identity().age));
    for rva in [0, rva, rva & 0xffff, u64::MAX] {
        let near = isf.nearest(rva);
        assert_eq!(isf.nearest(rva), near, "another answer to the same question");
        match near {
            Some((name, behind)) => assert!(isf.symbols_at(rva - behind).any(|symbol| symbol.name == name)),
            None => assert!(isf.symbols().all(|symbol| symbol.rva > rva)),
        }
    }
    for symbol in isf.symbols().take(200) {
        assert_eq!(isf.symbol(symbol.name), Some(symbol.rva), "a symbol is found by its name");
        assert!(isf.nearest(symbol.rva).is_some_and(|(_, behind)| behind == 0));
        assert!(symbol.linkage_name.is_none_or(|name| isf.symbol(name).is_some()));
    }
    types(isf);
    proofs(isf, rva);
}

fn types(isf: &Isf) {
    for name in isf.types().take(100) {
        let layout = isf.type_layout(name).expect("a type is found by its name");
        assert_eq!(isf.type_layout(name).as_ref(), Some(&layout), "another answer to the same question");
        assert!(layout.fields.is_sorted_by_key(|field| field.offset));
        for field in layout.fields {
            let _ = isf.size_of(&field.of);
            assert_eq!(isf.field_offset(name, &field.name), Some(field.offset), "{name}.{}", field.name);
        }
    }
    for name in isf.enumerations().take(100) {
        let enumeration = isf.enumeration(name).expect("an enumeration is found by its name");
        assert!(enumeration.constants.is_sorted_by_key(|constant| constant.value));
    }
    // The fuzzer learns every name that is asked for, and may have made such a type.
    let there = isf.types().any(|name| name == "absent");
    assert_eq!(isf.type_layout("absent").is_some(), there);
}

/// Symbols where the table has them prove it, and those elsewhere refute it.
fn proofs(isf: &Isf, base: u64) {
    let known: Vec<_> = isf.symbols().take(4).map(|symbol| (symbol.name, base.wrapping_add(symbol.rva))).collect();
    let proof = isf.prove(base, &known);
    assert_eq!(isf.prove(base, &known), proof, "another answer to the same question");
    assert!(proof.agree.len() == known.len() && proof.holds() == (known.len() >= 2), "{proof}");
    let moved: Vec<_> = known.iter().map(|(name, va)| (*name, va ^ 1)).collect();
    let refuted = isf.prove(base, &moved);
    assert!(refuted.differ.len() == known.len() && !refuted.holds() && !refuted.to_string().is_empty());
}

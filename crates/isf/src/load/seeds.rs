//! How values of JSON become rows: objects with known members, objects that map names to values, and names.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::Loader;
use crate::{IsfErrorKind, names::Name};

/// An object whose members are known; others are passed over.
pub(super) trait Object {
    /// What the object is.
    const WHAT: &'static str;
    /// Its members, at most 16.
    const KEYS: &'static [&'static str];

    /// Reads the value of `KEYS[key]`.
    fn member<'de, A: MapAccess<'de>>(&mut self, key: usize, load: &mut Loader, map: &mut A) -> Result<(), A::Error>;
}

/// An object that maps names to values of one kind.
pub(super) trait Dictionary {
    /// What the object is.
    const WHAT: &'static str;
    /// Which of the loader's two sets of seen names is free: a dictionary stands in another at most once.
    const LEVEL: usize;

    /// Reads the value of `name`.
    fn entry<'de, A: MapAccess<'de>>(&mut self, name: Name, load: &mut Loader, map: &mut A) -> Result<(), A::Error>;
}

/// Reads the next value of `map` into `object`.
pub(super) fn object<'de, T: Object, A: MapAccess<'de>>(
    object: &mut T,
    load: &mut Loader,
    map: &mut A,
) -> Result<(), A::Error> {
    load.state.expect(T::WHAT);
    map.next_value_seed(ObjectSeed { into: object, load })
}

/// Reads the next value of `map` into `dictionary`.
pub(super) fn dictionary<'de, T: Dictionary, A: MapAccess<'de>>(
    mut dictionary: T,
    load: &mut Loader,
    map: &mut A,
) -> Result<(), A::Error> {
    load.state.expect(T::WHAT);
    map.next_value_seed(DictionarySeed { into: &mut dictionary, load })
}

/// Reads the next value of `map` as a name.
pub(super) fn name<'de, A: MapAccess<'de>>(
    what: &'static str,
    load: &mut Loader,
    map: &mut A,
) -> Result<Name, A::Error> {
    load.state.expect(what);
    map.next_value_seed(NameSeed { load })
}

/// Reads the next value of `map` as a number that fits `T` and is not negative.
pub(super) fn number<'de, T: TryFrom<u64>, A: MapAccess<'de>>(
    what: &'static str,
    load: &Loader,
    map: &mut A,
) -> Result<T, A::Error> {
    load.state.expect(what);
    let value: u64 = map.next_value()?;
    T::try_from(value).map_err(|_| load.fail(IsfErrorKind::Invalid { what }))
}

/// Reads the next value of `map` as one of `words`; answers its number.
pub(super) fn word<'de, A: MapAccess<'de>>(
    what: &'static str,
    words: &'static [&'static str],
    load: &Loader,
    map: &mut A,
) -> Result<usize, A::Error> {
    load.state.expect(what);
    map.next_value_seed(Pick(words))?.ok_or_else(|| load.fail(IsfErrorKind::Invalid { what }))
}

pub(super) struct ObjectSeed<'l, T> {
    pub(super) into: &'l mut T,
    pub(super) load: &'l mut Loader,
}

impl<'de, T: Object> DeserializeSeed<'de> for ObjectSeed<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Object> Visitor<'de> for ObjectSeed<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { into, load } = self;
        let mut seen = 0_u16;
        while let Some(key) = map.next_key_seed(Pick(T::KEYS))? {
            let Some(key) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let bit = 1_u16.checked_shl(u32::try_from(key).unwrap_or(u32::MAX)).unwrap_or(0);
            if seen & bit != 0 {
                let name = T::KEYS.get(key).copied().unwrap_or_default().to_owned();
                return Err(load.fail(IsfErrorKind::Duplicate { what: T::WHAT, name }));
            }
            seen |= bit;
            into.member(key, load, &mut map)?;
        }
        Ok(())
    }
}

struct DictionarySeed<'l, T> {
    into: &'l mut T,
    load: &'l mut Loader,
}

impl<'de, T: Dictionary> DeserializeSeed<'de> for DictionarySeed<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Dictionary> Visitor<'de> for DictionarySeed<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { into, load } = self;
        load.forget_seen(T::LEVEL);
        while let Some(name) = map.next_key_seed(NameSeed { load })? {
            if !load.first_time(T::LEVEL, name) {
                let name = load.interner.names.get(name).to_owned();
                return Err(load.fail(IsfErrorKind::Duplicate { what: T::WHAT, name }));
            }
            into.entry(name, load, &mut map)?;
        }
        Ok(())
    }
}

struct NameSeed<'l> {
    load: &'l mut Loader,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        let limit = self.load.limits.names as u64;
        let kind = IsfErrorKind::TooMany { what: "bytes of names", limit };
        self.load.interner.intern(text).ok_or_else(|| self.load.fail(kind))
    }
}

/// One of the given words, by number, or `None` for any other text.
struct Pick(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Pick {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Pick {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|word| *word == text))
    }
}

/// A whole number of either sign, as its sign and its bits.
pub(super) struct Whole;

impl<'de> DeserializeSeed<'de> for Whole {
    type Value = (bool, u64);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_i64(self)
    }
}

impl Visitor<'_> for Whole {
    type Value = (bool, u64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok((value < 0, value.cast_unsigned()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok((false, value))
    }
}

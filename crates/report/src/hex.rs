use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A 64-bit number that is written as a hexadecimal string, `"0xfffff8048b58334c"`: JSON readers and JavaScript lose
/// precision past 2^53.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hex(pub u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<u64> for Hex {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl From<u32> for Hex {
    fn from(value: u32) -> Self {
        Self(u64::from(value))
    }
}

impl Hex {
    /// Reads a number as people type addresses: with or without `0x`, with WinDbg's back-tick or underscores as
    /// separators. `None` if it is not hexadecimal or needs more than 64 bits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let digits: String = digits.chars().filter(|c| !matches!(c, '`' | '_')).collect();
        // `from_str_radix` would take a sign.
        if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
            return None;
        }
        u64::from_str_radix(&digits, 16).ok().map(Self)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Hex;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a hexadecimal string such as \"0x1f\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hex, E> {
                let prefixed = text.starts_with("0x").then(|| Hex::parse(text)).flatten();
                prefixed.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Bytes that travel as a byte array (a `Uint8Array` between page and worker) instead of a list of numbers.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ByteString(pub Vec<u8>);

impl Serialize for ByteString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ByteString;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ByteString, E> {
                Ok(ByteString(bytes.into()))
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<ByteString, E> {
                Ok(ByteString(bytes))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<ByteString, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(ByteString(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_travel_as_prefixed_lower_case_hex() {
        let json = serde_json::to_string(&Hex(0xffff_f804_8b58_334c)).unwrap();
        assert_eq!(json, "\"0xfffff8048b58334c\"");
        assert_eq!(serde_json::from_str::<Hex>(&json).unwrap(), Hex(0xffff_f804_8b58_334c));
        assert!(serde_json::from_str::<Hex>("\"12\"").is_err());
        assert!(serde_json::from_str::<Hex>("12").is_err());
    }

    #[test]
    fn people_type_addresses_in_many_ways() {
        for text in ["fffff804`8b58334c", "0xfffff8048b58334c", " 0XFFFFF804_8B58334C "] {
            assert_eq!(Hex::parse(text), Some(Hex(0xffff_f804_8b58_334c)), "{text}");
        }
        for text in ["", "0x", "-1", "+1", "zz", "1ffffffffffffffff", "`"] {
            assert_eq!(Hex::parse(text), None, "{text}");
        }
    }
}

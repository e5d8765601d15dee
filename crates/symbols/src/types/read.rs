//! Values of types, read from memory.

use core::cell::Cell;
use std::collections::BTreeSet;

use dumplens_base::{
    Fault, Memory, MemoryExt as _, Va,
    types::{BaseKind, FieldRole, Layout, Named, TypeRef, Types},
    utf8_until_nul, utf16_until_nul,
};

use super::{
    layout::is_unnamed,
    value::{FieldValue, ListEnd, ListWalk, Value},
};

/// Most values that one question reads.
const VALUES: u32 = 10_000;
/// Most levels of structures within structures.
const DEEPEST: u32 = 16;
/// Longest array of characters that is read as text, in bytes.
const TEXT: u64 = 4096;

/// Reads structures from memory.
pub struct Reader<'a, T> {
    types: &'a T,
    memory: &'a dyn Memory,
    /// Levels of structures within structures that are read.
    depth: u32,
    /// Elements of an array that are read.
    elements: u64,
    left: Cell<u32>,
}

impl<'a, T: Types> Reader<'a, T> {
    /// A reader that reads `depth` levels of structures in a structure, and the first `elements` of an array. At most
    /// 10 000 values are read; what comes then is [`Value::Omitted`].
    #[must_use]
    pub fn new(types: &'a T, memory: &'a dyn Memory, depth: u32, elements: u64) -> Self {
        Self { types, memory, depth: depth.min(DEEPEST), elements, left: Cell::new(VALUES) }
    }

    /// The members of the structure at `address`, each with its value or the reason why it is not in the dump. Static
    /// members and virtual base classes are elsewhere, and left out.
    ///
    /// # Errors
    /// If the source of types is damaged.
    pub fn read(&self, address: Va, layout: &Layout) -> Result<Vec<FieldValue>, T::Error> {
        self.left.set(VALUES);
        self.fields(address, layout, self.depth, 0)
    }

    fn fields(&self, address: Va, layout: &Layout, depth: u32, level: u32) -> Result<Vec<FieldValue>, T::Error> {
        let mut values = Vec::new();
        for field in &layout.fields {
            if matches!(field.role, FieldRole::Static | FieldRole::VirtualBase { .. }) {
                continue;
            }
            if self.left.get() == 0 {
                break;
            }
            let at = Va(address.0.wrapping_add(field.offset));
            let value = self.value(at, &field.of, depth, level)?;
            values.push(FieldValue { field: field.clone(), address: at, value });
        }
        Ok(values)
    }

    /// Bytes of a type; `None` if it has none, or is not described.
    ///
    /// # Errors
    /// If the source of types is damaged.
    pub fn size(&self, of: &TypeRef) -> Result<Option<u64>, T::Error> {
        let mut each = of;
        let mut count = Some(1_u64);
        loop {
            let size = match each {
                TypeRef::Array { count: more, of } => {
                    count = count.and_then(|count| count.checked_mul(*more));
                    each = of;
                    continue;
                }
                TypeRef::Bitfield { of, .. } => {
                    each = of;
                    continue;
                }
                TypeRef::Base { size, .. } => Some(*size),
                TypeRef::Pointer { size, .. } => Some(size.unwrap_or_else(|| self.types.pointer_size())),
                TypeRef::Struct(named) | TypeRef::Union(named) => self.types.layout(named)?.map(|layout| layout.size),
                TypeRef::Enum(named) => self.types.enumeration(named)?.map(|its| its.size),
                TypeRef::Function | TypeRef::Void | TypeRef::Unknown(_) => None,
            };
            return Ok(size.and_then(|size| size.checked_mul(count?)));
        }
    }

    /// The value at `at`; the inner error is why it is not in the dump.
    fn value(&self, at: Va, of: &TypeRef, depth: u32, level: u32) -> Result<Result<Value, Fault>, T::Error> {
        let Some(left) = self.left.get().checked_sub(1) else { return Ok(Ok(Value::Omitted)) };
        self.left.set(left);
        Ok(match of {
            TypeRef::Base { size, signed, kind, .. } => self.base(at, *size, *signed, *kind),
            TypeRef::Pointer { size, .. } => {
                let size = size.unwrap_or_else(|| self.types.pointer_size());
                self.number(at, size).map(|value| {
                    value.map_or(Value::Omitted, |value| Value::Pointer(Va(u64::try_from(value).unwrap_or(u64::MAX))))
                })
            }
            TypeRef::Bitfield { position, length, of } => match self.bits(at, *position, *length, of)? {
                Some(value) => value,
                None => Ok(Value::Omitted),
            },
            TypeRef::Enum(named) => match self.types.enumeration(named)? {
                Some(its) => {
                    let signed = matches!(its.base, TypeRef::Base { signed: true, .. });
                    let named = |value: i128| {
                        // Compilers store constants with the sign of their own number.
                        let mask = bit_mask(its.size.saturating_mul(8));
                        let same = |its: i128| its as u128 & mask == value as u128 & mask;
                        its.constants.iter().find(|constant| same(constant.value)).map(|constant| constant.name.clone())
                    };
                    self.number(at, its.size).map(|value| match value {
                        Some(value) => {
                            let value = if signed { sign(value, its.size.saturating_mul(8)) } else { value as i128 };
                            Value::Enum { value, name: named(value) }
                        }
                        None => Value::Omitted,
                    })
                }
                None => Ok(Value::Omitted),
            },
            TypeRef::Array { count, of } => return self.array(at, *count, of, depth, level),
            TypeRef::Struct(named) | TypeRef::Union(named) => return self.structure(at, named, depth, level),
            TypeRef::Function | TypeRef::Void | TypeRef::Unknown(_) => Ok(Value::Omitted),
        })
    }

    /// A number of at most 16 bytes; `None` for another size.
    fn number(&self, at: Va, size: u64) -> Result<Option<u128>, Fault> {
        let mut bytes = [0; 16];
        let Some(taken) = usize::try_from(size).ok().filter(|size| *size > 0).and_then(|size| bytes.get_mut(..size))
        else {
            return Ok(None);
        };
        self.memory.read_exact(at, taken)?;
        Ok(Some(u128::from_le_bytes(bytes)))
    }

    fn base(&self, at: Va, size: u64, signed: bool, kind: BaseKind) -> Result<Value, Fault> {
        let Some(value) = self.number(at, size)? else { return Ok(Value::Omitted) };
        let bits = size.saturating_mul(8);
        Ok(match (kind, size) {
            (BaseKind::Bool, _) => Value::Bool(value != 0),
            (BaseKind::Char, ..=4) => Value::Char(u32::try_from(value).unwrap_or(u32::MAX)),
            (BaseKind::Float, 4) => Value::Float(f32::from_bits(value as u32).into()),
            (BaseKind::Float, 8) => Value::Float(f64::from_bits(value as u64)),
            (BaseKind::Float | BaseKind::Void, _) => Value::Omitted,
            _ if signed => Value::Signed(sign(value, bits)),
            _ => Value::Unsigned { value, bits: u32::try_from(bits).unwrap_or(u32::MAX) },
        })
    }

    /// Some bits of a number; `None` if the number is none.
    fn bits(&self, at: Va, position: u8, length: u8, of: &TypeRef) -> Result<Option<Result<Value, Fault>>, T::Error> {
        let Some(size) = self.size(of)?.filter(|size| *size <= 16) else { return Ok(None) };
        let cut = |value: u128| value.checked_shr(position.into()).unwrap_or(0) & bit_mask(length.into());
        let named = match of {
            TypeRef::Enum(named) => self.types.enumeration(named)?,
            _ => None,
        };
        let signed = matches!(of, TypeRef::Base { signed: true, .. });
        Ok(Some(self.number(at, size).map(|value| match value.map(cut) {
            None => Value::Omitted,
            Some(value) => match &named {
                Some(its) => {
                    let found = its.constants.iter().find(|constant| constant.value == value as i128);
                    Value::Enum { value: value as i128, name: found.map(|constant| constant.name.clone()) }
                }
                None if signed => Value::Signed(sign(value, length.into())),
                None => Value::Unsigned { value, bits: length.into() },
            },
        })))
    }

    fn array(
        &self,
        at: Va,
        count: u64,
        of: &TypeRef,
        depth: u32,
        level: u32,
    ) -> Result<Result<Value, Fault>, T::Error> {
        let Some(size) = self.size(of)? else { return Ok(Ok(Value::Omitted)) };
        let text = match of {
            TypeRef::Base { kind: BaseKind::Char, .. } if size <= 2 => {
                let len = usize::try_from(count.saturating_mul(size).min(TEXT)).unwrap_or(0);
                self.memory.read_vec(at, len).ok().map(|bytes| match size {
                    1 => utf8_until_nul(&bytes),
                    _ => utf16_until_nul(&bytes),
                })
            }
            _ => None,
        };
        let mut items = Vec::new();
        for index in 0..count.min(self.elements) {
            if self.left.get() == 0 {
                break;
            }
            let item = self.value(Va(at.0.wrapping_add(index.wrapping_mul(size))), of, depth, level)?;
            let absent = item.is_err();
            items.push(item);
            if absent {
                break;
            }
        }
        Ok(Ok(Value::Array { count, items, text }))
    }

    fn structure(&self, at: Va, named: &Named, depth: u32, level: u32) -> Result<Result<Value, Fault>, T::Error> {
        let Some(layout) = self.types.layout(named)? else { return Ok(Ok(Value::Omitted)) };
        let field = |name: &str| layout.fields.iter().find(|field| field.name == name);
        let pointer = |name: &str| match field(name).map(|field| (field.offset, &field.of)) {
            Some((offset, TypeRef::Pointer { size, .. })) => {
                let size = size.unwrap_or_else(|| self.types.pointer_size());
                Some((Va(at.0.wrapping_add(offset)), u8::try_from(size).unwrap_or(8)))
            }
            _ => None,
        };
        match named.name.as_str() {
            "_LIST_ENTRY" => {
                if let (Some((forward, size)), Some((back, _))) = (pointer("Flink"), pointer("Blink")) {
                    return Ok(self.list_entry(at, forward, back, size));
                }
            }
            "_UNICODE_STRING" => {
                if let (Some(length), Some(maximum), Some((buffer, size))) =
                    (field("Length"), field("MaximumLength"), pointer("Buffer"))
                {
                    let (length, maximum) = (at.0.wrapping_add(length.offset), at.0.wrapping_add(maximum.offset));
                    return Ok(self.string(Va(length), Va(maximum), buffer, size));
                }
            }
            _ => {}
        }
        let left = if is_unnamed(&named.name) { Some(depth) } else { depth.checked_sub(1) };
        let Some(left) = left.filter(|_| level < DEEPEST) else { return Ok(Ok(Value::Omitted)) };
        self.fields(at, &layout, left, level.saturating_add(1)).map(|fields| Ok(Value::Struct(fields)))
    }

    fn list_entry(&self, at: Va, forward: Va, back: Va, size: u8) -> Result<Value, Fault> {
        let forward = Va(self.memory.read_pointer(forward, size)?);
        let back = Va(self.memory.read_pointer(back, size)?);
        Ok(Value::ListEntry { forward, back, empty: forward == at && back == at })
    }

    fn string(&self, length: Va, maximum: Va, buffer: Va, size: u8) -> Result<Value, Fault> {
        let (length, maximum) = (self.memory.read_u16(length)?, self.memory.read_u16(maximum)?);
        let buffer = Va(self.memory.read_pointer(buffer, size)?);
        let text = if length == 0 { Ok(String::new()) } else { self.memory.read_utf16(buffer, length) };
        Ok(Value::UnicodeString { length, maximum, buffer, text })
    }
}

/// The lowest `bits` bits.
fn bit_mask(bits: u64) -> u128 {
    let one = u32::try_from(bits).ok().and_then(|bits| 1_u128.checked_shl(bits));
    one.map_or(u128::MAX, |one| one.wrapping_sub(1))
}

/// A number of so many bits, with its sign.
fn sign(value: u128, bits: u64) -> i128 {
    let above = 128_u32.saturating_sub(u32::try_from(bits).unwrap_or(128));
    (value.checked_shl(above).unwrap_or(0) as i128).checked_shr(above).unwrap_or(0)
}

/// Follows a doubly linked list from its head, whose first pointer is `Flink` and has `pointer_size` bytes; at most `limit`
/// entries.
#[must_use]
pub fn list(memory: &dyn Memory, head: Va, pointer_size: u8, limit: usize) -> ListWalk {
    let mut entries = Vec::new();
    let mut met = BTreeSet::new();
    let mut at = head;
    let end = loop {
        at = match memory.read_pointer(at, pointer_size) {
            Ok(next) => Va(next),
            Err(fault) => break ListEnd::Absent(fault),
        };
        if at == head {
            break ListEnd::Head;
        } else if at.0 == 0 {
            break ListEnd::Null;
        } else if !met.insert(at.0) {
            break ListEnd::Loop;
        } else if entries.len() >= limit {
            break ListEnd::Limit;
        }
        entries.push(at);
    };
    ListWalk { entries, end }
}

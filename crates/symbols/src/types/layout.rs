//! From records to layouts.

use dumplens_base::types::{Constant, Enumeration, Field, FieldRole, Layout, LayoutKind, Named, TypeRef};

use super::{
    Found, TypeTable,
    leaf::{self, Leaf, Member, Members, Udt},
    primitive,
    records::Raw,
};
use crate::SymbolError;

/// How many types may stand behind one another: pointers to arrays of pointers.
pub(super) const DEPTH: u32 = 32;
/// Most records of one list of members. Each has less than 64 KiB, so no program comes near.
const LISTS: usize = 256;
/// Most members of one type.
const MEMBERS: u64 = 1 << 18;
/// Most bytes of one layout in memory. Members may share a long name of a type, and each has it.
const LARGEST: usize = 32 << 20;

/// What a named type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A structure, class or union.
    Layout(LayoutKind),
    /// An enumeration.
    Enumeration,
}

impl TypeKind {
    /// As C++ spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layout(kind) => kind.name(),
            Self::Enumeration => "enum",
        }
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// What compilers put where a type has no name of its own.
pub(super) fn is_unnamed(name: &str) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    last.is_empty() || last == "__unnamed" || last.starts_with("<unnamed-") || last.starts_with("<anonymous-")
}

fn unknown(number: u32) -> TypeRef {
    TypeRef::Unknown(format!("type {number:#x}"))
}

impl TypeTable {
    fn raw(&self, number: u32) -> Result<Option<Raw>, SymbolError> {
        self.records.get(number)
    }

    /// Calls `f` with the structure, union or enumeration of that number.
    fn with_udt<T>(&self, number: u32, f: impl FnOnce(&Udt<'_>) -> T) -> Result<Option<T>, SymbolError> {
        let Some(raw) = self.raw(number)? else { return Ok(None) };
        Ok(leaf::as_udt(raw.bytes(), raw.origin)?.as_ref().map(f))
    }

    /// What is told of a type that was found.
    pub(super) fn found(&self, number: u32) -> Result<Option<Found>, SymbolError> {
        let size = self.size(number)?.unwrap_or(0);
        self.with_udt(number, |udt| Found {
            named: Named { name: text(udt.name), id: Some(number) },
            kind: udt.kind.map_or(TypeKind::Enumeration, TypeKind::Layout),
            size,
        })
    }

    /// The number of the record that describes a type.
    pub(super) fn number(&self, of: &Named) -> Result<Option<u32>, SymbolError> {
        match of.id {
            Some(number) => self.resolve(number),
            None => Ok(self.find(&of.name)?.and_then(|found| found.named.id)),
        }
    }

    /// The number of the record that describes the type of that number: itself, unless it only mentions a type that is
    /// described elsewhere. `None` if it is described nowhere, or no structure, union or enumeration.
    ///
    /// # Errors
    /// If the table of names or a record is damaged.
    pub fn resolve(&self, number: u32) -> Result<Option<u32>, SymbolError> {
        let Some(raw) = self.raw(number)? else { return Ok(None) };
        let Some(udt) = leaf::as_udt(raw.bytes(), raw.origin)? else { return Ok(None) };
        if !udt.is_forward() {
            return Ok(Some(number));
        }
        if let Some(known) = self.resolved.get(number) {
            return Ok((known != 0).then_some(known));
        }
        let key = match udt.unique {
            Some(unique) if udt.is_scoped() => unique,
            _ => udt.name,
        };
        let same = |its: &Udt<'_>| {
            // `struct` and `class` mean the same, and programs mix them.
            let alike = match (its.kind, udt.kind) {
                (None, None) | (Some(LayoutKind::Union), Some(LayoutKind::Union)) => true,
                (Some(a), Some(b)) => a != LayoutKind::Union && b != LayoutKind::Union,
                _ => false,
            };
            let named = match (its.unique, udt.unique) {
                (Some(a), Some(b)) => a == b,
                _ => its.name == udt.name,
            };
            alike && named
        };
        let found = self.names.find(&self.records, key, udt.unique.unwrap_or(udt.name), same)?;
        self.resolved.insert(number, found.unwrap_or(0), 4);
        Ok(found)
    }

    /// What a type is; `depth` is how many more may stand behind it.
    pub(super) fn reference(&self, number: u32, depth: u32) -> Result<TypeRef, SymbolError> {
        if number < primitive::END {
            return Ok(primitive::type_ref(number));
        }
        let Some(depth) = depth.checked_sub(1) else { return Ok(unknown(number)) };
        let Some(raw) = self.raw(number)? else { return Ok(unknown(number)) };
        Ok(match leaf::parse(raw.bytes(), raw.origin)? {
            Leaf::Udt(udt) => {
                let named = Named { name: text(udt.name), id: Some(number) };
                match udt.kind {
                    None => TypeRef::Enum(named),
                    Some(LayoutKind::Union) => TypeRef::Union(named),
                    Some(_) => TypeRef::Struct(named),
                }
            }
            Leaf::Bitfield { of, length, position } => {
                TypeRef::Bitfield { position, length, of: Box::new(self.reference(of, depth)?) }
            }
            Leaf::Array { of, size } => {
                let each = self.size_of(of, depth)?.unwrap_or(0);
                let count = size.checked_div(each).unwrap_or(0);
                TypeRef::Array { count, of: Box::new(self.reference(of, depth)?) }
            }
            Leaf::Pointer { to, size } => TypeRef::Pointer { size, to: Box::new(self.reference(to, depth)?) },
            Leaf::Same { of } => self.reference(of, depth)?,
            Leaf::Function => TypeRef::Function,
            Leaf::Vtable { count } => TypeRef::Array {
                count: count.into(),
                of: Box::new(TypeRef::Pointer { size: None, to: Box::new(TypeRef::Function) }),
            },
            Leaf::Other(_) => unknown(number),
        })
    }

    /// Bytes of a type.
    pub(super) fn size_of(&self, number: u32, depth: u32) -> Result<Option<u64>, SymbolError> {
        if number < primitive::END {
            return Ok(match primitive::type_ref(number) {
                TypeRef::Base { size, .. } => Some(size),
                TypeRef::Pointer { size, .. } => Some(size.unwrap_or(self.pointer)),
                _ => None,
            });
        }
        let Some(depth) = depth.checked_sub(1) else { return Ok(None) };
        let Some(raw) = self.raw(number)? else { return Ok(None) };
        match leaf::parse(raw.bytes(), raw.origin)? {
            Leaf::Udt(udt) if udt.is_forward() => {
                self.resolve(number)?.map_or(Ok(None), |number| self.size_of(number, depth))
            }
            Leaf::Udt(Udt { kind: None, base, .. }) => self.size_of(base, depth),
            Leaf::Udt(udt) => Ok(Some(udt.size)),
            Leaf::Bitfield { of, .. } | Leaf::Same { of } => self.size_of(of, depth),
            Leaf::Array { size, .. } => Ok(Some(size)),
            Leaf::Pointer { size, .. } => Ok(Some(size.unwrap_or(self.pointer))),
            Leaf::Function | Leaf::Vtable { .. } | Leaf::Other(_) => Ok(None),
        }
    }

    /// Calls `each` with the members of a list, wherever it goes on.
    fn members(
        &self,
        list: u32,
        mut each: impl FnMut(Member<'_>) -> Result<(), SymbolError>,
    ) -> Result<(), SymbolError> {
        let mut next = Some(list).filter(|list| *list != 0);
        let mut count = 0_u64;
        for _ in 0..LISTS {
            let Some(number) = next.take() else { return Ok(()) };
            let Some(raw) = self.raw(number)? else {
                return Err(SymbolError::invalid("number of a list of members", 0, number.into()));
            };
            let Some(mut members) = Members::new(raw.bytes(), raw.origin)? else {
                return Err(SymbolError::invalid("number of a list of members", raw.origin, number.into()));
            };
            while let Some(member) = members.step()? {
                count = count.saturating_add(1);
                if count > MEMBERS {
                    return Err(SymbolError::too_many("number of members", raw.origin, count, MEMBERS));
                }
                match member {
                    Member::More(number) => next = Some(number),
                    other => each(other)?,
                }
            }
        }
        match next {
            Some(_) => Err(SymbolError::too_many("parts of a list of members", 0, LISTS as u64 + 1, LISTS as u64)),
            None => Ok(()),
        }
    }

    /// The layout in the record of that number, and what it costs to keep.
    pub(super) fn make_layout(&self, number: u32) -> Result<Option<(Layout, usize)>, SymbolError> {
        let udt = self.with_udt(number, |udt| Some((udt.kind?, udt.size, udt.fields, text(udt.name))))?;
        let Some((kind, size, list, name)) = udt.flatten() else { return Ok(None) };
        let (mut fields, mut cost) = (Vec::new(), 64_usize.saturating_add(name.len()));
        self.members(list, |member| {
            let (name, of, offset, role) = match member {
                Member::Data { of, offset, name } => (text(name), of, offset, FieldRole::Member),
                Member::Static { of, name } => (text(name), of, 0, FieldRole::Static),
                Member::Base { of, offset } => (String::new(), of, offset, FieldRole::Base),
                Member::VirtualBase { of, offset, slot } => {
                    (String::new(), of, offset, FieldRole::VirtualBase { slot })
                }
                Member::Vtable { of, offset } => ("__vfptr".into(), of, offset, FieldRole::Vtable),
                Member::Constant { .. } | Member::More(_) | Member::Nothing => return Ok(()),
            };
            let of = self.type_ref(of)?;
            let anonymous = role == FieldRole::Member && name.is_empty();
            let name = match (&of, role) {
                (TypeRef::Struct(base), FieldRole::Base | FieldRole::VirtualBase { .. }) => base.name.clone(),
                _ => name,
            };
            cost = cost.saturating_add(name.len()).saturating_add(weight(&of)).saturating_add(size_of::<Field>());
            if cost > LARGEST {
                return Err(SymbolError::too_many("size of a layout", 0, cost as u64, LARGEST as u64));
            }
            fields.push(Field { name, offset, of, anonymous, role });
            Ok(())
        })?;
        Ok(Some((Layout { name, kind, size, fields }, cost)))
    }

    /// The enumeration in the record of that number, and what it costs to keep.
    pub(super) fn make_enumeration(&self, number: u32) -> Result<Option<(Enumeration, usize)>, SymbolError> {
        let udt = self.with_udt(number, |udt| udt.kind.is_none().then(|| (udt.base, udt.fields, text(udt.name))))?;
        let Some((base, list, name)) = udt.flatten() else { return Ok(None) };
        let (mut constants, mut cost) = (Vec::new(), 64_usize.saturating_add(name.len()));
        self.members(list, |member| {
            if let Member::Constant { value, name } = member {
                cost = cost.saturating_add(name.len()).saturating_add(size_of::<Constant>());
                constants.push(Constant { name: text(name), value });
            }
            Ok(())
        })?;
        let size = self.size(base)?.unwrap_or(0);
        Ok(Some((Enumeration { name, size, base: self.type_ref(base)?, constants }, cost)))
    }
}

/// About how many bytes a reference takes beside itself.
fn weight(of: &TypeRef) -> usize {
    match of {
        TypeRef::Base { name, .. } | TypeRef::Unknown(name) => name.len(),
        TypeRef::Pointer { to: of, .. } | TypeRef::Array { of, .. } | TypeRef::Bitfield { of, .. } => {
            size_of::<TypeRef>().saturating_add(weight(of))
        }
        TypeRef::Struct(named) | TypeRef::Union(named) | TypeRef::Enum(named) => named.name.len(),
        TypeRef::Function | TypeRef::Void => 0,
    }
}

use core::fmt;

use dumplens_base::Source;

use crate::{
    BaseKind, Constant, Difference, Enumeration, Field, FieldRole, IsfError, Layout, Limits, Named, Proof, TypeRef,
    load::{Rows, load},
    names::{Name, Names},
    rows::{BaseRow, FieldRow, Node, SymbolRow, TypeRow},
};

/// The image a table belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the PDB it was made from: `ntkrnlmp.pdb`.
    pub pdb_name: Option<String>,
    /// The PDB's GUID in file order: three little-endian fields, then eight bytes.
    pub guid: [u8; 16],
    /// The PDB's age.
    pub age: u32,
    /// The machine the image runs on, as in a PE header.
    pub machine_type: Option<u16>,
    /// Version of the table's format: `6.1.0`.
    pub format: String,
}

impl Identity {
    /// Whether the table belongs to an image whose debug directory names this PDB.
    #[must_use]
    pub fn matches(&self, guid: &[u8; 16], age: u32) -> bool {
        self.guid == *guid && self.age == age
    }

    /// Whether the machine's addresses have 32 bits.
    fn is_32_bit(&self) -> bool {
        matches!(self.machine_type, Some(0x14c | 0x1c0 | 0x1c2 | 0x1c4))
    }
}

/// A named address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The name.
    pub name: &'a str,
    /// The name as the linker knows it, where it is another.
    pub linkage_name: Option<&'a str>,
    /// Offset from the image's base.
    pub rva: u64,
}

/// A symbol table, read.
pub struct Isf {
    identity: Identity,
    names: Names,
    /// Symbols by address; those of one address with the name to show first.
    rows: Rows,
    /// The symbols' numbers by name.
    by_name: Vec<u32>,
    /// The symbols' numbers by linkage name, those that have another one.
    by_linkage: Vec<u32>,
}

impl Isf {
    /// Reads the table in `source`.
    ///
    /// # Errors
    /// [`IsfError`] says at which byte of the unpacked JSON reading stopped, why, and what to do.
    pub fn open(source: Source, limits: Limits) -> Result<Self, IsfError> {
        let (loader, identity) = load(&*source, limits)?;
        let mut names = loader.interner.names;
        names.shrink();
        let mut rows = loader.rows;
        sort(&mut rows, &names);
        let numbers = |keep: &dyn Fn(&SymbolRow) -> bool, key: &dyn Fn(&SymbolRow) -> Name| {
            let numbered = (0_u32..).zip(&rows.symbols).filter(|(_, row)| keep(row));
            let mut numbers: Vec<(u32, Name)> = numbered.map(|(number, row)| (number, key(row))).collect();
            numbers.sort_unstable_by(|(_, a), (_, b)| names.get(*a).cmp(names.get(*b)));
            numbers.into_iter().map(|(number, _)| number).collect::<Vec<_>>()
        };
        let by_name = numbers(&|_| true, &|row| row.name);
        let by_linkage = numbers(&|row| row.linkage != row.name, &|row| row.linkage);
        Ok(Self { identity, names, rows, by_name, by_linkage })
    }

    /// The image the table belongs to.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Offset from the image's base of the symbol of that name, or else of that linkage name.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        let row = |number: u32| self.rows.symbols.get(number as usize);
        let find = |numbers: &[u32], key: &dyn Fn(&SymbolRow) -> Name| {
            let text = |number: u32| row(number).map(|row| self.names.get(key(row))).unwrap_or_default();
            let at = numbers.binary_search_by(|number| text(*number).cmp(name)).ok()?;
            numbers.get(at).and_then(|number| row(*number)).map(|row| row.rva)
        };
        find(&self.by_name, &|row| row.name).or_else(|| find(&self.by_linkage, &|row| row.linkage))
    }

    /// The last symbol at or before `rva`, and how far behind it `rva` is. The table knows no sizes: what lies far
    /// behind a symbol need not belong to it.
    ///
    /// The linker gives functions with the same code one address; then the first undecorated name is answered, and
    /// [`Isf::symbols_at`] has the others.
    #[must_use]
    pub fn nearest(&self, rva: u64) -> Option<(&str, u64)> {
        let behind = self.rows.symbols.partition_point(|row| row.rva <= rva);
        let last = self.rows.symbols.get(behind.checked_sub(1)?)?;
        let first = self.symbols_at(last.rva).next()?;
        Some((first.name, rva.saturating_sub(last.rva)))
    }

    /// All symbols at exactly `rva`, the name to show first.
    pub fn symbols_at(&self, rva: u64) -> impl Iterator<Item = Symbol<'_>> {
        let start = self.rows.symbols.partition_point(|row| row.rva < rva);
        let from = self.rows.symbols.get(start..).unwrap_or_default();
        from.iter().take_while(move |row| row.rva == rva).map(|row| self.shown(row))
    }

    /// All symbols by address.
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = Symbol<'_>> {
        self.rows.symbols.iter().map(|row| self.shown(row))
    }

    fn shown(&self, row: &SymbolRow) -> Symbol<'_> {
        let linkage_name = (row.linkage != row.name).then(|| self.names.get(row.linkage));
        Symbol { name: self.names.get(row.name), linkage_name, rva: row.rva }
    }

    /// Names of all structures and unions, in order.
    pub fn types(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rows.types.iter().map(|row| self.names.get(row.name))
    }

    /// Names of all enumerations, in order.
    pub fn enumerations(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rows.enums.iter().map(|row| self.names.get(row.name))
    }

    /// The structure or union of that name; its members by offset, then by bit, then as the table orders them.
    #[must_use]
    pub fn type_layout(&self, name: &str) -> Option<Layout> {
        let row = self.user_type(name)?;
        let fields = self.fields(row).iter().map(|field| Field {
            name: self.names.get(field.name).to_owned(),
            offset: field.offset.into(),
            of: self.described(field.of),
            anonymous: field.anonymous,
            role: FieldRole::Member,
        });
        let mut fields: Vec<_> = fields.collect();
        fields.sort_by_key(|field| {
            let bit = if let TypeRef::Bitfield { position, .. } = &field.of { *position } else { 0 };
            (field.offset, bit)
        });
        Some(Layout { name: name.to_owned(), kind: row.kind, size: row.size.into(), fields })
    }

    /// Offset of a field in the structure or union of that name, in bytes.
    #[must_use]
    pub fn field_offset(&self, name: &str, field: &str) -> Option<u64> {
        let fields = self.fields(self.user_type(name)?);
        fields.iter().find(|row| self.names.get(row.name) == field).map(|row| row.offset.into())
    }

    /// The enumeration of that name, its values smallest first.
    #[must_use]
    pub fn enumeration(&self, name: &str) -> Option<Enumeration> {
        let rows = &self.rows.enums;
        let row = rows.get(rows.binary_search_by(|row| self.names.get(row.name).cmp(name)).ok()?)?;
        let constants = self.rows.constants.get(row.first as usize..row.end as usize).unwrap_or_default();
        let mut constants: Vec<_> = constants
            .iter()
            .map(|row| Constant {
                name: self.names.get(row.name).to_owned(),
                value: if row.signed { row.value.cast_signed().into() } else { row.value.into() },
            })
            .collect();
        constants.sort_by_key(|constant| constant.value);
        Some(Enumeration { name: name.to_owned(), size: row.size.into(), base: self.base(row.base), constants })
    }

    /// Size in bytes of what `of` describes. `None` for what has none or what the table does not describe.
    #[must_use]
    pub fn size_of(&self, of: &TypeRef) -> Option<u64> {
        match of {
            TypeRef::Base { size, .. } => Some(*size),
            TypeRef::Pointer { size, .. } => *size,
            TypeRef::Array { count, of } => self.size_of(of)?.checked_mul(*count),
            TypeRef::Struct(of) | TypeRef::Union(of) => self.user_type(&of.name).map(|row| row.size.into()),
            TypeRef::Enum(of) => {
                let rows = &self.rows.enums;
                let at = rows.binary_search_by(|row| self.names.get(row.name).cmp(&of.name)).ok()?;
                rows.get(at).map(|row| row.size.into())
            }
            TypeRef::Bitfield { of, .. } => self.size_of(of),
            TypeRef::Function | TypeRef::Void | TypeRef::Unknown(_) => None,
        }
    }

    /// Whether the table belongs to the kernel at `kernel_base`: its symbols must stand where the dump says that they
    /// are. Good witnesses are in every dump header: `PsLoadedModuleList`, `PsActiveProcessHead`, `KdDebuggerDataBlock`.
    #[must_use]
    pub fn prove(&self, kernel_base: u64, known: &[(&str, u64)]) -> Proof {
        // A header of a 32-bit machine may extend an address's sign.
        let mask = if self.identity.is_32_bit() { u64::from(u32::MAX) } else { u64::MAX };
        let mut proof = Proof::default();
        for &(name, stated) in known {
            let name_owned = name.to_owned();
            match self.symbol(name).map(|rva| kernel_base.wrapping_add(rva) & mask) {
                None => proof.unknown.push(name_owned),
                Some(expected) if expected == stated & mask => proof.agree.push(name_owned),
                Some(expected) => proof.differ.push(Difference { name: name_owned, stated, expected }),
            }
        }
        proof
    }

    /// Bytes of memory that the table holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        fn bytes<T>(rows: &Vec<T>) -> usize {
            rows.capacity().saturating_mul(size_of::<T>())
        }
        let Rows { symbols, bases, types, fields, enums, constants, nodes } = &self.rows;
        let parts = [
            self.names.held(),
            bytes(symbols),
            bytes(bases),
            bytes(types),
            bytes(fields),
            bytes(enums),
            bytes(constants),
            bytes(nodes),
            bytes(&self.by_name),
            bytes(&self.by_linkage),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    fn user_type(&self, name: &str) -> Option<&TypeRow> {
        let rows = &self.rows.types;
        rows.get(rows.binary_search_by(|row| self.names.get(row.name).cmp(name)).ok()?)
    }

    fn fields(&self, row: &TypeRow) -> &[FieldRow] {
        self.rows.fields.get(row.first as usize..row.end as usize).unwrap_or_default()
    }

    fn base_row(&self, name: Name) -> Option<&BaseRow> {
        let rows = &self.rows.bases;
        rows.get(rows.binary_search_by_key(&name, |row| row.name).ok()?)
    }

    fn base(&self, name: Name) -> TypeRef {
        let text = self.names.get(name).to_owned();
        match self.base_row(name) {
            None => TypeRef::Unknown(text),
            Some(BaseRow { kind: BaseKind::Void, .. }) => TypeRef::Void,
            Some(row) => TypeRef::Base { name: text, size: row.size.into(), signed: row.signed, kind: row.kind },
        }
    }

    /// A type in words. Its depth is that of the JSON, which was bounded.
    fn described(&self, node: u32) -> TypeRef {
        let text = |name: Name| self.names.get(name).to_owned();
        match self.rows.nodes.get(node as usize).copied() {
            None => TypeRef::Unknown(String::new()),
            Some(Node::Base(name)) => self.base(name),
            Some(Node::Struct(name)) => TypeRef::Struct(Named::new(text(name))),
            Some(Node::Union(name)) => TypeRef::Union(Named::new(text(name))),
            Some(Node::Enum(name)) => TypeRef::Enum(Named::new(text(name))),
            Some(Node::Pointer { to, base }) => {
                let size = self.base_row(base).map(|row| row.size.into());
                TypeRef::Pointer { size, to: Box::new(self.described(to)) }
            }
            Some(Node::Array { count, of }) => TypeRef::Array { count: count.into(), of: Box::new(self.described(of)) },
            Some(Node::Bits { position, length, of }) => {
                TypeRef::Bitfield { position, length, of: Box::new(self.described(of)) }
            }
            Some(Node::Function) => TypeRef::Function,
        }
    }
}

impl fmt::Debug for Isf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isf")
            .field("identity", &self.identity)
            .field("symbols", &self.rows.symbols.len())
            .field("types", &self.rows.types.len())
            .finish_non_exhaustive()
    }
}

/// Brings every table into the order it is searched in, and gives back room that growing left.
fn sort(rows: &mut Rows, names: &Names) {
    let decorated = |name: &str| name.starts_with(['?', '$', '\u{7f}']);
    rows.symbols.sort_unstable_by(|a, b| {
        let (one, two) = (names.get(a.name), names.get(b.name));
        (a.rva, decorated(one), one).cmp(&(b.rva, decorated(two), two))
    });
    rows.bases.sort_unstable_by_key(|row| row.name);
    rows.types.sort_unstable_by(|a, b| names.get(a.name).cmp(names.get(b.name)));
    rows.enums.sort_unstable_by(|a, b| names.get(a.name).cmp(names.get(b.name)));
    rows.symbols.shrink_to_fit();
    rows.fields.shrink_to_fit();
    rows.constants.shrink_to_fit();
    rows.nodes.shrink_to_fit();
}

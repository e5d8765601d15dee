//! Layouts as text, in the manner of a debugger's `dt`.

use core::fmt::{self, Write};

use dumplens_base::types::{BaseKind, Enumeration, Field, FieldRole, Layout, Named, TypeRef, Types};

use super::layout::is_unnamed;

/// Most levels of structures within structures that are printed.
const DEEPEST: u32 = 16;
/// Most lines that one type prints.
const LINES: usize = 100_000;
/// Longest line, in characters. Compilers cut names at 4096.
const LONGEST: usize = 8192;
/// Columns that names are padded to, at most.
pub(super) const COLUMN: usize = 40;

/// Why a layout was not printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintError<E> {
    /// The source of types is damaged.
    Types(E),
    /// The text could not be written.
    Write,
}

impl<E> From<fmt::Error> for PrintError<E> {
    fn from(_: fmt::Error) -> Self {
        Self::Write
    }
}

/// What a type is, as `dt` says it: `Ptr64 _TEB`, `[16] UChar`, `Pos 4, 2 Bits`.
#[must_use]
pub fn type_text(of: &TypeRef) -> String {
    match of {
        TypeRef::Base { name, size, signed, kind } => base_text(name, *size, *signed, *kind),
        TypeRef::Pointer { size, to } => {
            let bits = size.map(|size| size.saturating_mul(8).to_string()).unwrap_or_default();
            format!("Ptr{bits} {}", type_text(to))
        }
        TypeRef::Array { count, of } => format!("[{count}] {}", type_text(of)),
        TypeRef::Struct(named) | TypeRef::Union(named) | TypeRef::Enum(named) => named.name.clone(),
        TypeRef::Bitfield { position, length, .. } => {
            format!("Pos {position}, {length} Bit{}", if *length == 1 { "" } else { "s" })
        }
        TypeRef::Function => "Function".into(),
        TypeRef::Void => "Void".into(),
        TypeRef::Unknown(what) => format!("({what})"),
    }
}

fn base_text(name: &str, size: u64, signed: bool, kind: BaseKind) -> String {
    match (kind, size) {
        (BaseKind::Int | BaseKind::Char, 1) => if signed { "Char" } else { "UChar" }.into(),
        (BaseKind::Char, 2) => "WChar".into(),
        (BaseKind::Int, _) => format!("{}Int{size}B", if signed { "" } else { "U" }).replace("UInt", "Uint"),
        (BaseKind::Float, 4) => "Float".into(),
        (BaseKind::Float, 8) => "Double".into(),
        (BaseKind::Bool, 1) => "Bool".into(),
        (BaseKind::Void, _) => "Void".into(),
        _ => name.into(),
    }
}

/// Prints layouts.
#[derive(Clone, Copy, Debug)]
pub struct Printer<'a, T> {
    types: &'a T,
    depth: u32,
}

impl<'a, T: Types> Printer<'a, T> {
    /// A printer that shows `depth` levels of the structures in a structure; 0 shows their names only. Types without a
    /// name of their own are always shown.
    #[must_use]
    pub fn new(types: &'a T, depth: u32) -> Self {
        Self { types, depth: depth.min(DEEPEST) }
    }

    /// A line for the type and one for each member. Offsets are hexadecimal, in bytes from the start of the structure
    /// that the line stands under.
    ///
    /// # Errors
    /// If a structure within it cannot be read, or `out` fails.
    pub fn layout(&self, out: &mut dyn Write, layout: &Layout) -> Result<(), PrintError<T::Error>> {
        line(out, &format!("{} {}, {:#x} bytes", layout.kind.name(), layout.name, layout.size))?;
        let mut left = LINES;
        self.fields(out, layout, 0, self.depth, 1, &mut left)?;
        if left == 0 {
            line(out, &format!("   ... (more than {LINES} lines)"))?;
        }
        Ok(())
    }

    /// A line for the type and one for each value.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn enumeration(&self, out: &mut dyn Write, of: &Enumeration) -> Result<(), PrintError<T::Error>> {
        line(out, &format!("enum {}, {:#x} bytes, {}", of.name, of.size, type_text(&of.base)))?;
        let width = of.constants.iter().map(|constant| constant.name.chars().count()).max().unwrap_or(0).min(COLUMN);
        let bits = u32::try_from(of.size.saturating_mul(8)).unwrap_or(0);
        for constant in &of.constants {
            let shown = constant.value & 1_i128.checked_shl(bits).map_or(-1, |one| one.wrapping_sub(1));
            line(out, &format!("   {:<width$} = {:#x} ({})", constant.name, shown, constant.value))?;
        }
        Ok(())
    }

    /// The layout that is shown under a field, and how many levels are left for it.
    fn within(&self, of: &TypeRef, depth: u32) -> Option<(Named, u32)> {
        match of {
            TypeRef::Struct(named) | TypeRef::Union(named) => {
                let left = if is_unnamed(&named.name) { Some(depth) } else { depth.checked_sub(1) };
                left.map(|left| (named.clone(), left))
            }
            TypeRef::Array { of, .. } => self.within(of, depth),
            _ => None,
        }
    }

    fn fields(
        &self,
        out: &mut dyn Write,
        layout: &Layout,
        base: u64,
        depth: u32,
        level: u32,
        left: &mut usize,
    ) -> Result<(), PrintError<T::Error>> {
        let width = layout.fields.iter().map(|field| name(field).chars().count()).max().unwrap_or(0).min(COLUMN);
        let offset = |field: &Field| match field.role {
            FieldRole::Static => "=static".into(),
            FieldRole::VirtualBase { .. } => "=virtual".into(),
            _ => format!("+{:#05x}", base.saturating_add(field.offset)),
        };
        let column = layout.fields.iter().map(|field| offset(field).len()).max().unwrap_or(0);
        let indent = 3 * level as usize;
        for field in &layout.fields {
            let Some(less) = left.checked_sub(1) else { return Ok(()) };
            *left = less;
            let at = offset(field);
            line(out, &format!("{:indent$}{at:<column$} {:<width$} : {}", "", name(field), type_text(&field.of)))?;
            if matches!(field.role, FieldRole::Static | FieldRole::VirtualBase { .. }) || level > DEEPEST {
                continue;
            }
            let Some((named, depth)) = self.within(&field.of, depth) else { continue };
            let Some(inner) = self.types.layout(&named).map_err(PrintError::Types)? else { continue };
            // What has no name is used as if its members were the structure's own, and they are counted so.
            let base = if field.anonymous { base.saturating_add(field.offset) } else { 0 };
            self.fields(out, &inner, base, depth, level.saturating_add(1), left)?;
        }
        Ok(())
    }
}

/// Writes a line. Names may hold anything: what would move the cursor is replaced, what goes on without end is cut.
pub(super) fn line(out: &mut dyn Write, text: &str) -> fmt::Result {
    for c in text.chars().take(LONGEST) {
        out.write_char(if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })?;
    }
    out.write_char('\n')
}

pub(super) fn name(field: &Field) -> String {
    match field.role {
        FieldRole::Base => format!("(base {})", field.name),
        FieldRole::VirtualBase { .. } => format!("(virtual base {})", field.name),
        _ if field.name.is_empty() => "(unnamed)".into(),
        _ => field.name.clone(),
    }
}

//! Types that have a number and no record.

use dumplens_base::types::{BaseKind, TypeRef};

/// The first number of a record.
pub(crate) const END: u32 = 0x1000;

/// What a number below [`END`] stands for: its low byte is a number or a character, bits 8 to 11 a pointer to it.
///
/// Source: `TYPE_ENUM_e` in Microsoft's published `cvinfo.h`.
pub(crate) fn type_ref(number: u32) -> TypeRef {
    /// `std::nullptr_t`: as large as the machine's pointers.
    const NULL: u32 = 0x103;
    if number == NULL {
        return TypeRef::Pointer { size: None, to: Box::new(TypeRef::Void) };
    }
    let base = base(number & 0xff);
    let size = match number >> 8 & 0xf {
        0 => return base,
        // Near, far and huge pointers of 16-bit code.
        1 => 2,
        2..=4 => 4,
        5 => 6,
        6 => 8,
        7 => 16,
        _ => return TypeRef::Unknown(format!("type {number:#x}")),
    };
    TypeRef::Pointer { size: Some(size), to: Box::new(base) }
}

fn base(number: u32) -> TypeRef {
    use BaseKind::{Bool, Char, Float, Int};
    let (name, size, signed, kind) = match number {
        0x03 => return TypeRef::Void,
        // HRESULT.
        0x08 => ("HRESULT", 4, true, Int),
        0x10 => ("signed char", 1, true, Char),
        0x20 => ("unsigned char", 1, false, Int),
        0x70 => ("char", 1, true, Char),
        0x68 => ("__int8", 1, true, Int),
        0x69 => ("unsigned __int8", 1, false, Int),
        0x7c => ("char8_t", 1, false, Char),
        0x71 => ("wchar_t", 2, false, Char),
        0x7a => ("char16_t", 2, false, Char),
        0x7b => ("char32_t", 4, false, Char),
        0x11 => ("short", 2, true, Int),
        0x21 => ("unsigned short", 2, false, Int),
        0x72 => ("__int16", 2, true, Int),
        0x73 => ("unsigned __int16", 2, false, Int),
        0x12 => ("long", 4, true, Int),
        0x22 => ("unsigned long", 4, false, Int),
        0x74 => ("int", 4, true, Int),
        0x75 => ("unsigned int", 4, false, Int),
        0x13 | 0x76 => ("__int64", 8, true, Int),
        0x23 | 0x77 => ("unsigned __int64", 8, false, Int),
        0x14 | 0x78 => ("__int128", 16, true, Int),
        0x24 | 0x79 => ("unsigned __int128", 16, false, Int),
        0x46 => ("_Float16", 2, true, Float),
        0x40 => ("float", 4, true, Float),
        0x41 => ("double", 8, true, Float),
        0x42 => ("long double", 10, true, Float),
        0x43 => ("__float128", 16, true, Float),
        0x30 => ("bool", 1, false, Bool),
        0x31 => ("bool16", 2, false, Bool),
        0x32 => ("bool32", 4, false, Bool),
        0x33 => ("bool64", 8, false, Bool),
        0x00 => return TypeRef::Unknown("no type".into()),
        0x07 => return TypeRef::Unknown("type not translated".into()),
        _ => return TypeRef::Unknown(format!("type {number:#x}")),
    };
    TypeRef::Base { name: name.into(), size, signed, kind }
}

use dumplens_base::Va;

use super::{CodeImage, Packed, Record, Stop};

/// One entry of the function table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// RVA of the first instruction.
    pub begin: u32,
    /// The other word: unwind data, or where it is.
    pub word: u32,
}

/// What the second word of an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// RVA of a [`Record`].
    Record(u32),
    /// All there is.
    Packed(Packed),
    /// RVA of another entry, which holds for this one as well.
    Forward(u32),
}

impl Function {
    /// Bytes of an entry.
    pub const SIZE: u32 = 8;

    /// Takes an entry apart.
    #[must_use]
    pub fn parse(bytes: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self { begin: u32::from_le_bytes([a, b, c, d]), word: u32::from_le_bytes([e, f, g, h]) }
    }

    /// What its second word is.
    #[must_use]
    pub const fn data(self) -> Data {
        match self.word & 3 {
            0 => Data::Record(self.word),
            3 => Data::Forward(self.word & !3),
            _ => Data::Packed(Packed(self.word)),
        }
    }

    /// Length of the function in bytes.
    ///
    /// # Errors
    /// If its record cannot be read.
    pub fn length(self, image: &(impl CodeImage + ?Sized)) -> Result<u32, Stop> {
        match self.data() {
            Data::Record(rva) => Record::length_at(image, rva),
            Data::Packed(packed) => Ok(packed.length()),
            Data::Forward(rva) => match read(image, rva)?.data() {
                Data::Record(rva) => Record::length_at(image, rva),
                Data::Packed(packed) => Ok(packed.length()),
                Data::Forward(rva) => Err(Stop::Loop { rva }),
            },
        }
    }

    /// The entry that this one leads to; itself, as a rule.
    pub(super) fn direct(self, image: &(impl CodeImage + ?Sized)) -> Result<Self, Stop> {
        let Data::Forward(rva) = self.data() else { return Ok(self) };
        let other = read(image, rva)?;
        match other.data() {
            Data::Forward(rva) => Err(Stop::Loop { rva }),
            _ => Ok(Self { begin: self.begin, word: other.word }),
        }
    }
}

fn read(image: &(impl CodeImage + ?Sized), rva: u32) -> Result<Function, Stop> {
    let mut bytes = [0; 8];
    image.read(rva, &mut bytes).map_err(|absent| Stop::TableUnreadable { rva: absent.rva })?;
    Ok(Function::parse(bytes))
}

/// Entry `index` of the function table of `image`.
///
/// # Errors
/// [`Stop::NoFunctionTable`] or [`Stop::TableUnreadable`].
pub fn entry(image: &(impl CodeImage + ?Sized), index: u32) -> Result<Function, Stop> {
    let (table, _) = image.function_table().ok_or(Stop::NoFunctionTable)?;
    let offset = index.checked_mul(Function::SIZE).and_then(|offset| table.checked_add(offset));
    read(image, offset.ok_or(Stop::TableUnreadable { rva: u32::MAX })?)
}

/// The function that holds `rva`, by binary search in the function table; `None` if none does. Reads at most 32
/// entries, and the head of one record for its length.
///
/// # Errors
/// If the table or the record cannot be read.
pub fn function(image: &(impl CodeImage + ?Sized), rva: u32) -> Result<Option<Function>, Stop> {
    let (_, size) = image.function_table().ok_or(Stop::NoFunctionTable)?;
    let (mut low, mut high) = (0, size / Function::SIZE);
    let mut below = None;
    while low < high {
        let middle = low.midpoint(high);
        let function = entry(image, middle)?;
        if rva < function.begin {
            high = middle;
        } else {
            below = Some(function);
            low = middle.saturating_add(1);
        }
    }
    let Some(function) = below else { return Ok(None) };
    let into = rva.saturating_sub(function.begin);
    Ok((into < function.length(image)?).then_some(function))
}

/// The RVA of `address` in `image`.
pub(super) fn rva_of(image: &dyn CodeImage, address: Va) -> Result<u32, Stop> {
    let rva = address.offset_from(image.base()).and_then(|rva| u32::try_from(rva).ok());
    rva.ok_or(Stop::OutsideImage(address))
}

use alloc::vec::Vec;
use core::cell::RefCell;

use dumplens_base::Va;

use super::Stop;

/// Part of an image that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent {
    /// First missing RVA.
    pub rva: u32,
}

/// What the unwinder asks of an image, wherever its bytes come from: the memory of the dump, or a file.
///
/// A file has the code that the linker wrote, without the relocations and patches that memory shows; unwind data is
/// the same in both.
pub trait CodeImage {
    /// Where the image is loaded.
    fn base(&self) -> Va;

    /// Length of the image in memory, in bytes.
    fn size(&self) -> u32;

    /// RVA and length in bytes of the function table; `None` if the image has none.
    fn function_table(&self) -> Option<(u32, u32)>;

    /// Fills `buf` from `rva`.
    ///
    /// # Errors
    /// [`Absent`] with the first missing RVA; `buf` is unspecified then.
    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent>;

    /// Whether `rva` lies in an executable section. Says yes where that is not known.
    fn is_executable(&self, rva: u32) -> bool;

    /// What searches of the function table remember, where somebody keeps it for them.
    fn waypoints(&self) -> Option<&Waypoints> {
        None
    }

    /// The function that holds `rva`, by binary search in the function table; `None` if none does.
    ///
    /// # Errors
    /// [`Stop::NoFunctionTable`] or [`Stop::TableUnreadable`].
    fn function(&self, rva: u32) -> Result<Option<RuntimeFunction>, Stop> {
        search(self, rva)
    }
}

/// `RUNTIME_FUNCTION`: one entry of the function table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuntimeFunction {
    /// RVA of the first instruction.
    pub begin: u32,
    /// RVA just behind the last instruction.
    pub end: u32,
    /// RVA of the unwind data; with the low bit set, of another entry, which holds for this one as well.
    pub unwind: u32,
}

impl RuntimeFunction {
    /// Bytes of an entry.
    pub const SIZE: u32 = 12;

    /// Takes an entry apart.
    #[must_use]
    pub fn parse(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            begin: u32::from_le_bytes([a, b, c, d]),
            end: u32::from_le_bytes([e, f, g, h]),
            unwind: u32::from_le_bytes([i, j, k, l]),
        }
    }

    /// Whether `rva` lies in it.
    #[must_use]
    pub const fn contains(&self, rva: u32) -> bool {
        rva >= self.begin && rva < self.end
    }
}

/// Entry `index` of the function table of `image`.
///
/// # Errors
/// [`Stop::NoFunctionTable`] or [`Stop::TableUnreadable`].
pub fn entry(image: &(impl CodeImage + ?Sized), index: u32) -> Result<RuntimeFunction, Stop> {
    let (table, _) = image.function_table().ok_or(Stop::NoFunctionTable)?;
    let offset = index.checked_mul(RuntimeFunction::SIZE).and_then(|offset| table.checked_add(offset));
    let rva = offset.ok_or(Stop::TableUnreadable { rva: u32::MAX })?;
    let mut bytes = [0; 12];
    image.read(rva, &mut bytes).map_err(|absent| Stop::TableUnreadable { rva: absent.rva })?;
    Ok(RuntimeFunction::parse(bytes))
}

/// Entries that all searches of one image's function table pass: those of the upper levels. Kept from search to search,
/// they spare most of the reads. Holds at most 4 KiB.
#[derive(Debug, Default)]
pub struct Waypoints(RefCell<Vec<Option<RuntimeFunction>>>);

impl Waypoints {
    /// Levels of the search that are remembered, as a number of entries.
    const MOST: usize = 256;

    /// By number: 1 is the entry in the middle, those below entry `n` are `2n` and `2n + 1`.
    fn get(&self, number: usize) -> Option<RuntimeFunction> {
        self.0.borrow().get(number).copied().flatten()
    }

    fn set(&self, number: usize, function: RuntimeFunction) {
        if number < Self::MOST {
            let mut entries = self.0.borrow_mut();
            entries.resize(Self::MOST, None);
            if let Some(entry) = entries.get_mut(number) {
                *entry = Some(function);
            }
        }
    }
}

/// Entries that are read at once where few are left: less work than a read for each.
const BLOCK: u32 = 32;

/// Reads at most 32 entries and a block, in a table that is sorted as the system needs it. In one that is not, a function
/// may not be found; none is made up.
fn search(image: &(impl CodeImage + ?Sized), rva: u32) -> Result<Option<RuntimeFunction>, Stop> {
    let (_, size) = image.function_table().ok_or(Stop::NoFunctionTable)?;
    let (mut low, mut high) = (0, size / RuntimeFunction::SIZE);
    let waypoints = image.waypoints();
    let mut number = 1_usize;
    while low < high {
        if high.saturating_sub(low) <= BLOCK
            && let Some(block) = Block::read(image, low, high.saturating_sub(low))
        {
            return Ok(block.find(rva));
        }
        let middle = low.midpoint(high);
        let function = match waypoints.and_then(|known| known.get(number)) {
            Some(known) => known,
            None => {
                let function = entry(image, middle)?;
                if let Some(known) = waypoints {
                    known.set(number, function);
                }
                function
            }
        };
        if function.contains(rva) {
            return Ok(Some(function));
        }
        number = number.saturating_mul(2);
        if rva < function.begin {
            high = middle;
        } else {
            low = middle.saturating_add(1);
            number = number.saturating_add(1);
        }
    }
    Ok(None)
}

/// Entries that follow each other in a function table.
struct Block {
    bytes: [u8; (BLOCK * RuntimeFunction::SIZE) as usize],
    count: u32,
}

impl Block {
    /// `count` entries, [`BLOCK`] at most, from the entry `start` on. `None` if they cannot all be read.
    fn read(image: &(impl CodeImage + ?Sized), start: u32, count: u32) -> Option<Self> {
        let (table, _) = image.function_table()?;
        let mut block = Self { bytes: [0; (BLOCK * RuntimeFunction::SIZE) as usize], count };
        let rva = start.checked_mul(RuntimeFunction::SIZE).and_then(|offset| table.checked_add(offset))?;
        let bytes = block.bytes.get_mut(..count.checked_mul(RuntimeFunction::SIZE)? as usize)?;
        image.read(rva, bytes).ok()?;
        Some(block)
    }

    fn entry(&self, index: u32) -> Option<RuntimeFunction> {
        let (entries, _) = self.bytes.as_chunks::<12>();
        entries.get(index as usize).map(|bytes| RuntimeFunction::parse(*bytes))
    }

    /// The function that holds `rva`, by binary search.
    fn find(&self, rva: u32) -> Option<RuntimeFunction> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            let function = self.entry(middle)?;
            if function.contains(rva) {
                return Some(function);
            }
            if rva < function.begin {
                high = middle;
            } else {
                low = middle.saturating_add(1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// An image that is nothing but a table of functions of 16 bytes, 24 bytes apart.
    struct Table {
        count: u32,
        waypoints: Option<Waypoints>,
        reads: Cell<u32>,
    }

    impl CodeImage for Table {
        fn base(&self) -> Va {
            Va(0)
        }

        fn size(&self) -> u32 {
            u32::MAX
        }

        fn function_table(&self) -> Option<(u32, u32)> {
            Some((0, self.count * RuntimeFunction::SIZE))
        }

        fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
            self.reads.set(self.reads.get() + 1);
            for (index, entry) in buf.chunks_mut(12).enumerate() {
                let begin = (rva / 12 + index as u32) * 24;
                entry.copy_from_slice(&[begin, begin + 16, 1].map(u32::to_le_bytes).concat());
            }
            Ok(())
        }

        fn is_executable(&self, _: u32) -> bool {
            true
        }

        fn waypoints(&self) -> Option<&Waypoints> {
            self.waypoints.as_ref()
        }
    }

    #[test]
    fn every_function_is_found_and_remembered_entries_spare_reads() {
        for count in [0, 1, 2, 31, 32, 33, 64, 65, 1000, 5000] {
            let table = |waypoints| Table { count, waypoints, reads: Cell::new(0) };
            let (plain, known) = (table(None), table(Some(Waypoints::default())));
            for rva in (0..count * 24 + 50).step_by(5) {
                let begin = rva / 24 * 24;
                let holds = begin < count * 24 && rva - begin < 16;
                let expected = holds.then_some(RuntimeFunction { begin, end: begin + 16, unwind: 1 });
                assert_eq!(plain.function(rva), Ok(expected), "{rva} of {count}");
                assert_eq!(known.function(rva), Ok(expected), "{rva} of {count}");
            }
            let searches = (count * 24 + 50) / 5;
            assert!(known.reads.get() <= searches + 256, "one block for each search, and each waypoint once");
        }
    }
}

//! The address descriptors (VADs) of a process, as far as translation needs them: which prototype entry decides about a page.

use alloc::rc::Rc;

use dumplens_base::{MemoryExt, PAGE_SIZE, Va};
use dumplens_paging::{AddressSpace, Mode, Prototypes};

/// A tree of descriptors, descended on demand.
pub(crate) struct Descriptors {
    kernel: Rc<AddressSpace>,
    /// Address of the root in the process object.
    root: Va,
    form: Form,
    pointer: u8,
}

/// How a build lays out tree nodes. Only 64-bit builds are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Up to Windows 8: the tree's own root node stands in the process object, its right child is the tree.
    Table,
    /// From Windows 8.1: the process object holds a pointer to the tree.
    Tree,
}

/// A balanced tree is never deeper, whatever its size.
const MOST_DEPTH: u32 = 64;
/// `_MMVAD.FirstPrototypePte` on x64, Windows 7 to 11.
const FIRST_PROTOTYPE: u64 = 0x50;

impl Descriptors {
    /// `None` where the layout of the tree is not known for this build.
    pub(crate) fn new(kernel: Rc<AddressSpace>, root: Va, build: u32, pointer: u8) -> Option<Self> {
        let form = match (build, kernel.mode()) {
            (_, Mode::X86 | Mode::X86Pae) => return None,
            (7_600..9_200, _) => Form::Table,
            (9_600.., _) => Form::Tree,
            _ => return None,
        };
        Some(Self { kernel, root, form, pointer })
    }

    fn word(&self, at: Va, offset: u64) -> Option<u64> {
        self.kernel.read_pointer(at.checked_add(offset)?, self.pointer).ok()
    }

    /// First and last page number of a node.
    fn range(&self, node: Va) -> Option<(u64, u64)> {
        match self.form {
            Form::Table => Some((self.word(node, 0x18)?, self.word(node, 0x20)?)),
            Form::Tree => {
                let low = |offset| Some(u64::from(self.kernel.read_u32(node.checked_add(offset)?).ok()?));
                let mut high = [0; 2];
                self.kernel.read_exact(node.checked_add(0x20)?, &mut high).ok()?;
                let [start, end] = high.map(u64::from);
                Some((low(0x18)? | start << 32, low(0x1c)? | end << 32))
            }
        }
    }
}

impl Prototypes for Descriptors {
    fn prototype(&self, va: Va) -> Option<Va> {
        let page = va.0 / PAGE_SIZE;
        let (left, right, start) = match self.form {
            Form::Table => (8, 0x10, self.word(self.root, 0x10)?),
            Form::Tree => (0, 8, self.word(self.root, 0)?),
        };
        let mut node = Va(start);
        for _ in 0..MOST_DEPTH {
            if node.0 == 0 || !self.kernel.mode().is_kernel(node) {
                return None;
            }
            let (first, last) = self.range(node)?;
            node = if page < first {
                Va(self.word(node, left)?)
            } else if page > last {
                Va(self.word(node, right)?)
            } else {
                let array = Va(self.word(node, FIRST_PROTOTYPE)?);
                // Private memory has no such array; its field belongs to something else.
                let within = (page - first).checked_mul(self.kernel.mode().entry_size())?;
                return array
                    .checked_add(within)
                    .filter(|at| self.kernel.mode().is_kernel(*at) && array.0.is_multiple_of(8));
            };
        }
        None
    }
}

//! Machines of the testkit, with patched pages.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use dumplens_base::{PAGE_SIZE, Pa, PhysFault, PhysMemory, PhysOutcome, PhysRun};
use dumplens_testkit::machine::{PAGE, PhysImage};

use crate::{Op, Patch};

type Page = [u8; PAGE as usize];

/// Most reads of one input: more is work without end.
const MOST_READS: u64 = 20_000_000;

/// Pages that stay as they are, and the places in them that matter.
pub(crate) struct Pages {
    frames: Vec<u64>,
    pages: Vec<Page>,
    /// For each page, the first frame above it that is absent.
    ends: Vec<u64>,
    /// Physical addresses of what is read when nothing is patched.
    pub(crate) places: Vec<u64>,
}

impl Pages {
    /// The pages of an image. `walk` reads what a target would read, so that patches can be aimed there.
    pub(crate) fn new(image: &PhysImage, walk: impl FnOnce(&'static Self, Rc<dyn PhysMemory>)) -> &'static Self {
        let (frames, pages): (Vec<u64>, Vec<Page>) = image.pages().map(|(frame, page)| (frame, *page)).unzip();
        let mut ends = vec![0; frames.len()];
        for index in (0..frames.len()).rev() {
            let follows = frames.get(index + 1) == Some(&(frames[index] + 1));
            ends[index] = if follows { ends[index + 1] } else { frames[index] + 1 };
        }
        // Leaked on purpose: these live as long as the process, and the walk needs them to.
        let bare: &'static Self = Box::leak(Box::new(Self { frames, pages, ends, places: Vec::new() }));
        let log = Rc::new(RefCell::new(BTreeSet::new()));
        walk(bare, Rc::new(Patched { log: Some(Rc::clone(&log)), ..Patched::new(bare, std::iter::empty()) }));
        let places = log.borrow().iter().copied().collect();
        let Self { frames, pages, ends, .. } = bare;
        Box::leak(Box::new(Self { frames: frames.clone(), pages: pages.clone(), ends: ends.clone(), places }))
    }

    fn page(&self, frame: u64) -> Option<&Page> {
        self.frames.binary_search(&frame).ok().map(|index| &self.pages[index])
    }
}

/// The pages with patches.
pub(crate) struct Patched {
    base: &'static Pages,
    /// Pages that differ; `None` for those taken away.
    changed: BTreeMap<u64, Option<Box<Page>>>,
    reads: Cell<u64>,
    log: Option<Rc<RefCell<BTreeSet<u64>>>>,
}

impl Patched {
    pub(crate) fn new(base: &'static Pages, patches: impl Iterator<Item = Patch>) -> Self {
        let mut memory = Self { base, changed: BTreeMap::new(), reads: Cell::new(0), log: None };
        for patch in patches {
            memory.patch(patch);
        }
        memory
    }

    fn patch(&mut self, patch: Patch) {
        let base = self.base;
        let at = if patch.listed && !base.places.is_empty() {
            base.places[patch.index(base.places.len())]
        } else {
            base.frames[patch.place as usize / PAGE as usize % base.frames.len()] * PAGE + u64::from(patch.place) % PAGE
        };
        let width = usize::from(patch.width).min((PAGE - at % PAGE) as usize);
        let other =
            base.places.get(patch.value as usize % base.places.len().max(1)).map_or(0, |at| self.number(*at, width));
        let value = patch.apply(self.number(at, width), other);
        let page = self.changed.entry(at / PAGE).or_insert_with(|| base.page(at / PAGE).map(|page| Box::new(*page)));
        match (patch.op, page) {
            (Op::Remove, page) => *page = None,
            (_, Some(page)) => page[(at % PAGE) as usize..][..width].copy_from_slice(&value.to_le_bytes()[..width]),
            (_, None) => {}
        }
    }

    fn page(&self, frame: u64) -> Option<&Page> {
        match self.changed.get(&frame) {
            Some(page) => page.as_deref(),
            None => self.base.page(frame),
        }
    }

    fn number(&self, pa: u64, width: usize) -> u64 {
        let mut bytes = [0; 8];
        let len = width.min((PAGE - pa % PAGE) as usize);
        if let Some(page) = self.page(pa / PAGE) {
            bytes[..len].copy_from_slice(&page[(pa % PAGE) as usize..][..len]);
        }
        u64::from_le_bytes(bytes)
    }

    fn count(&self) {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < MOST_READS, "the reading does not end");
    }
}

impl PhysMemory for Patched {
    fn read(&self, pa: Pa, buf: &mut [u8]) -> PhysOutcome {
        self.count();
        if let Some(log) = &self.log {
            log.borrow_mut().extend((pa.0..pa.0.saturating_add(buf.len() as u64)).step_by(8).take(0x100));
        }
        let mut filled = 0;
        while filled < buf.len() {
            let at = pa.checked_add(filled as u64);
            let page = at.and_then(|at| Some((at, self.page(at.frame())?)));
            let Some((at, page)) = page else {
                let pa = at.unwrap_or(Pa(u64::MAX));
                return PhysOutcome { filled, fault: Some(PhysFault::NotInDump { pa }) };
            };
            let from = &page[(at.0 % PAGE_SIZE) as usize..];
            let len = from.len().min(buf.len() - filled);
            buf[filled..filled + len].copy_from_slice(&from[..len]);
            filled += len;
        }
        PhysOutcome { filled, fault: None }
    }

    fn next_run(&self, pa: Pa) -> Option<PhysRun> {
        self.count();
        let from = self.base.frames.partition_point(|frame| *frame < pa.frame());
        let there = |frame: u64| !matches!(self.changed.get(&frame), Some(None));
        let index = (from..self.base.frames.len()).find(|index| there(self.base.frames[*index]))?;
        let first = self.base.frames[index];
        let end = (first..self.base.ends[index]).find(|frame| !there(*frame)).unwrap_or(self.base.ends[index]);
        let start = (first * PAGE).max(pa.0);
        Some(PhysRun { start: Pa(start), len: end * PAGE - start })
    }

    fn has_page(&self, pa: Pa) -> bool {
        self.count();
        self.page(pa.frame()).is_some()
    }
}

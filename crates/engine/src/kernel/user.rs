//! The user half of a process: its images, and the part of a thread's stack that lies there.

use alloc::{format, rc::Rc, string::String, vec::Vec};

use dumplens_base::{Machine, Memory, Va};
use dumplens_dump::{Context, Module};
use dumplens_paging::AddressSpace;
use dumplens_unwind::Bounds;
use dumplens_windows::{Process, Thread, user_modules, user_stack, wow64};

use super::{
    Full, full,
    threads::{Saved, narrow_saved},
};
use crate::{
    images::Images,
    modules::ModuleMap,
    symbols::{self, Symbols},
};

/// Processes whose images are kept.
const PROCESSES: usize = 8;

/// Images of one half of a process: its native one, or the 32-bit one on a 64-bit system.
pub(crate) struct Half {
    pub(crate) modules: ModuleMap,
    pub(crate) images: Images,
    /// What a reader must know of the list.
    pub(crate) trouble: Option<String>,
}

/// A part of a stack in user mode: where it starts, and what it runs through.
pub(crate) struct UserPart {
    pub(crate) space: Rc<AddressSpace>,
    pub(crate) half: Rc<Half>,
    pub(crate) start: Saved,
    pub(crate) bounds: Option<Bounds>,
}

/// Halves of processes that were read: process object, whether it is the 32-bit half, images.
pub(super) type Halves = Vec<(Va, bool, Rc<Half>)>;

impl Full {
    /// What was read of processes' images is forgotten: other symbols are there now.
    pub(crate) fn forget_halves(&self) {
        self.halves.borrow_mut().clear();
    }

    /// The native user part of a thread's stack, from the registers with which it entered the kernel.
    pub(crate) fn native_part(&self, thread: &Thread, start: Saved, symbols: &Symbols) -> Result<UserPart, String> {
        let process = self.owner(thread).ok_or("its process is not known")?;
        let space = self.space_of(process.address).ok_or("its process's page tables are not known")?;
        let half = self.half(&process, &space, process.peb, false, symbols);
        let stack = thread.teb.and_then(|teb| user_stack(&*space, teb, self.kernel.pointer()));
        let bounds = stack.map(Bounds::from);
        Ok(UserPart { space, half, start, bounds })
    }

    /// The 32-bit part of a thread's stack, where a 64-bit system runs a 32-bit program; `running` has the registers if
    /// its code ran, and otherwise those are taken that were saved when it left 32-bit code.
    pub(crate) fn wow64_part(&self, thread: &Thread, running: Option<Saved>, symbols: &Symbols) -> Option<UserPart> {
        if self.kernel.machine() != Machine::X64 {
            return None;
        }
        let process = self.owner(thread)?;
        let space = self.space_of(process.address)?;
        let lower = wow64(&*space, thread.teb?)?;
        let (start, bounds) = match running {
            Some(start) => (start, lower.stack(&*space).map(Bounds::from)),
            None => narrow_saved(&*space, &lower)?,
        };
        let half = self.half(&process, &space, Some(lower.peb), true, symbols);
        Some(UserPart { space, half, start, bounds })
    }

    /// The process that a thread belongs to, which is not the one it may be attached to.
    fn owner(&self, thread: &Thread) -> Option<Process> {
        let owner = thread.owner.and_then(|owner| self.process_at(owner));
        owner.or_else(|| thread.process.and_then(|process| self.process_at(process)))
    }

    fn half(
        &self,
        process: &Process,
        space: &Rc<AddressSpace>,
        peb: Option<Va>,
        narrow: bool,
        symbols: &Symbols,
    ) -> Rc<Half> {
        let mut halves = self.halves.borrow_mut();
        if let Some((.., half)) = halves.iter().find(|(of, width, _)| *of == process.address && *width == narrow) {
            return Rc::clone(half);
        }
        let pointer = if narrow { 4 } else { self.kernel.pointer() };
        let half = Rc::new(read_half(space, peb, pointer, symbols));
        if halves.len() >= PROCESSES {
            halves.remove(0);
        }
        halves.push((process.address, narrow, Rc::clone(&half)));
        half
    }
}

fn read_half(space: &Rc<AddressSpace>, peb: Option<Va>, pointer: u8, symbols: &Symbols) -> Half {
    let list = peb.and_then(|peb| user_modules(&**space, peb, pointer));
    let trouble = match &list {
        None => Some("the list of the process's images cannot be read: it is paged out or not in the dump".into()),
        Some(list) => list.broken.map(|broken| format!("the list of the process's images is not whole: {broken}")),
    };
    let wanted = !symbols.files.is_empty();
    let modules = list.into_iter().flat_map(|list| list.modules).map(|module| {
        let mut module = Module {
            base: module.base,
            size: u64::from(module.size),
            path: module.path,
            timestamp: Some(module.timestamp).filter(|timestamp| *timestamp != 0),
            checksum: None,
            version: None,
            debug_file: None,
            debug_id: None,
        };
        // Only what is matched with symbol files needs more than the list has.
        if wanted {
            full::describe(&**space, &mut module);
        }
        module
    });
    let mut modules = ModuleMap::new(modules.collect(), Vec::new(), 0x200);
    modules = modules.with_memory(Rc::clone(space) as Rc<dyn Memory>);
    if wanted {
        symbols::rematch(symbols, &mut modules, &[]);
    }
    Half { modules, images: Images::default(), trouble }
}

/// The registers with which user mode entered the kernel, as unwinding restored them.
pub(crate) fn entered(entered: dumplens_unwind::Entered) -> Option<Context> {
    use dumplens_unwind::{Entered, arm64, x64, x86};
    match entered {
        Entered::X64(registers) => {
            let known = (0..16).map(x64::Register::new);
            let mut known: Vec<(&str, u64)> =
                known.filter_map(|register| Some((register.name(), registers.get(register)?))).collect();
            known.extend([("rip", registers.rip.0), ("rsp", registers.rsp.0)]);
            Context::of_registers(Machine::X64, &known)
        }
        Entered::X86(registers) => {
            let known = x86::Register::all();
            let mut known: Vec<(&str, u64)> =
                known.filter_map(|register| Some((register.name(), registers.get(register)?.into()))).collect();
            known.push(("eip", registers.eip.into()));
            Context::of_registers(Machine::X86, &known)
        }
        Entered::Arm64(registers) => {
            let known = arm64::Register::all();
            let mut known: Vec<(&str, u64)> =
                known.filter_map(|register| Some((register.name(), registers.get(register)?))).collect();
            known.extend([("pc", registers.pc.0), ("sp", registers.sp.0)]);
            Context::of_registers(Machine::Arm64, &known)
        }
    }
}

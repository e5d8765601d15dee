//! The kernel in physical memory: its address space, its debugger data block, and the lists that start there.

use alloc::{format, rc::Rc, string::String, vec, vec::Vec};

use dumplens_base::{Machine, Memory, MemoryExt, Note, PhysMemory, Va};
use dumplens_paging::{AddressSpace, Mode, SoftwareFormat};

use crate::{
    DebuggerData, KernelLayout,
    kdbg::{KnownAddresses, MOST_BYTES},
    layout,
    list::is_list_head,
    reason,
};

/// What is known before memory is read: from a dump header, or found in a raw image.
#[derive(Clone, Copy, Debug)]
pub struct Hints {
    /// Architecture.
    pub machine: Machine,
    /// Build number.
    pub build: u32,
    /// CR3 or TTBR as recorded.
    pub directory_table_base: u64,
    /// Head of the loaded module list.
    pub module_list: Option<Va>,
    /// Head of the process list.
    pub process_list: Option<Va>,
    /// Address of the debugger data block.
    pub debugger_data: Option<Va>,
    /// Base of the kernel image, where it is known from elsewhere.
    pub kernel_base: Option<Va>,
    /// Whether 32-bit paging was PAE, where the header says.
    pub pae: Option<bool>,
    /// Number of processors; 0 if nothing says it, and they are counted.
    pub processors: u32,
}

/// The kernel of the machine that crashed.
#[derive(Debug)]
pub struct Kernel {
    /// Its address space. Processes take theirs from it.
    pub space: Rc<AddressSpace>,
    /// Its debugger data block, decoded if need be.
    pub data: Option<DebuggerData>,
    /// Whether the block had to be decoded: the machine was running, not crashing.
    pub decoded: bool,
    /// Where fields stand in its objects.
    pub layout: KernelLayout,
    /// Build number.
    pub build: u32,
    /// Base of the kernel image.
    pub base: Option<Va>,
    /// Head of the loaded module list.
    pub module_list: Option<Va>,
    /// Head of the process list.
    pub process_list: Option<Va>,
    /// Number of processors, as the header says; 0 if it does not.
    pub processors: u32,
}

/// Where every version of Windows maps the page it shares with user mode.
pub(crate) const fn shared_user_data(machine: Machine) -> Va {
    if machine.pointer_size() == 4 { Va(0xffdf_0000) } else { Va(0xffff_f780_0000_0000) }
}

/// Whether a space is the kernel's: a list head is one, or the page shared with user mode names Windows' folder.
fn fits(space: &AddressSpace, hints: &Hints) -> bool {
    let pointer = hints.machine.pointer_size();
    let mut heads = [hints.module_list, hints.process_list].into_iter().flatten().peekable();
    if heads.peek().is_some() {
        return heads.any(|head| is_list_head(space, head, pointer));
    }
    is_shared_user_data(space, hints.machine)
}

/// Whether the page shared with user mode is where it belongs: it names the system's folder, `C:\Windows`.
pub(crate) fn is_shared_user_data(memory: &dyn Memory, machine: Machine) -> bool {
    let Some(at) = shared_user_data(machine).checked_add(0x30) else { return false };
    let Ok(root) = memory.read_vec(at, 6) else { return false };
    matches!(root.as_slice(), [drive, 0, b':', 0, b'\\', 0] if drive.is_ascii_alphabetic())
}

impl Kernel {
    /// Finds the kernel.
    ///
    /// # Errors
    /// One sentence that says what does not fit, if the page tables do not lead to a kernel.
    pub fn find(phys: Rc<dyn PhysMemory>, hints: &Hints, notes: &mut Vec<Note>) -> Result<Self, String> {
        let modes = modes(hints);
        let space_of = |mode, high_bit| {
            let software = SoftwareFormat::new(mode, hints.build, high_bit);
            AddressSpace::new(Rc::clone(&phys), mode, software, hints.directory_table_base)
        };
        let Some(mode) = modes.iter().copied().find(|mode| fits(&space_of(*mode, None), hints)) else {
            return Err(why_not(modes.first().map(|mode| space_of(*mode, None)), hints));
        };
        let space = space_of(mode, None);
        let (data, decoded) = debugger_data(&space, hints, notes);
        let space = Rc::new(match data.as_ref().and_then(DebuggerData::l1tf_high_physical_bit) {
            Some(bit) => space_of(mode, Some(bit)),
            None => space,
        });
        let va = |value: Option<u64>| {
            let value = value.filter(|value| *value != 0)?;
            Some(Va(if hints.machine.pointer_size() == 4 { value & 0xffff_ffff } else { value }))
        };
        let stated = |field: fn(&DebuggerData) -> Option<u64>| va(data.as_ref().and_then(field));
        let mut kernel = Self {
            layout: layout(hints.machine, hints.build, data.as_ref()),
            build: hints.build,
            base: stated(DebuggerData::kernel_base).or(hints.kernel_base),
            module_list: hints.module_list.or_else(|| stated(DebuggerData::ps_loaded_module_list)),
            process_list: hints.process_list.or_else(|| stated(DebuggerData::ps_active_process_head)),
            processors: hints.processors,
            data,
            decoded,
            space,
        };
        reason::complete(&mut kernel, notes);
        Ok(kernel)
    }

    /// Size of a pointer.
    #[must_use]
    pub const fn pointer(&self) -> u8 {
        self.layout.pointer
    }

    /// An address that the debugger data block states, in this machine's width.
    pub(crate) fn stated(&self, field: fn(&DebuggerData) -> Option<u64>) -> Option<Va> {
        let value = self.data.as_ref().and_then(field).filter(|value| *value != 0)?;
        Some(Va(if self.pointer() == 4 { value & 0xffff_ffff } else { value }))
    }

    /// Reads a pointer of the machine.
    pub(crate) fn pointer_at(&self, at: Va) -> Option<Va> {
        self.space.read_pointer(at, self.pointer()).ok().filter(|value| *value != 0).map(Va)
    }

    /// The build lab string that the kernel keeps.
    #[must_use]
    pub fn build_lab(&self) -> Option<String> {
        let mut bytes = [0; 64];
        let filled = self.space.read(self.stated(DebuggerData::nt_build_lab)?, &mut bytes).filled;
        dumplens_base::ascii_until_nul(bytes.get(..filled)?).filter(|text| text.len() > 4)
    }

    /// The bug check as memory holds it: code and parameters.
    #[must_use]
    pub fn bug_check(&self) -> Option<(u32, [u64; 4])> {
        let at = self.stated(DebuggerData::ki_bugcheck_data)?;
        let word = |index: u64| {
            let at = at.checked_add(index * u64::from(self.pointer()))?;
            self.space.read_pointer(at, self.pointer()).ok()
        };
        Some((word(0)? as u32, [word(1)?, word(2)?, word(3)?, word(4)?]))
    }
}

/// The paging modes that a machine may use, likeliest first.
fn modes(hints: &Hints) -> Vec<Mode> {
    match (hints.machine, hints.pae) {
        (Machine::X86, Some(false)) => vec![Mode::X86, Mode::X86Pae],
        (Machine::X86, _) => vec![Mode::X86Pae, Mode::X86],
        (Machine::X64, _) => vec![Mode::X64, Mode::La57],
        (Machine::Arm64, _) => vec![Mode::Arm64],
        _ => vec![],
    }
}

/// Why no mode fits, as far as the first shows.
fn why_not(space: Option<AddressSpace>, hints: &Hints) -> String {
    let Some(space) = space else {
        return format!("address translation of {} is not known", hints.machine);
    };
    let head = hints.module_list.or(hints.process_list).unwrap_or(shared_user_data(hints.machine));
    let base = hints.directory_table_base;
    match space.read_pointer(head, hints.machine.pointer_size()) {
        Ok(_) => format!(
            "the page tables at {base:#x} map {head}, but it is not the head of a list: the header and the memory do not \
             belong together"
        ),
        Err(fault) => format!("the page tables at {base:#x} do not lead to the kernel: {fault}"),
    }
}

/// The debugger data block: where the header says, decoded if need be, or found in the kernel image.
fn debugger_data(space: &AddressSpace, hints: &Hints, notes: &mut Vec<Note>) -> (Option<DebuggerData>, bool) {
    let wide = |va: Option<Va>| va.map(|va| sign_extend(va, hints.machine));
    let known = KnownAddresses {
        kernel_base: wide(hints.kernel_base),
        module_list: wide(hints.module_list),
        process_list: wide(hints.process_list),
    };
    let parse = |bytes: &[u8]| {
        if let Some(data) = DebuggerData::parse(bytes).filter(|data| data.is_plausible(&known)) {
            return Some((data, false));
        }
        let data = DebuggerData::decode(bytes, &known)?;
        data.is_plausible(&known).then_some((data, true))
    };
    if let Some(at) = hints.debugger_data {
        let mut bytes = vec![0; MOST_BYTES];
        let filled = space.read(at, &mut bytes).filled;
        if let Some((data, decoded)) = bytes.get(..filled).and_then(parse) {
            return (Some(data), decoded);
        }
    }
    match scan(space, hints, &known) {
        Some((at, data, decoded)) => {
            notes.push(Note::info(format!("the debugger data block was found by searching the kernel image, at {at}")));
            (Some(data), decoded)
        }
        None => {
            notes.push(Note::missing(
                "the debugger data block cannot be found: offsets come from built-in layouts alone",
            ));
            (None, false)
        }
    }
}

const fn sign_extend(va: Va, machine: Machine) -> u64 {
    if machine.pointer_size() == 4 && va.0 >= 0x8000_0000 { va.0 | 0xffff_ffff_0000_0000 } else { va.0 }
}

/// Most bytes of the kernel image that are searched.
const MOST_IMAGE: u64 = 64 << 20;

/// Searches the kernel image for the block: two equal links in front of the tag, or of what decodes to it.
fn scan(space: &AddressSpace, hints: &Hints, known: &KnownAddresses) -> Option<(Va, DebuggerData, bool)> {
    let (base, size) = kernel_image(space, hints)?;
    let known = KnownAddresses { kernel_base: Some(sign_extend(base, hints.machine)), ..*known };
    const STEP: usize = 0x1_0000;
    let mut buffer = vec![0; STEP + MOST_BYTES];
    let mut offset = 0;
    while offset < size.min(MOST_IMAGE) {
        let at = base.checked_add(offset)?;
        let filled = space.read(at, &mut buffer).filled;
        let there = buffer.get(..filled).unwrap_or_default();
        for start in (0..there.len().min(STEP)).step_by(8) {
            let Some(block) = there.get(start..) else { break };
            let links = (block.get(..8), block.get(8..16));
            let (Some(forward), Some(back)) = links else { break };
            if forward != back || forward.iter().all(|byte| *byte == 0) {
                continue;
            }
            let plain = DebuggerData::parse(block).map(|data| (data, false));
            let found = plain.or_else(|| DebuggerData::decode(block, &known).map(|data| (data, true)));
            if let Some((data, decoded)) = found.filter(|(data, _)| data.is_plausible(&known)) {
                return Some((at.checked_add(start as u64)?, data, decoded));
            }
        }
        // What cannot be read ends at a page; the next one may be there.
        offset += if filled < STEP { (filled as u64 & !0xfff) + 0x1000 } else { STEP as u64 };
    }
    None
}

/// Base and size of the kernel image, which heads the module list.
fn kernel_image(space: &AddressSpace, hints: &Hints) -> Option<(Va, u64)> {
    let p = hints.machine.pointer_size();
    let (base_at, size_at) = crate::modules::image_offsets(p);
    let first = hints.module_list.and_then(|head| space.read_pointer(head, p).ok()).map(Va);
    let from_list = first.and_then(|entry| {
        let base = space.read_pointer(entry.checked_add(base_at)?, p).ok()?;
        let size = space.read_u32(entry.checked_add(size_at)?).ok()?;
        Some((Va(base), u64::from(size)))
    });
    from_list.or_else(|| hints.kernel_base.map(|base| (base, 0x110_0000)))
}

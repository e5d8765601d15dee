//! A kernel in physical memory of which nothing is known: raw images and guest cores.
//!
//! Windows maps its own page tables into every address space, so the root table of a process holds an entry that points to
//! the root itself. Such pages are candidates; the page shared with user mode proves one. The kernel image is then found
//! among the mapped pages by its export directory's name.

use alloc::{format, rc::Rc, string::String, vec, vec::Vec};

use dumplens_base::{Machine, Memory, MemoryExt, Note, PAGE_SIZE, Pa, PhysMemory, Va};
use dumplens_image::Image;
use dumplens_paging::{AddressSpace, Hardware, Mode, Search, SoftwareFormat};

use crate::{
    Hints,
    kernel::{is_shared_user_data, shared_user_data},
    layout,
    list::is_list_head,
};

/// Bytes of physical memory that are searched for page tables: System's are made early, at low addresses.
const MOST_PHYSICAL: u64 = 1 << 30;
/// Mapped pages that are searched for the kernel image.
const MOST_PAGES: u64 = 1 << 20;
/// Tables that the search of the address space reads.
const FUEL: u32 = 1 << 16;

/// Looks for Windows in physical memory; the answer is what [`crate::Kernel::find`] needs.
///
/// `roots` are page table roots that the file names (a guest core's processors); they are tried first.
///
/// # Errors
/// One sentence on how far the search got.
pub fn find_in_memory(
    phys: &Rc<dyn PhysMemory>,
    machine: Option<Machine>,
    roots: &[u64],
    notes: &mut Vec<Note>,
) -> Result<Hints, String> {
    let modes: &[(Machine, Mode)] = match machine {
        Some(Machine::X64) => &[(Machine::X64, Mode::X64), (Machine::X64, Mode::La57)],
        Some(Machine::Arm64) => &[(Machine::Arm64, Mode::Arm64)],
        Some(Machine::X86) => &[(Machine::X86, Mode::X86Pae), (Machine::X86, Mode::X86)],
        Some(_) => &[],
        None => &[
            (Machine::X64, Mode::X64),
            (Machine::Arm64, Mode::Arm64),
            (Machine::X86, Mode::X86Pae),
            (Machine::X86, Mode::X86),
        ],
    };
    let space = |mode, root| AddressSpace::new(Rc::clone(phys), mode, SoftwareFormat::new(mode, 19_041, None), root);
    let named = roots.iter().flat_map(|root| modes.iter().map(move |(machine, mode)| (*machine, *mode, *root)));
    let mut named = named;
    let found = named
        .find(|(machine, mode, root)| is_shared_user_data(&space(*mode, *root), *machine))
        .or_else(|| search_tables(phys, modes));
    let (machine, mode, root) = found.ok_or_else(|| {
        format!("no page tables of Windows were found in the first {} MiB of physical memory", MOST_PHYSICAL >> 20)
    })?;
    let space = space(mode, root);
    let build = build_number(&space, machine).ok_or_else(|| {
        String::from("page tables were found, but the page that names the version of Windows is not valid")
    })?;
    let kernel = kernel_image(&space, mode).ok_or_else(|| {
        format!("page tables of Windows (build {build}) were found at {root:#x}, but no kernel image")
    })?;
    let module_list = module_list(&space, kernel, machine);
    let process_list = process_list(&space, kernel, machine, build);
    notes.push(Note::info(format!(
        "the kernel was found by searching memory: page tables at {root:#x}, image at {kernel}, build {build}"
    )));
    if module_list.is_none() {
        notes.push(Note::missing("the kernel image was found, but not its list of modules"));
    }
    Ok(Hints {
        machine,
        build,
        directory_table_base: root,
        module_list,
        process_list,
        debugger_data: None,
        kernel_base: Some(kernel),
        pae: (machine == Machine::X86).then_some(mode == Mode::X86Pae),
        // Nothing outside the kernel says how many there are.
        processors: 0,
    })
}

/// Walks physical memory for tables that point to themselves.
fn search_tables(phys: &Rc<dyn PhysMemory>, modes: &[(Machine, Mode)]) -> Option<(Machine, Mode, u64)> {
    let mut page = vec![0; PAGE_SIZE as usize];
    let mut at = Pa(0);
    let mut read = 0;
    while read < MOST_PHYSICAL {
        let run = phys.next_run(at)?;
        let mut offset = 0;
        while offset < run.len && read < MOST_PHYSICAL {
            let pa = run.start.checked_add(offset)?;
            offset += PAGE_SIZE;
            read += PAGE_SIZE;
            if phys.read_exact(pa, &mut page).is_err() {
                continue;
            }
            for (machine, mode) in modes {
                let root = match mode {
                    Mode::X64 | Mode::La57 | Mode::Arm64 => self_map(&page, *mode, pa, 256..512).then_some(pa.0),
                    Mode::X86 => self_map(&page, *mode, pa, 0x300..0x301).then_some(pa.0),
                    Mode::X86Pae if self_map(&page, *mode, pa, 3..4) => pae_root(phys, &page),
                    Mode::X86Pae => None,
                };
                let Some(root) = root else { continue };
                let software = SoftwareFormat::new(*mode, 19_041, None);
                let space = AddressSpace::new(Rc::clone(phys), *mode, software, root);
                if is_shared_user_data(&space, *machine) {
                    return Some((*machine, *mode, root));
                }
            }
        }
        at = run.start.checked_add(run.len)?;
    }
    None
}

/// Entry `index` of a table page.
fn entry(page: &[u8], mode: Mode, index: usize) -> u64 {
    let size = if mode.entry_size() == 4 { 4 } else { 8 };
    let bytes = page.get(index * size..).unwrap_or_default().iter().take(size);
    bytes.rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Whether one of these entries is a table entry that points to the page itself.
fn self_map(page: &[u8], mode: Mode, pa: Pa, entries: core::ops::Range<usize>) -> bool {
    // The level does not matter as long as it is one whose entries point to tables.
    let shift = if mode.entry_size() == 4 { 22 } else { 21 };
    entries.into_iter().any(|index| {
        let entry = entry(page, mode, index);
        entry != 0 && matches!(Hardware::decode(mode, shift, entry), Hardware::Table { pa: to, .. } if to == pa)
    })
}

/// The top table of PAE, which is only 32 bytes long: it names the four tables that the last of them maps.
fn pae_root(phys: &Rc<dyn PhysMemory>, last: &[u8]) -> Option<u64> {
    let tables: Vec<u64> = (0..4).map(|index| entry(last, Mode::X86Pae, index) & 0x000f_ffff_ffff_f000).collect();
    let mut page = vec![0; PAGE_SIZE as usize];
    let mut at = Pa(0);
    let mut read = 0;
    while read < MOST_PHYSICAL / 4 {
        let run = phys.next_run(at)?;
        let mut offset = 0;
        while offset < run.len && read < MOST_PHYSICAL / 4 {
            let pa = run.start.checked_add(offset)?;
            offset += PAGE_SIZE;
            read += PAGE_SIZE;
            if phys.read_exact(pa, &mut page).is_err() {
                continue;
            }
            for (index, group) in page.chunks_exact(32).enumerate() {
                let same = (0..4).all(|slot| {
                    let value = entry(group, Mode::X86Pae, slot);
                    let present = value & 1 == 1;
                    // The user's half of System may lack tables.
                    (present && Some(&(value & 0x000f_ffff_ffff_f000)) == tables.get(slot)) || (!present && slot < 2)
                });
                if same {
                    return pa.checked_add(index as u64 * 32).map(|root| root.0);
                }
            }
        }
        at = run.start.checked_add(run.len)?;
    }
    None
}

/// The build that the page shared with user mode names; before Windows 10 only the version is there.
fn build_number(memory: &dyn Memory, machine: Machine) -> Option<u32> {
    let field = |offset: u64| memory.read_u32(shared_user_data(machine).checked_add(offset)?).ok();
    match (field(0x26c)?, field(0x270)?) {
        (10, 0) => field(0x260).filter(|build| (10_240..60_000).contains(build)),
        (6, 3) => Some(9_600),
        (6, 2) => Some(9_200),
        (6, 1) => Some(7_601),
        (6, 0) => Some(6_002),
        (5, 2) => Some(3_790),
        (5, 1) => Some(2_600),
        _ => None,
    }
}

/// The kernel image among the mapped pages: the only one whose export directory calls it `ntoskrnl.exe`.
fn kernel_image(space: &AddressSpace, mode: Mode) -> Option<Va> {
    // 64-bit kernels are loaded above this address; 32-bit ones in the upper half.
    let mut at =
        if mode.entry_size() == 4 || mode == Mode::X86Pae { Va(0x8000_0000) } else { Va(0xffff_f800_0000_0000) };
    let (mut fuel, mut pages) = (FUEL, MOST_PAGES);
    while fuel > 0 && pages > 0 {
        let region = match space.search(at, 64) {
            Search::Found(region) => region,
            Search::Tired(next) => {
                fuel = fuel.saturating_sub(64);
                at = next;
                continue;
            }
            Search::Nothing => return None,
        };
        fuel = fuel.saturating_sub(1);
        let mut offset = 0;
        while offset < region.len && pages > 0 {
            pages -= 1;
            let page = region.start.checked_add(offset)?;
            offset += PAGE_SIZE;
            let mut magic = [0; 2];
            if space.read_exact(page, &mut magic).is_ok() && &magic == b"MZ" && is_kernel(space, page) {
                return Some(page);
            }
        }
        at = region.start.checked_add(region.len)?;
    }
    None
}

fn is_kernel(memory: &dyn Memory, base: Va) -> bool {
    let name = Image::mapped(memory, base).and_then(|image| image.export_module_name());
    matches!(name, Ok(Some(name)) if name.eq_ignore_ascii_case("ntoskrnl.exe"))
}

/// Address of a variable that the kernel exports.
fn export(memory: &dyn Memory, kernel: Va, name: &str) -> Option<Va> {
    let image = Image::mapped(memory, kernel).ok()?;
    let export = image.find_export(name).ok()??;
    kernel.checked_add(u64::from(export.rva))
}

/// Head of the module list: exported, or found in the kernel's data by its first entry, which describes the kernel itself.
fn module_list(space: &AddressSpace, kernel: Va, machine: Machine) -> Option<Va> {
    let p = machine.pointer_size();
    if let Some(head) = export(space, kernel, "PsLoadedModuleList").filter(|head| is_list_head(space, *head, p)) {
        return Some(head);
    }
    let (base_at, _) = crate::modules::image_offsets(p);
    let image = Image::mapped(space, kernel).ok()?;
    let data = image.sections().iter().filter(|section| section.is_writable() && !section.is_executable());
    for section in data {
        let start = kernel.checked_add(u64::from(section.rva))?;
        let mut bytes = vec![0; usize::try_from(section.memory_size().min(8 << 20)).unwrap_or(0)];
        let filled = space.read(start, &mut bytes).filled;
        let step = usize::from(p);
        for (index, word) in bytes.get(..filled).unwrap_or_default().chunks_exact(step).enumerate() {
            let first = Va(word.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)));
            if !space.mode().is_kernel(first) || !first.0.is_multiple_of(u64::from(p)) {
                continue;
            }
            let is_first = || {
                let base = space.read_pointer(first.checked_add(base_at)?, p).ok()?;
                let head = start.checked_add((index * step) as u64)?;
                (base == kernel.0 && is_list_head(space, head, p)).then_some(head)
            };
            if let Some(head) = is_first() {
                return Some(head);
            }
        }
    }
    None
}

/// Head of the process list: System, which the kernel exports, stands right behind it.
fn process_list(space: &AddressSpace, kernel: Va, machine: Machine, build: u32) -> Option<Va> {
    let p = machine.pointer_size();
    let system = export(space, kernel, "PsInitialSystemProcess")?;
    let system = Va(space.read_pointer(system, p).ok()?);
    let id = layout(machine, build, None).process_id?;
    let back = system.checked_add(u64::from(id) + 2 * u64::from(p))?;
    let head = Va(space.read_pointer(back, p).ok()?);
    is_list_head(space, head, p).then_some(head)
}

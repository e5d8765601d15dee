//! Processor contexts: the `CONTEXT` records of each architecture, read through one table per layout.

mod layouts;

use alloc::{boxed::Box, vec, vec::Vec};

use dumplens_base::{Bytes, Machine, ReadError, Va};

use layouts::Layout;

/// The register state of one processor or thread at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    machine: Machine,
    flags: u32,
    layout: &'static Layout,
    bytes: Box<[u8]>,
    /// Registers that what it was made from does not hold.
    absent: Vec<&'static str>,
}

/// One register of a [`Context`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// The debugger's lower-case name: `rax`, `efl`, `x19`.
    pub name: &'static str,
    /// The value, zero-extended.
    pub value: u64,
    /// Width in bytes: 2, 4 or 8.
    pub width: u8,
    /// What kind of register it is.
    pub group: RegisterGroup,
}

/// How registers are grouped for display, and which `ContextFlags` bit says that a group was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegisterGroup {
    /// Instruction pointer, stack pointer, flags.
    Control,
    /// General-purpose registers.
    General,
    /// Segment selectors.
    Segment,
    /// Debug registers.
    Debug,
}

impl Context {
    /// Reads a `CONTEXT` of the given architecture from `bytes`, which start at file offset or address `origin`.
    ///
    /// # Errors
    /// If the bytes are too short for that architecture's record, the architecture is not known, or the record's
    /// flags are those of another architecture.
    pub fn parse(machine: Machine, bytes: &[u8], origin: u64) -> Result<Self, ReadError> {
        let layout = match machine {
            Machine::X86 => &layouts::X86,
            Machine::X64 => &layouts::X64,
            Machine::Arm => &layouts::ARM,
            Machine::Arm64 => &layouts::ARM64,
            Machine::Other(number) => {
                return Err(ReadError::invalid("context architecture", origin, u64::from(number)));
            }
        };
        Self::parse_with(machine, layout, bytes, origin)
    }

    /// Reads the ARM64 context that older Breakpad writers used (processor architecture 0x8003): 64-bit flags first.
    ///
    /// # Errors
    /// As [`Context::parse`].
    pub fn parse_breakpad_arm64(bytes: &[u8], origin: u64) -> Result<Self, ReadError> {
        Self::parse_with(Machine::Arm64, &layouts::ARM64_BREAKPAD, bytes, origin)
    }

    fn parse_with(machine: Machine, layout: &'static Layout, bytes: &[u8], origin: u64) -> Result<Self, ReadError> {
        let mut record = Bytes::new(bytes, origin);
        let whole = record.take(layout.minimum_size, "context record")?;
        let mut flags = Bytes::new(whole, origin);
        flags.seek(layout.flags_offset, "context flags")?;
        let flags = flags.u32("context flags")?;
        if flags & layout.machine_flag == 0 {
            return Err(ReadError::invalid("context flags", origin, u64::from(flags)));
        }
        Ok(Self { machine, flags, layout, bytes: whole.into(), absent: Vec::new() })
    }

    /// The registers that a kernel trap frame (`KTRAP_FRAME`) of a build saved. A trap frame does not hold all of them:
    /// those it lacks are left out of [`Context::registers`].
    ///
    /// # Errors
    /// If the bytes are too short, or the architecture's trap frames are not known.
    pub fn from_trap_frame(machine: Machine, build: u32, bytes: &[u8], origin: u64) -> Result<Self, ReadError> {
        let (layout, frame) = match machine {
            Machine::X64 => (&layouts::X64, &layouts::TRAP_FRAME_X64),
            Machine::X86 if build >= 9_600 => (&layouts::X86, &layouts::TRAP_FRAME_X86_9600),
            Machine::X86 => (&layouts::X86, &layouts::TRAP_FRAME_X86),
            other => {
                return Err(ReadError::invalid("trap frame architecture", origin, u64::from(other.pointer_size())));
            }
        };
        let mut record = vec![0; layout.minimum_size];
        for (name, offset) in frame.registers.iter().copied().flatten() {
            let Some(field) = layout.fields.iter().find(|field| field.name == *name) else { continue };
            let mut cursor = Bytes::new(bytes, origin);
            cursor.seek(usize::from(*offset), "trap frame")?;
            let value = cursor.take(usize::from(field.width), "trap frame register")?;
            if let Some(slot) = record.get_mut(usize::from(field.offset)..).and_then(|rest| rest.get_mut(..value.len()))
            {
                slot.copy_from_slice(value);
            }
        }
        let flags = layout.machine_flag | 3;
        let mut context = Self { machine, flags, layout, bytes: record.into(), absent: frame.absent.into() };
        if let Some(slot) = frame.stack_pointer_slot {
            // A fault in user mode pushed the stack pointer there; one in kernel mode pushed nothing, and the interrupted
            // stack starts where the slot would be.
            let from_user = context.value("cs") & 1 == 1;
            let mut cursor = Bytes::new(bytes, origin);
            cursor.seek(usize::from(slot), "trap frame")?;
            let value = if from_user { cursor.u32("trap frame stack pointer")? } else { cursor.offset() as u32 };
            context.set("esp", value);
        }
        Ok(context)
    }

    /// A context of which only some registers are known, by the debugger's lower-case names; `None` if the architecture
    /// is not known. Names that it does not have are passed over.
    #[must_use]
    pub fn of_registers(machine: Machine, known: &[(&str, u64)]) -> Option<Self> {
        let layout = match machine {
            Machine::X86 => &layouts::X86,
            Machine::X64 => &layouts::X64,
            Machine::Arm => &layouts::ARM,
            Machine::Arm64 => &layouts::ARM64,
            Machine::Other(_) => return None,
        };
        let mut record = vec![0; layout.minimum_size];
        let mut absent = Vec::new();
        for field in layout.fields {
            let Some((_, value)) = known.iter().find(|(name, _)| *name == field.name) else {
                absent.push(field.name);
                continue;
            };
            let slot = record.get_mut(usize::from(field.offset)..).into_iter().flatten();
            slot.zip(value.to_le_bytes()).take(usize::from(field.width)).for_each(|(slot, byte)| *slot = byte);
        }
        // Every group counts as captured: which of its registers are known says the list.
        let flags = layout.machine_flag | 7 | layout.debug_flag;
        Some(Self { machine, flags, layout, bytes: record.into(), absent })
    }

    /// The architecture of the record.
    #[must_use]
    pub const fn machine(&self) -> Machine {
        self.machine
    }

    /// `ContextFlags`: the architecture bit and one bit for each group that was captured.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.flags
    }

    /// Size in bytes of the record of `machine`, without extended state; 0 if the architecture is not known.
    #[must_use]
    pub const fn size_of(machine: Machine) -> usize {
        match machine {
            Machine::X86 => layouts::X86.minimum_size,
            Machine::X64 => layouts::X64.minimum_size,
            Machine::Arm => layouts::ARM.minimum_size,
            Machine::Arm64 => layouts::ARM64.minimum_size,
            Machine::Other(_) => 0,
        }
    }

    /// Whether the registers of `group` were captured.
    #[must_use]
    pub fn has(&self, group: RegisterGroup) -> bool {
        let bit = match group {
            RegisterGroup::Control => 1,
            RegisterGroup::General => 2,
            RegisterGroup::Segment => 4,
            RegisterGroup::Debug => self.layout.debug_flag,
        };
        self.flags & bit != 0
    }

    /// All registers of the record in display order. A group whose flag is clear is left out: its bytes mean nothing.
    #[must_use]
    pub fn registers(&self) -> Vec<Register> {
        let captured =
            self.layout.fields.iter().filter(|field| self.has(field.group) && !self.absent.contains(&field.name));
        captured.filter_map(|field| self.register(field.name)).collect()
    }

    /// The register called `name`, whether or not its group was captured.
    #[must_use]
    pub fn register(&self, name: &str) -> Option<Register> {
        let field = self.layout.fields.iter().find(|field| field.name == name)?;
        let mut cursor = Bytes::new(&self.bytes, 0);
        cursor.seek(usize::from(field.offset), "register").ok()?;
        let value = match field.width {
            2 => cursor.u16("register").map(u64::from),
            4 => cursor.u32("register").map(u64::from),
            _ => cursor.u64("register"),
        };
        Some(Register { name: field.name, value: value.ok()?, width: field.width, group: field.group })
    }

    /// Overwrites a 32-bit register.
    fn set(&mut self, name: &str, value: u32) {
        let field = self.layout.fields.iter().find(|field| field.name == name);
        let slot = field.and_then(|field| self.bytes.get_mut(usize::from(field.offset)..));
        if let Some(slot) = slot.and_then(|rest| rest.first_chunk_mut()) {
            *slot = value.to_le_bytes();
        }
    }

    fn value(&self, name: &str) -> u64 {
        self.register(name).map_or(0, |register| register.value)
    }

    /// Instruction pointer.
    #[must_use]
    pub fn instruction_pointer(&self) -> Va {
        Va(self.value(self.layout.ip))
    }

    /// Stack pointer.
    #[must_use]
    pub fn stack_pointer(&self) -> Va {
        Va(self.value(self.layout.sp))
    }

    /// Frame pointer: `rbp`, `ebp`, `fp` (x29), `r11`.
    #[must_use]
    pub fn frame_pointer(&self) -> Va {
        Va(self.value(self.layout.fp))
    }

    /// Link register, on architectures that have one.
    #[must_use]
    pub fn link_register(&self) -> Option<Va> {
        self.layout.lr.map(|name| Va(self.value(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x64() -> Vec<u8> {
        let mut bytes = vec![0; 0x4d0];
        bytes[0x30..0x34].copy_from_slice(&0x10_001f_u32.to_le_bytes());
        bytes[0xf8..0x100].copy_from_slice(&0xffff_f804_8b58_334c_u64.to_le_bytes());
        bytes[0x98..0xa0].copy_from_slice(&0xffff_8504_2989_20c0_u64.to_le_bytes());
        bytes[0x38..0x3a].copy_from_slice(&0x10_u16.to_le_bytes());
        bytes
    }

    #[test]
    fn an_x64_record_gives_its_pointers_and_segments() {
        let context = Context::parse(Machine::X64, &x64(), 0).unwrap();
        assert_eq!(context.instruction_pointer(), Va(0xffff_f804_8b58_334c));
        assert_eq!(context.stack_pointer(), Va(0xffff_8504_2989_20c0));
        assert_eq!(context.register("cs").unwrap().value, 0x10);
        assert_eq!(context.link_register(), None);
    }

    #[test]
    fn groups_that_were_not_captured_are_not_listed() {
        let mut bytes = x64();
        bytes[0x30..0x34].copy_from_slice(&0x10_0003_u32.to_le_bytes());
        let context = Context::parse(Machine::X64, &bytes, 0).unwrap();
        assert!(context.registers().iter().all(|r| r.group <= RegisterGroup::General));
        assert!(context.registers().iter().any(|r| r.name == "rip"));
    }

    #[test]
    fn a_trap_frame_gives_what_it_holds_and_nothing_else() {
        let mut frame = vec![0; 0x190];
        frame[0x168..0x170].copy_from_slice(&0x1234_u64.to_le_bytes());
        frame[0x180..0x188].copy_from_slice(&0x5678_u64.to_le_bytes());
        let context = Context::from_trap_frame(Machine::X64, 19_041, &frame, 0).unwrap();
        assert_eq!((context.instruction_pointer(), context.stack_pointer()), (Va(0x1234), Va(0x5678)));
        assert!(context.registers().iter().any(|register| register.name == "rax"));
        assert!(!context.registers().iter().any(|register| register.name == "r12"));
        assert!(Context::from_trap_frame(Machine::X64, 19_041, &frame[..0x180], 0).is_err());
    }

    #[test]
    fn trap_frames_of_x86_moved_in_windows_8_1() {
        let mut frame = vec![0; 0x8c];
        frame[0x40] = 1;
        frame[0x44] = 2;
        let eax = |build| {
            Context::from_trap_frame(Machine::X86, build, &frame, 0x8c00_0000).unwrap().register("eax").unwrap().value
        };
        assert_eq!((eax(7_601), eax(9_600)), (2, 1));
    }

    #[test]
    fn a_context_of_some_registers_lists_those_alone() {
        let known = [("rip", 0xffff_f801_2000_1108), ("rsp", 0xffff_b200_0000_1000), ("cs", 0x10), ("x19", 7)];
        let context = Context::of_registers(Machine::X64, &known).unwrap();
        assert_eq!(context.instruction_pointer(), Va(0xffff_f801_2000_1108));
        assert_eq!(context.stack_pointer(), Va(0xffff_b200_0000_1000));
        let names: Vec<&str> = context.registers().iter().map(|register| register.name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(Context::of_registers(Machine::Other(7), &known).is_none());
    }

    #[test]
    fn a_record_of_another_architecture_or_a_short_one_is_refused() {
        assert!(Context::parse(Machine::Arm64, &x64(), 0).is_err());
        assert!(Context::parse(Machine::X64, &x64()[..0x4cf], 0).is_err());
        assert!(Context::parse(Machine::Other(0x200), &x64(), 0).is_err());
    }
}

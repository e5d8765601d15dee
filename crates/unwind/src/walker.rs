mod x86;

use alloc::{rc::Rc, vec::Vec};

use dumplens_base::{Fault, Machine, Memory, MemoryExt, Va};

use crate::{
    Bounds, CallSite, Entered, Frame, FramePointers, Gap, MAX_FRAMES, MAX_UNWOUND_FRAMES, Modules, Options, Reason,
    Registers, Stack, Stop, Target, Trust,
    call_site::{LONGEST_REWRITTEN, arm64_call, call_site, file_call},
    known::{Caller, Known},
    x64::{self, At, CodeImage, Rule},
};

/// Most bytes of stack that are scanned for the next frame of a known call chain.
///
/// A wider gap than this between two frames is rare outside a thread's first frames.
const SCAN_WINDOW: u64 = 64 * 1024;

/// Most machine frames that lead back or to another stack. An interrupt during a deferred call during a system call
/// has three.
const MAX_STACKS: usize = 16;

/// How far below the stack's base the first frame of a thread may stand: a trap frame and saved vector state lie there.
const FIRST_FRAME: u64 = 0x1000;

/// A walk on its way.
pub(crate) struct Walker<'a> {
    memory: &'a dyn Memory,
    modules: &'a dyn Modules,
    machine: Machine,
    options: Options,
    word: u64,
    frames: Vec<Frame>,
    gaps: Vec<Gap>,
    sp: Va,
    fp: Va,
    /// All that is known of the last frame's registers, where frames are unwound.
    known: Known,
    at: At,
    /// Whether nothing but certain steps led from the context to the last frame.
    sure: bool,
    stacks: usize,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(memory: &'a dyn Memory, modules: &'a dyn Modules, machine: Machine, options: &Options) -> Self {
        Self {
            memory,
            modules,
            machine,
            options: *options,
            word: u64::from(machine.pointer_size()),
            frames: Vec::new(),
            gaps: Vec::new(),
            sp: Va(0),
            fp: Va(0),
            known: Known::Nothing,
            at: At::Instruction,
            sure: true,
            stacks: 0,
        }
    }

    pub(crate) fn walk(mut self, start: Registers, known: Known) -> Stack {
        let Registers { ip, sp, fp, lr, .. } = start;
        self.known = known;
        self.sp = sp;
        self.fp = fp;
        self.frames.push(Frame { ip, sp, trust: Trust::Context, call: CallSite::Unknown, interrupted: true });
        if let Some(lr) = lr
            && self.modules.target(ip) == Target::Nothing
            && self.is_return_address(lr)
        {
            // The call went astray: only the link register still knows the caller.
            self.known = self.known.called_from(lr);
            self.at = At::Return;
            self.sure = false;
            let call = self.call_site(lr);
            self.frames.push(Frame { ip: lr, sp, trust: Trust::Scan, call, interrupted: false });
        }
        let stop = loop {
            let scanned = self.frames.last().is_some_and(|frame| frame.trust == Trust::Scan);
            let most = if scanned { MAX_FRAMES } else { MAX_UNWOUND_FRAMES };
            if self.frames.len() >= self.options.most_frames.min(most) {
                break Stop::FrameLimit;
            }
            if let Some(stop) = self.advance(lr.is_some()) {
                break stop;
            }
        };
        let entered = match self.known {
            Known::X64(registers) if stop == Stop::UserMode => Some(Entered::X64(registers)),
            Known::X86(registers) if stop == Stop::UserMode => Some(Entered::X86(registers)),
            Known::Arm64(registers, _) if stop == Stop::UserMode => Some(Entered::Arm64(registers)),
            _ => None,
        };
        Stack { frames: self.frames, stop, gaps: self.gaps, entered }
    }

    /// Finds one more frame, or why there is none.
    fn advance(&mut self, has_lr: bool) -> Option<Stop> {
        let ip = self.frames.last()?.ip;
        match self.unwind(ip) {
            Unwound::Frame => return None,
            Unwound::End(stop) => return Some(stop),
            Unwound::No => {}
        }
        // A call to nowhere leaves its return address on top of the stack and the frame pointer at the caller's frame:
        // the top of the stack goes first then, or the caller would be skipped.
        let first = self.frames.len() == 1 || (self.known.is_unwound() && self.at == At::Instruction);
        let astray = first && !has_lr && self.modules.target(ip) == Target::Nothing;
        if astray && let Ok(Some(frame)) = self.candidate(self.sp) {
            let known = self.known.returned_to(frame.ip, frame.sp);
            self.guess(frame, None);
            self.known = known;
            return None;
        }
        if let Some((frame, next_fp)) = self.frame_pointer_step(self.fp, self.sp) {
            self.guess(frame, Some(next_fp));
            return None;
        }
        if self.is_last_link() {
            return Some(Stop::EndOfStack);
        }
        match self.scan(self.sp) {
            Ok(frame) => {
                let fp = self.saved_below(&frame);
                self.guess(frame, fp);
                None
            }
            Err(stop) => Some(stop),
        }
    }

    /// Takes a frame that was not unwound.
    fn guess(&mut self, frame: Frame, fp: Option<Va>) {
        self.sp = frame.sp;
        self.fp = fp.unwrap_or(self.fp);
        self.sure = false;
        self.at = At::Return;
        self.known = self.known.guess(frame.ip, frame.sp, fp);
        self.frames.push(frame);
    }

    /// Finds the caller of the frame at `ip` with unwind data.
    fn unwind(&mut self, ip: Va) -> Unwound {
        let caller = match self.step(ip) {
            Ok(Some(caller)) => caller,
            Ok(None) => return Unwound::No,
            // After a guess the place may be wrong; otherwise the stack ends here.
            Err(Reason::Data(x64::Stop::Stack(fault))) if self.sure => return Unwound::End(Stop::Unreadable(fault)),
            Err(reason) => return self.gap(ip, reason),
        };
        let Caller { ip: rip, sp: rsp, .. } = caller;
        // A leaf function is told by the absence of data: a call that leads to it proves it.
        let proved = || caller.rule == Rule::Leaf && self.is_known_call(rip);
        let sure = self.sure && (caller.certain || proved());
        let left = if caller.rule == Rule::MachineFrame { CallSite::Unknown } else { self.call_of_return(rip) };
        let interrupted = caller.rule == Rule::MachineFrame || (sure && self.was_interrupted(rip, left));
        // Where the return address is in a register, the function that was interrupted may stand where its caller does.
        let same = rsp == self.sp
            && matches!(self.known, Known::Arm64(..))
            && self.frames.last().is_some_and(|frame| frame.interrupted);
        if (rsp <= self.sp && !same) || (interrupted && !self.in_bounds(rsp)) {
            // Only an interrupt, or a call that is known to switch stacks, can have come from another stack.
            let other = self.take_other(rsp);
            if !interrupted && other.is_none() {
                return self.gap(ip, Reason::NoCaller(rip));
            }
            self.stacks = self.stacks.saturating_add(1);
            if self.stacks > MAX_STACKS {
                return Unwound::End(Stop::TooManyStacks);
            }
            self.options.bounds = other;
        } else if !self.in_bounds(rsp)
            && let Some(other) = self.take_other(rsp)
        {
            self.options.bounds = Some(other);
        }
        // A function without unwind data may be no leaf, and what is on top of its stack no return address. On x86 a wrong
        // frame may be read as one that returns to zero.
        let is_end = if self.machine == Machine::X86 { self.is_near_base(rsp) } else { caller.certain };
        if rip.0 == 0 && !interrupted && is_end {
            return Unwound::End(Stop::EndOfStack);
        }
        if !sure && !interrupted && !self.is_return_address(rip) {
            return self.gap(ip, Reason::NoCaller(rip));
        }
        let call = if interrupted { CallSite::Unknown } else { left };
        self.frames.push(Frame { ip: rip, sp: rsp, trust: Trust::Unwind, call, interrupted });
        self.known = caller.known;
        self.at = if interrupted { At::Instruction } else { caller.at };
        self.sp = rsp;
        self.fp = caller.fp;
        self.sure = sure;
        let from_kernel = self.is_system(ip) && !self.is_system(rip);
        if interrupted && from_kernel && rip.0 >= 0x1_0000 && self.modules.target(rip) == Target::Nothing {
            return Unwound::End(Stop::UserMode);
        }
        Unwound::Frame
    }

    /// The caller of the last frame, which is at `ip`. `None` if it is not in an image, or frames are not unwound.
    fn step(&self, ip: Va) -> Result<Option<Caller>, Reason> {
        if let Known::X64(registers) = &self.known
            && self.at == At::Return
        {
            let Some(plan) = self.plan(ip)? else { return Ok(None) };
            let stepped = plan.follow(self.memory, registers, true).map_err(Reason::Data)?;
            return Ok(Some(stepped.into()));
        }
        if !self.known.is_unwound() || self.modules.target(ip) == Target::Nothing {
            return Ok(None);
        }
        if let Known::X86(registers) = &self.known {
            return self.step_x86(registers).map(Some);
        }
        let image = self.modules.image(ip).ok_or(Reason::NoImage)?;
        let stepped = self.known.step(self.memory, &*image, self.at).ok_or(Reason::NoImage)?;
        stepped.map(Some).map_err(Reason::Data)
    }

    /// What leads from the x64 frame at a return address to its caller: it is remembered. `None` if no image is there.
    fn plan(&self, ip: Va) -> Result<Option<Rc<x64::Plan>>, Reason> {
        let returns = self.modules.returns();
        if let Some(plan) = returns.and_then(|returns| returns.plan(ip)) {
            return Ok(Some(plan));
        }
        if self.modules.target(ip) == Target::Nothing {
            return Ok(None);
        }
        let image = self.modules.image(ip).ok_or(Reason::NoImage)?;
        let plan = Rc::new(x64::Plan::new(&*image, ip).map_err(Reason::Data)?);
        if let Some(returns) = returns {
            returns.set_plan(ip, Rc::clone(&plan));
        }
        Ok(Some(plan))
    }

    /// Whether an address is in the half of the address space that belongs to the system.
    const fn is_system(&self, address: Va) -> bool {
        if self.word == 8 { address.0 >> 63 == 1 } else { address.0 >> 31 == 1 }
    }

    /// Whether the first frame of a thread may stand here.
    fn is_near_base(&self, sp: Va) -> bool {
        self.options.bounds.is_none_or(|bounds| bounds.base.0.saturating_sub(sp.0) <= FIRST_FRAME)
    }

    fn gap(&mut self, ip: Va, reason: Reason) -> Unwound {
        if self.gaps.len() < MAX_FRAMES {
            self.gaps.push(Gap { ip, reason });
        }
        Unwound::No
    }

    /// The image at `address`, where frames are unwound, and the RVA.
    fn image(&self, address: Va) -> Option<(Rc<dyn CodeImage + '_>, u32)> {
        if !self.known.is_unwound() {
            return None;
        }
        let image = self.modules.image(address)?;
        let rva = address.offset_from(image.base()).and_then(|rva| u32::try_from(rva).ok())?;
        Some((image, rva))
    }

    fn call_site(&self, address: Va) -> CallSite {
        let known = call_site(self.memory, self.machine, address);
        if known != CallSite::Unknown {
            return known;
        }
        // Code that the dump does not hold may be in the image's file.
        let from_image = || {
            let (image, rva) = self.image(address)?;
            if matches!(self.known, Known::Arm64(..)) {
                let mut code = [0; 4];
                image.read(rva.checked_sub(4)?, &mut code).ok()?;
                return Some(arm64_call(u32::from_le_bytes(code)));
            }
            let mut code = [0; LONGEST_REWRITTEN];
            image.read(rva.checked_sub(LONGEST_REWRITTEN as u32)?, &mut code).ok()?;
            Some(file_call(code, self.machine))
        };
        from_image().unwrap_or(known)
    }

    /// As [`Self::call_site`], of a place that unwinding led to: it is remembered.
    fn call_of_return(&self, address: Va) -> CallSite {
        let returns = self.modules.returns();
        if let Some(call) = returns.and_then(|returns| returns.call(address)) {
            return call;
        }
        let call = self.call_site(address);
        if let Some(returns) = returns.filter(|_| self.modules.target(address) == Target::Code) {
            returns.set_call(address, call);
        }
        call
    }

    /// Whether an address follows a call for certain.
    fn is_known_call(&self, address: Va) -> bool {
        self.call_site(address) == CallSite::Call && self.is_return_address(address)
    }

    /// Whether x64 code at `address`, to which a certain step led, has called nothing: it was interrupted, or has not
    /// begun. Wine's exception dispatcher stands on such code as if it had been called from there. Only memory proves it:
    /// the system rewrites calls of the file.
    fn was_interrupted(&self, address: Va, call: CallSite) -> bool {
        matches!(self.known, Known::X64(_))
            && call == CallSite::NotCall
            && call_site(self.memory, self.machine, address) == CallSite::NotCall
            && self.modules.target(address) == Target::Code
            && self.image(address).is_some_and(|(image, rva)| image.is_executable(rva))
    }

    fn is_return_address(&self, address: Va) -> bool {
        if self.modules.target(address) == Target::Nothing || self.call_site(address) == CallSite::NotCall {
            return false;
        }
        // Functions without an entry in the table call nothing.
        let Some((image, rva)) = self.image(address) else { return true };
        let Some(call) = rva.checked_sub(1) else { return false };
        image.is_executable(call) && self.known.has_function(&*image, call)
    }

    fn in_bounds(&self, va: Va) -> bool {
        self.options.bounds.is_none_or(|bounds| bounds.contains(va))
    }

    /// The other stack that an address is on. Each is given once, so that stacks cannot lead to each other for ever.
    fn take_other(&mut self, va: Va) -> Option<Bounds> {
        let holds = |other: &&mut Option<Bounds>| other.is_some_and(|other| other.contains(va));
        self.options.others.iter_mut().find(holds)?.take()
    }

    fn pointer(&self, slot: Va) -> Result<Va, Fault> {
        self.memory.read_pointer(slot, self.machine.pointer_size()).map(Va)
    }

    /// The frame whose return address is the word at `slot`, if it could be one.
    fn candidate(&self, slot: Va) -> Result<Option<Frame>, Fault> {
        let ip = self.known.code_address(self.pointer(slot)?);
        let fits = |sp: &Va| {
            self.is_return_address(ip)
                && !self.is_other_pointer(slot, ip)
                && !self.is_function(ip)
                && self.leads_on(ip, *sp)
        };
        let sp = slot.checked_add(self.word).filter(fits);
        let call = |ip| self.call_site(ip);
        Ok(sp.map(|sp| Frame { ip, sp, trust: Trust::Scan, call: call(ip), interrupted: false }))
    }

    /// Whether an address on the stack is most likely that of a function, kept to call it: x64 compilers let no call be the
    /// last instruction before the next function begins. Code, where it is known, decides better.
    fn is_function(&self, address: Va) -> bool {
        /// Functions begin at multiples of this; a label within a function rarely does.
        const ALIGNMENT: u64 = 16;
        matches!(self.known, Known::X64(_))
            && address.0.is_multiple_of(ALIGNMENT)
            && self.call_site(address) == CallSite::Unknown
            && self.modules.begins(address)
    }

    /// Whether unwinding from a frame that may be one gives something that may be its caller. Says yes where unwind
    /// data cannot tell.
    fn leads_on(&self, ip: Va, sp: Va) -> bool {
        let Some((image, _)) = self.image(ip) else { return true };
        let Some(stepped) = self.known.guess(ip, sp, None).step(self.memory, &*image, At::Return) else { return true };
        match stepped {
            Ok(caller) if caller.rule == Rule::MachineFrame => true,
            // Zeros are common on a stack; only a thread's first frame returns to one.
            Ok(caller) if caller.ip.0 == 0 => self.is_near_base(caller.sp),
            Ok(caller) => self.is_return_address(caller.ip),
            // A frame that reaches beyond the stack is none; one that reaches beyond what was captured may be.
            Err(x64::Stop::Stack(fault)) => self.options.bounds.is_none_or(|bounds| fault.address() < bounds.base),
            Err(x64::Stop::NoFunction { .. } | x64::Stop::Overflow(_)) => false,
            Err(_) => true,
        }
    }

    /// The frame that `fp` links to, and the frame pointer saved there.
    fn frame_pointer_step(&self, fp: Va, sp: Va) -> Option<(Frame, Va)> {
        if self.options.frame_pointers == FramePointers::Never || self.machine == Machine::Arm {
            return None;
        }
        let (ip, next_fp, above) = self.link(fp, sp)?;
        let call = self.call_site(ip);
        let confirmed = match self.options.frame_pointers {
            FramePointers::Kept => true,
            _ => call == CallSite::Call || next_fp.0 == 0 || self.link(next_fp, above).is_some(),
        };
        let frame = Frame { ip, sp: above, trust: Trust::FramePointer, call, interrupted: false };
        confirmed.then_some((frame, next_fp))
    }

    /// Reads the pair {saved frame pointer, return address} at `fp`: both must make sense.
    fn link(&self, fp: Va, sp: Va) -> Option<(Va, Va, Va)> {
        if fp < sp || !fp.0.is_multiple_of(self.word) || !self.in_bounds(fp) {
            return None;
        }
        let next_fp = self.pointer(fp).ok()?;
        let slot = fp.checked_add(self.word)?;
        let ip = self.known.code_address(self.pointer(slot).ok()?);
        let above = slot.checked_add(self.word)?;
        let next_is_sane = next_fp.0 == 0 || (next_fp >= above && self.in_bounds(next_fp));
        let is_link = next_is_sane && self.is_return_address(ip) && !self.is_exception_record(fp);
        is_link.then_some((ip, next_fp, above))
    }

    /// The next word from `sp` up that could be a return address.
    fn scan(&self, sp: Va) -> Result<Frame, Stop> {
        let start = sp.0.checked_next_multiple_of(self.word).ok_or(Stop::EndOfStack)?;
        let mut slot = Va(start);
        if let Some(bounds) = self.options.bounds
            && slot >= bounds.base
        {
            return Err(Stop::EndOfStack);
        }
        let window = Va(start.saturating_add(SCAN_WINDOW));
        let end = self.options.bounds.map_or(window, |bounds| bounds.base.min(window));
        while slot < end {
            match self.candidate(slot) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(Fault::NotInDump { .. }) if self.options.bounds.is_none() && slot.0 != start => {
                    return Err(Stop::EndOfStack);
                }
                Err(fault) => return Err(Stop::Unreadable(fault)),
            }
            slot = slot.checked_add(self.word).ok_or(Stop::EndOfStack)?;
        }
        Err(Stop::NoReturnAddress)
    }
}

/// What came of unwinding a frame.
enum Unwound {
    /// A frame, which has been taken.
    Frame,
    /// The end of the stack.
    End(Stop),
    /// Nothing; other means may find more.
    No,
}

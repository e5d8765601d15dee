use dumplens_base::{Machine, Memory, MemoryExt, Va};

/// Whether an address follows a call instruction, as a return address must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSite {
    /// The bytes before it are a call.
    Call,
    /// The bytes before it are known and are no call.
    NotCall,
    /// The bytes before it are not in the dump.
    Unknown,
}

/// The longest x86 call: `FF /2` with a SIB byte and a 32-bit displacement.
pub(crate) const LONGEST_CALL: u64 = 7;

/// Looks at the code before `return_address`.
#[must_use]
pub fn call_site(memory: &dyn Memory, machine: Machine, return_address: Va) -> CallSite {
    match machine {
        Machine::X86 | Machine::X64 => x86(memory, machine, return_address),
        Machine::Arm64 => arm64(memory, return_address),
        Machine::Arm | Machine::Other(_) => CallSite::Unknown,
    }
}

fn x86(memory: &dyn Memory, machine: Machine, return_address: Va) -> CallSite {
    let mut code = [0; LONGEST_CALL as usize];
    let Some(start) = return_address.0.checked_sub(LONGEST_CALL) else { return CallSite::NotCall };
    match memory.read_exact(Va(start), &mut code) {
        Ok(()) => x86_call(code, machine),
        Err(_) => CallSite::Unknown,
    }
}

/// Whether the seven bytes before a return address end in a call.
pub(crate) fn x86_call(code: [u8; LONGEST_CALL as usize], machine: Machine) -> CallSite {
    let [a, b, c, d, e, f, g] = code;
    // `modrm` of an `FF /2` (call) whose operand takes exactly `tail` bytes after the ModRM byte.
    let indirect =
        |opcode: u8, modrm: u8, tail: u8| opcode == 0xff && modrm >> 3 & 7 == 2 && operand_tail(modrm) == tail;
    let is_call = c == 0xe8 // call rel32
        || (a == 0x9a && machine == Machine::X86) // far call, which 64-bit code has not
        || indirect(f, g, 0)
        || indirect(e, f, 1)
        || indirect(d, e, 2)
        || indirect(b, c, 4)
        || indirect(a, b, 5);
    if is_call { CallSite::Call } else { CallSite::NotCall }
}

/// Bytes before a return address that may belong to a call which the system rewrites.
pub(crate) const LONGEST_REWRITTEN: usize = 12;

/// Whether the bytes of an image's file before a return address end in a call, or in one that the x64 system rewrites when
/// it loads the image: calls through memory become direct calls or go by way of a retpoline.
///
/// Source: "Mitigating Spectre variant 2 with Retpoline on Windows" by Microsoft, and the return addresses in a real dump
/// beside the files of its drivers.
pub(crate) fn file_call(code: [u8; LONGEST_REWRITTEN], machine: Machine) -> CallSite {
    let [a, b, c, _, _, d, e, f, g, h, i, j] = code;
    // call [rip+n] becomes a direct call, five bytes long, and a nop.
    let shortened = matches!([f, g, h], [0xff, 0x15, _] | [0x48, 0xff, 0x15]);
    // call [rip+n]; nop becomes mov r10, [rip+n]; call.
    let lengthened = matches!([a, b, c], [0x48, 0xff, 0x15]) && matches!([f, g, h, i, j], [0x0f, 0x1f, 0x44, 0, 0]);
    if machine == Machine::X64 && (shortened || lengthened) {
        return CallSite::Call;
    }
    x86_call([d, e, f, g, h, i, j], machine)
}

/// Bytes of SIB and displacement after a ModRM byte, in 32- and 64-bit addressing. A SIB with base 101 and mod 0 takes
/// four more; compilers do not call through such an operand.
const fn operand_tail(modrm: u8) -> u8 {
    match (modrm >> 6, modrm & 7) {
        (0, 5) => 4,
        (0, 4) => 1,
        (0, _) | (3, _) => 0,
        (1, 4) => 2,
        (1, _) => 1,
        (_, 4) => 5,
        _ => 4,
    }
}

fn arm64(memory: &dyn Memory, return_address: Va) -> CallSite {
    let Some(start) = return_address.0.checked_sub(4) else { return CallSite::NotCall };
    if start & 3 != 0 {
        return CallSite::NotCall;
    }
    memory.read_u32(Va(start)).map_or(CallSite::Unknown, arm64_call)
}

/// Whether the instruction before a return address is a call.
pub(crate) fn arm64_call(word: u32) -> CallSite {
    let bl = word & 0xfc00_0000 == 0x9400_0000;
    let blr = word & 0xffff_fc1f == 0xd63f_0000;
    // BLRAAZ/BLRABZ and BLRAA/BLRAB: calls through a signed pointer.
    let blr_signed = word & 0xfeff_f800 == 0xd63f_0800;
    if bl || blr || blr_signed { CallSite::Call } else { CallSite::NotCall }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumplens_base::{Fault, ReadOutcome, Region, Searched};

    struct Code(&'static [u8]);

    impl Memory for Code {
        fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
            let start = va.0 as usize - 0x1000;
            match self.0.get(start..start + buf.len()) {
                Some(bytes) => {
                    buf.copy_from_slice(bytes);
                    ReadOutcome::complete(buf.len())
                }
                None => {
                    ReadOutcome { filled: 0, fault: Some(Fault::NotInDump { va, searched: Searched::MinidumpRanges }) }
                }
            }
        }

        fn next_region(&self, _: Va) -> Option<Region> {
            None
        }
    }

    fn after(code: &'static [u8], machine: Machine) -> CallSite {
        call_site(&Code(code), machine, Va(0x1000 + code.len() as u64))
    }

    #[test]
    fn every_form_of_x86_call_is_known() {
        let calls: &[&[u8]] = &[
            &[0x90, 0x90, 0xe8, 1, 2, 3, 4],             // call rel32
            &[0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0], // call rax
            &[0x90, 0x90, 0x90, 0x90, 0x41, 0xff, 0xd3], // call r11
            &[0x90, 0xff, 0x15, 1, 2, 3, 4],             // call [rip+disp32]
            &[0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 0x18], // call [rax+18h]
            &[0x90, 0xff, 0x90, 0x80, 0, 0, 0],          // call [rax+80h]
            &[0x90, 0x90, 0x90, 0xff, 0x54, 0x24, 0x20], // call [rsp+20h]
            &[0xff, 0x94, 0x24, 0x80, 0, 0, 0],          // call [rsp+80h]
            &[0x90, 0x90, 0x90, 0x90, 0xff, 0x14, 0xc8], // call [rax+rcx*8]
        ];
        for call in calls {
            assert_eq!(call_site(&Code(call), Machine::X64, Va(0x1007)), CallSite::Call, "{call:02x?}");
        }
    }

    #[test]
    fn other_code_is_no_call_and_absent_code_is_unknown() {
        assert_eq!(after(&[0x90; 7], Machine::X64), CallSite::NotCall);
        assert_eq!(after(&[0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0], Machine::X64), CallSite::NotCall, "jmp rax");
        assert_eq!(call_site(&Code(&[]), Machine::X64, Va(0x1007)), CallSite::Unknown);
        assert_eq!(call_site(&Code(&[]), Machine::X64, Va(3)), CallSite::NotCall);
    }

    #[test]
    fn calls_that_the_system_rewrites_are_known_in_files() {
        let at_end = |code: &[u8]| {
            let mut before = [0xcc; LONGEST_REWRITTEN];
            before[LONGEST_REWRITTEN - code.len()..].copy_from_slice(code);
            file_call(before, Machine::X64)
        };
        assert_eq!(at_end(&[0x48, 0xff, 0x15, 1, 2, 3, 4]), CallSite::Call, "as it is in the file");
        assert_eq!(at_end(&[0xff, 0x15, 1, 2, 3]), CallSite::Call, "call [rip+n] that became call n; nop");
        assert_eq!(at_end(&[0x48, 0xff, 0x15, 1, 2]), CallSite::Call, "the same with a prefix");
        let with_nop = [0x48, 0xff, 0x15, 1, 2, 3, 4, 0x0f, 0x1f, 0x44, 0, 0];
        assert_eq!(at_end(&with_nop), CallSite::Call, "that became mov r10, [rip+n]; call n");
        assert_eq!(at_end(&with_nop[..11]), CallSite::NotCall);
        assert_eq!(at_end(&[0x0f, 0x1f, 0x44, 0, 0]), CallSite::NotCall);
        assert_eq!(at_end(&[0xff, 0x25, 1, 2, 3]), CallSite::NotCall, "jmp [rip+n]");
    }

    #[test]
    fn arm64_calls_are_bl_and_blr() {
        assert_eq!(after(&[0x10, 0, 0, 0x94], Machine::Arm64), CallSite::Call);
        assert_eq!(after(&[0x00, 0x01, 0x3f, 0xd6], Machine::Arm64), CallSite::Call);
        assert_eq!(after(&[0x1f, 0x09, 0x3f, 0xd6], Machine::Arm64), CallSite::Call, "blraaz x8");
        assert_eq!(after(&[0x11, 0x09, 0x3f, 0xd7], Machine::Arm64), CallSite::Call, "blraa x8, x17");
        assert_eq!(after(&[0xc0, 0x03, 0x5f, 0xd6], Machine::Arm64), CallSite::NotCall, "ret");
    }
}

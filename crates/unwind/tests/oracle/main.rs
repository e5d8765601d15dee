//! The unwinder against a simulation of the code it unwinds.
//!
//! Every function of the data set's images is run symbolically, instruction by instruction, along all its branches. At
//! each instruction the registers and the stack are what they would be there; unwinding from them must give back the
//! registers that the caller had. The simulation rests on another project's decoder and shares nothing with the
//! unwinder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod machine;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use common::{FileCode, images};
use dumplens_base::Va;
use dumplens_unwind::x64::{
    Absent, At, CodeImage, Register, Registers, Rule, RuntimeFunction, Tail, UnwindInfo, entry, step,
};
use iced_x86::{Decoder, DecoderOptions, Instruction};
use machine::{Flow, State, Stopped};

const RETURN: u64 = 0x7ff6_1234_5678;

#[derive(Default)]
struct Tally {
    functions: usize,
    points: BTreeMap<String, usize>,
    unfinished: BTreeMap<&'static str, usize>,
    /// Bytes of instructions that were reached.
    reached: usize,
    /// Points in functions that push what their unwind data does not tell of: hand-written code, wrong for every tool.
    untold: usize,
    /// Points that come out right and wrong where the code is not readable.
    blind: (usize, usize),
    wrong: Vec<String>,
}

/// The functions of an image, by the primary function of each part.
struct Parts<'a> {
    code: &'a FileCode,
    root: BTreeMap<u32, u32>,
}

impl Parts<'_> {
    fn root_of(&self, rva: u32) -> Option<u32> {
        self.code.function(rva).unwrap().map(|function| self.root[&function.begin])
    }

    /// Whether the unwind data of the function at `rva` says that it leaves the stack alone.
    fn tells_nothing(&self, rva: u32) -> bool {
        let function = self.code.function(rva).unwrap();
        function.is_some_and(|function| UnwindInfo::read(self.code, function.unwind).unwrap().slots == 0)
    }

    /// The places in the function `own` that a table of a `switch` leads to: offsets from the image or from the table.
    fn cases(&self, own: Option<u32>, table: u32, count: u32) -> Vec<u32> {
        for base in [0, table] {
            let words = (0..count).map(|index| self.code.code(table + 4 * index, 4));
            let places = words.map_while(|word| Some(u32::from_le_bytes(word.try_into().ok()?).wrapping_add(base)));
            let cases: Vec<_> = places.take_while(|place| *place != 0 && self.root_of(*place) == own).collect();
            if !cases.is_empty() {
                return cases;
            }
        }
        Vec::new()
    }
}

fn root(code: &FileCode, mut function: RuntimeFunction) -> u32 {
    loop {
        assert_eq!(function.unwind & 1, 0, "no image of the data set has indirect entries");
        match UnwindInfo::read(code, function.unwind).unwrap().tail {
            Tail::Chained(parent) => function = parent,
            _ => return function.begin,
        }
    }
}

/// An image whose code is not in the dump, as is common: only its function table and unwind data are.
struct Blind<'a>(&'a FileCode);

impl CodeImage for Blind<'_> {
    fn base(&self) -> Va {
        self.0.base()
    }

    fn size(&self) -> u32 {
        self.0.size()
    }

    fn function_table(&self) -> Option<(u32, u32)> {
        self.0.function_table()
    }

    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
        if self.0.is_executable(rva) { Err(Absent { rva }) } else { self.0.read(rva, buf) }
    }

    fn is_executable(&self, rva: u32) -> bool {
        self.0.is_executable(rva)
    }
}

fn check(code: &dyn CodeImage, rva: u32, state: &State, at: At) -> Result<Rule, (bool, String)> {
    let mut registers = Registers::new(Va(code.base().0 + u64::from(rva)), Va(state.rsp()));
    for number in (0..16).filter(|number| *number != 4) {
        registers.set(Register::new(number), state.value(number));
    }
    let stepped = step(&state.memory(), code, &registers, at).map_err(|stop| (false, stop.to_string()))?;
    let callers = &stepped.registers;
    let mut wrong = Vec::new();
    if callers.rip.0 != RETURN {
        wrong.push(format!("rip {}", callers.rip));
    }
    if callers.rsp.0 != machine::ENTRY + 8 {
        wrong.push(format!("rsp off by {:#x}", callers.rsp.0.wrapping_sub(machine::ENTRY + 8) as i64));
    }
    for register in Register::NON_VOLATILE {
        if callers.get(register) != Some(machine::entry_value(register.number())) {
            wrong.push(format!("{} {:x?}", register.name(), callers.get(register)));
        }
    }
    if wrong.is_empty() {
        Ok(stepped.rule)
    } else {
        Err((stepped.certain, format!("{:?}: {}", stepped.rule, wrong.join(", "))))
    }
}

/// Runs the function at `start`; adds the targets of calls to functions that have no entry to `leaves`.
fn simulate(parts: &Parts<'_>, start: u32, tally: &mut Tally, leaves: &mut BTreeSet<u32>) {
    let code = parts.code;
    let own = parts.root_of(start);
    let mut seen = HashSet::new();
    let mut work = vec![(start, State::at_entry(RETURN), At::Instruction)];
    tally.functions += 1;
    while let Some((rva, mut state, came)) = work.pop() {
        if parts.root_of(rva) != own || !seen.insert(rva) || !code.is_executable(rva) {
            continue;
        }
        let bytes = code.code(rva, 15);
        let mut decoder = Decoder::with_ip(64, &bytes, code.base + u64::from(rva), DecoderOptions::NONE);
        let instruction: Instruction = decoder.decode();
        if instruction.is_invalid() {
            *tally.unfinished.entry("no instruction").or_default() += 1;
            return;
        }
        // A point just behind a call is one as a return address as well.
        for at in if came == At::Return { &[At::Return, At::Instruction][..] } else { &[At::Instruction] } {
            match check(code, rva, &state, *at) {
                Ok(rule) => *tally.points.entry(format!("{at:?} {rule:?}")).or_default() += 1,
                Err(_) if state.rsp() != machine::ENTRY && parts.tells_nothing(rva) => tally.untold += 1,
                Err((_, error)) => tally
                    .wrong
                    .push(format!("{rva:#x} ({start:#x}) {at:?} {:02x?}: {error}", &bytes[..instruction.len()])),
            }
        }
        // Without the code an epilogue cannot be told from the body: wrong now and then, but never sure of it.
        match check(&Blind(code), rva, &state, At::Instruction) {
            Err((true, error)) if !parts.tells_nothing(rva) => {
                tally.wrong.push(format!("{rva:#x} sure without its code: {error}"));
            }
            Err(_) => tally.blind.1 += 1,
            Ok(_) => tally.blind.0 += 1,
        }
        tally.reached += instruction.len();
        let next = rva + instruction.len() as u32;
        let rva_of = |target: u64| u32::try_from(target.wrapping_sub(code.base)).ok();
        match state.run(&instruction) {
            Ok(Flow::Next) => work.push((next, state, At::Instruction)),
            Ok(Flow::Call(target)) => {
                if let Some(target) = target.and_then(rva_of)
                    && code.is_executable(target)
                    && parts.root_of(target).is_none()
                {
                    leaves.insert(target);
                }
                work.push((next, state, At::Return));
            }
            Ok(Flow::Branch(target)) => {
                work.extend(rva_of(target).map(|target| (target, state.clone(), At::Instruction)));
                work.push((next, state, At::Instruction));
            }
            Ok(Flow::Jump(target)) => work.extend(rva_of(target).map(|target| (target, state, At::Instruction))),
            Ok(Flow::Table) => {
                match state.table.and_then(rva_of).map(|table| parts.cases(own, table, state.cases.min(1024))) {
                    Some(cases) if !cases.is_empty() => {
                        work.extend(cases.into_iter().map(|target| (target, state.clone(), At::Instruction)));
                    }
                    _ if state.rsp() == machine::ENTRY => {}
                    _ => *tally.unfinished.entry("a jump by an unknown table").or_default() += 1,
                }
            }
            Ok(Flow::End) => {}
            Err(Stopped(why)) => *tally.unfinished.entry(why).or_default() += 1,
        }
    }
}

#[test]
fn unwinding_gives_back_what_simulated_functions_were_called_with() {
    let Some(images) = images() else { return };
    let mut wrong = Vec::new();
    let mut total = 0;
    for (path, code) in images {
        let mut tally = Tally::default();
        let all: Vec<_> = (0..code.entries()).map(|index| entry(&code, index).unwrap()).collect();
        let root = all.iter().map(|function| (function.begin, root(&code, *function))).collect();
        let parts = Parts { code: &code, root };
        let mut leaves = BTreeSet::new();
        let mut continued = 0;
        for function in &all {
            let info = UnwindInfo::read(&code, function.unwind).unwrap();
            let made = info.prolog_size == 0
                && info.codes.iter().any(|code| !matches!(code.op, dumplens_unwind::x64::Op::Epilogue(_)));
            if parts.root[&function.begin] != function.begin || made {
                // Entered by a jump, with its frame made for it: reached from the part that makes the frame.
                continued += 1;
                continue;
            }
            simulate(&parts, function.begin, &mut tally, &mut leaves);
        }
        let with_entries = tally.functions;
        for leaf in leaves {
            simulate(&parts, leaf, &mut tally, &mut BTreeSet::new());
        }
        let bytes: u32 = all.iter().map(|function| function.end - function.begin).sum();
        let name = path.file_name().unwrap().to_string_lossy();
        println!(
            "{name}: {with_entries} functions ({continued} more parts) and {} leaves; {} of {bytes} bytes reached; \
             points {:?}; paths given up {:?}; not told by the image {}; \
             without the code (right, wrong and unsure) {:?}; wrong {}",
            tally.functions - with_entries,
            tally.reached,
            tally.points,
            tally.unfinished,
            tally.untold,
            tally.blind,
            tally.wrong.len(),
        );
        assert!(tally.untold < 16, "{name}");
        total += tally.points.values().sum::<usize>();
        wrong.extend(tally.wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
    }
    println!("{total} points agree");
    assert!(wrong.is_empty(), "{} points are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
    assert!(total > 200_000, "{total}");
}

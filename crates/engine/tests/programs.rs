//! Stacks of programs of ours that crashed under Wine. What is expected is in their source; see `testkit::programs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{fs, path::Path, rc::Rc};

use common::{ask, open, report};
use dumplens_engine::Session;
use dumplens_report::{
    model::{Frame, Stack, Trust},
    protocol::{Reply, Request, StackOf},
};
use dumplens_testkit::programs::{Program, Workshop, find, source};

/// What stands for frames that are not of the program's source: the C runtime, the C library, the system.
const ELSEWHERE: (&str, &str) = ("…", "");

fn workshop(name: &str) -> Option<Workshop> {
    match Workshop::open(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)) {
        Ok(workshop) => Some(workshop),
        Err(reason) => {
            println!("skipped: {reason}");
            None
        }
    }
}

/// The open dumps of a program's stories, one after another, with its PDB.
fn told<'a>(workshop: &Workshop, program: &Program, stories: &[&'a str]) -> impl Iterator<Item = (&'a str, Session)> {
    let pdb = Rc::new(fs::read(program.pdb()).unwrap());
    let dumps = workshop.dumps(program, stories);
    stories.iter().copied().zip(dumps).map(move |(story, path)| {
        let dump = fs::read(&path).unwrap();
        fs::remove_file(path).unwrap();
        let mut session = open(dump).unwrap();
        let added = session.add_symbols(pdb.clone(), "program.pdb").unwrap();
        assert_eq!(added.modules.len(), 1, "the PDB that the linker wrote is that of the image in the dump");
        (story, session)
    })
}

/// Function and line of every frame that is of the source, and [`ELSEWHERE`] for those between them.
fn outline(stack: &Stack, file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(source(file)).unwrap();
    let mut rows: Vec<(String, String)> = Vec::new();
    let elsewhere = (ELSEWHERE.0.to_owned(), ELSEWHERE.1.to_owned());
    for frame in &stack.frames {
        let line = frame.file.as_ref().filter(|path| path.ends_with(file)).and(frame.line);
        let Some(line) = line else {
            if rows.last() != Some(&elsewhere) {
                rows.push(elsewhere.clone());
            }
            continue;
        };
        let line = text.lines().nth(line as usize - 1).unwrap();
        let mark = line.split("// ").nth(1).unwrap_or(line).to_owned();
        let inline = if frame.inline { "inline " } else { "" };
        // The name of a lambda's type says where its source was.
        let function = frame.function.as_deref().unwrap();
        let function =
            function.split_once("lambda at").map_or(function.to_owned(), |(name, _)| format!("{name}lambda>"));
        rows.push((format!("{inline}{function}"), mark));
    }
    rows
}

type Row = (&'static str, &'static str);

/// Checks a stack: its outline; that no frame is doubtful but the one at `doubtful`; that it ends at the thread's start.
fn check(what: &str, stack: &Stack, file: &str, expected: &[(&str, &str)], doubtful: Option<usize>) {
    let outline = outline(stack, file);
    let outline: Vec<(&str, &str)> = outline.iter().map(|(function, mark)| (&**function, &**mark)).collect();
    assert_eq!(outline, expected, "{what}");
    let first = stack.frames.iter().position(|frame| !frame.inline);
    for (index, frame) in stack.frames.iter().enumerate() {
        let trust = match Some(index) {
            _ if frame.inline => Trust::Inline,
            index if index == first => Trust::Context,
            index if index == doubtful => Trust::Scan,
            _ => Trust::Unwind,
        };
        assert_eq!(frame.trust, trust, "{what}, {index}: {frame:#?}");
    }
    let last = stack.frames.last().unwrap();
    assert_eq!((last.module.as_deref(), last.function.as_deref()), (Some("ntdll"), Some("RtlUserThreadStart")));
    assert_eq!(stack.stop, "The stack ends here.", "{what}");
    assert_eq!(stack.warnings.is_empty(), doubtful.is_none(), "{what}: {:?}", stack.warnings);
}

/// What every story's stack ends with: `main`, and what called it.
const MAIN: [Row; 2] = [("main", "call: tell"), ELSEWHERE];

/// The stack of a story of `stories.c`, from the crash to what `main` calls.
fn story(name: &str) -> Vec<Row> {
    let rows: &[Row] = match name {
        "calls" => &[
            ELSEWHERE,
            ("through_import", "crash: imported"),
            ("compare", "call: through_import"),
            ELSEWHERE,
            ("sorts", "call: qsort"),
            ("variable_frame", "call: sorts"),
            ("large_frame", "call: variable_frame"),
            ("descends", "call: large_frame"),
            ("descends", "call: descends"),
            ("descends", "call: descends"),
            ("descends", "call: descends"),
            ("descends", "call: descends"),
            ("with_registers", "call: descends(4)"),
            ("tells_calls", "call: with_registers"),
        ],
        "null" => &[ELSEWHERE, ("calls_null", "call: null"), ("tells_null", "call: calls_null")],
        "wild" => &[ELSEWHERE, ("calls_wild", "call: wild"), ("tells_wild", "call: calls_wild")],
        "inlined" => &[
            ("inline innermost", "crash: innermost"),
            ("inline middle", "call: innermost"),
            ("outer", "call: middle"),
            ("tells_inlined", "call: outer"),
        ],
        "noreturn" => &[
            ("gives_up", "crash: gives_up"),
            ("may_give_up", "call: gives_up"),
            ("always_gives_up", "call: may_give_up"),
            ("tells_noreturn", "call: always_gives_up"),
        ],
        "filter" => &[
            ("filter", "crash: filter"),
            ELSEWHERE,
            ("raises", "call: RaiseException"),
            ("tells_filter", "call: raises"),
        ],
        "fault" => {
            &[("filter", "crash: filter"), ELSEWHERE, ("faults", "crash: faults"), ("tells_fault", "call: faults")]
        }
        other => panic!("{other}"),
    };
    [rows, &MAIN].concat()
}

const STORIES: [&str; 8] = ["calls", "null", "wild", "inlined", "noreturn", "filter", "fault", "overflow"];

fn crash_stack(session: &mut Session) -> Stack {
    report(session).stack.unwrap()
}

/// The stacks of the three threads that wait, in the order of the list.
fn waiting(session: &mut Session) -> Vec<Stack> {
    let Ok(Reply::Threads(threads)) = ask(session, Request::Threads) else { panic!() };
    let stacks = threads.iter().map(|thread| {
        let request = Request::Stack { of: StackOf::Thread { id: thread.id }, arguments: false };
        let Ok(Reply::Stack(found)) = ask(session, request) else { panic!() };
        found.stack
    });
    stacks.filter(|stack| named(stack, "waits_for").is_some()).collect()
}

fn named<'a>(stack: &'a Stack, function: &str) -> Option<&'a Frame> {
    stack.frames.iter().find(|frame| frame.function.as_deref() == Some(function))
}

/// A program whose only difference is how it was optimised; `guard` is the funclet that asks a filter, unless its call
/// became a jump.
fn tells_its_stories(optimisation: &str, guard: bool) {
    let Some(workshop) = workshop("engine-stories") else { return };
    let program = workshop.build("stories.c", optimisation);
    for (name, mut session) in told(&workshop, &program, &STORIES) {
        let stack = crash_stack(&mut session);
        let what = format!("{name} {optimisation}");
        if name == "overflow" {
            overflowed(&what, &stack);
            continue;
        }
        let mut expected = story(name);
        if let Some((story, mark)) = [("filter", "call: filter"), ("fault", "call: filter of fault")]
            .into_iter()
            .find(|(story, _)| guard && *story == name)
        {
            let funclet = if story == "filter" { "__filt_tells_filter" } else { "__filt_tells_fault" };
            expected.insert(1, (funclet, mark));
        }
        // Where no code is there is no unwind data: the return address on top of the stack is all there is.
        let doubtful = matches!(name, "null" | "wild").then_some(1);
        check(&what, &stack, "stories.c", &expected, doubtful);
        if name == "fault" {
            assert_eq!(named(&stack, "faults").unwrap().note.as_deref(), Some("interrupted here"));
        }
        if name == "calls" {
            threads_wait(&mut session);
        }
    }
}

/// Two functions call each other until the stack is used up: their frames fold, with a count, and the rest stays.
fn overflowed(what: &str, stack: &Stack) {
    let rest = [("pong", "call: ping"), ("ping", "call: pong"), ("tells_overflow", "call: ping(0)"), MAIN[0], MAIN[1]];
    // Where ping first touches its frame is the compiler's choice.
    let mark = &outline(stack, "stories.c")[0].1;
    check(what, stack, "stories.c", &[&[("ping", &**mark)], &rest[..]].concat(), None);
    let note = stack.frames[2].note.as_deref().unwrap();
    let rounds = note.strip_prefix("the last 2 frames stand here ").and_then(|note| note.strip_suffix(" times"));
    let rounds: u64 = rounds.unwrap_or_else(|| panic!("{note}")).parse().unwrap();
    // So many rounds, and the last ping, are as large as the stack between its first frame and its last.
    let sp = |index: usize| stack.frames[index].stack_pointer.unwrap().0;
    let (ping, round) = (sp(1) - sp(0), sp(2) - sp(0));
    assert_eq!(sp(3) - sp(0), round * rounds + ping, "{what}: {rounds} rounds");
}

/// The threads' stacks in the first story.
fn threads_wait(session: &mut Session) {
    let stacks = waiting(session);
    assert_eq!(stacks.len(), 3);
    let wait = [ELSEWHERE, ("waits_for", "call: WaitForSingleObject")];
    let shallow = [&wait[..], &[("shallow_thread", "call: shallow"), ELSEWHERE]].concat();
    check("shallow", &stacks[0], "stories.c", &shallow, None);
    let deep = ("waits_deep", "call: waits_deep");
    let last = ("waits_deep", "call: waits_for");
    let expected = [&wait[..], &[last, deep, deep, deep, ("deep_thread", "call: deep"), ELSEWHERE]].concat();
    check("deep", &stacks[1], "stories.c", &expected, None);
    let expected = [&wait[..], &[last, deep, ("deeper_thread", "call: deeper"), ELSEWHERE]].concat();
    check("deeper", &stacks[2], "stories.c", &expected, None);
    let folded = stacks[2].frames.iter().find_map(|frame| frame.note.as_deref());
    assert_eq!(folded, Some("this frame stands here 100 times"));
}

#[test]
fn a_program_that_was_not_optimised_tells_its_stories() {
    tells_its_stories("-O0", true);
}

#[test]
fn an_optimised_program_tells_its_stories() {
    tells_its_stories("-O2", false);
}

#[test]
fn cpp_tells_its_stories() {
    if find(&["x86_64-w64-mingw32-g++"]).is_none() {
        println!("skipped: mingw-w64 for C++ is not installed");
        return;
    }
    let Some(workshop) = workshop("engine-objects") else { return };
    let program = workshop.build("objects.cpp", "-O2");
    for (name, mut session) in told(&workshop, &program, &["calls", "catch", "cleanup"]) {
        let rows: &[Row] = match name {
            "calls" => &[
                ("shapes::Regular<6>::area", "crash: area"),
                ("measures::<lambda0>::operator()", "call: area"),
                ("twice<`lambda>", "call: function"),
                ("measures", "call: twice"),
                ("tells_calls", "call: measures"),
                ("main", "call: tell calls"),
                ELSEWHERE,
            ],
            "catch" => &[
                ("recovers", "crash: recovers"),
                ("catches", "call: recovers"),
                ("tells_catch", "call: catches"),
                ("main", "call: tell catch"),
                ELSEWHERE,
            ],
            _ => &[
                ("Kept::~Kept", "crash: ~Kept"),
                ("keeps", "cleanup: keeps"),
                ("tells_cleanup", "call: keeps"),
                ("main", "call: tell cleanup"),
                ELSEWHERE,
            ],
        };
        check(name, &crash_stack(&mut session), "objects.cpp", rows, None);
    }
}

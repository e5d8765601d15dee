//! What verdicts are reached from which facts; the bug checks are those of real dumps.

use alloc::vec;

use super::*;

fn frame(module: &str, trust: Trust) -> FrameFact {
    FrameFact {
        module: Some(module.into()),
        image: Some(alloc::format!("{module}.sys")),
        function: None,
        location: alloc::format!("{module}+0x10"),
        trust,
        after_call: false,
    }
}

fn kernel(code: u32, parameters: [u64; 4], frames: Vec<FrameFact>) -> Facts {
    Facts {
        mode: Mode::Kernel,
        bug_check: Some((code, parameters)),
        exception: None,
        access: crate::bug_check_access(code, parameters),
        culprit: None,
        frames,
        parameter_module: None,
        named_driver: None,
        process: None,
        unloaded: None,
    }
}

fn user(code: u32, access: Option<Access>, frames: Vec<FrameFact>) -> Facts {
    Facts {
        mode: Mode::User,
        bug_check: None,
        exception: Some(ExceptionFacts {
            code,
            name: None,
            description: None,
            access,
            source: "exception stream".into(),
        }),
        process: Some("lantern.exe".into()),
        ..kernel(0, [0; 4], frames)
    }
}

#[test]
fn the_driver_that_holds_the_failing_instruction_is_blamed_for_sure() {
    let mut facts = kernel(0xd1, [0x29, 2, 0, 0x1000], vec![frame("nt", Trust::Context), frame("other", Trust::Scan)]);
    facts.culprit = Some(frame("glasswing", Trust::Context));
    let verdict = verdict(&facts);
    let blame = verdict.blamed.unwrap();
    assert_eq!((blame.module.as_str(), blame.confidence), ("glasswing", Confidence::High));
    assert_eq!(verdict.bucket.as_deref(), Some("AV_glasswing!unknown_function"));
    assert!(verdict.title.starts_with("glasswing.sys crashed Windows by reading memory at 0x29"), "{}", verdict.title);
}

#[test]
fn a_module_found_by_scanning_is_only_possibly_involved() {
    let facts =
        kernel(0x1e, [0xc000_0005, 1, 0, 0], vec![frame("nt", Trust::Context), frame("thirdparty", Trust::Scan)]);
    let verdict = verdict(&facts);
    assert_eq!(verdict.blamed.unwrap().confidence, Confidence::Low);
    assert!(verdict.title.contains("possibly"), "{}", verdict.title);
    assert!(verdict.missing.iter().any(|text| text.contains("scanning")));
}

#[test]
fn a_client_below_a_port_driver_is_blamed_before_it_and_the_kernel_last() {
    let frames = vec![frame("nt", Trust::Context), frame("storport", Trust::Unwind), frame("filter", Trust::Unwind)];
    assert_eq!(verdict(&kernel(0xc2, [7, 0, 0, 0], frames)).blamed.unwrap().module, "filter");
    let frames = vec![frame("nt", Trust::Context), frame("storport", Trust::Unwind)];
    assert_eq!(verdict(&kernel(0xc2, [7, 0, 0, 0], frames)).blamed.unwrap().module, "storport");
    let frames = vec![frame("nt", Trust::Context)];
    assert_eq!(verdict(&kernel(0xc2, [7, 0, 0, 0], frames)).blamed.unwrap().confidence, Confidence::Low);
}

#[test]
fn one_bit_that_should_not_be_set_means_memory_and_no_module() {
    let facts = kernel(0x1a, [0x41792, 0xffff_dd01_0bc5_d3f8, 0x20_0000_0000, 0], vec![frame("filter", Trust::Scan)]);
    let verdict = verdict(&facts);
    assert_eq!(verdict.blamed, None);
    assert_eq!(verdict.bucket.as_deref(), Some("MEMORY_CORRUPTION_ONE_BIT"));
    assert!(verdict.title.contains("hardware"));
    assert!(verdict.evidence.iter().any(|fact| fact.statement.contains("one bit")));
}

#[test]
fn two_bits_are_no_proof_of_bad_memory() {
    let facts = kernel(0x1a, [0x41792, 0, 0x3, 0], vec![frame("filter", Trust::Scan)]);
    assert!(verdict(&facts).blamed.is_some());
}

#[test]
fn the_module_a_parameter_points_into_is_blamed_whatever_the_stack_says() {
    let mut facts = kernel(0x116, [1, 2, 0xc000_0001, 4], vec![frame("dxgkrnl", Trust::Context)]);
    facts.parameter_module = Some((2, frame("nvlddmkm", Trust::Context)));
    let verdict = verdict(&facts);
    assert_eq!(verdict.blamed.unwrap().module, "nvlddmkm");
    assert_eq!(verdict.bucket.as_deref(), Some("0x116_IMAGE_nvlddmkm.sys"));
}

#[test]
fn a_crash_that_somebody_asked_for_has_no_culprit() {
    let verdict = verdict(&kernel(0xe2, [0; 4], vec![frame("kbdhid", Trust::Context)]));
    assert_eq!(verdict.blamed, None);
    assert!(verdict.title.contains("asked"));
}

#[test]
fn a_call_through_a_null_pointer_is_said_in_these_words() {
    let access = Access { kind: AccessKind::Execute, address: Some(0), instruction: Some(0) };
    let nowhere = FrameFact { module: None, image: None, ..frame("", Trust::Context) };
    let caller = FrameFact { after_call: true, ..frame("lantern", Trust::Scan) };
    let verdict = verdict(&user(0xc000_0005, Some(access), vec![nowhere, caller, frame("other", Trust::Unwind)]));
    assert!(verdict.title.starts_with("lantern.exe called a function through a null pointer."), "{}", verdict.title);
    assert_eq!(verdict.bucket.as_deref(), Some("NULL_POINTER_EXECUTE_c0000005_lantern.sys!Unknown"));
    assert_eq!(verdict.blamed.unwrap().confidence, Confidence::Medium);
}

#[test]
fn a_dump_without_a_crash_says_so() {
    let mut facts = user(0, None, vec![frame("app", Trust::Context)]);
    facts.exception = None;
    assert!(verdict(&facts).title.contains("without a recorded crash"));
}

#[test]
fn an_undocumented_code_keeps_its_number() {
    let verdict = verdict(&kernel(0xa000_0001, [5, 0, 0, 0], vec![]));
    assert!(verdict.title.contains("0xa0000001"), "{}", verdict.title);
    assert_eq!(verdict.blamed, None);
}

//! What a dump header says, as numbers with names: each party gives those it knows.

use std::collections::BTreeMap;

use dumplens_dump::kernel::KernelDump;

use crate::{Form, Subject};

/// Fields by name.
pub type Header = BTreeMap<&'static str, u64>;

/// What the testkit was told to write.
#[must_use]
pub fn of_machine(subject: &Subject, form: Form) -> Header {
    let (machine, spec) = (&subject.machine, &subject.machine.spec);
    let cut = |value: u64| if subject.is_wide() { value } else { value & 0xffff_ffff };
    let mut header = Header::from([
        ("build", u64::from(spec.release.build)),
        ("directory table base", machine.kernel.root),
        ("page frame database", cut(machine.pfn_database)),
        ("module list", cut(machine.module_list)),
        ("process list", cut(machine.process_list)),
        ("processors", u64::from(spec.processors)),
        ("bug check", u64::from(spec.code)),
        ("debugger data", cut(machine.debugger_data)),
        ("instruction pointer", cut(machine.registers.ip)),
        ("stack pointer", cut(machine.registers.sp)),
    ]);
    for (name, value) in PARAMETERS.into_iter().zip(spec.parameters) {
        header.insert(name, cut(value));
    }
    if subject.is_wide() && form.dump_type.is_some() {
        header.extend([("exception code", 0x8000_0003), ("exception address", machine.registers.ip)]);
    }
    if let Some(number) = form.dump_type {
        header.insert("type", u64::from(number));
    }
    header
}

/// Names of the bug-check parameters.
pub(crate) const PARAMETERS: [&str; 4] = ["parameter 1", "parameter 2", "parameter 3", "parameter 4"];

/// What our reader finds.
#[must_use]
pub fn of_dump(dump: &KernelDump) -> Header {
    let from = dump.header();
    let mut notes = Vec::new();
    let context = dump.context(&mut notes).expect("the header has a context");
    let mut header = Header::from([
        ("type", u64::from(from.dump_type.unwrap())),
        ("build", u64::from(from.build)),
        ("directory table base", from.directory_table_base),
        ("page frame database", from.pfn_database.0),
        ("module list", from.ps_loaded_module_list.0),
        ("process list", from.ps_active_process_head.0),
        ("processors", u64::from(from.processors)),
        ("bug check", u64::from(from.bugcheck_code)),
        ("debugger data", from.kd_debugger_data_block.unwrap().0),
        ("instruction pointer", context.instruction_pointer().0),
        ("stack pointer", context.stack_pointer().0),
        ("time", from.system_time.unwrap().0),
        ("up time", from.system_up_time.unwrap()),
    ]);
    for (name, value) in PARAMETERS.into_iter().zip(from.bugcheck_parameters) {
        header.insert(name, value);
    }
    // The testkit writes none into 32-bit headers.
    if let Some(exception) = dump.exception(&mut notes) {
        header.insert("exception code", u64::from(exception.code));
        header.insert("exception address", exception.address.0);
    }
    assert!(notes.is_empty(), "{notes:?}");
    header
}

//! Parts of dumps that hold physical memory: the page store, the processors, the debugger data block.

use alloc::{format, string::String, string::ToString, vec::Vec};

use dumplens_base::{PAGE_SIZE, Pa, PhysMemory};
use dumplens_report::{
    Hex,
    protocol::{Details, Stream},
};

use super::{MOST_ROWS, field, hex, optional, table};
use crate::kernel::Full;

/// Runs of pages that are listed; finding each may read a piece of the bitmap.
const MOST_RUNS: usize = 256;

/// A part that is read from memory when it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum LivePart {
    /// The page store.
    Pages,
    /// The processors' control blocks.
    Processors,
}

impl LivePart {
    /// The part, field by field.
    pub(super) fn details(self, full: &Full) -> Details {
        match self {
            Self::Pages => page_details(full),
            Self::Processors => processor_details(full),
        }
    }
}

/// The parts. `offset` is where the page store starts in the file.
pub(super) fn parts(full: &Full, offset: u64) -> Vec<(LivePart, Stream)> {
    let stream = |name: &str, size: u64, summary: String| Stream {
        kind: None,
        name: name.into(),
        offset: Hex(offset),
        size,
        summary: Some(summary),
    };
    let pages = full.store.page_count();
    let bytes = pages.saturating_mul(PAGE_SIZE);
    let memory = format!("{pages} pages ({} MiB) as {}", bytes >> 20, full.store.form());
    Vec::from([
        (LivePart::Pages, stream("Physical memory", bytes, memory)),
        (LivePart::Processors, stream("Processors", 0, format!("{} control blocks", full.processors.len()))),
    ])
}

fn page_details(full: &Full) -> Details {
    let mut rows = Vec::new();
    let mut at = Pa(0);
    while rows.len() < MOST_RUNS.min(MOST_ROWS) {
        let Some(run) = full.store.next_run(at) else { break };
        let offset = full.store.file_offset(run.start).map(hex).unwrap_or_default();
        rows.push(Vec::from([hex(run.start.0), hex(run.len), (run.len / PAGE_SIZE).to_string(), offset]));
        match run.start.checked_add(run.len) {
            Some(next) => at = next,
            None => break,
        }
    }
    let shown = rows.len() as u64;
    let kernel = &full.kernel;
    let mut fields = Vec::from([
        field("Pages", full.store.page_count()),
        field("Stored as", full.store.form()),
        field("Page table root", kernel.space.root()),
        field("Object offsets rest on", kernel.layout.source()),
    ]);
    let more = [
        optional("Kernel image", kernel.base),
        optional("PsLoadedModuleList", kernel.module_list),
        optional("PsActiveProcessHead", kernel.process_list),
    ];
    fields.extend(more.into_iter().flatten());
    let columns = ["Physical address", "Length", "Pages", "File offset"];
    let title = if rows.len() == MOST_RUNS { "First runs of present pages" } else { "Runs of present pages" };
    let tables = Vec::from([table(title, &columns, rows, shown)]);
    Details { title: "Physical memory".into(), fields, tables, ..Details::default() }
}

fn processor_details(full: &Full) -> Details {
    let rows: Vec<Vec<String>> = full
        .processors
        .iter()
        .map(|processor| {
            let thread = processor.prcb.current_thread;
            let id = thread.and_then(|thread| full.kernel.thread(thread).id);
            let context = full.context_of(processor);
            let text = |value: Option<String>| value.unwrap_or_default();
            Vec::from([
                processor.number.to_string(),
                hex(processor.block.0),
                text(thread.map(|thread| hex(thread.0))),
                text(id.map(|id| id.to_string())),
                String::from(if thread.is_some() && thread == processor.idle_thread { "idle" } else { "" }),
                text(context.map(|(context, _)| hex(context.instruction_pointer().0))),
            ])
        })
        .collect();
    let total = rows.len() as u64;
    let columns = ["Number", "KPRCB", "Thread", "Thread id", "", "Instruction pointer"];
    let tables = Vec::from([table("Processors", &columns, rows, total)]);
    Details { title: "Processors".into(), tables, ..Details::default() }
}

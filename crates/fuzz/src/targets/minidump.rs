use dumplens_dump::{
    Dump,
    minidump::{Minidump, StreamType},
    open,
};

use crate::{budget, file::File, targets::regions};

/// A file that may be a user minidump: all that can be asked of it.
pub fn minidump(data: &[u8]) {
    budget::within(64, || {
        if let Ok(Dump::Minidump(dump)) = open(File::plain(data)) {
            everything(&dump);
        }
    });
}

fn everything(dump: &Minidump) {
    let mut notes = Vec::new();
    let threads = dump.threads(&mut notes);
    regions(&dump.memory(&threads, &mut notes));
    for thread in threads.iter().take(64) {
        dump.context_at(thread.context, &mut notes);
    }
    dump.exception(&mut notes);
    dump.modules(&mut notes);
    dump.unloaded_modules(&mut notes);
    dump.thread_names(&mut notes);
    dump.thread_info(&mut notes);
    dump.misc_info(&mut notes);
    assert!(dump.handles(2, &mut notes).is_none_or(|(handles, _)| handles.len() <= 2));
    assert!(dump.memory_info(2, &mut notes).is_none_or(|(regions, _)| regions.len() <= 2));
    dump.tokens(&mut notes);
    dump.function_tables(&mut notes);
    dump.system_memory_info(&mut notes);
    dump.vm_counters(&mut notes);
    dump.crashpad_info(&mut notes);
    dump.breakpad_info(&mut notes);
    dump.breakpad_assertion(&mut notes);
    dump.text(StreamType::CommentA, &mut notes);
    dump.text(StreamType::CommentW, &mut notes);
    assert!(notes.iter().all(|note| !note.text.is_empty()));
}

//! What common bug checks mean, in plain words.
//!
//! The facts are those of Microsoft's public bug check reference (Microsoft, CC-BY-4.0); the words are our own.

use super::{
    BugCheckText,
    Decode::{FastFail, Irql, ReadWriteExecute, Status, Values},
    Parameter,
};

const fn plain(meaning: &'static str) -> Parameter {
    Parameter { meaning, decode: None }
}

const fn decoded(meaning: &'static str, decode: super::Decode) -> Parameter {
    Parameter { meaning, decode: Some(decode) }
}

/// Sorted by code.
#[rustfmt::skip]
pub(super) static TABLE: &[BugCheckText] = &[
    BugCheckText {
        code: 0xa,
        description: "Code running at raised IRQL touched memory that was paged out or invalid. Usually a driver used a bad pointer, or pageable memory where paging is not allowed.",
        parameters: [
            plain("Address that was accessed"),
            decoded("IRQL at that time", Irql),
            decoded("Kind of access", ReadWriteExecute),
            plain("Address of the instruction"),
        ],
    },
    BugCheckText {
        code: 0x18,
        description: "The count of references to an object went wrong: a driver released an object more often than it took it.",
        parameters: [
            plain("Type of the object"),
            plain("Address of the object"),
            plain("Internal"),
            plain("Internal"),
        ],
    },
    BugCheckText {
        code: 0x19,
        description: "A pool block's header is corrupt. Something wrote outside its own block, usually before this moment.",
        parameters: [
            decoded("What was found", Values(&[(0x2, "the special pool check failed"), (0x3, "the free list is corrupt"), (0x5, "a pair of neighbouring headers contradict each other"), (0x6, "a header's previous size is wrong"), (0x7, "a header is corrupt"), (0x20, "a pool block's size is corrupt"), (0x21, "data after a freed block was overwritten"), (0x22, "an address is freed that was never allocated"), (0x25, "a block is freed with the wrong size")])),
            plain("Address of the pool entry"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0x1a,
        description: "The memory manager found its own bookkeeping wrong. Faulty memory modules and drivers that write where they must not are the usual causes.",
        parameters: [
            decoded("What was found", Values(&[(0x1, "the fork clone count is wrong"), (0x31, "the image of a file in memory is corrupt"), (0x403, "a page table entry and the page frame database disagree"), (0x411, "a page table entry is corrupt"), (0x777, "a driver frees memory that is locked"), (0x888, "a page frame is corrupt"), (0x1000, "a driver's image is corrupt"), (0x1234, "a driver locked memory that does not exist"), (0x1235, "a driver unlocks memory that is not locked"), (0x1236, "a driver's memory list is wrong"), (0x1237, "a driver unlocks a page that is not locked"), (0x1240, "a driver locks pages while holding a lock"), (0x3300, "memory that is read-only was written"), (0x3451, "the page tables of a kernel thread that is swapped out are corrupt"), (0x3470, "the cache manager's page lists are corrupt"), (0x5003, "the free list of a working set is corrupt"), (0x5100, "the allocation bitmap is corrupt"), (0x8884, "two pages on the standby list do not match"), (0x8888, "internal bookkeeping is corrupt"), (0x9696, "the page table of a process is corrupt"), (0x41201, "a page table entry and the working set disagree"), (0x41283, "a working set index is corrupt"), (0x41284, "a page table entry or working set list is corrupt"), (0x41285, "the working set list is corrupt"), (0x41286, "a page is used after it was freed"), (0x41287, "an address was accessed while locks were held that forbid it"), (0x41289, "a page table entry is corrupt"), (0x41790, "a page table page is corrupt: its use count is wrong"), (0x41791, "a page table page is corrupt"), (0x41792, "a page table entry that should be empty is not"), (0x41793, "a page table page is corrupt: it has more entries than it counts"), (0x61940, "the page table of a kernel address is corrupt"), (0x61941, "the paging hierarchy is corrupt"), (0x61946, "a memory list was changed while it was used"), (0x3f, "a page read back from the page file does not match its checksum")])),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0x1e,
        description: "A program in kernel mode raised an exception that nobody handled.",
        parameters: [
            decoded("Exception code", Status),
            plain("Address of the instruction"),
            plain("First exception parameter"),
            plain("Second exception parameter"),
        ],
    },
    BugCheckText {
        code: 0x23,
        description: "The FAT file system met an error it cannot recover from. Check the disk.",
        parameters: [
            plain("Source file and line"),
            plain("Address of the exception record"),
            plain("Address of the context record"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x24,
        description: "The NTFS file system met an error it cannot recover from. Check the disk.",
        parameters: [
            plain("Source file and line"),
            plain("Address of the exception record"),
            plain("Address of the context record"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x34,
        description: "The file cache met an error it cannot recover from.",
        parameters: [
            plain("Source file and line"),
            plain("Reserved"),
            plain("Address of the exception record"),
            plain("Address of the context record"),
        ],
    },
    BugCheckText {
        code: 0x35,
        description: "A driver forwarded a request that has no stack location left.",
        parameters: [
            plain("Request (IRP)"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x3b,
        description: "An exception happened while Windows carried out a system call. The registers at that moment stand where parameter 3 points.",
        parameters: [
            decoded("Exception code", Status),
            plain("Address of the instruction"),
            plain("Address of the context record"),
            plain("Not used"),
        ],
    },
    BugCheckText {
        code: 0x3d,
        description: "An interrupt routine raised an exception that was not handled.",
        parameters: [
            plain("Exception record"),
            plain("Context record"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x44,
        description: "A driver finished a request that had been finished already.",
        parameters: [
            plain("Request (IRP)"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x4a,
        description: "A thread returned to user mode at raised IRQL: a driver did not lower it.",
        parameters: [
            plain("Address of the system call"),
            decoded("IRQL", Irql),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x4e,
        description: "The list of physical pages is corrupt. Faulty memory or a driver that locks pages wrongly.",
        parameters: [
            decoded("What was found", Values(&[(0x1, "a list head is corrupt"), (0x2, "a list entry is corrupt"), (0x7, "a page was freed that is still shared"), (0x8, "a page is not in its list"), (0x8d, "a page's state is wrong"), (0x8f, "a free page is in use"), (0x99, "a page's share count or state is wrong"), (0x9a, "a page in use is freed")])),
            plain("Page frame or depends on parameter 1"),
            plain("Page state"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0x50,
        description: "Memory was accessed that does not exist and cannot be paged in. Usually a driver used a bad or freed pointer; faulty memory can do it too.",
        parameters: [
            plain("Address that was accessed"),
            decoded("Kind of access", Values(&[(0x0, "read"), (0x1, "write"), (0x2, "write"), (0x8, "execute"), (0x10, "execute")])),
            plain("Address of the instruction"),
            plain("Kind of page fault"),
        ],
    },
    BugCheckText {
        code: 0x51,
        description: "The registry is corrupt or could not be read.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Address of the hive"),
            decoded("Error", Status),
        ],
    },
    BugCheckText {
        code: 0x74,
        description: "The registry's system part is damaged or incomplete.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
            decoded("Error", Status),
        ],
    },
    BugCheckText {
        code: 0x76,
        description: "A process ended with pages still locked by a driver.",
        parameters: [
            plain("Reason"),
            plain("Process"),
            plain("Pages"),
            plain("Driver's record"),
        ],
    },
    BugCheckText {
        code: 0x77,
        description: "A kernel stack could not be read back from the page file. Usually the disk fails.",
        parameters: [
            decoded("Error, or 0 to 2", Status),
            decoded("I/O status", Status),
            plain("Block in the page file"),
            plain("Address or offset"),
        ],
    },
    BugCheckText {
        code: 0x7a,
        description: "Kernel data could not be read back from the page file. Usually the disk, its cable or its controller fails.",
        parameters: [
            plain("Lock type, or page table entry"),
            decoded("Error of the read", Status),
            plain("Process or address"),
            plain("Address that was needed"),
        ],
    },
    BugCheckText {
        code: 0x7b,
        description: "Windows lost its boot disk, or could not reach it while starting.",
        parameters: [
            plain("Address of the device's name or object"),
            decoded("Error", Status),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x7e,
        description: "A system thread raised an exception that nobody handled. The exception and the registers stand where parameters 3 and 4 point.",
        parameters: [
            decoded("Exception code", Status),
            plain("Address of the instruction"),
            plain("Address of the exception record"),
            plain("Address of the context record"),
        ],
    },
    BugCheckText {
        code: 0x7f,
        description: "The processor raised a trap that the kernel does not expect or cannot handle.",
        parameters: [
            decoded("Trap number", Values(&[(0x0, "divide error"), (0x1, "debug trap"), (0x3, "breakpoint"), (0x4, "overflow"), (0x5, "bound check"), (0x6, "invalid instruction"), (0x7, "coprocessor not available"), (0x8, "double fault: usually the kernel stack overflowed"), (0xa, "corrupt task state segment"), (0xb, "segment not present"), (0xc, "stack fault"), (0xd, "general protection fault"), (0x10, "floating-point error"), (0x11, "alignment check"), (0x12, "machine check")])),
            plain("Depends on the trap"),
            plain("Depends on the trap"),
            plain("Depends on the trap"),
        ],
    },
    BugCheckText {
        code: 0x80,
        description: "The hardware raised a non-maskable interrupt for a failure. On servers an operator or management board can do it on purpose.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x8e,
        description: "Code in kernel mode raised an exception that nobody handled. The registers stand in the trap frame.",
        parameters: [
            decoded("Exception code", Status),
            plain("Address of the instruction"),
            plain("Address of the trap frame"),
            plain("Not used"),
        ],
    },
    BugCheckText {
        code: 0x9c,
        description: "The processor reported an unrecoverable hardware error.",
        parameters: [
            plain("Bank number"),
            plain("Address of the exception record"),
            plain("High half of the status"),
            plain("Low half of the status"),
        ],
    },
    BugCheckText {
        code: 0x9f,
        description: "A driver did not finish a change of power state in time.",
        parameters: [
            decoded("What happened", Values(&[(0x1, "a device was freed with a power request pending"), (0x2, "a device did not finish a system power request"), (0x3, "a device has held a power request too long"), (0x4, "a power transition waits for Plug and Play"), (0x5, "a directed power transition took too long"), (0x6, "a directed power callback took too long"), (0x500, "a device did not finish a system power request")])),
            plain("Device object, or time-out"),
            plain("Triage data, or thread"),
            plain("Blocked request (IRP), or triage data"),
        ],
    },
    BugCheckText {
        code: 0xa0,
        description: "The power manager met a fatal error.",
        parameters: [
            plain("Which error"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0xa5,
        description: "The firmware's ACPI tables or methods do not follow the specification, or the driver could not cope with them. A firmware update is the usual cure.",
        parameters: [
            plain("Which error"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0xbe,
        description: "A driver wrote to read-only memory.",
        parameters: [
            plain("Address that was written"),
            plain("Page table entry"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xc1,
        description: "A driver wrote outside memory that Driver Verifier gave it from special pool.",
        parameters: [
            plain("Address that was written"),
            plain("Depends on the error"),
            plain("Bytes"),
            plain("What was found"),
        ],
    },
    BugCheckText {
        code: 0xc2,
        description: "A driver made a bad pool request: freeing twice, freeing what is not its own, or allocating at too high an IRQL.",
        parameters: [
            decoded("What was done", Values(&[(0x1, "a header was corrupt at a free"), (0x2, "a header was corrupt at a free"), (0x4, "a header was corrupt at a free"), (0x6, "freed memory was freed again"), (0x7, "freed memory was freed again"), (0x8, "an allocation at too high an IRQL"), (0x9, "a free at too high an IRQL"), (0xa, "memory was freed with another owner's tag"), (0x40, "a user address was freed"), (0x41, "an address in no pool was freed"), (0x42, "an address in no pool was freed"), (0x43, "an address in no pool was freed"), (0x46, "an invalid address was freed"), (0x47, "an invalid address was freed"), (0x99, "an invalid address was freed"), (0x9b, "an allocation with tag 0")])),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0xc4,
        description: "Driver Verifier caught a driver doing something that is not allowed.",
        parameters: [
            plain("Which rule was broken"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0xc5,
        description: "Pool memory is corrupt: an address in its lists is invalid. The code that met it is usually the victim, not the cause.",
        parameters: [
            plain("Address that was accessed"),
            decoded("IRQL at that time", Irql),
            decoded("Kind of access", ReadWriteExecute),
            plain("Address of the instruction"),
        ],
    },
    BugCheckText {
        code: 0xc8,
        description: "The IRQL is not what it must be at this point.",
        parameters: [
            plain("IRQLs"),
            plain("Address of the routine"),
            plain("Number"),
            plain("Driver object"),
        ],
    },
    BugCheckText {
        code: 0xc9,
        description: "Driver Verifier's I/O checks caught a driver breaking a rule.",
        parameters: [
            plain("Which rule was broken"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0xcb,
        description: "A driver left pages locked after an operation ended.",
        parameters: [
            plain("Address in the driver, or 0"),
            plain("Address of the caller"),
            plain("Memory list"),
            plain("Number of locked pages"),
        ],
    },
    BugCheckText {
        code: 0xce,
        description: "A driver was unloaded while something could still call it. The address belongs to where the driver was.",
        parameters: [
            plain("Address that was accessed"),
            decoded("Kind of access", ReadWriteExecute),
            plain("Address of the instruction"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xd1,
        description: "A driver running at raised IRQL touched memory that was paged out or invalid. The instruction at parameter 4 did it.",
        parameters: [
            plain("Address that was accessed"),
            decoded("IRQL at that time", Irql),
            decoded("Kind of access", ReadWriteExecute),
            plain("Address of the instruction"),
        ],
    },
    BugCheckText {
        code: 0xd5,
        description: "A driver used pageable memory that it had freed (special pool).",
        parameters: [
            plain("Address that was accessed"),
            decoded("Kind of access", ReadWriteExecute),
            plain("Address of the instruction"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xd6,
        description: "A driver accessed memory past the end of its pool block.",
        parameters: [
            plain("Address that was accessed"),
            decoded("Kind of access", ReadWriteExecute),
            plain("Address of the instruction"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xd8,
        description: "A driver used up all system page table entries.",
        parameters: [
            plain("Driver, if known"),
            plain("PTEs used by it"),
            plain("Free PTEs"),
            plain("All PTEs"),
        ],
    },
    BugCheckText {
        code: 0xe2,
        description: "Somebody asked for this crash, by keyboard or tool. Nothing failed by itself.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xe6,
        description: "Driver Verifier caught a driver using DMA wrongly.",
        parameters: [
            plain("Which rule"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0xea,
        description: "A thread in a graphics driver spins without end, usually waiting for hardware that does not answer.",
        parameters: [
            plain("Address of the stuck thread"),
            plain("Address of the watchdog object"),
            plain("Address of the driver's name"),
            plain("How often it happened"),
        ],
    },
    BugCheckText {
        code: 0xed,
        description: "The boot volume could not be mounted.",
        parameters: [
            plain("Device object"),
            decoded("Error", Status),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xef,
        description: "A process that Windows cannot do without ended.",
        parameters: [
            plain("Address of the process or thread object"),
            decoded("What ended", Values(&[(0x0, "a process"), (0x1, "a thread")])),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xf4,
        description: "A process or thread that Windows cannot do without ended.",
        parameters: [
            decoded("What ended", Values(&[(0x3, "a process"), (0x6, "a thread")])),
            plain("Address of the object"),
            plain("Address of the image name"),
            plain("Address of an explanation"),
        ],
    },
    BugCheckText {
        code: 0xf7,
        description: "A driver overran a buffer on its stack: the security cookie is destroyed.",
        parameters: [
            plain("Cookie found"),
            plain("Cookie expected"),
            plain("Complement of the expected cookie"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xfc,
        description: "Code was executed in memory that may not be executed.",
        parameters: [
            plain("Address that was executed"),
            plain("Page table entry"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x101,
        description: "A processor did not answer clock interrupts for too long: it hangs. Faulty hardware, firmware, overclocking, or a driver that spins with interrupts off.",
        parameters: [
            plain("Time-out, in clock ticks"),
            plain("Reserved"),
            plain("Address of the hung processor's control block"),
            plain("Number of the hung processor"),
        ],
    },
    BugCheckText {
        code: 0x109,
        description: "Kernel code or a critical structure was modified. Malware, cheating tools, or faulty memory.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Depends on parameter 4"),
            decoded("What was modified", Values(&[(0x0, "a data region"), (0x1, "a function of the kernel"), (0x2, "a processor's interrupt table"), (0x3, "a processor's descriptor table"), (0x4, "the process list"), (0x5, "the type of an object"), (0x6, "the debug switch"), (0x7, "a critical register"), (0x18, "the process list"), (0x102, "a system image")])),
        ],
    },
    BugCheckText {
        code: 0x10d,
        description: "A driver broke a rule of the driver framework (KMDF or UMDF).",
        parameters: [
            plain("Which rule"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0x10e,
        description: "The video memory manager met a condition it cannot recover from. Usually the graphics driver is at fault.",
        parameters: [
            plain("Which condition"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0x113,
        description: "The graphics kernel met a fatal error. Usually the graphics driver is at fault.",
        parameters: [
            plain("Which error"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0x116,
        description: "The graphics driver did not recover the display in time after the graphics processor stopped answering.",
        parameters: [
            plain("Address of the recovery context"),
            plain("Address in the responsible driver"),
            decoded("Error of the last operation", Status),
            plain("Internal data"),
        ],
    },
    BugCheckText {
        code: 0x117,
        description: "The graphics driver did not recover the display in time; Windows went on.",
        parameters: [
            plain("Address of the recovery context"),
            plain("Address in the responsible driver"),
            plain("Secondary bucket"),
            plain("Internal data"),
        ],
    },
    BugCheckText {
        code: 0x119,
        description: "The video scheduler found a fatal error.",
        parameters: [
            decoded("What was found", Values(&[(0x1, "the driver reported an invalid fence"), (0x2, "the driver failed a command submission"), (0x3, "the driver failed a patch"), (0x4, "the driver reported an invalid flip")])),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0x124,
        description: "The hardware reported an error that it could not correct.",
        parameters: [
            decoded("Source", Values(&[(0x0, "machine check"), (0x1, "corrected machine check"), (0x2, "corrected platform error"), (0x3, "non-maskable interrupt"), (0x4, "PCI Express"), (0x5, "generic"), (0x6, "INIT"), (0x7, "boot"), (0x10, "device driver")])),
            plain("Address of the error record"),
            plain("High half of the machine check status"),
            plain("Low half of the machine check status"),
        ],
    },
    BugCheckText {
        code: 0x12b,
        description: "A page of memory was found to have changed by itself: the memory hardware is faulty.",
        parameters: [
            plain("Virtual address"),
            plain("Physical page"),
            plain("Depends on the error"),
            plain("Depends on the error"),
        ],
    },
    BugCheckText {
        code: 0x133,
        description: "A deferred procedure call or code at raised IRQL ran longer than allowed. Usually a driver hangs.",
        parameters: [
            decoded("What took too long", Values(&[(0x0, "a single deferred procedure call"), (0x1, "the total time at DISPATCH_LEVEL or above")])),
            plain("Time spent, in ticks"),
            plain("Time allowed, in ticks"),
            plain("Address of triage data"),
        ],
    },
    BugCheckText {
        code: 0x139,
        description: "The kernel found a structure corrupt and stopped at once to protect the system.",
        parameters: [
            decoded("What was found", FastFail),
            plain("Address of the trap frame"),
            plain("Address of the exception record"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x13a,
        description: "The kernel's heap manager found corruption.",
        parameters: [
            decoded("What was found", Values(&[(0x3, "an entry's header is corrupt"), (0x4, "several entries are corrupt"), (0x5, "a large entry is corrupt"), (0x6, "a buffer was overrun"), (0x7, "a buffer was underrun"), (0x8, "a freed block was freed again"), (0x9, "an invalid address was freed"), (0xa, "an invalid argument"), (0xb, "a block is used after it was freed"), (0xc, "an allocation is in the wrong list"), (0xd, "a list entry is corrupt"), (0xe, "a free list is corrupt"), (0x11, "a commit count is wrong"), (0x12, "the header of a block at the end of a page is corrupt")])),
            plain("Address of the heap"),
            plain("Address of the corruption"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x144,
        description: "The USB 3 stack met an error it cannot recover from.",
        parameters: [
            plain("Which error"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
            plain("Depends on parameter 1"),
        ],
    },
    BugCheckText {
        code: 0x14f,
        description: "A power component did not answer the Power Dependency Coordinator in time.",
        parameters: [
            plain("Client"),
            plain("Notification"),
            plain("Triage data"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x154,
        description: "The store component (memory compression) met an exception it did not expect. Often the disk fails.",
        parameters: [
            plain("Store context"),
            plain("Exception information"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x15f,
        description: "Connected standby could not be kept: a device stayed active. This is a live dump; nothing crashed.",
        parameters: [
            plain("Which condition"),
            plain("Depends on parameter 1"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x161,
        description: "This is a live dump of a running system. Nothing crashed.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x162,
        description: "A driver returned while holding a lock it must have released.",
        parameters: [
            plain("Thread"),
            plain("Lock entry"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x192,
        description: "A lock was taken at an IRQL at which it must not be.",
        parameters: [
            plain("Thread"),
            plain("Lock"),
            decoded("IRQL", Irql),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x1c8,
        description: "The power button was held down; Windows wrote a dump on the way out.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x1ca,
        description: "The whole system did not process clock interrupts for too long.",
        parameters: [
            plain("Clock time-out"),
            plain("Current time"),
            plain("Processor"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x1ce,
        description: "The kernel stack pointer does not lie on a kernel stack.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x1d5,
        description: "A driver did not finish a Plug and Play operation in time.",
        parameters: [
            plain("Which operation"),
            plain("Device object"),
            plain("Depends on parameter 1"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0x20001,
        description: "The hypervisor met a fatal error.",
        parameters: [
            plain("Which error"),
            plain("Depends on the error"),
            plain("Depends on the error"),
            plain("Depends on the error"),
        ],
    },
    BugCheckText {
        code: 0xc0000218,
        description: "A registry file cannot be loaded: it is missing or damaged.",
        parameters: [
            plain("Address of the file's name"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xc000021a,
        description: "A process that Windows cannot do without (winlogon or csrss) ended.",
        parameters: [
            plain("Address of a text"),
            decoded("Error", Status),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
    BugCheckText {
        code: 0xdeaddead,
        description: "Somebody asked for this crash. Nothing failed by itself.",
        parameters: [
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
            plain("Reserved"),
        ],
    },
];

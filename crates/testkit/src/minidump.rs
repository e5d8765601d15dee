//! Minidumps, stream by stream.

use crate::asm::{Asm, structure};

/// A module of a test minidump.
#[derive(Clone, Debug, Default)]
pub struct TestModule {
    /// First address.
    pub base: u64,
    /// `SizeOfImage`.
    pub size: u32,
    /// Path.
    pub path: String,
    /// `TimeDateStamp`.
    pub timestamp: u32,
    /// Four-part file version.
    pub version: Option<[u16; 4]>,
    /// CodeView record as it stands in the file.
    pub codeview: Vec<u8>,
}

/// A thread of a test minidump.
#[derive(Clone, Debug)]
pub struct TestThread {
    /// Thread environment block; 0 for one made of the id.
    pub teb: u64,
    /// Thread id.
    pub id: u32,
    /// Name, for the ThreadNames stream.
    pub name: Option<String>,
    /// Address of the captured stack.
    pub stack_at: u64,
    /// Captured stack.
    pub stack: Vec<u8>,
    /// Register context.
    pub context: Vec<u8>,
}

/// An `RSDS` record.
#[must_use]
pub fn rsds(guid: [u8; 16], age: u32, pdb: &str) -> Vec<u8> {
    let mut asm = Asm::new();
    asm.raw(b"RSDS").raw(&guid).u32(age).raw(pdb.as_bytes()).u8(0);
    asm.into_bytes()
}

/// A minidump being put together: streams are written as they are added, the directory at the end.
#[derive(Debug)]
pub struct MinidumpBuilder {
    file: Asm,
    directory: Vec<(u32, u32, u32)>,
    timestamp: u32,
    flags: u64,
}

impl MinidumpBuilder {
    /// An empty minidump of a given time (seconds since 1970) and `MINIDUMP_TYPE`.
    #[must_use]
    pub fn new(timestamp: u32, flags: u64) -> Self {
        let mut file = Asm::new();
        file.zeros(0x20);
        Self { file, directory: Vec::new(), timestamp, flags }
    }

    /// Adds a stream as it stands.
    pub fn stream(&mut self, kind: u32, bytes: &[u8]) -> &mut Self {
        self.file.align(8);
        let at = self.file.here();
        self.file.raw(bytes);
        self.directory.push((kind, u32::try_from(bytes.len()).unwrap(), at));
        self
    }

    fn blob(&mut self, bytes: &[u8]) -> (u32, u32) {
        self.file.align(8);
        let at = self.file.here();
        self.file.raw(bytes);
        (u32::try_from(bytes.len()).unwrap(), at)
    }

    /// A `MINIDUMP_STRING`; returns its offset.
    fn string(&mut self, text: &str) -> u32 {
        self.file.align(4);
        let at = self.file.here();
        self.file.u32(u32::try_from(text.encode_utf16().count() * 2).unwrap()).utf16(text).u16(0);
        at
    }

    /// SystemInfo: architecture (9 x64, 0 x86, 12 ARM64), platform (2 Windows, 0x8201 Linux), version and build.
    pub fn system_info(
        &mut self,
        architecture: u16,
        platform: u32,
        version: (u32, u32, u32),
        processors: u8,
    ) -> &mut Self {
        let text = self.string("");
        let (major, minor, build) = version;
        let bytes = structure(
            0x38,
            &[
                (0, u64::from(architecture), 2),
                (2, 25, 2),
                (4, 0x5000, 2),
                (6, u64::from(processors), 1),
                (7, 1, 1),
                (8, u64::from(major), 4),
                (0xc, u64::from(minor), 4),
                (0x10, u64::from(build), 4),
                (0x14, u64::from(platform), 4),
                (0x18, u64::from(text), 4),
            ],
        );
        self.stream(7, &bytes)
    }

    /// ModuleList.
    pub fn modules(&mut self, modules: &[TestModule]) -> &mut Self {
        let mut list = Asm::new();
        list.u32(u32::try_from(modules.len()).unwrap());
        for module in modules {
            let name = self.string(&module.path);
            let (cv_size, cv_at) = self.blob(&module.codeview);
            list.u64(module.base).u32(module.size).u32(module.timestamp ^ 0x5a5a).u32(module.timestamp).u32(name);
            let [a, b, c, d] = module.version.unwrap_or_default().map(u64::from);
            let signature = if module.version.is_some() { 0xfeef_04bd } else { 0 };
            let fields = [(0, signature, 4), (4, 0x1_0000, 4), (8, a << 16 | b, 4), (12, c << 16 | d, 4)];
            list.raw(&structure(0x34, &fields));
            list.u32(cv_size).u32(if cv_size == 0 { 0 } else { cv_at });
            list.zeros(8 + 16);
        }
        self.stream(4, &list.into_bytes())
    }

    /// UnloadedModuleList: base, size, timestamp, name.
    pub fn unloaded(&mut self, modules: &[(u64, u32, u32, &str)]) -> &mut Self {
        let mut list = Asm::new();
        list.u32(12).u32(0x18).u32(u32::try_from(modules.len()).unwrap());
        for (base, size, timestamp, name) in modules {
            let name = self.string(name);
            list.u64(*base).u32(*size).u32(0x1234).u32(*timestamp).u32(name);
        }
        self.stream(14, &list.into_bytes())
    }

    /// ThreadList and, where a thread has a name, ThreadNames.
    pub fn threads(&mut self, threads: &[TestThread]) -> &mut Self {
        let mut list = Asm::new();
        let mut names = Asm::new();
        let named: Vec<_> = threads.iter().filter(|thread| thread.name.is_some()).collect();
        list.u32(u32::try_from(threads.len()).unwrap());
        names.u32(u32::try_from(named.len()).unwrap());
        for thread in threads {
            let (stack_size, stack) = self.blob(&thread.stack);
            let (context_size, context) = self.blob(&thread.context);
            let teb = if thread.teb == 0 { 0x7ff0_0000_0000 + u64::from(thread.id) * 0x1000 } else { thread.teb };
            list.u32(thread.id).u32(0).u32(0x20).u32(8).u64(teb);
            list.u64(thread.stack_at).u32(stack_size).u32(stack).u32(context_size).u32(context);
        }
        for thread in &named {
            let name = self.string(thread.name.as_deref().unwrap());
            names.u32(thread.id).u64(u64::from(name));
        }
        self.stream(3, &list.into_bytes());
        if named.is_empty() { self } else { self.stream(24, &names.into_bytes()) }
    }

    /// MemoryList: addresses and bytes.
    pub fn memory(&mut self, ranges: &[(u64, Vec<u8>)]) -> &mut Self {
        let mut list = Asm::new();
        list.u32(u32::try_from(ranges.len()).unwrap());
        for (start, bytes) in ranges {
            let (size, at) = self.blob(bytes);
            list.u64(*start).u32(size).u32(at);
        }
        self.stream(5, &list.into_bytes())
    }

    /// Memory64List whose contents start at `base` in the file, which need not be within what is written: the caller
    /// presents those bytes.
    pub fn memory64(&mut self, base: u64, ranges: &[(u64, u64)]) -> &mut Self {
        let mut list = Asm::new();
        list.u64(ranges.len() as u64).u64(base);
        for (start, size) in ranges {
            list.u64(*start).u64(*size);
        }
        self.stream(9, &list.into_bytes())
    }

    /// Exception: thread, record (0x98 bytes) and context.
    pub fn exception(&mut self, thread: u32, record: &[u8], context: &[u8]) -> &mut Self {
        let (size, at) = self.blob(context);
        let mut stream = Asm::new();
        stream.u32(thread).u32(0).raw(record).u32(size).u32(at);
        self.stream(6, &stream.into_bytes())
    }

    /// MiscInfo version 4: process id, times, build string.
    pub fn misc_info(&mut self, process: u32, create_time: u32, build: &str) -> &mut Self {
        let mut bytes = structure(
            0x340,
            &[
                (0, 0x340, 4),
                (4, 0x1 | 0x2 | 0x100, 4),
                (8, u64::from(process), 4),
                (0xc, u64::from(create_time), 4),
                (0x10, 3, 4),
                (0x14, 1, 4),
            ],
        );
        let text: Vec<u8> = build.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes[0xe8..0xe8 + text.len()].copy_from_slice(&text);
        self.stream(15, &bytes)
    }

    /// HandleData: value, type, object name.
    pub fn handles(&mut self, handles: &[(u64, &str, &str)]) -> &mut Self {
        let mut list = Asm::new();
        list.u32(16).u32(0x20).u32(u32::try_from(handles.len()).unwrap()).u32(0);
        for (handle, kind, name) in handles {
            let kind = self.string(kind);
            let name = if name.is_empty() { 0 } else { self.string(name) };
            list.u64(*handle).u32(kind).u32(name).u32(0).u32(0x12_0089).u32(2).u32(3);
        }
        self.stream(12, &list.into_bytes())
    }

    /// MemoryInfoList: base, size, state, protection, type.
    pub fn memory_info(&mut self, regions: &[(u64, u64, u32, u32, u32)]) -> &mut Self {
        let mut list = Asm::new();
        list.u32(16).u32(0x30).u64(regions.len() as u64);
        for (base, size, state, protect, kind) in regions {
            list.u64(*base).u64(*base).u32(*protect).u32(0).u64(*size).u32(*state).u32(*protect).u32(*kind).u32(0);
        }
        self.stream(16, &list.into_bytes())
    }

    /// CommentW.
    pub fn comment(&mut self, text: &str) -> &mut Self {
        let mut bytes = Asm::new();
        bytes.utf16(text).u16(0);
        self.stream(11, &bytes.into_bytes())
    }

    /// Crashpad's stream with process annotations and one module's annotation objects.
    pub fn crashpad(&mut self, simple: &[(&str, &str)], objects: &[(&str, &str)]) -> &mut Self {
        let counted = |builder: &mut Self, text: &str| {
            builder.file.align(4);
            let at = builder.file.here();
            builder.file.u32(u32::try_from(text.len()).unwrap()).raw(text.as_bytes()).u8(0);
            at
        };
        let mut dictionary = Asm::new();
        dictionary.u32(u32::try_from(simple.len()).unwrap());
        for (name, value) in simple {
            let (name, value) = (counted(self, name), counted(self, value));
            dictionary.u32(name).u32(value);
        }
        let mut list = Asm::new();
        list.u32(u32::try_from(objects.len()).unwrap());
        for (name, value) in objects {
            let (name, value) = (counted(self, name), counted(self, value));
            list.u32(name).u16(1).u16(0).u32(value);
        }
        let (simple_size, simple_at) = self.blob(&dictionary.into_bytes());
        let (list_size, list_at) = self.blob(&list.into_bytes());
        let mut module = Asm::new();
        module.u32(1).u32(0).u32(0).u32(0).u32(0).u32(list_size).u32(list_at);
        let (module_size, module_at) = self.blob(&module.into_bytes());
        let mut modules = Asm::new();
        modules.u32(1).u32(0).u32(module_size).u32(module_at);
        let (modules_size, modules_at) = self.blob(&modules.into_bytes());
        let mut stream = Asm::new();
        stream
            .u32(1)
            .raw(&[0x11; 16])
            .raw(&[0x22; 16])
            .u32(simple_size)
            .u32(simple_at)
            .u32(modules_size)
            .u32(modules_at);
        self.stream(0x4350_0001, &stream.into_bytes())
    }

    /// The file.
    #[must_use]
    pub fn build(mut self) -> Vec<u8> {
        self.file.align(8);
        let directory = self.file.here();
        for (kind, size, at) in &self.directory {
            self.file.u32(*kind).u32(*size).u32(*at);
        }
        self.file.put(0, b"MDMP").put_u32(4, 0xa793);
        self.file.put_u32(8, u32::try_from(self.directory.len()).unwrap()).put_u32(0xc, directory);
        self.file.put_u32(0x14, self.timestamp).put_u64(0x18, self.flags);
        self.file.into_bytes()
    }
}

//! Images for the unwinder: in the dump's memory, or in a file that was dropped beside it.

use alloc::{collections::BTreeMap, rc::Rc, vec::Vec};
use core::cell::RefCell;

use dumplens_base::{Machine, Memory, Va, frame::FrameAt};
use dumplens_dump::Module;
use dumplens_image::{Directory, FileImage, Headers, Image, ImageBytes, MappedImage, Section};
use dumplens_unwind::{
    Modules, Returns, Target,
    x64::{Absent, CodeImage, DynamicTable, Waypoints},
};

use crate::{
    modules::ModuleMap,
    symbols::{Content, Names, SymbolFile, is_same_image},
};

/// Most images whose headers are kept. Where a dump has more, they are read again.
const MAX_HEADERS: usize = 512;

/// What is known of images in memory, read when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// By base. Absent ones are asked for again: drivers of a session are mapped in its processes alone.
    mapped: RefCell<BTreeMap<Va, Rc<Headers>>>,
    /// What searches of function tables remember, by base.
    waypoints: RefCell<BTreeMap<Va, Rc<Waypoints>>>,
    /// What walks remember of return addresses.
    returns: Returns,
    /// Function tables of code that the process made while it ran.
    generated: Vec<DynamicTable>,
}

impl Images {
    /// With the function tables of code that the process made while it ran.
    pub(crate) fn with_generated(generated: Vec<DynamicTable>) -> Self {
        Self { generated, ..Self::default() }
    }

    fn waypoints(&self, base: Va) -> Rc<Waypoints> {
        let mut cache = self.waypoints.borrow_mut();
        if cache.len() >= MAX_HEADERS && !cache.contains_key(&base) {
            cache.clear();
        }
        Rc::clone(cache.entry(base).or_default())
    }

    fn headers(&self, memory: &dyn Memory, base: Va) -> Option<Rc<Headers>> {
        if let Some(known) = self.mapped.borrow().get(&base) {
            return Some(Rc::clone(known));
        }
        let headers = Rc::new(Image::mapped(memory, base).ok()?.headers().clone());
        let mut cache = self.mapped.borrow_mut();
        if cache.len() >= MAX_HEADERS {
            cache.clear();
        }
        cache.insert(base, Rc::clone(&headers));
        Some(headers)
    }
}

/// What a stack walk asks about addresses.
pub(crate) struct Lookup<'a> {
    pub(crate) memory: &'a dyn Memory,
    pub(crate) modules: &'a ModuleMap,
    pub(crate) images: &'a Images,
    pub(crate) files: &'a [Rc<SymbolFile>],
    /// Architecture of the context. Images for another one have function tables of another form.
    pub(crate) machine: Machine,
}

impl<'a> Lookup<'a> {
    /// The file that is this module's image, if it was dropped.
    fn file(&self, module: &Module) -> Option<&'a Image<FileImage>> {
        self.files.iter().find_map(|file| match &file.content {
            Content::Image(image) => {
                let headers = image.image.headers();
                is_same_image(headers.timestamp, headers.size_of_image, module).then_some(&image.image)
            }
            _ => None,
        })
    }

    /// What names the image at an address, and the address in that image.
    fn names(&self, address: Va) -> Option<(&'a dyn Names, u32)> {
        let named = self.modules.find(address)?;
        let rva = u32::try_from(address.offset_from(named.module.base)?).ok()?;
        Some((&**named.symbols.names.as_ref()?, rva))
    }

    fn generated(&self, address: Va) -> Option<&'a DynamicTable> {
        self.images.generated.iter().find(|table| table.covers(address))
    }
}

impl Modules for Lookup<'_> {
    fn target(&self, address: Va) -> Target {
        match self.modules.target(address) {
            Target::Nothing if self.generated(address).is_some() => Target::Code,
            target => target,
        }
    }

    fn image(&self, address: Va) -> Option<Rc<dyn CodeImage + '_>> {
        let Some(named) = self.modules.find(address) else {
            return Some(Rc::new(self.generated(address)?.image(self.memory)));
        };
        let module = &named.module;
        let file = self.file(module);
        let headers = match file {
            Some(file) => Known::File(file.headers()),
            None => Known::Mapped(self.images.headers(self.memory, module.base)?),
        };
        let mapped = MappedImage::new(self.memory, module.base);
        let code = Code { base: module.base, headers, mapped, file, waypoints: self.images.waypoints(module.base) };
        (code.headers().machine == self.machine).then(|| -> Rc<dyn CodeImage + '_> { Rc::new(code) })
    }

    fn begins(&self, address: Va) -> bool {
        let place = self.names(address).and_then(|(names, rva)| names.place(rva));
        place.is_some_and(|place| place.offset == 0)
    }

    fn returns(&self) -> Option<&Returns> {
        Some(&self.images.returns)
    }

    fn frame(&self, address: Va) -> Option<FrameAt> {
        let (names, rva) = self.names(address)?;
        names.frame(rva)
    }
}

/// Headers, wherever they were found.
enum Known<'a> {
    File(&'a Headers),
    Mapped(Rc<Headers>),
}

/// An image in memory, with its file behind it where there is one.
struct Code<'a> {
    base: Va,
    headers: Known<'a>,
    mapped: MappedImage<'a>,
    file: Option<&'a Image<FileImage>>,
    waypoints: Rc<Waypoints>,
}

impl Code<'_> {
    fn headers(&self) -> &Headers {
        match &self.headers {
            Known::File(headers) => headers,
            Known::Mapped(headers) => headers,
        }
    }
}

impl CodeImage for Code<'_> {
    fn base(&self) -> Va {
        self.base
    }

    fn size(&self) -> u32 {
        self.headers().size_of_image
    }

    fn function_table(&self) -> Option<(u32, u32)> {
        let range = self.headers().directory(Directory::Exception)?;
        Some((range.rva, range.size))
    }

    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
        // Reads never leave the image: its neighbour in memory is another one.
        let end = u64::from(rva).saturating_add(buf.len() as u64);
        if end > u64::from(self.size()) {
            return Err(Absent { rva: rva.max(self.size()) });
        }
        // Memory first: it shows patches, and relocated code.
        let read = self.mapped.read_prefix(rva, buf);
        if read.stopped.is_none() || self.file.is_some_and(|file| file.read_prefix(rva, buf).stopped.is_none()) {
            return Ok(());
        }
        Err(Absent { rva: rva.saturating_add(u32::try_from(read.filled).unwrap_or(u32::MAX)) })
    }

    fn waypoints(&self) -> Option<&Waypoints> {
        Some(&self.waypoints)
    }

    fn is_executable(&self, rva: u32) -> bool {
        self.headers().section_at(rva).is_some_and(Section::is_executable)
    }
}

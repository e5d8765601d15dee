//! The parts of a raw image or guest core.

use alloc::{string::String, vec::Vec};

use dumplens_dump::{Context, PhysicalImage};
use dumplens_report::{
    Hex,
    protocol::{Details, Stream},
};

use super::{Parts, field, pages};
use crate::kernel::Full;

/// The parts of a physical image.
pub(crate) struct ImageParts {
    streams: Vec<Stream>,
    image: Details,
    live: Vec<pages::LivePart>,
}

impl ImageParts {
    pub(crate) fn new(image: &PhysicalImage, full: &Full, root: String) -> Self {
        let title = String::from("Image");
        let fields = Vec::from([
            field("Kind", image.kind.description()),
            field("Page table root", root),
            field("Roots that the file names", image.roots.len()),
        ]);
        let first = Stream {
            kind: None,
            name: title.clone(),
            offset: Hex(0),
            size: image.size(),
            summary: Some(image.kind.description().into()),
        };
        let image_details = Details { title, fields, ..Details::default() };
        let (live, streams): (Vec<_>, Vec<_>) = pages::parts(full, 0).into_iter().unzip();
        let streams = core::iter::once(first).chain(streams).collect();
        Self { streams, image: image_details, live }
    }
}

impl Parts for ImageParts {
    fn list(&self) -> &[Stream] {
        &self.streams
    }

    fn context(&self, _: usize) -> Option<Context> {
        None
    }

    fn details(&self, index: usize, full: Option<&Full>) -> Option<Details> {
        match index.checked_sub(1) {
            None => Some(self.image.clone()),
            Some(index) => Some(self.live.get(index)?.details(full?)),
        }
    }
}

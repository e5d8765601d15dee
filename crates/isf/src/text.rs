use core::cell::{Cell, RefCell};
use std::{io, rc::Rc};

use crate::{IsfError, IsfErrorKind, MOST_DEPTH, MOST_TEXT, unpack::Unpack};

/// Bytes unpacked at once.
const CHUNK: usize = 32 * 1024;

/// What the text and those who read it know of each other: the parser between them carries neither positions nor
/// typed errors.
#[derive(Default)]
pub(crate) struct State {
    /// Bytes of JSON handed out.
    offset: Cell<u64>,
    /// What is being read, for a value of the wrong type.
    what: Cell<&'static str>,
    /// The first failure; those that follow from it do not count.
    failure: RefCell<Option<IsfError>>,
}

impl State {
    pub(crate) fn offset(&self) -> u64 {
        self.offset.get()
    }

    /// Says what comes next.
    pub(crate) fn expect(&self, what: &'static str) {
        self.what.set(what);
    }

    pub(crate) fn fail(&self, kind: IsfErrorKind) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            *failure = Some(IsfError { offset: self.offset.get(), kind });
        }
    }

    /// The typed reason for what the parser calls `error`.
    pub(crate) fn explain(&self, error: &serde_json::Error) -> IsfError {
        use serde_json::error::Category;
        if let Some(failure) = self.failure.borrow_mut().take() {
            return failure;
        }
        let kind = match error.classify() {
            Category::Eof => IsfErrorKind::Truncated,
            Category::Data => IsfErrorKind::Invalid { what: self.what.get() },
            Category::Io | Category::Syntax => IsfErrorKind::Syntax,
        };
        IsfError { offset: self.offset.get(), kind }
    }
}

/// The JSON as it is unpacked, guarded before the parser sees it: the parser would hold any text, and one byte for each
/// open bracket of what it passes over.
pub(crate) struct Text<'a> {
    unpack: Unpack<'a>,
    state: Rc<State>,
    limit: u64,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    depth: u32,
    /// Length of the text being read; `None` between texts.
    inside: Option<u32>,
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn new(unpack: Unpack<'a>, state: Rc<State>, limit: u64) -> Self {
        let buffer = vec![0; CHUNK].into_boxed_slice();
        Self { unpack, state, limit, buffer, at: 0, end: 0, depth: 0, inside: None, escaped: false }
    }

    fn fill(&mut self) -> Result<(), IsfErrorKind> {
        self.at = 0;
        self.end = 0;
        self.end = self.unpack.read(&mut self.buffer)?;
        if self.state.offset.get().saturating_add(self.end as u64) > self.limit {
            return Err(IsfErrorKind::Unpacked { limit: self.limit });
        }
        Ok(())
    }

    fn guard(&mut self, byte: u8) -> Result<(), IsfErrorKind> {
        if let Some(length) = &mut self.inside {
            *length = length.saturating_add(1);
            if *length > MOST_TEXT {
                return Err(IsfErrorKind::TooLong { limit: MOST_TEXT });
            }
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.inside = None,
                _ => {}
            }
            return Ok(());
        }
        match byte {
            b'"' => self.inside = Some(0),
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                if self.depth > MOST_DEPTH {
                    return Err(IsfErrorKind::TooDeep { limit: MOST_DEPTH });
                }
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<u8>, IsfErrorKind> {
        if self.at >= self.end {
            self.fill()?;
        }
        let Some(byte) = self.buffer.get(..self.end).and_then(|ready| ready.get(self.at)).copied() else {
            return Ok(None);
        };
        self.at = self.at.saturating_add(1);
        self.guard(byte)?;
        self.state.offset.set(self.state.offset.get().saturating_add(1));
        Ok(Some(byte))
    }
}

impl io::Read for Text<'_> {
    /// Answers one byte: the parser asks for no more, and so the offset is exact.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(first) = out.first_mut() else { return Ok(0) };
        match self.next() {
            Ok(Some(byte)) => {
                *first = byte;
                Ok(1)
            }
            Ok(None) => Ok(0),
            Err(kind) => {
                self.state.fail(kind);
                Err(io::ErrorKind::InvalidData.into())
            }
        }
    }
}

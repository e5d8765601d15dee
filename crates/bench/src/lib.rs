//! Work that is timed in the same way as a native program and as WebAssembly.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::rc::Rc;

use dumplens_engine::{Job, Session, Step};
use dumplens_report::{
    Hex,
    protocol::{Reply, Request, Space},
};

/// Names of the pieces of work, in the order of the table.
pub const WORKLOADS: [&str; 5] = ["open and summary", "modules", "processes and threads", "memory", "regions"];

/// Answers a request to its end.
///
/// # Panics
/// If it fails: a benchmark on a wrong file measures nothing.
pub fn answer(session: &mut Session, request: Request) -> Reply {
    let mut job = Job::new(request);
    loop {
        if let Step::Done(result) = job.step(session) {
            return result.expect("the request is answered");
        }
    }
}

/// Opens the dump and does one piece of work; the number depends on all that was read, so that nothing is left out.
///
/// # Panics
/// As [`answer`].
#[must_use]
pub fn run(workload: &str, dump: &Rc<Vec<u8>>) -> u64 {
    let mut session = Session::open(dump.clone(), None).expect("the dump opens");
    match workload {
        "open and summary" => match answer(&mut session, Request::Summary) {
            Reply::Summary(summary) => summary.stack.map_or(0, |stack| stack.frames.len() as u64),
            _ => 0,
        },
        "modules" => match answer(&mut session, Request::Modules) {
            Reply::Modules(rows) => rows.iter().fold(0, |sum, row| sum.wrapping_add(row.base.0)),
            _ => 0,
        },
        "processes and threads" => match answer(&mut session, Request::Threads) {
            Reply::Threads(rows) => rows.iter().fold(0, |sum, row| sum.wrapping_add(row.id)),
            _ => 0,
        },
        "memory" => {
            let base = match answer(&mut session, Request::Modules) {
                Reply::Modules(rows) => rows[0].base.0,
                _ => 0,
            };
            (0..2_000_u64).fold(0, |sum, index| {
                let request =
                    Request::Memory { space: Space::Current, address: Hex(base + index % 4 * 0x1000), length: 0x1000 };
                match answer(&mut session, request) {
                    Reply::Memory(chunks) => sum + u64::from(chunks[0].length),
                    _ => sum,
                }
            })
        }
        "regions" => {
            let (mut from, mut total) = (Some(Hex(0xffff_8000_0000_0000)), 0);
            while let Some(start) = from {
                let request = Request::Regions { space: Space::Current, from: start, count: 1_000 };
                let Reply::Regions(part) = answer(&mut session, request) else { break };
                total += part.regions.iter().map(|region| region.length.0).sum::<u64>();
                from = part.next;
            }
            total
        }
        other => panic!("there is no workload {other}"),
    }
}

/// The same for JavaScript.
#[cfg(target_arch = "wasm32")]
mod wasm {
    #![allow(missing_docs)]
    use std::rc::Rc;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen]
    pub struct Bench(Rc<Vec<u8>>);

    #[wasm_bindgen]
    impl Bench {
        #[wasm_bindgen(constructor)]
        pub fn new(dump: Vec<u8>) -> Self {
            Self(Rc::new(dump))
        }

        pub fn workloads() -> Vec<String> {
            super::WORKLOADS.iter().map(|name| (*name).to_owned()).collect()
        }

        pub fn run(&self, workload: &str) -> f64 {
            super::run(workload, &self.0) as f64
        }
    }
}

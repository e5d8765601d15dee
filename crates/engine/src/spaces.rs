//! Requests that say whose addresses they mean.

use alloc::{format, rc::Rc, string::String, vec::Vec};

use dumplens_base::{Memory, Pa, PhysMemory, Va};
use dumplens_paging::AddressSpace;
use dumplens_report::{
    Hex, model,
    protocol::{Failure, FailureKind, Regions, Space, Translation},
};

use crate::{Session, kernel::Full, memory_view, translate};

/// What is answered where a request names something that is not there.
pub(crate) fn not_found(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::NotFound, message: message.into() }
}

fn full(session: &Session) -> Result<&Full, Failure> {
    session.world().full.as_deref().ok_or_else(|| {
        not_found(
            "this dump holds no physical memory: only kernel dumps with page tables (kernel, active, complete) have \
             address spaces to choose from",
        )
    })
}

fn process_space(full: &Full, object: Hex) -> Result<Rc<AddressSpace>, Failure> {
    full.space_of(Va(object.0)).ok_or_else(|| not_found(format!("there is no process object at {object}")))
}

impl Session {
    /// The memory that a request means.
    ///
    /// # Errors
    /// If the dump has no such space.
    pub fn memory(&self, space: Space) -> Result<Rc<dyn Memory>, Failure> {
        Ok(match space {
            Space::Current => Rc::clone(&self.world().memory),
            Space::Process { object } => process_space(full(self)?, object)?,
            Space::Physical => {
                let phys: Rc<dyn PhysMemory> = full(self)?.store.clone();
                Rc::new(memory_view::Physical(phys))
            }
        })
    }

    /// Ranges that can be read.
    pub(crate) fn regions(&self, space: Space, from: Hex, count: u32) -> Result<Regions, Failure> {
        let mapped = match (space, self.world().full.as_deref()) {
            (Space::Current, Some(full)) => Some(Rc::clone(&full.space)),
            (Space::Process { object }, _) => Some(process_space(full(self)?, object)?),
            _ => None,
        };
        Ok(match mapped {
            Some(space) => memory_view::mapped_regions(&space, from, count),
            None => memory_view::regions(&*self.memory(space)?, from, count),
        })
    }

    /// The way of an address through the tables.
    pub(crate) fn translate(&self, space: Space, address: Hex) -> Result<Translation, Failure> {
        let full = full(self)?;
        let (tables, process) = match space {
            Space::Physical => return Ok(translate::physical(&full.store, Pa(address.0))),
            Space::Current => (Rc::clone(&full.space), full.current.clone()),
            Space::Process { object } => (process_space(full, object)?, full.process_at(Va(object.0))),
        };
        let who = process.map(|process| {
            let name = process.name.unwrap_or_else(|| String::from("a process"));
            process.id.map_or(name.clone(), |id| format!("{name} ({id})"))
        });
        let who = who.unwrap_or_else(|| String::from("kernel"));
        let name = format!("{who}, page tables at {}", tables.root());
        Ok(translate::translate(&tables, &full.store, Va(address.0), name))
    }

    /// Threads of one process.
    pub(crate) fn process_threads(&self, object: Hex) -> Result<Vec<model::Thread>, Failure> {
        let Some(full) = self.world().full.as_deref() else {
            let owner = self.world().lists.processes.iter().find(|process| process.object == Some(object));
            let owner = owner.ok_or_else(|| not_found(format!("there is no process object at {object}")))?;
            let threads = self.world().lists.threads.iter().filter(|thread| thread.row.process_id == owner.id);
            return Ok(threads.map(|thread| thread.row.clone()).collect());
        };
        let process = full
            .process_at(Va(object.0))
            .ok_or_else(|| not_found(format!("there is no process object at {object}")))?;
        let mut notes = Vec::new();
        Ok(full.threads_of(&process, &mut notes).into_iter().map(|entry| entry.row).collect())
    }
}

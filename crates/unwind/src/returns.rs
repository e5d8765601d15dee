use alloc::{rc::Rc, vec, vec::Vec};
use core::cell::RefCell;

use dumplens_base::Va;

use crate::{CallSite, x64::Plan};

/// What walks remember of return addresses, from frame to frame and from stack to stack: threads wait in the same places,
/// and recursion comes back to them.
///
/// Only what the images say is remembered, never what a stack holds. It belongs to one set of loaded images, and takes
/// about 2 MB at most.
#[derive(Debug, Default)]
pub struct Returns(RefCell<Table>);

/// A hash table with open addressing. It is emptied when it is full.
#[derive(Debug, Default)]
struct Table {
    /// None, or a power of two. An address of 0 means that the slot is free.
    slots: Vec<Slot>,
    used: usize,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    address: u64,
    is_call: Option<bool>,
    plan: Option<Rc<Plan>>,
}

/// Slots of the smallest table, and of the largest.
const LEAST: usize = 64;
const MOST: usize = 1 << 14;

impl Returns {
    /// Whether the code before a return address is a call.
    pub(crate) fn call(&self, address: Va) -> Option<CallSite> {
        let table = self.0.borrow();
        let is_call = table.slots.get(table.find(address.0)?)?.is_call?;
        Some(if is_call { CallSite::Call } else { CallSite::NotCall })
    }

    /// What leads from the frame at a return address to its caller.
    pub(crate) fn plan(&self, address: Va) -> Option<Rc<Plan>> {
        let table = self.0.borrow();
        table.slots.get(table.find(address.0)?)?.plan.clone()
    }

    /// What is not known may be known later: it is not remembered.
    pub(crate) fn set_call(&self, address: Va, call: CallSite) {
        let is_call = match call {
            CallSite::Call => true,
            CallSite::NotCall => false,
            CallSite::Unknown => return,
        };
        self.0.borrow_mut().change(address.0, |slot| slot.is_call = Some(is_call));
    }

    pub(crate) fn set_plan(&self, address: Va, plan: Rc<Plan>) {
        self.0.borrow_mut().change(address.0, |slot| slot.plan = Some(plan));
    }
}

impl Table {
    /// The slot of an address, or a free one where it would be. `None` if there are no slots.
    fn find(&self, address: u64) -> Option<usize> {
        /// 2^64 over the golden ratio: spreads addresses that lie close together.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mask = self.slots.len().checked_sub(1)?;
        let start = (address.wrapping_mul(SPREAD) >> 40) as usize;
        let mut places = (0..=mask).map(|step| start.wrapping_add(step) & mask);
        places.find(|place| self.slots.get(*place).is_some_and(|slot| slot.address == address || slot.address == 0))
    }

    fn change(&mut self, address: u64, change: impl FnOnce(&mut Slot)) {
        if address == 0 {
            return;
        }
        // A quarter stays free, so that searches are short.
        if self.used >= self.slots.len() / 4 * 3 {
            self.grow();
        }
        let Some(place) = self.find(address) else { return };
        let Some(slot) = self.slots.get_mut(place) else { return };
        if slot.address == 0 {
            self.used = self.used.saturating_add(1);
            slot.address = address;
        }
        change(slot);
    }

    fn grow(&mut self) {
        let len = self.slots.len().saturating_mul(2).max(LEAST);
        if len > MOST {
            self.slots.fill(Slot::default());
            self.used = 0;
            return;
        }
        let before = core::mem::replace(&mut self.slots, vec![Slot::default(); len]);
        for slot in before.into_iter().filter(|slot| slot.address != 0) {
            let place = self.find(slot.address);
            if let Some(free) = place.and_then(|place| self.slots.get_mut(place)) {
                *free = slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_said_or_nothing() {
        let returns = Returns::default();
        let is_call = |address: u64| address.is_multiple_of(3);
        for address in 1..40_000_u64 {
            let call = if is_call(address) { CallSite::Call } else { CallSite::NotCall };
            returns.set_call(Va(address), call);
            assert_eq!(returns.call(Va(address)), Some(call));
        }
        let expected = |address| if is_call(address) { CallSite::Call } else { CallSite::NotCall };
        let known = (1..40_000).filter(|address| returns.call(Va(*address)).is_some());
        let known = known.inspect(|address| assert_eq!(returns.call(Va(*address)), Some(expected(*address)))).count();
        assert!((1..MOST).contains(&known), "{known}: it is bounded");
        assert!(returns.0.borrow().slots.len() <= MOST);
        assert_eq!(returns.plan(Va(39_999)), None);
        assert_eq!(returns.call(Va(0)), None);
    }

    #[test]
    fn what_is_not_known_is_asked_again() {
        let returns = Returns::default();
        returns.set_call(Va(5), CallSite::Unknown);
        assert_eq!(returns.call(Va(5)), None);
    }
}

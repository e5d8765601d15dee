use alloc::vec::Vec;

use super::{
    Bank, Op,
    op::{pair, single},
};

/// Unwind data that fits into the entry: of functions in the form that compilers prefer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed(pub u32);

/// The most that one instruction takes off the stack pointer in this form.
const MOST: u32 = 4080;

impl Packed {
    /// Length of the function in bytes.
    #[must_use]
    pub const fn length(self) -> u32 {
        (self.0 >> 2 & 0x7ff) * 4
    }

    /// Whether it is a part of a function without prologue and epilogue, entered with the frame made.
    #[must_use]
    pub const fn is_fragment(self) -> bool {
        self.0 & 3 == 2
    }

    /// How many vector registers from `d8` on are saved.
    #[must_use]
    pub const fn vectors(self) -> u8 {
        match (self.0 >> 13 & 7) as u8 {
            0 => 0,
            count => count + 1,
        }
    }

    /// How many general registers from `x19` on are saved.
    #[must_use]
    pub const fn generals(self) -> u8 {
        (self.0 >> 16 & 15) as u8
    }

    /// Whether the eight argument registers are stored.
    #[must_use]
    pub const fn homes(self) -> bool {
        self.0 >> 20 & 1 == 1
    }

    /// What becomes of the link register: 0 it stays, 1 it is saved with the general registers, 2 it is signed and
    /// saved in a chain of frames, 3 it is saved in a chain.
    #[must_use]
    pub const fn link(self) -> u8 {
        (self.0 >> 21 & 3) as u8
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub const fn frame_size(self) -> u32 {
        (self.0 >> 23) * 16
    }

    /// Bytes of general and vector registers that are saved.
    fn sizes(self) -> (u32, u32) {
        let generals = u32::from(self.generals()) + u32::from(self.link() == 1);
        (generals * 8, u32::from(self.vectors()) * 8)
    }

    /// The codes of the prologue, or of the epilogue, as a record would have them. `None` if the saved registers do not
    /// fit into the frame.
    #[must_use]
    pub fn ops(self, epilogue: bool) -> Option<Vec<Op>> {
        let (generals, vectors) = self.sizes();
        let homes = u32::from(self.homes()) * 64;
        let saved = (generals + vectors + homes).next_multiple_of(16);
        let locals = self.frame_size().checked_sub(saved)?;
        // As the prologue has them; the first that stores anything moves the stack pointer past all of them.
        let mut ops = Vec::new();
        if self.link() == 2 {
            ops.push(Op::SignLink);
        }
        self.general_ops(saved, &mut ops);
        self.vector_ops(generals, saved, &mut ops);
        if self.homes() {
            let at = saved.saturating_sub(homes);
            if at == 0 {
                ops.push(if epilogue { Op::Alloc(saved) } else { pair(Bank::X, 0, saved, true) });
            } else if !epilogue {
                ops.push(pair(Bank::X, 0, at, false));
            }
            if !epilogue {
                ops.extend([2_u8, 4, 6].map(|first| pair(Bank::X, first, at + u32::from(first) * 8, false)));
            }
        }
        let chained = self.link() >= 2;
        if chained && locals <= 512 {
            // A frame in a chain has its own pair; without locals there is no room for one.
            ops.push(pair(Bank::X, 29, locals, locals != 0));
        } else {
            if locals > MOST {
                ops.extend([Op::Alloc(MOST), Op::Alloc(locals - MOST)]);
            } else if locals != 0 {
                ops.push(Op::Alloc(locals));
            }
            if chained {
                ops.push(pair(Bank::X, 29, 0, false));
            }
        }
        if chained && !epilogue {
            ops.push(Op::SetFrame(0));
        }
        ops.reverse();
        ops.push(Op::End);
        Some(ops)
    }

    fn general_ops(self, saved: u32, ops: &mut Vec<Op>) {
        let count = self.generals();
        let place = |index: u8| if index == 0 { (saved, true) } else { (u32::from(index) * 8, false) };
        for index in (0..count.saturating_sub(1)).step_by(2) {
            let (offset, moves) = place(index);
            ops.push(pair(Bank::X, 19 + index, offset, moves));
        }
        let last = count.saturating_sub(1);
        match (count % 2, self.link() == 1) {
            (0, false) => {}
            (0, true) => {
                let (offset, moves) = place(count);
                ops.push(single(Bank::X, 30, offset, moves));
            }
            (_, false) => {
                let (offset, moves) = place(last);
                ops.push(single(Bank::X, 19 + last, offset, moves));
            }
            (_, true) => {
                let (offset, moves) = place(last);
                ops.push(Op::Save { bank: Bank::X, first: 19 + last, second: Some(30), offset, moves });
            }
        }
    }

    fn vector_ops(self, generals: u32, saved: u32, ops: &mut Vec<Op>) {
        let count = self.vectors();
        for index in (0..count).step_by(2) {
            let at = generals + u32::from(index) * 8;
            let (offset, moves) = if at == 0 { (saved, true) } else { (at, false) };
            let make = if index + 1 < count { pair } else { single };
            ops.push(make(Bank::D, 8 + index, offset, moves));
        }
    }
}

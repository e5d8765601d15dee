/// Which registers a code is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    /// General registers.
    X,
    /// The low halves of vector registers.
    D,
    /// Whole vector registers.
    Q,
}

/// One unwind code: what an instruction of the prologue did. Sizes and offsets are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Moved the stack pointer down.
    Alloc(u32),
    /// Moved the stack pointer down by this many vector lengths.
    AllocVectors(u8),
    /// Stored one register or two.
    Save {
        /// Which kind.
        bank: Bank,
        /// Number of the first.
        first: u8,
        /// Number of the second, stored behind it.
        second: Option<u8>,
        /// Where, from the stack pointer; or how far the stack pointer was moved down first.
        offset: u32,
        /// Whether the stack pointer was moved.
        moves: bool,
    },
    /// Stored the pair that follows the one of the next code, behind it.
    SaveNext,
    /// Stored a scalable vector or predicate register. Nothing to undo for a stack walk.
    SaveScalable,
    /// Made the frame pointer what the stack pointer was, plus this.
    SetFrame(u32),
    /// Something without effect here.
    Nop,
    /// Signed the link register.
    SignLink,
    /// The frame stands on a trap frame.
    TrapFrame,
    /// The frame stands on a stack pointer and an instruction pointer.
    MachineFrame,
    /// The frame stands on a context record.
    Context,
    /// The frame stands on a context record in the layout of ARM64EC.
    EcContext,
    /// The instruction pointer above was not left by a call.
    NotACall,
    /// The end; in epilogues it stands for the return.
    End,
    /// The end of a fragment's own codes; those of the function that it belongs to follow.
    EndChained,
    /// A code that is not assigned.
    Reserved(u8),
}

impl Op {
    /// Takes one code off the front of `bytes`, which name what is left. `None` if there is none or it is cut off.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&first, rest) = bytes.split_first()?;
        let (length, op): (usize, fn(u32) -> Self) = match first {
            0x00..=0x1f => (0, |word| Self::Alloc((word & 0x1f) * 16)),
            0x20..=0x3f => (0, |word| pair(Bank::X, 19, (word & 0x1f) * 8, true)),
            0x40..=0x7f => (0, |word| pair(Bank::X, 29, (word & 0x3f) * 8, false)),
            0x80..=0xbf => (0, |word| pair(Bank::X, 29, ((word & 0x3f) + 1) * 8, true)),
            0xc0..=0xc7 => (1, |word| Self::Alloc((word & 0x7ff) * 16)),
            0xc8..=0xcb => (1, |word| pair(Bank::X, 19 + number(word, 6, 15), (word & 0x3f) * 8, false)),
            0xcc..=0xcf => (1, |word| pair(Bank::X, 19 + number(word, 6, 15), ((word & 0x3f) + 1) * 8, true)),
            0xd0..=0xd3 => (1, |word| single(Bank::X, 19 + number(word, 6, 15), (word & 0x3f) * 8, false)),
            0xd4..=0xd5 => (1, |word| single(Bank::X, 19 + number(word, 5, 15), ((word & 0x1f) + 1) * 8, true)),
            0xd6..=0xd7 => (1, |word| Self::Save {
                bank: Bank::X,
                first: 19 + 2 * number(word, 6, 7),
                second: Some(30),
                offset: (word & 0x3f) * 8,
                moves: false,
            }),
            0xd8..=0xd9 => (1, |word| pair(Bank::D, 8 + number(word, 6, 7), (word & 0x3f) * 8, false)),
            0xda..=0xdb => (1, |word| pair(Bank::D, 8 + number(word, 6, 7), ((word & 0x3f) + 1) * 8, true)),
            0xdc..=0xdd => (1, |word| single(Bank::D, 8 + number(word, 6, 7), (word & 0x3f) * 8, false)),
            0xde => (1, |word| single(Bank::D, 8 + number(word, 5, 7), ((word & 0x1f) + 1) * 8, true)),
            0xdf => (1, |word| Self::AllocVectors((word & 0xff) as u8)),
            0xe0 => (3, |word| Self::Alloc((word & 0x00ff_ffff).saturating_mul(16))),
            0xe1 => (0, |_| Self::SetFrame(0)),
            0xe2 => (1, |word| Self::SetFrame((word & 0xff) * 8)),
            0xe3 => (0, |_| Self::Nop),
            0xe4 => (0, |_| Self::End),
            0xe5 => (0, |_| Self::EndChained),
            0xe6 => (0, |_| Self::SaveNext),
            0xe7 => (2, any),
            0xe8 => (0, |_| Self::TrapFrame),
            0xe9 => (0, |_| Self::MachineFrame),
            0xea => (0, |_| Self::Context),
            0xeb => (0, |_| Self::EcContext),
            0xec => (0, |_| Self::NotACall),
            0xfc => (0, |_| Self::SignLink),
            // The documentation gives the lengths of these and nothing else.
            0xf8 => (1, |_| Self::Reserved(0xf8)),
            0xf9 => (2, |_| Self::Reserved(0xf9)),
            0xfa => (3, |_| Self::Reserved(0xfa)),
            0xfb => (4, |_| Self::Reserved(0xfb)),
            0xed..=0xf7 | 0xfd..=0xff => (0, |word| Self::Reserved((word & 0xff) as u8)),
        };
        let (more, rest) = rest.split_at_checked(length)?;
        let word = more.iter().fold(u32::from(first), |word, byte| word << 8 | u32::from(*byte));
        Some((op(word), rest))
    }

    /// Whether it stands for an instruction. Those for frames that the processor or the system made do not, nor does
    /// the end, but for an epilogue's return.
    #[must_use]
    pub const fn is_instruction(self) -> bool {
        !matches!(
            self,
            Self::TrapFrame
                | Self::MachineFrame
                | Self::Context
                | Self::EcContext
                | Self::NotACall
                | Self::End
                | Self::EndChained
                | Self::Reserved(0xed..=0xef)
        )
    }
}

/// The bits of `mask` from `shift` on. Masks are of four bits at most.
const fn number(word: u32, shift: u32, mask: u32) -> u8 {
    (word >> shift & mask) as u8
}

pub(super) const fn pair(bank: Bank, first: u8, offset: u32, moves: bool) -> Op {
    Op::Save { bank, first, second: Some(first + 1), offset, moves }
}

pub(super) const fn single(bank: Bank, first: u8, offset: u32, moves: bool) -> Op {
    Op::Save { bank, first, second: None, offset, moves }
}

/// `save_any_reg` and its kin for scalable registers.
const fn any(word: u32) -> Op {
    let (two, moves, first) = (word >> 14 & 1 == 1, word >> 13 & 1 == 1, (word >> 8 & 0x1f) as u8);
    if word >> 15 & 1 == 1 || (first == 31 && word >> 6 & 3 != 3) {
        return Op::Reserved(0xe7);
    }
    let bank = match word >> 6 & 3 {
        0 => Bank::X,
        1 => Bank::D,
        2 => Bank::Q,
        _ => return Op::SaveScalable,
    };
    let unit = if two || moves || matches!(bank, Bank::Q) { 16 } else { 8 };
    // A step of nothing is of no use.
    let offset = ((word & 0x3f) + moves as u32) * unit;
    if two { pair(bank, first, offset, moves) } else { single(bank, first, offset, moves) }
}

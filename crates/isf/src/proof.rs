use core::fmt;

/// A symbol that stands elsewhere than it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// Where the dump says it is.
    pub stated: u64,
    /// Where it would be if the table belonged to the kernel.
    pub expected: u64,
}

/// What known addresses say about whether a table belongs to a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Names that stand where the dump says.
    pub agree: Vec<String>,
    /// Names that stand elsewhere.
    pub differ: Vec<Difference>,
    /// Names that the table does not have. They say nothing.
    pub unknown: Vec<String>,
}

impl Proof {
    /// Whether the table belongs to the kernel: two or more addresses agree and none differs. One alone proves little:
    /// `KdDebuggerDataBlock` stands at one place in many revisions of a build. The heads of the lists move with nearly
    /// every revision; still, where an image names its PDB, [`crate::Identity::matches`] is the better witness.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.agree.len() >= 2 && self.differ.is_empty()
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agree = self.agree.join(", ");
        if self.holds() {
            write!(f, "the symbol table belongs to this kernel: {agree} stand where the dump says")?;
        } else if self.differ.is_empty() {
            f.write_str("nothing shows whether the symbol table belongs to this kernel")?;
            if !agree.is_empty() {
                write!(f, ": {agree} agrees, which proves little alone")?;
            }
        } else {
            f.write_str("the symbol table does not belong to this kernel:")?;
            for (index, Difference { name, stated, expected }) in self.differ.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(f, "{comma} {name} is at {stated:#x} and would be at {expected:#x}")?;
            }
            if !agree.is_empty() {
                write!(f, "; agreeing: {agree}")?;
            }
        }
        if self.unknown.is_empty() { Ok(()) } else { write!(f, "; not in the table: {}", self.unknown.join(", ")) }
    }
}

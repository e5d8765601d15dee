//! The programs of frame data: assignments in postfix notation over 32-bit values.

use alloc::vec::Vec;
use core::fmt;

use dumplens_base::Fault;

use super::Register;

/// Most values that may wait for an operator. Compilers' programs need four.
pub const MAX_STACK: usize = 64;

/// How many temporaries there are: `$T0` and so on. Compilers use three.
pub const MAX_TEMPORARIES: usize = 16;

/// Why a program was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// A word that is neither number nor operator nor the name of a variable.
    Word {
        /// Bytes from the program's start.
        at: usize,
    },
    /// An operator lacks its operands.
    Operands {
        /// Bytes from the program's start.
        at: usize,
    },
    /// More values wait than compilers need.
    TooDeep {
        /// Bytes from the program's start.
        at: usize,
    },
    /// A division by zero, or an alignment that is no power of two.
    Arithmetic {
        /// Bytes from the program's start.
        at: usize,
    },
    /// Something is assigned to what is no variable.
    Assignment {
        /// Bytes from the program's start.
        at: usize,
    },
    /// A variable has no value.
    Unknown {
        /// Bytes from the program's start, of the word that needs the value.
        at: usize,
        /// The register, if it is one.
        register: Option<Register>,
    },
    /// Memory that it reads is absent.
    Memory(Fault),
    /// It ends without a return address or a stack pointer.
    NoCaller,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word { at } => write!(f, "byte {at} of its program is no known word"),
            Self::Operands { at } => write!(f, "the operator at byte {at} of its program lacks operands"),
            Self::TooDeep { at } => write!(f, "its program leaves too many values at byte {at}"),
            Self::Arithmetic { at } => write!(f, "its program divides by zero or aligns oddly at byte {at}"),
            Self::Assignment { at } => write!(f, "its program assigns to no variable at byte {at}"),
            Self::Unknown { register: Some(register), .. } => {
                write!(f, "it builds on {}, whose value is not known", register.name())
            }
            Self::Unknown { at, register: None } => write!(f, "byte {at} of its program needs what has no value"),
            Self::Memory(fault) => write!(f, "the stack is not readable: {fault}"),
            Self::NoCaller => f.write_str("its program gives no return address or no stack pointer"),
        }
    }
}

/// What a program begins with, and what it can ask for.
pub trait Variables {
    /// The callee's value of a register; `None` if it is not known.
    fn register(&self, register: Register) -> Option<u32>;
    /// The callee's instruction pointer.
    fn eip(&self) -> u32;
    /// `.cbLocals`, `.cbParams` and `.cbSavedRegs`, in bytes.
    fn sizes(&self) -> [u32; 3];
    /// `.raSearch`: where the return address is on the stack. It is looked for above the function's frame.
    ///
    /// # Errors
    /// If there is none.
    fn search(&self) -> Result<u32, ProgramError>;
    /// `.raSearchStart`: the same, looked for from the stack pointer up.
    ///
    /// # Errors
    /// If there is none.
    fn search_from_top(&self) -> Result<u32, ProgramError>;
    /// The word at an address.
    ///
    /// # Errors
    /// The reason why it cannot be read.
    fn read(&self, address: u32) -> Result<u32, Fault>;
}

/// What a program has assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// The caller's instruction pointer.
    pub eip: Option<u32>,
    /// The caller's registers by number, where the program says something about them.
    pub registers: [Option<u32>; 8],
    /// What stopped the program after it had told instruction and stack pointer: registers that it did not come to are
    /// not known.
    pub cut: Option<ProgramError>,
}

/// A variable.
#[derive(Clone, Copy)]
enum Variable {
    Eip,
    General(Register),
    Temporary(usize),
    Size(usize),
    Search,
    SearchFromTop,
}

/// What waits for an operator.
#[derive(Clone, Copy)]
enum Value {
    Number(u32),
    Variable(Variable),
}

struct Machine<'a, V: ?Sized> {
    variables: &'a V,
    results: Results,
    temporaries: [Option<u32>; MAX_TEMPORARIES],
    stack: Vec<Value>,
}

/// Runs a program. It is read once from front to back: its cost is that of its length, and of two searches at most for
/// every word.
///
/// # Errors
/// [`ProgramError`] if it ends, or goes wrong, before it has told `$eip` and `$esp`.
pub fn run(program: &str, variables: &(impl Variables + ?Sized)) -> Result<Results, ProgramError> {
    let results = Results::default();
    let mut machine = Machine { variables, results, temporaries: [None; MAX_TEMPORARIES], stack: Vec::new() };
    let run = words(program).try_for_each(|(at, word)| machine.word(at, word));
    let mut results = machine.results;
    let complete = results.eip.is_some() && results.registers.get(4).is_some_and(Option::is_some);
    match run {
        Err(error) if !complete => Err(error),
        Ok(()) if !complete => Err(ProgramError::NoCaller),
        other => {
            results.cut = other.err();
            Ok(results)
        }
    }
}

/// The words of a program and where they stand. Blanks separate them, but compilers forget some: `=$eip` is two words.
fn words(program: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let rest = program.get(at..)?;
        let word = rest.trim_ascii_start();
        let begin = at.saturating_add(rest.len().saturating_sub(word.len()));
        let len = match word.as_bytes() {
            [] => return None,
            [b'-', b'0'..=b'9', digits @ ..] => 2_usize.saturating_add(word_len(digits)),
            [first, ..] if is_operator(*first) => 1,
            bytes => word_len(bytes),
        };
        at = begin.saturating_add(len);
        Some((begin, word.get(..len)?))
    })
}

fn word_len(bytes: &[u8]) -> usize {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || is_operator(*byte);
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

const fn is_operator(byte: u8) -> bool {
    matches!(byte, b'+' | b'-' | b'*' | b'/' | b'%' | b'@' | b'^' | b'=')
}

impl<V: Variables + ?Sized> Machine<'_, V> {
    fn word(&mut self, at: usize, word: &str) -> Result<(), ProgramError> {
        let value = match word {
            "+" => self.binary(at, |a, b| Some(a.wrapping_add(b)))?,
            "-" => self.binary(at, |a, b| Some(a.wrapping_sub(b)))?,
            "*" => self.binary(at, |a, b| Some(a.wrapping_mul(b)))?,
            "/" => self.binary(at, u32::checked_div)?,
            "%" => self.binary(at, u32::checked_rem)?,
            "@" => self.binary(at, |a, b| b.is_power_of_two().then(|| a & !b.wrapping_sub(1)))?,
            "^" => {
                let address = self.pop(at)?;
                self.variables.read(address).map_err(ProgramError::Memory)?
            }
            "=" => return self.assign(at),
            _ => {
                let value = match variable(word) {
                    Some(variable) => Value::Variable(variable),
                    None => Value::Number(number(word).ok_or(ProgramError::Word { at })?),
                };
                return self.push(at, value);
            }
        };
        self.push(at, Value::Number(value))
    }

    fn push(&mut self, at: usize, value: Value) -> Result<(), ProgramError> {
        if self.stack.len() >= MAX_STACK {
            return Err(ProgramError::TooDeep { at });
        }
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self, at: usize) -> Result<u32, ProgramError> {
        match self.stack.pop().ok_or(ProgramError::Operands { at })? {
            Value::Number(number) => Ok(number),
            Value::Variable(variable) => self.value(at, variable),
        }
    }

    fn binary(&mut self, at: usize, operate: impl Fn(u32, u32) -> Option<u32>) -> Result<u32, ProgramError> {
        let right = self.pop(at)?;
        let left = self.pop(at)?;
        operate(left, right).ok_or(ProgramError::Arithmetic { at })
    }

    /// What was assigned to a variable; until then, what it was in the callee.
    fn value(&self, at: usize, variable: Variable) -> Result<u32, ProgramError> {
        let known = match variable {
            Variable::Eip => self.results.eip.or(Some(self.variables.eip())),
            Variable::General(register) => {
                let assigned = self.results.registers.get(usize::from(register.number())).copied().flatten();
                assigned.or_else(|| self.variables.register(register))
            }
            Variable::Temporary(number) => self.temporaries.get(number).copied().flatten(),
            Variable::Size(number) => self.variables.sizes().get(number).copied(),
            Variable::Search => Some(self.variables.search()?),
            Variable::SearchFromTop => Some(self.variables.search_from_top()?),
        };
        let register = if let Variable::General(register) = variable { Some(register) } else { None };
        known.ok_or(ProgramError::Unknown { at, register })
    }

    fn assign(&mut self, at: usize) -> Result<(), ProgramError> {
        let value = self.pop(at)?;
        let slot = match self.stack.pop().ok_or(ProgramError::Operands { at })? {
            Value::Variable(Variable::Eip) => Some(&mut self.results.eip),
            Value::Variable(Variable::General(register)) => {
                self.results.registers.get_mut(usize::from(register.number()))
            }
            Value::Variable(Variable::Temporary(number)) => self.temporaries.get_mut(number),
            Value::Variable(Variable::Size(_) | Variable::Search | Variable::SearchFromTop) | Value::Number(_) => None,
        };
        *slot.ok_or(ProgramError::Assignment { at })? = Some(value);
        Ok(())
    }
}

/// A number in decimal, with or without a sign, or in hexadecimal with `0x`.
fn number(word: &str) -> Option<u32> {
    if let Some(digits) = word.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).ok();
    }
    word.parse::<u32>().ok().or_else(|| word.parse::<i32>().ok().map(i32::cast_unsigned))
}

fn variable(word: &str) -> Option<Variable> {
    match word {
        ".raSearch" => return Some(Variable::Search),
        ".raSearchStart" => return Some(Variable::SearchFromTop),
        ".cbLocals" => return Some(Variable::Size(0)),
        ".cbParams" => return Some(Variable::Size(1)),
        ".cbSavedRegs" => return Some(Variable::Size(2)),
        _ => {}
    }
    let name = word.strip_prefix('$')?;
    if name == "eip" {
        return Some(Variable::Eip);
    }
    if let Some(register) = Register::all().find(|register| register.name() == name) {
        return Some(Variable::General(register));
    }
    if let Some(number) = name.strip_prefix('T') {
        return number.parse().ok().filter(|number| *number < MAX_TEMPORARIES).map(Variable::Temporary);
    }
    // Registers by CodeView's numbers: 17 is `eax`, 33 `eip`.
    match name.parse::<u8>().ok()? {
        33 => Some(Variable::Eip),
        number @ 17..=24 => Some(Variable::General(Register::new(number.checked_sub(17)?))),
        _ => None,
    }
}

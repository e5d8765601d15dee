//! Type records as `llvm-pdbutil dump -types` prints them, and what we should make of them.

use std::collections::BTreeMap;

/// A record as the other tool prints it: its kind, its name and the lines under it.
pub struct Theirs<'a> {
    pub kind: &'a str,
    pub name: &'a str,
    pub lines: Vec<&'a str>,
}

pub fn hex(text: &str) -> u32 {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// The word behind `key`, up to a comma, a space or a bracket.
pub fn word<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = &text[text.find(key)? + key.len()..];
    Some(rest.split([',', ' ', ']', '\n']).next().unwrap())
}

/// Between the first back-tick and the last.
pub fn quoted(line: &str) -> Option<&str> {
    let start = line.find('`')? + 1;
    Some(&line[start..line.rfind('`')?])
}

impl Theirs<'_> {
    pub fn word(&self, key: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| word(line, key))
    }

    pub fn number(&self, key: &str) -> Option<u32> {
        self.word(key).filter(|word| word.starts_with("0x")).map(hex)
    }

    pub fn options(&self) -> &str {
        self.lines.iter().find_map(|line| line.trim().strip_prefix("options:")).unwrap_or("")
    }

    pub fn is_udt(&self) -> bool {
        matches!(self.kind, "LF_STRUCTURE" | "LF_CLASS" | "LF_INTERFACE" | "LF_UNION" | "LF_ENUM")
    }

    pub fn is_forward(&self) -> bool {
        self.options().contains("forward ref")
    }

    /// The record that it says describes the type.
    pub fn target(&self) -> Option<u32> {
        let rest = self.options().split_once("forward ref (")?.1;
        (!rest.starts_with('=')).then(|| hex(rest.split_once(' ').unwrap().1.split(')').next().unwrap()))
    }

    pub fn unique(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| line.trim().strip_prefix("unique name: ")).and_then(quoted)
    }
}

pub fn parse(text: &str) -> BTreeMap<u32, Theirs<'_>> {
    let mut all = BTreeMap::new();
    let mut last = 0;
    for line in text.lines() {
        let head = line.trim_start().strip_prefix("0x").and_then(|rest| rest.split_once(" | LF_"));
        match head.filter(|(number, _)| number.len() <= 8 && u32::from_str_radix(number, 16).is_ok()) {
            Some((number, rest)) => {
                last = hex(number);
                let at = line.find("LF_").unwrap();
                let kind = line[at..].split(' ').next().unwrap();
                all.insert(last, Theirs { kind, name: quoted(rest).unwrap_or(""), lines: Vec::new() });
            }
            None => {
                if let Some(record) = all.get_mut(&last) {
                    record.lines.push(line);
                }
            }
        }
    }
    all
}

/// Types without a record: number, its name here, bytes. From Microsoft's `cvinfo.h`, as far as the data set has them.
const SIMPLE: [(u32, &str, u64); 28] = [
    (0x08, "HRESULT", 4),
    (0x10, "signed char", 1),
    (0x11, "short", 2),
    (0x12, "long", 4),
    (0x13, "__int64", 8),
    (0x20, "unsigned char", 1),
    (0x21, "unsigned short", 2),
    (0x22, "unsigned long", 4),
    (0x23, "unsigned __int64", 8),
    (0x30, "bool", 1),
    (0x40, "float", 4),
    (0x41, "double", 8),
    (0x42, "long double", 10),
    (0x68, "__int8", 1),
    (0x69, "unsigned __int8", 1),
    (0x70, "char", 1),
    (0x71, "wchar_t", 2),
    (0x72, "__int16", 2),
    (0x73, "unsigned __int16", 2),
    (0x74, "int", 4),
    (0x75, "unsigned int", 4),
    (0x76, "__int64", 8),
    (0x77, "unsigned __int64", 8),
    (0x78, "__int128", 16),
    (0x79, "unsigned __int128", 16),
    (0x7a, "char16_t", 2),
    (0x7b, "char32_t", 4),
    (0x7c, "char8_t", 1),
];

pub struct Expected<'a> {
    pub pointer: u64,
    pub records: &'a BTreeMap<u32, Theirs<'a>>,
}

impl Expected<'_> {
    pub fn simple(number: u32) -> String {
        let base = match number & 0xff {
            0 => "?".into(),
            3 => "void".into(),
            byte => match SIMPLE.iter().find(|(its, ..)| *its == byte) {
                Some((_, name, size)) => format!("{name}:{size}"),
                None => panic!("simple type {number:#x} is not in the table"),
            },
        };
        match number >> 8 {
            0 => base,
            // `std::nullptr_t`.
            1 => format!("*0 {base}"),
            4 => format!("*4 {base}"),
            6 => format!("*8 {base}"),
            _ => panic!("simple type {number:#x} is not in the table"),
        }
    }

    pub fn size(&self, number: u32) -> Option<u64> {
        if number < 0x1000 {
            return match number >> 8 {
                1 => Some(self.pointer),
                4 => Some(4),
                6 => Some(8),
                _ => SIMPLE.iter().find(|(its, ..)| *its == number & 0xff).map(|(_, _, size)| *size),
            };
        }
        let record = &self.records[&number];
        match record.kind {
            "LF_ENUM" if !record.is_forward() => self.size(record.number("underlying type: ")?),
            kind if record.is_udt() && record.is_forward() => {
                let same = |its: &Theirs<'_>| !its.is_forward() && its.unique() == record.unique() && its.kind == kind;
                let found = record.target().or_else(|| {
                    // The tool does not find what is filed under something else than its name.
                    self.records.iter().find(|(_, its)| its.name == record.name && same(its)).map(|(number, _)| *number)
                });
                self.size(found?)
            }
            _ if record.is_udt() => Some(record.word("sizeof ")?.parse().unwrap()),
            "LF_POINTER" => Some(if record.word("kind = ")? == "ptr64" { 8 } else { 4 }),
            "LF_ARRAY" => Some(record.word("size: ")?.parse().unwrap()),
            "LF_MODIFIER" => self.size(record.number("referent = ")?),
            "LF_BITFIELD" => self.size(record.number("type = ")?),
            _ => None,
        }
    }

    /// What we should say the type of that number is.
    pub fn text(&self, number: u32) -> String {
        if number < 0x1000 {
            return Self::simple(number);
        }
        let record = &self.records[&number];
        let number_of = |key: &str| record.number(key).unwrap_or_else(|| panic!("{number:#x} has no {key}"));
        match record.kind {
            "LF_STRUCTURE" | "LF_CLASS" | "LF_INTERFACE" => format!("struct {number:#x} {}", record.name),
            "LF_UNION" => format!("union {number:#x} {}", record.name),
            "LF_ENUM" => format!("enum {number:#x} {}", record.name),
            "LF_POINTER" => {
                format!("*{} {}", self.size(number).unwrap(), self.text(number_of("referent = ")))
            }
            "LF_ARRAY" => {
                let of = number_of("element type: ");
                let count = self.size(number).unwrap().checked_div(self.size(of).unwrap_or(0)).unwrap_or(0);
                format!("[{count}] {}", self.text(of))
            }
            "LF_MODIFIER" => self.text(number_of("referent = ")),
            "LF_BITFIELD" => {
                let (position, length) = (record.word("bit offset = ").unwrap(), record.word("# bits = ").unwrap());
                format!("bits {position}+{length} {}", self.text(number_of("type = ")))
            }
            "LF_PROCEDURE" | "LF_MFUNCTION" => "function".into(),
            "LF_VTSHAPE" => "vtable".into(),
            _ => "?".into(),
        }
    }

    /// Role, name, offset and type of each member.
    pub fn fields(&self, list: u32) -> Vec<String> {
        let record = &self.records[&list];
        let mut fields = Vec::new();
        for (index, line) in record.lines.iter().enumerate() {
            let Some((kind, _)) =
                line.trim().strip_prefix("- LF_").map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
            else {
                continue;
            };
            let more = record.lines.get(index + 1).copied().unwrap_or("");
            let number = |text: &str, key: &str| hex(word(text, key).unwrap_or_else(|| panic!("{line}: no {key}")));
            // The offset stands behind the name, which may hold anything.
            let (name, rest) = match quoted(line) {
                Some(name) => (name, &line[line.rfind('`').unwrap()..]),
                None => ("", *line),
            };
            fields.push(match kind {
                "MEMBER" => {
                    let offset = word(rest, "offset = ").unwrap();
                    format!("member {name} {offset} {}", self.text(number(rest, "Type = ")))
                }
                "STMEMBER" => format!("static {name} {}", self.text(number(rest, "type = "))),
                "BCLASS" | "BINTERFACE" => {
                    let of = number(more, "type = ");
                    format!("base {} {} {}", self.records[&of].name, word(more, "offset = ").unwrap(), self.text(of))
                }
                "VBCLASS" | "IVBCLASS" => {
                    let of = number(more, "base = ");
                    let (at, slot) = (word(more, "vbptr offset = ").unwrap(), word(more, "vtable index = ").unwrap());
                    format!("virtual {} {at} {slot} {}", self.records[&of].name, self.text(of))
                }
                "VFUNCTAB" => format!("vtable 0 {}", self.text(number(rest, "type = "))),
                "INDEX" => panic!("lists that go on are not in the data set"),
                "METHOD" | "ONEMETHOD" | "NESTTYPE" => continue,
                other => panic!("member {other}"),
            });
        }
        fields
    }

    pub fn constants(&self, list: u32) -> Vec<(String, i128)> {
        let lines = self.records[&list].lines.iter();
        lines
            .filter_map(|line| line.trim().strip_prefix("- LF_ENUMERATE [")?.strip_suffix(']')?.rsplit_once(" = "))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }
}

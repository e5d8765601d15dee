//! Names in archives, as text to show. They are never made into paths.

/// The upper half of code page 437, in which zip names stand unless they say that they are UTF-8.
const UPPER_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»\
░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Text in code page 437.
pub(crate) fn cp437(bytes: &[u8]) -> String {
    if bytes.is_ascii() {
        return latin1(bytes);
    }
    let upper: Vec<char> = UPPER_437.chars().collect();
    let decode = |byte: &u8| match byte.checked_sub(0x80) {
        None => char::from(*byte),
        Some(index) => upper.get(usize::from(index)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    bytes.iter().map(decode).collect()
}

/// Text in ISO 8859-1.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Text in UTF-8, with a mark for what is not.
pub(crate) fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character_in_code_page_437() {
        assert_eq!(UPPER_437.chars().count(), 128);
        assert_eq!(cp437(b"a\x81\xe1\xff"), "aüß\u{a0}");
        assert_eq!(cp437(&[0x80, 0x9f, 0xb0, 0xdb, 0xe0, 0xfe]), "Çƒ░█α■");
    }
}

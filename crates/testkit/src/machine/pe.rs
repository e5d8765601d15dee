//! Images as the loader maps them: headers, code, data, exports, a CodeView record.

use crate::asm::structure;

/// Relative address of `.text`.
pub const TEXT: u32 = 0x1000;
/// Relative address behind a call instruction: where a return address makes sense.
pub const RETURN: u32 = TEXT + 0x108;
/// Another such place in the same function.
pub const RETURN_2: u32 = TEXT + 0x148;
/// A third one.
pub const RETURN_3: u32 = TEXT + 0x188;
/// Such a place in the function that user mode enters the kernel by: it stands on a trap frame.
pub const SYSTEM_CALL_RETURN: u32 = TEXT + 0x408;
/// Bytes that the function around [`RETURN`] keeps on the stack, on x64.
pub const FRAME: u64 = 0x28;
/// Relative address of `.data`.
pub const DATA: u32 = 0x3000;
/// Relative address of `.rdata`.
pub const RDATA: u32 = 0x2000;

/// Relative address of the function table, on x64.
const PDATA: u32 = RDATA + 0xb00;
/// Relative address of the unwind data.
const INFO: u32 = RDATA + 0xb40;

/// What an image holds.
#[derive(Clone, Debug)]
pub struct TestImage {
    /// `IMAGE_FILE_MACHINE_*`.
    pub machine: u16,
    /// `TimeDateStamp`.
    pub timestamp: u32,
    /// `SizeOfImage`; `.data` reaches to its end.
    pub size: u32,
    /// GUID of the PDB.
    pub guid: [u8; 16],
    /// Its age.
    pub age: u32,
    /// Its name.
    pub pdb: String,
    /// Name in the export directory.
    pub export_name: String,
    /// Exported names and where they are.
    pub exports: Vec<(String, u32)>,
    /// Whether it has a function table and unwind data, if it is of x64.
    pub has_functions: bool,
}

impl TestImage {
    /// The image, laid out as in memory.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let wide = !matches!(self.machine, 0x14c);
        let has_table = self.has_functions && self.machine == 0x8664;
        let mut image = vec![0; self.size as usize];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(0x3c, &0x80_u32.to_le_bytes());
        put(0x80, b"PE\0\0");
        let optional = if wide { 0xf0_u64 } else { 0xe0 };
        put(
            0x84,
            &structure(
                20,
                &[
                    (0, u64::from(self.machine), 2),
                    (2, 3, 2),
                    (4, u64::from(self.timestamp), 4),
                    (16, optional, 2),
                    (18, 0x2022, 2),
                ],
            ),
        );
        let directories = if wide { 0x70 } else { 0x60 };
        put(
            0x98,
            &structure(
                optional as usize,
                &[
                    (0, if wide { 0x20b } else { 0x10b }, 2),
                    (16, u64::from(TEXT), 4),
                    (32, 0x1000, 4),
                    (36, 0x200, 4),
                    (56, u64::from(self.size), 4),
                    (60, 0x400, 4),
                    (64, u64::from(self.timestamp ^ 0x5555), 4),
                    (directories - 4, 16, 4),
                    (directories, u64::from(RDATA), 4),
                    (directories + 4, 0x600, 4),
                    (directories + 3 * 8, if has_table { u64::from(PDATA) } else { 0 }, 4),
                    (directories + 3 * 8 + 4, if has_table { 24 } else { 0 }, 4),
                    (directories + 6 * 8, u64::from(RDATA) + 0x800, 4),
                    (directories + 6 * 8 + 4, 28, 4),
                ],
            ),
        );
        let sections = 0x98 + optional as usize;
        let rows: [(&[u8], u32, u32, u32); 3] = [
            (b".text", TEXT, 0x1000, 0x6000_0020),
            (b".rdata", RDATA, 0x1000, 0x4000_0040),
            (b".data", DATA, self.size - DATA, 0xc000_0040),
        ];
        for (index, (name, rva, size, flags)) in rows.into_iter().enumerate() {
            let row = structure(
                40,
                &[
                    (8, u64::from(size), 4),
                    (12, u64::from(rva), 4),
                    (16, u64::from(size), 4),
                    (20, u64::from(rva), 4),
                    (36, u64::from(flags), 4),
                ],
            );
            put(sections + index * 40, &row);
            put(sections + index * 40, name);
        }
        // Code: int3 everywhere, so that nothing reads as a call by accident.
        put(TEXT as usize, &[0xcc; 0x1000]);
        let call: &[u8] = if self.machine == 0xaa64 { &[0, 0, 0, 0x94] } else { &[0xe8, 0, 1, 0, 0] };
        for place in [RETURN, RETURN_2, RETURN_3, SYSTEM_CALL_RETURN] {
            put(place as usize - call.len(), call);
        }
        if has_table {
            self.put_unwind_data(&mut image);
        }
        self.put_exports(&mut image);
        self.put_debug(&mut image);
        image
    }

    fn put_exports(&self, image: &mut [u8]) {
        let mut names = self.exports.clone();
        names.sort();
        let count = names.len() as u32;
        let base = RDATA;
        let (functions, name_table, ordinals) = (base + 0x28, base + 0x28 + count * 4, base + 0x28 + count * 8);
        let mut text = ordinals + count * 2;
        let mut put = |at: u32, bytes: &[u8]| image[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        let module = text;
        put(module, self.export_name.as_bytes());
        text += self.export_name.len() as u32 + 1;
        put(
            base,
            &structure(
                0x28,
                &[
                    (12, u64::from(module), 4),
                    (16, 1, 4),
                    (20, u64::from(count), 4),
                    (24, u64::from(count), 4),
                    (28, u64::from(functions), 4),
                    (32, u64::from(name_table), 4),
                    (36, u64::from(ordinals), 4),
                ],
            ),
        );
        for (index, (name, rva)) in names.iter().enumerate() {
            let index = index as u32;
            put(functions + index * 4, &rva.to_le_bytes());
            put(name_table + index * 4, &text.to_le_bytes());
            put(ordinals + index * 2, &(index as u16).to_le_bytes());
            put(text, name.as_bytes());
            text += name.len() as u32 + 1;
        }
        assert!(text < base + 0x600, "too many exports for a test image");
    }

    /// Two functions: an ordinary one, and the entry from user mode, which stands on the frame that the processor pushed.
    fn put_unwind_data(&self, image: &mut [u8]) {
        let rows = [(TEXT + 0x100, TEXT + 0x200, INFO), (TEXT + 0x400, TEXT + 0x500, INFO + 8)];
        let table: Vec<u8> =
            rows.iter().flat_map(|(from, to, info)| [from, to, info]).flat_map(|it| it.to_le_bytes()).collect();
        let small = (((FRAME as u8 - 8) / 8) << 4) | 2;
        let ordinary = [1, 4, 1, 0, 4, small, 0, 0];
        // 0x2d words below the machine frame: what a trap frame has there.
        let entry = [1, 8, 3, 0, 8, 1, 0x2d, 0, 0, 0xa, 0, 0];
        for (at, bytes) in [(PDATA, &table[..]), (INFO, &ordinary), (INFO + 8, &entry)] {
            image[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn put_debug(&self, image: &mut [u8]) {
        let at = RDATA as usize + 0x800;
        let mut record = b"RSDS".to_vec();
        record.extend(self.guid);
        record.extend(self.age.to_le_bytes());
        record.extend(self.pdb.as_bytes());
        record.push(0);
        let data = RDATA + 0x900;
        let entry = structure(
            28,
            &[(12, 2, 4), (16, record.len() as u64, 4), (20, u64::from(data), 4), (24, u64::from(data), 4)],
        );
        image[at..at + 28].copy_from_slice(&entry);
        image[data as usize..data as usize + record.len()].copy_from_slice(&record);
    }
}

//! Dumps in archives, as a user of the command meets them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder of one test's own: the archive stands in it, and `tmp` in it is where the command unpacks to.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("archive-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("tmp")).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().into()
    }

    /// Runs the command; nothing may be left where it unpacks to, whatever came of it.
    fn run(&self, args: &[&str]) -> Output {
        let folder = self.0.join("tmp");
        let output = Command::new(env!("CARGO_BIN_EXE_dumplens"))
            .args(args)
            .env("TMPDIR", &folder)
            .env("TEMP", &folder)
            .env("TMP", &folder)
            .output()
            .unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "a temporary file was left: {args:?}");
        output
    }

    /// Analyses a file that must be refused in one line, and gives that line.
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(&[&["analyze"], args].concat());
        let text = stderr(&output);
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
        assert!(output.stdout.is_empty());
        text
    }

    /// Analyses a file that must be read whole, and gives the name and size that the report tells.
    fn opened(&self, args: &[&str]) -> (String, u64) {
        let output = self.run(&[&["analyze", "--json"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let dump = &report["dump"];
        (dump["file_name"].as_str().unwrap().into(), dump["file_size"].as_u64().unwrap())
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn sample(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../public/samples").join(name)).unwrap()
}

fn driver() -> Vec<u8> {
    sample("driver-irql.dmp")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn zstandard(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A zip archive; a name that ends in a slash is a folder's.
fn zip(files: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, content) in files {
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    zip(files, zip::CompressionMethod::Deflated)
}

fn cabinet(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = cab::CabinetBuilder::new();
    let folder = builder.add_folder(cab::CompressionType::MsZip);
    for (name, _) in files {
        folder.add_file(*name);
    }
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    for (_, content) in files {
        writer.next_file().unwrap().unwrap().write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn every_format_is_opened_in_place() {
    let place = Place::new("formats");
    let dump = driver();
    let size = dump.len() as u64;
    let files = [("memory/", &b""[..]), ("memory/a.dmp", &dump)];
    for (file, bytes, name) in [
        ("a.dmp.gz", gzip(&dump), "a.dmp"),
        ("a.dmp.zst", zstandard(&dump), "a.dmp"),
        ("packed.zip", packed(&files), "memory/a.dmp"),
        ("stored.zip", zip(&files, zip::CompressionMethod::Stored), "memory/a.dmp"),
        ("a.cab", cabinet(&[("a.dmp", &dump)]), "a.dmp"),
        // The content tells, not the name.
        ("misnamed.dmp", gzip(&dump), "(no name)"),
    ] {
        let path = place.file(file, &bytes);
        assert_eq!(place.opened(&[&path]), (format!("{file} › {name}"), size));
        let output = place.run(&["read", &path, "fffff801`3a604a1c", "0x10"]);
        assert!(output.stdout.starts_with(b"fffff8013a604a1c  48 8b 40 10"), "{file}: {}", stderr(&output));
        assert_eq!(place.run(&["modules", &path]).status.code(), Some(0), "{file}");
    }
}

#[test]
fn a_stored_member_is_read_where_it_is() {
    let place = Place::new("stored");
    let path = place.file("a.zip", &zip(&[("a.dmp", &driver())], zip::CompressionMethod::Stored));
    // If it were unpacked, it would pass this limit.
    assert_eq!(place.opened(&[&path, "--max-unpacked", "1"]).0, "a.zip › a.dmp");
}

#[test]
fn the_only_dump_among_other_files_is_opened_at_once() {
    let place = Place::new("only");
    let path = place.file("a.zip", &packed(&[("readme.txt", b"see the dump"), ("A.DMP", &driver())]));
    assert_eq!(place.opened(&[&path]).0, "a.zip › A.DMP");
    assert!(place.refused(&[&path, "--member", "readme.txt"]).contains("text file"));
}

#[test]
fn several_dumps_are_listed_and_one_is_chosen_by_name_or_number() {
    let place = Place::new("several");
    let (dump, program) = (driver(), sample("null-call.dmp"));
    let files = [("x/", &b""[..]), ("x/driver.dmp", &dump), ("x/program.dmp", &program), ("y/driver.dmp", b"no dump")];
    let path = place.file("several.zip", &packed(&files));
    let output = place.run(&["analyze", &path]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[0].contains("holds 3 files") && lines[0].contains("--member NAME-OR-NUMBER"), "{text}");
    assert!(lines[3].trim_start().starts_with("2 ") && lines[3].ends_with("x/program.dmp"), "{text}");
    for member in ["2", "x/program.dmp", "program.dmp", "PROGRAM.DMP"] {
        let opened = place.opened(&[&path, "--member", member]);
        assert_eq!(opened, ("several.zip › x/program.dmp".into(), program.len() as u64), "{member}");
    }
    assert!(place.refused(&["--member", "driver.dmp", &path]).contains("choose one by its number"));
    for member in ["0", "4", "z.dmp", "../x/driver.dmp"] {
        assert!(place.refused(&["--member", member, &path]).contains("no member"), "{member}");
    }
}

#[test]
fn an_archive_in_an_archive_is_opened_and_no_deeper() {
    let place = Place::new("nested");
    let dump = driver();
    let inner = gzip(&dump);
    let path = place.file("a.zip", &packed(&[("a.dmp.gz", &inner)]));
    assert_eq!(place.opened(&[&path]).0, "a.zip › a.dmp.gz › a.dmp");
    let inner = cabinet(&[("one.dmp", &dump), ("two.dmp", &dump)]);
    let path = place.file("b.zip", &packed(&[("notes.txt", b"notes"), ("logs.cab", &inner)]));
    assert_eq!(place.opened(&["--member", "logs.cab", "--member", "2", &path]).0, "b.zip › logs.cab › two.dmp");
    // Where there is no choice nothing need be said.
    let path = place.file("c.zip", &packed(&[("logs.cab", &inner)]));
    assert_eq!(place.opened(&[&path, "--member", "one.dmp"]).0, "c.zip › logs.cab › one.dmp");
    let three = packed(&[("a.zip", &packed(&[("a.dmp.gz", &gzip(&dump))]))]);
    assert!(place.refused(&[&place.file("three.zip", &three)]).contains("unpack it"));
    assert!(place.refused(&[&place.file("a.dmp", &dump), "--member", "1"]).contains("no archive"));
}

#[test]
fn bombs_stop() {
    let place = Place::new("bombs");
    // 64 MiB that look like a dump and pass the limit; the directory of a zip says so, a gzip file does not.
    let mut bomb = b"PAGEDU64".to_vec();
    bomb.resize(64 << 20, 0);
    for (file, bytes) in [("bomb.gz", gzip(&bomb)), ("bomb.zip", packed(&[("bomb.dmp", &bomb)]))] {
        let path = place.file(file, &bytes);
        let text = place.refused(&[&path, "--max-unpacked", "1M"]);
        assert!(text.contains("1.0 MiB") && text.contains("--max-unpacked"), "{text}");
    }
    // What is no dump is refused by its start, long before the limit.
    let text: Vec<u8> = b"all work and no play\n".iter().copied().cycle().take(64 << 20).collect();
    let path = place.file("text.dmp.gz", &gzip(&text));
    assert!(place.refused(&[&path, "--max-unpacked", "1M"]).contains("text file"));
    let noise: Vec<u8> = (0..64_u32 << 20).map(|byte| (byte % 251) as u8).collect();
    let path = place.file("noise.gz", &gzip(&noise));
    assert!(place.refused(&[&path, "--max-unpacked", "1M"]).contains("not known"));
}

#[test]
fn what_is_no_dump_inside_is_refused_by_name() {
    let place = Place::new("refused");
    let path = place.file("letter.zip", &packed(&[("letter.txt", b"Dear support team,\nthe PC crashed.\n")]));
    let text = place.refused(&[&path]);
    assert!(text.contains("letter.zip › letter.txt: not a Windows crash dump: this is a text file"), "{text}");
    let path = place.file("empty.zip", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert!(place.refused(&[&path]).contains("no file in this zip archive"));
    let path = place.file("empty.gz", &gzip(b""));
    assert!(place.refused(&[&path]).contains("empty"));
}

#[test]
fn damaged_archives_are_told_in_one_line() {
    let place = Place::new("damaged");
    let dump = driver();
    let gz = gzip(&dump);
    let zipped = packed(&[("a.dmp", &dump)]);
    let mut flipped = gz.clone();
    let crc = flipped.len() - 8;
    flipped[crc] ^= 1;
    let cab = cabinet(&[("a.dmp", &dump)]);
    for (file, bytes, word) in [
        ("cut.gz", &gz[..gz.len() / 2], "ends inside"),
        ("flipped.gz", &flipped, "checksum"),
        ("cut.zip", &zipped[..zipped.len() / 2], "no directory"),
        ("cut.cab", &cab[..cab.len() / 2], "cab"),
        ("cut.zst", &zstandard(&dump)[..1000], "ends inside"),
    ] {
        let text = place.refused(&[&place.file(file, bytes)]);
        assert!(text.contains(word), "{file}: {text}");
    }
}

#[test]
fn names_cannot_play_tricks_on_the_terminal() {
    let place = Place::new("tricks");
    let path = place.file("a.zip", &packed(&[("\u{1b}[31m\u{202e}pmd.exe", b"a letter\n"), ("b", b"b")]));
    let text = stderr(&place.run(&["analyze", &path]));
    assert!(text.contains("pmd.exe") && !text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
    let text = place.refused(&[&path, "--member", "1"]);
    assert!(text.contains("pmd.exe") && !text.contains('\u{1b}'), "{text:?}");
}

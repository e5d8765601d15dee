//! The samples that the page offers are the ones that the writers write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

#[test]
fn checked_in_samples_are_up_to_date() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../public/samples");
    for (name, _, _, bytes) in dumplens_testkit::story::samples() {
        let stored = fs::read(folder.join(name)).unwrap_or_default();
        assert!(stored == bytes, "public/samples/{name} is stale: run `cargo xtask samples`");
        assert!(bytes.len() < 200_000);
    }
    assert_eq!(fs::read_to_string(folder.join("index.json")).unwrap(), dumplens_testkit::story::index());
}

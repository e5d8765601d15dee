//! Our own readers against the testkit: every machine in every form, every page, every mapped byte.

use dumplens_peers::{FORMS, read, subjects};

#[test]
fn our_readers_agree_with_the_testkit() {
    for subject in subjects() {
        let mut before = None;
        for form in FORMS {
            let reading = read(&subject, form, &subject.write(form));
            let pieces: Vec<_> = reading.spaces.iter().flat_map(|space| space.pieces.clone()).collect();
            // The form of the file must not matter; only a raw image has pages that the machine did not have.
            if form.name != "raw" {
                assert_eq!(*before.get_or_insert_with(|| pieces.clone()), pieces, "{} {}", subject.name, form.name);
            }
        }
    }
}

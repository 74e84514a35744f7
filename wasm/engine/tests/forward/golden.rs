//! The committed golden files are what this engine makes: `test/wasm` holds both packages to them, bit for bit.

use crate::support::golden::{directory, files};

#[test]
fn the_committed_files_are_current() {
    let files = files();
    for (name, content) in &files {
        let committed = std::fs::read(directory().join(name)).unwrap_or_default();
        assert!(
            committed == *content,
            "test/golden/engine/{name} is stale: if the arithmetic has changed on purpose, run `cargo run --release --example golden` in wasm/"
        );
    }
    let mut committed: Vec<_> =
        std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut written: Vec<_> = files.into_iter().map(|(name, _)| name).collect();
    committed.sort();
    written.sort();
    assert_eq!(committed, written);
}

//! The header: magic, counts, metadata.

use crate::support::gguf_file::Meta;
use crate::support::refusals::{refusal, refuses, tiny};
use crate::support::running::load;

const INVALID: &str = "invalid_gguf";

/// The tiny file with some of its bytes replaced.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = tiny().bytes();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[track_caller]
fn refuses_bytes(file: &[u8], parts: &[&str]) {
    let (code, message) = refusal(file);
    assert_eq!(code, INVALID);
    for part in parts {
        assert!(message.contains(part), "'{message}' does not say '{part}'");
    }
}

#[test]
fn the_tiny_file_itself_is_accepted() {
    assert_eq!(load(&tiny().bytes()).config().vocabulary, 5);
}

#[test]
fn another_magic_or_version_is_refused() {
    refuses_bytes(&patched(0, b"GGML"), &["starts with", "GGUF"]);
    refuses_bytes(&patched(0, b"FUGG"), &["starts with"]);
    for version in [0u32, 1, 4, 3u32.swap_bytes()] {
        refuses_bytes(&patched(4, &version.to_le_bytes()), &[&format!("version is {version}"), "2 and 3"]);
    }
    assert_eq!(load(&patched(4, &2u32.to_le_bytes())).config().vocabulary, 5, "version 2 has the same layout");
}

#[test]
fn counts_no_header_can_hold_are_refused_at_once() {
    for count in [u64::MAX, 1 << 40, 6_000_000] {
        refuses_bytes(&patched(8, &count.to_le_bytes()), &[&format!("{count} tensors"), "do not fit"]);
        refuses_bytes(&patched(16, &count.to_le_bytes()), &[&format!("{count} metadata entries"), "do not fit"]);
    }
    // One more than there are reads on into the data, and finds no tensor there.
    let count = tiny().tensors.len() as u64 + 1;
    assert_eq!(refusal(&patched(8, &count.to_le_bytes())).0, INVALID);
}

#[test]
fn lying_lengths_are_refused_at_once() {
    // The first key's length.
    refuses_bytes(&patched(24, &u64::MAX.to_le_bytes()), &["a metadata key", &u64::MAX.to_string(), "at most"]);
    refuses_bytes(&patched(24, &0u64.to_le_bytes()), &["a metadata key has 0 bytes", "1 to 65535"]);
    refuses_bytes(&patched(24, &70_000u64.to_le_bytes()), &["ends after", "within its header"]);
    let long = |kind: u32, length: u64| {
        move |model: &mut crate::support::models::TestModel| {
            let mut payload = if kind == 9 { 4u32.to_le_bytes().to_vec() } else { Vec::new() };
            payload.extend(length.to_le_bytes());
            model.set("x.long", Meta::Raw(kind, payload));
        }
    };
    refuses(long(8, 1 << 62), INVALID, &["the value of 'x.long'", "claims a length of 4611686018427387904"]);
    refuses(long(9, 1 << 62), INVALID, &["'x.long' claims 4611686018427387904 items"]);
    let texts = |model: &mut crate::support::models::TestModel| {
        let mut payload = 8u32.to_le_bytes().to_vec();
        payload.extend(2u64.to_le_bytes());
        payload.extend(u64::MAX.to_le_bytes());
        model.set("x.texts", Meta::Raw(9, payload));
    };
    refuses(texts, INVALID, &["an item of 'x.texts'", "claims a length"]);
}

#[test]
fn a_key_of_too_many_bytes_is_refused() {
    refuses(|model| model.set(&"k".repeat(65_536), Meta::U32(1)), INVALID, &["a metadata key has 65536 bytes"]);
}

#[test]
fn a_key_that_appears_twice_is_refused() {
    let twice = |model: &mut crate::support::models::TestModel| model.metadata.push(("general.name".into(), Meta::Text("other".into())));
    refuses(twice, INVALID, &["'general.name' appears twice"]);
}

#[test]
fn what_is_not_utf8_is_refused() {
    let mut text = 3u64.to_le_bytes().to_vec();
    text.extend([b'a', 0xff, b'b']);
    refuses(|model| model.set("general.name", Meta::Raw(8, text)), INVALID, &["'general.name'", "not UTF-8"]);
    let mut file = tiny().bytes();
    file[32] = 0xff;
    refuses_bytes(&file, &["a metadata key is not UTF-8"]);
}

#[test]
fn unknown_value_types_are_refused_by_key() {
    for kind in [13, 14, 99, u32::MAX] {
        refuses(|model| model.set("x.odd", Meta::Raw(kind, vec![0; 16])), INVALID, &[&format!("'x.odd' has value type {kind}")]);
        let mut payload = kind.to_le_bytes().to_vec();
        payload.extend([0; 16]);
        refuses(|model| model.set("x.odd", Meta::Raw(9, payload)), INVALID, &[&format!("'x.odd' is an array of type {kind}")]);
    }
    let mut nested = 9u32.to_le_bytes().to_vec();
    nested.extend([0; 16]);
    refuses(|model| model.set("x.nested", Meta::Raw(9, nested)), INVALID, &["'x.nested' is an array of arrays"]);
    refuses(|model| model.set("x.flag", Meta::Raw(7, vec![2])), INVALID, &["'x.flag' is a bool of value 2"]);
}

#[test]
fn every_value_type_is_read_past() {
    let mut model = tiny();
    for (kind, bytes) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (7, 1), (10, 8), (11, 8), (12, 8)] {
        model.set(&format!("x.scalar{kind}"), Meta::Raw(kind, vec![0; bytes]));
        let mut array = kind.to_le_bytes().to_vec();
        array.extend(3u64.to_le_bytes());
        array.extend(vec![0; 3 * bytes]);
        model.set(&format!("x.array{kind}"), Meta::Raw(9, array));
    }
    model.set("x.texts", Meta::Texts(vec![String::new(), "two".into(), "t".repeat(5_000)]));
    model.set("x.text", Meta::Text("t".repeat(100_000)));
    assert_eq!(load(&model.bytes()).config().vocabulary, 5);
}

#[test]
fn the_alignment_must_be_a_power_of_two() {
    for alignment in [0, 3, 48, 131_072] {
        let set = |model: &mut crate::support::models::TestModel| model.set("general.alignment", Meta::U32(alignment));
        refuses(set, INVALID, &["general.alignment", "power of two", &alignment.to_string()]);
    }
    refuses(|model| model.set("general.alignment", Meta::Text("32".into())), INVALID, &["general.alignment", "'32'"]);
}

#[test]
fn more_metadata_than_any_model_has_is_refused() {
    let many = |model: &mut crate::support::models::TestModel| {
        for index in 0..90_000 {
            model.metadata.push((format!("x.{index}"), Meta::U32(0)));
        }
    };
    refuses(many, INVALID, &["metadata and tensor names take more than"]);
}

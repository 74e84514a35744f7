//! The files that every reader must refuse (`test/fixtures/hostile`): by words that are there, in memory in proportion to the file's bytes.

use crate::support::running::{Runner, load_in_chunks};
use crate::support::tracking::peak_of;
use serde::Deserialize;
use spikingbrain_engine::Error;
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::weights::Inspector;
use std::path::PathBuf;

const MEMORY_PER_BYTE: usize = 64;
const FIXED_BYTES: usize = 256 << 10;

/// A stretch of the sound file, or bytes of the case's own and how often they come.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Part {
    Stretch(usize, usize),
    Own(String, usize),
}

#[derive(Debug, Deserialize)]
struct Case {
    kind: String,
    name: String,
    stage: String,
    says: Vec<String>,
    parts: Vec<Part>,
}

impl Case {
    fn bytes(&self, sound: &[u8]) -> Vec<u8> {
        let made = |part: &Part| match part {
            Part::Stretch(from, to) => sound[*from..*to].to_vec(),
            Part::Own(unit, times) => unhex(unit).repeat(*times),
        };
        self.parts.iter().flat_map(made).collect()
    }

    fn assert_said(&self, message: &str) {
        for words in &self.says {
            assert!(message.contains(words), "{}: '{message}' does not say '{words}'", self.name);
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn read(name: &str) -> Vec<u8> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "test", "fixtures", "hostile"].iter().collect();
    std::fs::read(folder.join(name)).unwrap()
}

fn cases(kind: &str) -> Vec<Case> {
    let all: Vec<Case> = serde_json::from_slice(&read("cases.json")).unwrap();
    all.into_iter().filter(|case| case.kind == kind).collect()
}

#[test]
fn every_hostile_file_is_refused() {
    let sound = read("sound/model.gguf");
    load_in_chunks(&sound, 61, None).unwrap();
    let cases = cases("gguf");
    assert!(cases.len() > 100);
    for case in cases {
        let file = case.bytes(&sound);
        let (loaded, peak) = peak_of(|| load_in_chunks(&file, 61, None));
        assert!(peak <= file.len() * MEMORY_PER_BYTE + FIXED_BYTES, "{}: {peak} bytes to load {}", case.name, file.len());
        match loaded {
            Err(error @ (Error::InvalidGguf(_) | Error::UnsupportedModel(_))) => case.assert_said(&error.to_string()),
            other => panic!("{}: {other:?}", case.name),
        }
        // What only the data's end or the values show is not in the header.
        let mut inspector = Inspector::default();
        let inspected = match inspector.push(&file) {
            Ok(None) => inspector.finish().map(drop),
            found => found.map(drop),
        };
        assert_eq!(inspected.is_err(), ["header", "config"].contains(&case.stage.as_str()), "{}: {inspected:?}", case.name);
    }
}

#[test]
fn every_hostile_state_is_refused() {
    let runner = Runner::of(load_in_chunks(&read("sound/model.gguf"), 61, None).unwrap(), KvType::F32);
    let sound = read("sound/state.sbst");
    let state = runner.load_state(&sound).unwrap();
    assert_eq!(state.position(), 5);
    let cases = cases("state");
    assert!(cases.len() > 40);
    for case in cases {
        let file = case.bytes(&sound);
        let (loaded, peak) = peak_of(|| runner.load_state(&file));
        assert!(peak <= file.len() * MEMORY_PER_BYTE + FIXED_BYTES, "{}: {peak} bytes to load {}", case.name, file.len());
        match loaded {
            Err(error @ Error::InvalidState(_)) => case.assert_said(&error.to_string()),
            Err(error) => panic!("{}: {error}", case.name),
            Ok(_) => panic!("{}: taken", case.name),
        }
    }
}

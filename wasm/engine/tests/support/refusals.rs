//! Files that an honest writer would not write, and how the loader must refuse them.

use super::gguf_file::{FileTensor, Meta};
use super::models::{ModelSpec, TestModel, build};
use super::running::load_in_chunks;

/// A model whose file has two kilobytes.
pub fn tiny_spec() -> ModelSpec {
    ModelSpec {
        hidden: 4,
        heads: 2,
        kv_heads: 1,
        head_dim: 2,
        rope_dim: 2,
        vocabulary: 5,
        inner: 4,
        layers: vec![("linear", "dense"), ("full", "dense")],
        gate: super::models::GateForm::Merged,
        ..ModelSpec::default()
    }
}

pub fn tiny() -> TestModel {
    build(&tiny_spec())
}

impl TestModel {
    /// Gives a metadata key another value, or adds it.
    pub fn set(&mut self, key: &str, value: Meta) {
        match self.metadata.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
    }

    pub fn unset(&mut self, key: &str) {
        let before = self.metadata.len();
        self.metadata.retain(|(name, _)| name != key);
        assert_eq!(self.metadata.len() + 1, before, "there is no key '{key}'");
    }

    pub fn tensor(&mut self, name: &str) -> &mut FileTensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    /// Position of a tensor in the file.
    pub fn index(&self, name: &str) -> usize {
        self.tensors.iter().position(|tensor| tensor.name == name).unwrap()
    }
}

/// The code and the message with which the bytes are refused.
#[track_caller]
pub fn refusal(bytes: &[u8]) -> (&'static str, String) {
    match load_in_chunks(bytes, bytes.len().max(1), None) {
        Err(error) => (error.code(), error.to_string()),
        Ok(_) => panic!("the file was accepted"),
    }
}

/// Changes the tiny model and asserts that its file is refused with this code, by a message that has all of these parts.
#[track_caller]
pub fn refuses(change: impl FnOnce(&mut TestModel), code: &str, parts: &[&str]) {
    let mut model = tiny();
    change(&mut model);
    let (found, message) = refusal(&model.bytes());
    assert_eq!(found, code, "{message}");
    for part in parts {
        assert!(message.contains(part), "'{message}' does not say '{part}'");
    }
}

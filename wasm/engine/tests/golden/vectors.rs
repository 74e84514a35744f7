//! Reads `test/golden`.

// Each test binary uses its part.
#![allow(dead_code)]

use serde::Deserialize;
use spikingbrain_engine::Engine;
use spikingbrain_engine::model::Model;
use spikingbrain_engine::spike::{SpikeCounts, SpikingMode};
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::weights::Loader;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/golden");

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vector {
    #[serde(skip)]
    pub name: String,
    model: String,
    pub kind: String,
    pub mode: String,
    pub tokens: Vec<u32>,
    pub logits: Vec<Vec<f64>>,
    /// By layer and site.
    pub spikes: Vec<BTreeMap<String, Counts>>,
    pub more_tokens: Vec<u32>,
    pub more_logits: Vec<Vec<f64>>,
    pub sizes: Sizes,
    #[serde(skip)]
    pub state: Vec<u8>,
}

/// What the reference counts from the config: of states the context, head, pages and what the next token adds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sizes {
    pub parameters: u64,
    pub active_parameters: u64,
    pub f32: Vec<[u64; 4]>,
    pub int8: Vec<[u64; 4]>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counts {
    channels: u64,
    silent: u64,
    small: u64,
    count: u64,
    spikes: u64,
    windows: [u64; 4],
    multiply_accumulates: u64,
    skipped: u64,
    additions: u64,
}

impl From<Counts> for SpikeCounts {
    fn from(counts: Counts) -> Self {
        let Counts { channels, silent, small, count, spikes, windows, multiply_accumulates, skipped, additions } = counts;
        Self { channels, silent, small, count, spikes, windows, multiply_accumulates, skipped, additions }
    }
}

impl Vector {
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(Path::new(FOLDER).join(&self.model)).unwrap()
    }

    pub fn model(&self, mode: SpikingMode) -> Model {
        let mut loader = Loader::new(None).with_spikes(Some(mode));
        loader.push(&self.bytes()).unwrap();
        Model::new(loader.finish().unwrap()).unwrap()
    }

    /// In the vector's mode, keys and values as computed where the mode leaves the choice.
    pub fn engine(&self) -> Engine {
        Engine::new(self.model(self.spiking()), KvType::F32, None).unwrap()
    }

    pub fn spiking(&self) -> SpikingMode {
        SpikingMode::NAMES.into_iter().find(|(name, _)| *name == self.mode).unwrap().1
    }
}

pub fn vectors() -> impl Iterator<Item = Vector> {
    let mut paths: Vec<_> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    assert!(paths.len() > 10, "test/golden holds {} vectors", paths.len());
    paths.into_iter().map(|path| {
        let mut vector: Vector = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        vector.name = path.file_stem().unwrap().to_string_lossy().into_owned();
        vector.state = fs::read(path.with_extension("sbst")).unwrap();
        vector
    })
}

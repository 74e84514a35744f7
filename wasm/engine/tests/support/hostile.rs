//! What must hold for any bytes at all: a typed error, or a model or state that works; and memory in proportion to the bytes.

use super::gguf_file::{FileTensor, Meta};
use super::models::{ExpertSpec, GateForm, ModelSpec, TestModel, build, catalogue};
use super::random::Random;
use super::refusals::tiny_spec;
use super::running::{KV_TYPES, Runner, StateFiles, load, load_in_chunks};
use super::tracking::{live_bytes, peak_of};
use spikingbrain_engine::sample::Sampling;
use spikingbrain_engine::spike::SpikingMode;
use spikingbrain_engine::state::{KvType, StateBytes};
use spikingbrain_engine::weights::{Inspector, TensorType};
use spikingbrain_engine::{Engine, Error, Result, SequenceOptions};

/// Weights that a file may claim to have.
const WEIGHT_LIMIT_BYTES: u64 = 4 << 20;
/// What an engine over such weights may take beside them.
const ENGINE_LIMIT_BYTES: usize = 16 << 20;
/// Parsed metadata and tensor tables take a few times their bytes; what does not grow with the file takes less than this.
const MEMORY_PER_BYTE: usize = 64;
const FIXED_BYTES: usize = 256 << 10;

/// The smallest files there are of every form, W8 codes and a spiking mode included: what mutations start from.
pub fn small_files() -> Vec<Vec<u8>> {
    small_models().iter().map(TestModel::bytes).collect()
}

fn small_models() -> Vec<TestModel> {
    let shrunk = catalogue().into_iter().map(|(_, spec)| ModelSpec {
        hidden: 4,
        heads: 2,
        kv_heads: 1,
        head_dim: 2,
        rope_dim: 2,
        inner: 4,
        vocabulary: 5,
        sinks: spec.sinks.min(2),
        gate: if spec.gate == GateForm::LowRank(3) { GateForm::LowRank(1) } else { spec.gate },
        experts: spec.experts.map(|experts| ExpertSpec { count: 2, used: 1, inner: 4, shared_inner: 2, ..experts }),
        ..spec
    });
    let blocks = [TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1, TensorType::F16, TensorType::Bf16].map(|kind| ModelSpec {
        kind,
        hidden: 32,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        rope_dim: 16,
        inner: 32,
        vocabulary: 3,
        layers: vec![("full", "dense")],
        ..tiny_spec()
    });
    let mut models: Vec<TestModel> = shrunk.chain(blocks).map(|spec| build(&spec)).collect();
    let mut codes = models[0].clone();
    for name in ["token_embd.weight", "blk.0.ffn_down.weight", "blk.1.attn_v.weight"] {
        put_codes(&mut codes, name);
    }
    let mut spiking = build(&ModelSpec { seed: 9, ..models[2].spec.clone() });
    spiking.set("spikingbrain.spiking.mode", Meta::Text("paper".into()));
    models.extend([codes, spiking]);
    models
}

/// Makes a matrix W8: byte codes, a scale a row, and two codes that a byte does not hold.
fn put_codes(model: &mut TestModel, name: &str) {
    let stem = name.trim_end_matches("weight");
    let tensor = model.tensor(name);
    let (columns, rows) = (tensor.dimensions[0], tensor.dimensions[1]);
    tensor.kind = 24;
    tensor.bytes = (0..columns * rows).map(|index| (index * 37 % 251) as u8).collect();
    let scales = (0..rows).flat_map(|row| (0.01f32 * (row + 1) as f32).to_le_bytes()).collect();
    let entries = [[0, 0, 300], [rows as i32 - 1, columns as i32 - 1, -200]];
    let outliers = entries.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    for (part, kind, dimensions, bytes) in [("scales", 0, vec![1, rows], scales), ("outliers", 26, vec![3, 2], outliers)] {
        model.tensors.push(FileTensor { name: format!("{stem}{part}"), dimensions, kind, offset: None, bytes });
    }
}

/// A file, whatever it is. Tells whether it was taken for a model.
pub fn check_file(bytes: &[u8]) -> bool {
    let (loaded, peak) = peak_of(|| load_in_chunks(bytes, 61, Some(WEIGHT_LIMIT_BYTES)));
    let most =
        bytes.len() * MEMORY_PER_BYTE + FIXED_BYTES + loaded.as_ref().map_or(WEIGHT_LIMIT_BYTES as usize, |model| model.weight_bytes());
    assert!(peak <= most, "{peak} bytes to load {}", bytes.len());
    let inspected = inspect(bytes);
    let Ok(model) = loaded else {
        return false;
    };
    assert_eq!(inspected, Some(model.weight_bytes() as u64), "a header tells what loading takes");
    let limit = live_bytes() + ENGINE_LIMIT_BYTES;
    let (result, peak) = peak_of(|| use_engine(Engine::new(model, KvType::Int8, Some((limit, live_bytes)))?));
    assert!(peak <= ENGINE_LIMIT_BYTES, "{peak} bytes to run a file of {}", bytes.len());
    match result {
        // Weights may be finite and still overflow.
        Ok(()) | Err(Error::OutOfMemory { .. } | Error::UnsupportedModel(_)) => {}
        // A state file with an overflown number in it is not taken back.
        Err(Error::InvalidState(message)) if message.contains("not finite") => {}
        Err(error) => panic!("a model that loaded does not run: {error}"),
    }
    true
}

/// What the header alone says, and at any context: the packed weights' bytes, unless it is refused.
fn inspect(bytes: &[u8]) -> Option<u64> {
    let inspection = Inspector::default().push(bytes).ok()??;
    for kind in KV_TYPES {
        for context in [0, 1, 1 << 20, u64::MAX] {
            let StateBytes { head, pages, .. } = StateBytes::new(&inspection.config, context, kind);
            assert!(head.checked_add(pages).is_some() || context == u64::MAX);
        }
    }
    Some(inspection.weight_bytes)
}

/// A few tokens, a fork, a state file and back.
fn use_engine(mut engine: Engine) -> Result<()> {
    let vocabulary = engine.model().config().vocabulary as u32;
    let sampling = Sampling { temperature: 0.8, top_p: 0.9, top_logprobs: Some(2), ..Sampling::default() };
    let count_spikes = engine.model().config().spiking.mode != SpikingMode::Off;
    let options = SequenceOptions { sampling, prompt_logprobs: Some(1), count_spikes, ..SequenceOptions::default() };
    let id = engine.open(options.clone())?;
    let mut tokens: Vec<u32> = (0..35).map(|token| token % vocabulary).collect();
    engine.feed(id, &tokens)?;
    engine.step(&[(id, 33)])?;
    engine.step(&[(id, 2)])?;
    engine.take_prompt_logprobs(id)?;
    let sampled = engine.sample(id)?;
    assert!(sampled.id < vocabulary);
    tokens.push(sampled.id);
    engine.step(&[(id, 1)])?;
    let fork = engine.fork(id)?;
    let saved = engine.save(id)?;
    engine.close(id)?;
    let restored = engine.open(options)?;
    engine.restore(restored, &saved, &tokens)?;
    for sequence in [fork, restored] {
        engine.feed(sequence, &[0])?;
        engine.step(&[(sequence, 1)])?;
    }
    assert_eq!(engine.save(fork)?, engine.save(restored)?, "a fork and a restored state go on alike");
    Ok(())
}

/// Models whose states are to be loaded, with two states of each.
pub struct StateCases {
    cases: Vec<(Runner, Vec<Vec<u8>>)>,
}

impl StateCases {
    pub fn new() -> Self {
        let mut cases = Vec::new();
        for model in small_models().iter().filter(|model| model.spec.kind == TensorType::F32) {
            for kind in KV_TYPES {
                let mut runner = Runner::of(load(&model.bytes()), kind);
                let mut states = Vec::new();
                for count in [3, 40] {
                    let tokens = Random::new(count).tokens(count as usize, model.spec.vocabulary);
                    states.push(runner.fresh(&tokens, &[64]).1);
                }
                cases.push((runner, states));
            }
        }
        Self { cases }
    }

    /// Inputs of [`Self::check`] that are states: the model's number, then the bytes.
    pub fn inputs(&self) -> Vec<Vec<u8>> {
        let numbered = self.cases.iter().enumerate();
        numbered.flat_map(|(number, (_, states))| states.iter().map(move |state| [&[number as u8], state.as_slice()].concat())).collect()
    }

    /// Bytes, whatever they are, as a state of the model that the first one names. Tells whether they were taken for one.
    pub fn check(&mut self, input: &[u8]) -> bool {
        let Some((number, bytes)) = input.split_first() else {
            return false;
        };
        let count = self.cases.len();
        let (runner, _) = &mut self.cases[usize::from(*number) % count];
        let (loaded, peak) = peak_of(|| runner.load_state(bytes));
        assert!(peak <= bytes.len() * MEMORY_PER_BYTE + FIXED_BYTES, "{peak} bytes to load {}", bytes.len());
        match loaded {
            Err(Error::InvalidState(_)) => false,
            Err(error) => panic!("{error} where a state was bad"),
            Ok(mut state) => {
                let mut given = bytes.to_vec();
                // Whose weights and tokenizer a state is from is not known here.
                given[40..104].fill(0);
                // Where the recurrent part is empty, its type says nothing.
                if given[124..132] == [0; 8] {
                    given[121] = 0;
                }
                // Codes in a dense model are what they are worth.
                if runner.kind == KvType::Int8 || given[120] == 0 {
                    assert!(runner.save(&state) == given, "what is taken is what was given");
                }
                runner.read(&mut state, &[1, 2, 0], &[2]);
                true
            }
        }
    }
}

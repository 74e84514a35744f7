//! Small models of every form and type with what the native engine makes of them: every kernel on every host must make the same bits.

use super::models::{EvictedSpec, ExpertSpec, GateForm, ModelSpec, build};
use super::random::Random;
use super::running::{KV_TYPES, StateFiles, load};
use spikingbrain_engine::model::Model;
use spikingbrain_engine::sample::{Sampling, TokenLogprob};
use spikingbrain_engine::spike::SpikingMode;
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::weights::{Loader, TensorType};
use spikingbrain_engine::{Engine, SequenceOptions};
use std::path::PathBuf;

/// Where the files are committed.
pub fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "test", "golden", "engine"].iter().collect()
}

/// The 7B's mixers, and full attention.
fn alternating(kind: TensorType) -> ModelSpec {
    let spec = ModelSpec {
        kind,
        layers: vec![("linear", "dense"), ("window", "dense"), ("full", "dense")],
        window: 20,
        biases: true,
        gate: GateForm::Merged,
        ..ModelSpec::default()
    };
    if kind.is_quantised() {
        // Rows of 24, 59, 64 and 96 are panels of four that groups of four panels do not divide; heads of 12 are padded to nothing.
        return ModelSpec { hidden: 32, heads: 8, kv_heads: 2, head_dim: 12, rope_dim: 12, inner: 64, vocabulary: 59, ..spec };
    }
    ModelSpec {
        hidden: 22,
        heads: 6,
        kv_heads: 3,
        head_dim: 10,
        rope_dim: 10,
        inner: 37,
        vocabulary: 41,
        gate: GateForm::LowRank(3),
        ..spec
    }
}

/// The 76B's mixers, experts and sinks.
fn parallel(kind: TensorType, separate: bool) -> ModelSpec {
    let (width, inner) = if kind.is_quantised() { (32, 32) } else { (20, 12) };
    ModelSpec {
        hidden: width,
        inner: inner * 2,
        layers: vec![("linear+window", "dense"), ("linear+full", "moe")],
        sigmoid_map: true,
        gate: GateForm::OneMinusKey,
        experts: Some(ExpertSpec { count: 3, used: 2, inner, shared_inner: inner, sigmoid: separate, normalised: !separate }),
        sinks: 5,
        separate,
        ..alternating(kind)
    }
}

/// Prompts of several windows, slots that fill and pages of them.
fn evicted(kind: TensorType) -> ModelSpec {
    ModelSpec {
        layers: vec![("evicted", "dense"), ("evicted", "dense")],
        window: 12,
        kept: 3,
        evicted: EvictedSpec { sink_cap: 20, salient: 37, half_life: 30 },
        ..alternating(kind)
    }
}

fn models() -> Vec<(&'static str, ModelSpec)> {
    use TensorType::{Bf16, F16, F32, Q4_0, Q4_1, Q8_0};
    let llama = |kind| ModelSpec { architecture: "llama", layers: vec![("full", "dense")], tied: true, ..alternating(kind) };
    vec![
        ("alternating-f32", alternating(F32)),
        ("alternating-f16", alternating(F16)),
        ("alternating-bf16", alternating(Bf16)),
        ("alternating-q8_0", alternating(Q8_0)),
        ("alternating-q8_0-lowest", ModelSpec { lowest_codes: true, ..alternating(Q8_0) }),
        ("alternating-q4_0", alternating(Q4_0)),
        ("alternating-q4_1", alternating(Q4_1)),
        ("parallel-f32", parallel(F32, true)),
        ("parallel-q8_0-lowest", ModelSpec { lowest_codes: true, ..parallel(Q8_0, false) }),
        ("parallel-q4_0", parallel(Q4_0, true)),
        ("parallel-q4_1", parallel(Q4_1, false)),
        ("evicted-f16", evicted(F16)),
        ("evicted-q8_0", evicted(Q8_0)),
        ("llama-q4_1", llama(Q4_1)),
        ("llama-q8_0", llama(Q8_0)),
    ]
}

/// Everything that is committed: name and content.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut runs = Vec::new();
    for (name, spec) in models() {
        let bytes = build(&spec).bytes();
        runs.extend(KV_TYPES.map(|kind| run(name, &bytes, kind, spec.vocabulary)));
        files.push((format!("{name}.gguf"), bytes));
    }
    files.push(("reference.json".to_owned(), reference()));
    files.push(("expected.json".to_owned(), format!("[\n{}\n]\n", runs.join(",\n")).into_bytes()));
    files
}

/// The reference's models, in every spiking mode: digests of the logits of 41 tokens and of the state after them.
fn reference() -> Vec<u8> {
    let mut runs = Vec::new();
    for name in ["seven", "seven-q8_0", "seven-q4_0", "seven-q4_1", "seven-w8", "seventy-six-w8", "softmax-f16", "evicted", "evicted-f16"] {
        let bytes = std::fs::read(directory().join("..").join(format!("{name}.gguf"))).expect("`npm run golden` has made it");
        for (mode, spikes) in SpikingMode::NAMES {
            let mut loader = Loader::new(None).with_spikes(Some(spikes));
            loader.push(&bytes).expect("a golden file");
            let model = Model::new(loader.finish().expect("a golden file")).expect("a golden model");
            let vocabulary = model.config().vocabulary;
            let mut engine = Engine::new(model, KvType::Int8, None).expect("a golden model runs");
            let tokens = Random::new(5).tokens(41, vocabulary);
            let id = engine.open(SequenceOptions::default()).expect("valid options");
            engine.feed(id, &tokens).expect("valid tokens");
            let mut logits = Vec::new();
            let put = |row: &[f32]| logits.extend(row.iter().flat_map(|x| x.to_le_bytes()));
            engine.read_logits(id, tokens.len(), put).expect("memory for a step");
            let numbers = tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            runs.push(format!(
                "{{\"model\":\"{name}\",\"spikes\":\"{mode}\",\"tokens\":[{numbers}],\"logits\":\"{:016x}\",\"state\":\"{:016x}\"}}",
                fnv(&logits),
                fnv(&engine.save(id).expect("a state")),
            ));
        }
    }
    format!("[\n{}\n]\n", runs.join(",\n")).into_bytes()
}

/// Two sequences, one drawn and one greedy, read side by side in steps of odd sizes; then tokens of both.
fn run(name: &str, bytes: &[u8], kind: KvType, vocabulary: usize) -> String {
    let mut engine = Engine::new(load(bytes), kind, None).expect("a golden model runs");
    let (first, second) = (Random::new(70).tokens(70, vocabulary), Random::new(9).tokens(9, vocabulary));
    let drawn = Sampling { temperature: 0.8, top_p: 0.9, seed: 7, top_logprobs: Some(2), ..Sampling::default() };
    let greedy = Sampling { top_logprobs: Some(1), ..Sampling::default() };
    let a =
        engine.open(SequenceOptions { sampling: drawn, prompt_logprobs: Some(1), ..SequenceOptions::default() }).expect("valid options");
    let b = engine.open(SequenceOptions { sampling: greedy, prompt_logprobs: None, ..SequenceOptions::default() }).expect("valid options");
    engine.feed(a, &first).expect("valid tokens");
    engine.feed(b, &second).expect("valid tokens");
    let steps = [vec![(a, 32)], vec![(b, 2), (a, 32)], vec![(a, 5), (b, 7)], vec![(a, 1)]];
    steps.iter().for_each(|plan| engine.step(plan).expect("memory for a step"));
    let scores = engine.take_prompt_logprobs(a).expect("a sequence");
    let mut sampled = Vec::new();
    for _ in 0..12 {
        for id in [a, b] {
            let token = engine.sample(id).expect("finite logits");
            sampled.push(format!("{{\"id\":{},\"logprob\":{}}}", token.id, token.logprob.as_ref().map_or("null".into(), logprob)));
        }
        engine.step(&[(a, 1), (b, 1)]).expect("memory for a step");
    }
    let mut digest = |id| format!("\"{:016x}\"", fnv(&engine.save(id).expect("a state")));
    let numbers = |tokens: &[u32]| tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let scores: Vec<String> = scores.iter().map(|score| score.as_ref().map_or("null".into(), logprob)).collect();
    format!(
        "{{\"model\":\"{name}\",\"kvType\":\"{}\",\"prompts\":[[{}],[{}]],\n\"promptLogprobs\":[{}],\n\"sampled\":[{}],\n\"states\":[{},{}]}}",
        if kind == KvType::Int8 { "int8" } else { "f32" },
        numbers(&first),
        numbers(&second),
        scores.join(","),
        sampled.join(","),
        digest(a),
        digest(b),
    )
}

/// Numbers as the bits of their f32.
fn logprob(one: &TokenLogprob) -> String {
    let top: Vec<String> = one.top.iter().map(|(id, x)| format!("[{id},{}]", x.to_bits())).collect();
    format!("{{\"id\":{},\"bits\":{},\"top\":[{}]}}", one.id, one.logprob.to_bits(), top.join(","))
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

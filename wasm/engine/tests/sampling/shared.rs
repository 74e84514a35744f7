//! `test/golden/choices`: what the Python reference, and with it vLLM, chooses of the same logits. Bit for bit, so that an answer goes on anywhere
//! with the tokens that it would have had.

use crate::support::random::Random;
use serde::Deserialize;
use spikingbrain_engine::sample::{History, Sampling, sample};

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    vocabulary: usize,
    logits_seed: u64,
    scale: f64,
    /// Places and the bits of the numbers that stand there.
    replaced: Vec<(usize, u32)>,
    temperature: f64,
    top_k: usize,
    top_p: f64,
    min_p: f64,
    repetition_penalty: f64,
    presence_penalty: f64,
    frequency_penalty: f64,
    logit_bias: Vec<(u32, f64)>,
    min_tokens: usize,
    stop_tokens: Vec<u32>,
    prompt: Vec<u32>,
    output: Vec<u32>,
    seeds: Vec<String>,
    /// One for each seed; none where no token can be chosen.
    chosen: Vec<Option<u32>>,
}

impl Case {
    fn logits(&self) -> Vec<f32> {
        let mut random = Random::new(self.logits_seed);
        let number = |u: f64| (self.scale * u * u * u) as f32;
        let mut logits: Vec<f32> = (0..self.vocabulary).map(|_| number(f64::from(random.uniform()))).collect();
        for (place, bits) in &self.replaced {
            logits[*place] = f32::from_bits(*bits);
        }
        logits
    }

    fn sampling(&self, seed: &str) -> Sampling {
        Sampling {
            temperature: self.temperature as f32,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p as f32,
            repetition_penalty: self.repetition_penalty,
            presence_penalty: self.presence_penalty as f32,
            frequency_penalty: self.frequency_penalty as f32,
            logit_bias: self.logit_bias.iter().map(|(token, bias)| (*token, *bias as f32)).collect(),
            seed: seed.parse().unwrap(),
            min_tokens: self.min_tokens,
            stop_tokens: self.stop_tokens.clone(),
            top_logprobs: None,
            scored_tokens: Vec::new(),
            allowed_tokens: None,
            banned_series: Vec::new(),
        }
    }
}

#[test]
fn choices_are_the_references() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/golden/choices/choices.json");
    let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(file.cases.len() > 400);
    for (index, case) in file.cases.iter().enumerate() {
        let logits = case.logits();
        let text = [case.prompt.as_slice(), &case.output].concat();
        for (seed, expected) in case.seeds.iter().zip(&case.chosen) {
            let history = History { seen: None, tokens: &text, prompt: case.prompt.len() };
            let found = sample(&case.sampling(seed), history, None, &mut logits.clone()).ok().map(|sampled| sampled.id);
            assert_eq!(found, *expected, "case {index}, seed {seed}");
        }
    }
}

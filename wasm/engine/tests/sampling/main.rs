//! From logits to a token: what each setting promises, counted over many seeds.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod choices;
mod edges;
mod filters;
mod logprobs;
mod shared;
mod streams;

use spikingbrain_engine::sample::{History, Sampled, Sampling, sample};

/// Temperature 1, nothing else.
fn drawing() -> Sampling {
    Sampling { temperature: 1.0, ..Sampling::default() }
}

/// One choice after `history`, whose first `prompt` tokens are the prompt.
fn choice(sampling: &Sampling, history: &[u32], prompt: usize, logits: &[f32]) -> Sampled {
    sample(sampling, History { seen: None, tokens: history, prompt }, None, &mut logits.to_vec()).unwrap()
}

/// How often each token is drawn over as many seeds, as a share.
fn shares(sampling: &Sampling, history: &[u32], prompt: usize, logits: &[f32], seeds: u32) -> Vec<f64> {
    let mut shares = vec![0.0; logits.len()];
    for seed in 0..u64::from(seeds) {
        shares[choice(&Sampling { seed, ..sampling.clone() }, history, prompt, logits).id as usize] += 1.0 / f64::from(seeds);
    }
    shares
}

/// Softmax of the logits over a temperature, over the kept tokens alone.
fn softmax(logits: &[f32], temperature: f64, kept: impl Fn(usize) -> bool) -> Vec<f64> {
    let weights: Vec<f64> =
        logits.iter().enumerate().map(|(id, x)| if kept(id) { (f64::from(*x) / temperature).exp() } else { 0.0 }).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// Asserts that drawn shares are as expected: within five standard deviations, and exactly zero where zero is due.
#[track_caller]
fn assert_shares(found: &[f64], expected: &[f64], seeds: u32) {
    for (id, (found, expected)) in found.iter().zip(expected).enumerate() {
        let deviation = (expected * (1.0 - expected) / f64::from(seeds)).sqrt();
        assert!((found - expected).abs() <= 5.0 * deviation + 1e-12, "token {id}: {found} drawn, {expected} expected");
    }
}

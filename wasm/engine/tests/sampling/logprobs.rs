//! Log-probabilities are the model's own: of its logits as they came.

use super::{choice, drawing};
use crate::support::random::Random;
use spikingbrain_engine::sample::{Sampling, token_logprob};

/// In f64.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let total: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
    logits.iter().map(|x| f64::from(*x) - total.ln()).collect()
}

#[test]
fn they_are_the_log_softmax() {
    let mut random = Random::new(2);
    for spread in [0.1f32, 3.0, 40.0] {
        let logits: Vec<f32> = (0..300).map(|_| random.uniform() * spread).collect();
        let expected = log_softmax(&logits);
        for id in [0, 17, 299] {
            let one = token_logprob(&logits, id, 0);
            assert_eq!((one.id, one.top.len()), (id, 0));
            assert!((f64::from(one.logprob) - expected[id as usize]).abs() < 1e-5 * f64::from(spread).max(1.0));
        }
    }
}

#[test]
fn alternatives_are_the_best_in_order() {
    let mut random = Random::new(3);
    let mut logits: Vec<f32> = (0..500).map(|_| (random.uniform() * 20.0).round()).collect();
    logits[7] = f32::NAN;
    for count in [1, 5, 20, 499, 500, 10_000] {
        let one = token_logprob(&logits, 3, count);
        let mut order: Vec<u32> = (0..500).filter(|id| *id != 7).collect();
        order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
        order.truncate(count);
        assert_eq!(one.top.iter().map(|(id, _)| *id).collect::<Vec<_>>(), order, "{count} alternatives");
        for (id, logprob) in &one.top {
            assert_eq!(*logprob, token_logprob(&logits, *id, 0).logprob);
        }
    }
}

#[test]
fn settings_do_not_touch_them() {
    let logits = [0.5f32, 2.0, -1.0, 1.0];
    let expected = log_softmax(&logits);
    let plain = Sampling { top_logprobs: Some(4), ..drawing() };
    let settings = [
        plain.clone(),
        Sampling { temperature: 0.0, ..plain.clone() },
        Sampling { temperature: 2.0, top_k: 2, top_p: 0.9, min_p: 0.1, ..plain.clone() },
        Sampling { logit_bias: vec![(2, 50.0)], ..plain.clone() },
        Sampling { repetition_penalty: 1.5, presence_penalty: 1.0, frequency_penalty: 1.0, ..plain.clone() },
        Sampling { stop_tokens: vec![1], min_tokens: 5, ..plain },
    ];
    for sampling in settings {
        for seed in 0..30 {
            let sampled = choice(&Sampling { seed, ..sampling.clone() }, &[0, 1, 1], 1, &logits);
            let one = sampled.logprob.unwrap();
            assert_eq!(one.id, sampled.id);
            assert!((f64::from(one.logprob) - expected[one.id as usize]).abs() < 1e-6);
            assert_eq!(one.top.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 3, 0, 2]);
        }
    }
    assert_eq!(choice(&drawing(), &[], 0, &logits).logprob, None, "not asked for");
    let none = choice(&Sampling { top_logprobs: Some(0), ..drawing() }, &[], 0, &logits).logprob.unwrap();
    assert_eq!(none.top, []);
}

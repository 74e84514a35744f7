//! Settings at the ends of their ranges: the choice is what the formula says in exact arithmetic, whatever f32 would make of it.

use super::{choice, drawing};
use proptest::prelude::*;
use spikingbrain_engine::sample::{History, Sampling, sample, token_logprob};

fn greedy(repetition_penalty: f64) -> Sampling {
    Sampling { repetition_penalty, ..Sampling::default() }
}

const TINY: [f64; 6] = [1e-30, 1e-38, 1e-45, 1e-150, 1e-308, 5e-324];

#[test]
fn a_tiny_repetition_penalty_takes_the_likeliest_of_the_tokens_seen() {
    for penalty in TINY {
        for sampling in
            [greedy(penalty), Sampling { temperature: 1.0, seed: 3, ..greedy(penalty) }, Sampling { top_k: 2, ..greedy(penalty) }]
        {
            // Token 4 would be chosen without; 0 and 2 have been seen, and 2 is the likelier of them.
            assert_eq!(choice(&sampling, &[0, 2, 3], 3, &[1.0, 5.0, 1.000_000_1, -4.0, 9.0]).id, 2, "{penalty}");
            // Of seen tokens alone, negative logits come to nothing, which is more than what was not seen has.
            assert_eq!(choice(&greedy(penalty), &[0], 1, &[-4.0, -5.0, -3.0]).id, 0, "{penalty}");
        }
    }
}

#[test]
fn equals_that_outgrow_f32_are_still_equals() {
    let both: Vec<u32> =
        (0..64).map(|seed| choice(&Sampling { temperature: 1.0, seed, ..greedy(1e-38) }, &[0, 2], 2, &[7.0, 9.0, 7.0]).id).collect();
    assert!(both.contains(&0) && both.contains(&2) && !both.contains(&1), "{both:?}");
}

#[test]
fn what_outgrows_f32_can_be_forbidden_or_outbid_no_more() {
    let forbidden = Sampling { stop_tokens: vec![2], min_tokens: 9, ..greedy(1e-38) };
    assert_eq!(choice(&forbidden, &[0, 2], 2, &[1.0, 9.0, 4.0]).id, 0);
    let biased = Sampling { logit_bias: vec![(1, 100.0)], ..greedy(1e-38) };
    assert_eq!(choice(&biased, &[0, 2], 2, &[1.0, 9.0, 4.0]).id, 2);
    let first = Sampling { logit_bias: vec![(0, 100.0)], ..greedy(1e-38) };
    assert_eq!(choice(&first, &[0, 2], 2, &[1.0, 9.0, 4.0]).id, 0, "bias comes before the penalty");
}

#[test]
fn logits_at_the_end_of_f32_keep_their_order() {
    let logits = [f32::MIN, f32::MIN / 1.5, f32::MIN / 1.2];
    assert_eq!(choice(&greedy(2.0), &[0, 1, 2], 3, &logits).id, 1);
    assert_eq!(choice(&greedy(0.5), &[0, 1], 2, &[f32::MAX / 1.5, f32::MAX / 1.2, f32::MAX]).id, 1);
}

#[test]
fn the_smallest_numbers_keep_one_token() {
    for top_p in TINY {
        for seed in 0..50 {
            assert_eq!(choice(&Sampling { top_p, seed, ..drawing() }, &[], 0, &[0.0, 0.5, 0.4]).id, 1, "top_p {top_p}");
        }
    }
    for temperature in [f32::MIN_POSITIVE, 1e-45, 1e-6, 0.0, -0.0] {
        let sampling = Sampling { temperature, logit_bias: vec![(0, -100.0), (2, 100.0)], seed: 9, ..drawing() };
        assert_eq!(choice(&sampling, &[], 0, &[3.0, 99.0, -0.5]).id, 2, "temperature {temperature}");
    }
}

/// From one end of the range to the other, its ends and the smallest numbers often.
fn between(low: f64, high: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => low..=high,
        2 => Just(high),
        1 => Just(low),
        3 => proptest::sample::select(vec![5e-324, 1e-308, 1e-150, 1e-45, 1e-38, 1e-30, 1e-6]),
    ]
}

fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -30.0f32..30.0,
        1 => proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO,
        1 => proptest::sample::select(vec![f32::MAX, f32::MIN, 0.0, -0.0, 1e-45]),
    ]
}

prop_compose! {
    fn sampling()(
        temperature in between(0.0, 2.0),
        top_k in 0usize..6,
        top_p in between(1e-9, 1.0),
        min_p in between(0.0, 1.0),
        repetition_penalty in between(1e-9, 2.0),
        presence in between(-2.0, 2.0),
        frequency in between(-2.0, 2.0),
        logit_bias in proptest::collection::vec((0u32..5, between(-100.0, 100.0).prop_map(|bias| bias as f32)), 0..4),
        seed in any::<u64>(),
        min_tokens in 0usize..6,
    ) -> Sampling {
        Sampling {
            temperature: temperature as f32, top_k, top_p, min_p: min_p as f32, repetition_penalty,
            presence_penalty: presence as f32, frequency_penalty: frequency as f32,
            logit_bias, seed, min_tokens, stop_tokens: vec![0, 4], top_logprobs: Some(5), scored_tokens: Vec::new(), allowed_tokens: None, banned_series: Vec::new(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn any_finite_logits_and_any_settings_give_a_token(
        logits in proptest::collection::vec(logit(), 5),
        tokens in proptest::collection::vec(0u32..5, 0..8),
        sampling in sampling(),
    ) {
        prop_assert!(sampling.check(5).is_ok());
        let prompt = tokens.len() / 2;
        let history = History { seen: None, tokens: &tokens, prompt };
        let mut adjusted = logits.clone();
        let sampled = sample(&sampling, history, None, &mut adjusted);
        prop_assert!(sampled.is_ok(), "{:?}", sampled);
        let sampled = sampled.unwrap();
        prop_assert!(tokens.len() - prompt >= sampling.min_tokens || !sampled.stop);
        let logprob = sampled.logprob.unwrap();
        prop_assert!(logprob.logprob.is_finite() && logprob.top.iter().all(|(_, logprob)| logprob.is_finite()));
        // And under what it was drawn from, it is no token that had no chance.
        prop_assert!(adjusted[sampled.id as usize].is_finite());
        if sampling.temperature == 0.0 {
            prop_assert!(adjusted.iter().all(|logit| *logit <= adjusted[sampled.id as usize]));
        } else {
            let scaled: Vec<f32> = adjusted.iter().map(|logit| (logit - adjusted[sampled.id as usize]) / sampling.temperature).collect();
            prop_assert!(scaled.iter().all(|below| !below.is_nan()));
            prop_assert!(token_logprob(&adjusted, sampled.id, 0).logprob.is_finite());
        }
    }
}

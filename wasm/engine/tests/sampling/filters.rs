//! Temperature, top-k, top-p, min-p, alone and together.

use super::{assert_shares, choice, drawing, shares, softmax};
use crate::support::random::Random;
use spikingbrain_engine::sample::Sampling;

const SEEDS: u32 = 20_000;
/// Shares at temperature 1: 0.005, 0.02, 0.09, 0.64, 0.24 (and a little rounding), not in order.
const LOGITS: [f32; 5] = [-2.0, -0.5, 1.0, 3.0, 2.0];

#[test]
fn a_temperature_flattens_or_sharpens_the_softmax() {
    for temperature in [0.3, 1.0, 2.0] {
        let sampling = Sampling { temperature, ..drawing() };
        assert_shares(&shares(&sampling, &[], 0, &LOGITS, SEEDS), &softmax(&LOGITS, f64::from(temperature), |_| true), SEEDS);
    }
    for temperature in [1e-3, 1e-30, 1e-45] {
        let sampling = Sampling { temperature, ..drawing() };
        for seed in 0..100 {
            assert_eq!(choice(&Sampling { seed, ..sampling.clone() }, &[], 0, &LOGITS).id, 3, "temperature {temperature}");
        }
    }
}

#[test]
fn top_k_keeps_the_best() {
    let order = [3, 4, 2, 1, 0];
    for top_k in 1..8 {
        let sampling = Sampling { top_k, ..drawing() };
        let kept = &order[..top_k.min(5)];
        assert_shares(&shares(&sampling, &[], 0, &LOGITS, SEEDS), &softmax(&LOGITS, 1.0, |id| kept.contains(&id)), SEEDS);
    }
    let equal = Sampling { top_k: 2, ..drawing() };
    assert_shares(&shares(&equal, &[], 0, &[1.0; 4], SEEDS), &[0.5, 0.5, 0.0, 0.0], SEEDS);
}

#[test]
fn top_p_keeps_the_fewest_that_reach_it() {
    for (top_p, kept) in
        [(1e-6, &[3][..]), (0.6, &[3]), (0.7, &[3, 4]), (0.9, &[3, 4, 2]), (0.98, &[3, 4, 2, 1]), (0.9999, &[3, 4, 2, 1, 0])]
    {
        let sampling = Sampling { top_p, ..drawing() };
        assert_shares(&shares(&sampling, &[], 0, &LOGITS, SEEDS), &softmax(&LOGITS, 1.0, |id| kept.contains(&id)), SEEDS);
    }
}

#[test]
fn min_p_is_relative_to_the_best() {
    // exp(-1) = 0.37, exp(-2) = 0.14, exp(-3.5) = 0.03, exp(-5) = 0.007 of the best.
    for (min_p, kept) in [(1.0, &[3][..]), (0.4, &[3]), (0.3, &[3, 4]), (0.1, &[3, 4, 2]), (0.02, &[3, 4, 2, 1]), (0.001, &[3, 4, 2, 1, 0])]
    {
        let sampling = Sampling { min_p, ..drawing() };
        assert_shares(&shares(&sampling, &[], 0, &LOGITS, SEEDS), &softmax(&LOGITS, 1.0, |id| kept.contains(&id)), SEEDS);
    }
}

#[test]
fn filters_follow_one_another() {
    // Top-p looks at what top-k has left: 0.665 and 0.245 and 0.09 of three.
    let both = Sampling { top_k: 3, top_p: 0.9, ..drawing() };
    assert_shares(&shares(&both, &[], 0, &LOGITS, SEEDS), &softmax(&LOGITS, 1.0, |id| id == 3 || id == 4), SEEDS);
    // At temperature 2, exp(-0.5) = 0.61 and exp(-1) = 0.37 of the best.
    let warm = Sampling { temperature: 2.0, min_p: 0.4, ..drawing() };
    assert_shares(&shares(&warm, &[], 0, &LOGITS, SEEDS), &softmax(&LOGITS, 2.0, |id| id == 3 || id == 4), SEEDS);
    // More than there are is all of them, for top-p too.
    let wide = Sampling { top_k: 1_000, top_p: 0.98, ..drawing() };
    assert_shares(&shares(&wide, &[], 0, &LOGITS, SEEDS), &softmax(&LOGITS, 1.0, |id| id != 0), SEEDS);
}

#[test]
fn a_large_vocabulary_is_cut_as_a_sorted_one() {
    let mut random = Random::new(5);
    for spread in [0.01f32, 1.0, 4.0, 30.0] {
        let logits: Vec<f32> = (0..2_000).map(|_| random.uniform() * spread).collect();
        let probabilities = softmax(&logits, 1.0, |_| true);
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
        for top_p in [0.1, 0.5, 0.95] {
            let mut sum = 0.0;
            let before = order.iter().take_while(|id| {
                sum += probabilities[**id];
                sum < top_p
            });
            // The one that reaches the share, and one more for what f32 rounds away at the edge.
            let nucleus = before.count() + 2;
            let rank = |id: u32| order.iter().position(|other| *other == id as usize).unwrap();
            let ranks: Vec<usize> = (0..400).map(|seed| rank(choice(&Sampling { seed, top_p, ..drawing() }, &[], 0, &logits).id)).collect();
            let furthest = ranks.iter().max().unwrap();
            assert!(*furthest < nucleus, "spread {spread}, top-p {top_p}: rank {furthest} of a nucleus of {nucleus}");
            assert!(nucleus < 40 || *furthest > nucleus / 2, "spread {spread}, top-p {top_p}: only {furthest} of {nucleus} were drawn");
        }
    }
}

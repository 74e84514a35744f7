//! Randomness is a function of the seed and of how many tokens have been sampled.

use super::{assert_shares, choice, drawing, shares};
use spikingbrain_engine::sample::Sampling;

const FLAT: [f32; 64] = [0.0; 64];

/// The first tokens of a sequence over a flat distribution: the series of random numbers, seen through 64 slots.
fn stream(seed: u64, count: usize) -> Vec<u32> {
    let sampling = Sampling { seed, ..drawing() };
    let mut history = vec![1, 2, 3];
    for _ in 0..count {
        let id = choice(&sampling, &history, 3, &FLAT).id;
        history.push(id);
    }
    history.split_off(3)
}

#[test]
fn a_seed_is_a_stream() {
    for seed in [0, 1, 7, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(stream(seed, 50), stream(seed, 50));
    }
    // Seeds that agree in one half are as different as any.
    let seeds = (0..200).chain((1..100).map(|high| high << 32)).chain((1..100).map(|low| u64::MAX - low));
    let streams: Vec<Vec<u32>> = seeds.map(|seed| stream(seed, 8)).collect();
    for (index, one) in streams.iter().enumerate() {
        assert!(!streams[..index].contains(one), "stream {index} repeats another's");
    }
}

/// Whoever asks again with a seed of 32 bits gets the answer that he had, whatever is built later.
#[test]
fn streams_stay_what_they_are() {
    assert_eq!(stream(7, 8), [24, 50, 37, 26, 55, 49, 1, 34]);
    assert_eq!(stream(u64::MAX, 8), [33, 57, 39, 28, 4, 63, 35, 19]);
}

#[test]
fn a_stream_is_uniform_along_its_length_and_across_seeds() {
    let along = stream(11, 40_000);
    let mut counts = vec![0.0; 64];
    along.iter().for_each(|id| counts[*id as usize] += 1.0 / 40_000.0);
    assert_shares(&counts, &[1.0 / 64.0; 64], 40_000);
    assert_shares(&shares(&drawing(), &[], 0, &FLAT, 40_000), &[1.0 / 64.0; 64], 40_000);
    // Neighbours in a stream, and the same place in neighbouring streams, know nothing of one another.
    let pairs = |pair: &dyn Fn(usize) -> (u32, u32)| {
        let mut counts = vec![0.0; 16];
        (0..20_000).map(pair).for_each(|(a, b)| counts[(a / 16 * 4 + b / 16) as usize] += 1.0 / 20_000.0);
        counts
    };
    assert_shares(&pairs(&|index| (along[index], along[index + 1])), &[1.0 / 16.0; 16], 20_000);
    let firsts: Vec<u32> = (0..20_001).map(|seed| stream(seed, 1)[0]).collect();
    assert_shares(&pairs(&|index| (firsts[index], firsts[index + 1])), &[1.0 / 16.0; 16], 20_000);
}

#[test]
fn the_prompt_does_not_move_the_stream() {
    let sampling = Sampling { seed: 5, ..drawing() };
    let with = |prompt: usize| {
        let mut history: Vec<u32> = vec![9; prompt];
        for _ in 0..20 {
            let id = choice(&sampling, &history, prompt, &FLAT).id;
            history.push(id);
        }
        history.split_off(prompt)
    };
    assert_eq!(with(1), with(500));
}

//! Greedy choice, penalties, bias, stop tokens.

use super::{choice, drawing};
use spikingbrain_engine::Error;
use spikingbrain_engine::sample::{History, Sampling, sample};

fn greedy() -> Sampling {
    Sampling::default()
}

#[test]
fn greedy_takes_the_largest_and_of_equals_the_first() {
    assert_eq!(choice(&greedy(), &[], 0, &[0.5, -1.0, 2.0, 2.0]).id, 2);
    assert_eq!(choice(&greedy(), &[], 0, &[f32::MIN, f32::MIN]).id, 0);
    assert_eq!(choice(&greedy(), &[], 0, &[-0.0, 0.0]).id, 1, "the order is total: a positive zero is above a negative one");
    assert_eq!(choice(&greedy(), &[], 0, &[f32::NEG_INFINITY, -7.0, f32::NAN]).id, 1);
}

#[test]
fn greedy_ignores_filters_and_seeds() {
    for seed in 0..20 {
        let sampling = Sampling { seed, top_k: 1, top_p: 0.01, min_p: 1.0, ..greedy() };
        assert_eq!(choice(&sampling, &[], 0, &[0.0, 1.0, 0.5]).id, 1);
    }
}

#[test]
fn the_repetition_penalty_divides_and_multiplies_what_was_seen() {
    let sampling = Sampling { repetition_penalty: 2.0, ..greedy() };
    // 2 / 2 = 1 falls behind 1.5, and -1 * 2 = -2 behind -1.5.
    assert_eq!(choice(&sampling, &[0], 1, &[2.0, 1.5]).id, 1);
    assert_eq!(choice(&sampling, &[0], 1, &[-1.0, -1.5]).id, 1);
    assert_eq!(choice(&sampling, &[0], 0, &[2.0, 1.5]).id, 1, "output counts as the prompt does");
    assert_eq!(choice(&sampling, &[0, 0, 0], 3, &[4.0, 1.5]).id, 0, "once, however often it was seen");
    let rewarding = Sampling { repetition_penalty: 0.5, ..greedy() };
    assert_eq!(choice(&rewarding, &[1], 1, &[2.0, 1.5]).id, 1);
}

#[test]
fn presence_and_frequency_count_the_output_alone() {
    let logits = [1.0, 0.9, 0.0];
    let presence = |by: f32| Sampling { presence_penalty: by, ..greedy() };
    let frequency = |by: f32| Sampling { frequency_penalty: by, ..greedy() };
    assert_eq!(choice(&presence(0.2), &[0, 0, 0], 3, &logits).id, 0, "the prompt does not count");
    assert_eq!(choice(&presence(0.2), &[0], 0, &logits).id, 1);
    assert_eq!(choice(&presence(0.05), &[0, 0, 0], 0, &logits).id, 0, "presence counts once");
    assert_eq!(choice(&frequency(0.05), &[0], 0, &logits).id, 0);
    assert_eq!(choice(&frequency(0.05), &[0, 0, 0], 0, &logits).id, 1, "frequency counts each time");
    assert_eq!(choice(&presence(-2.0), &[2], 0, &logits).id, 2, "a negative penalty invites");
    let both = Sampling { presence_penalty: 0.06, frequency_penalty: 0.05, ..greedy() };
    assert_eq!(choice(&both, &[0], 0, &logits).id, 1, "they add up");
}

#[test]
fn bias_is_added_before_the_choice() {
    let biased = |bias: Vec<(u32, f32)>| Sampling { logit_bias: bias, ..greedy() };
    assert_eq!(choice(&biased(vec![(2, 3.0)]), &[], 0, &[1.0, 2.0, 0.0]).id, 2);
    assert_eq!(choice(&biased(vec![(1, -100.0)]), &[], 0, &[1.0, 2.0, 0.0]).id, 0);
    assert_eq!(choice(&biased(vec![(2, 1.0), (2, 1.5)]), &[], 0, &[1.0, 2.0, 0.0]).id, 2, "twice named, twice added");
    let forced = Sampling { logit_bias: vec![(0, 100.0)], ..drawing() };
    for seed in 0..200 {
        assert_eq!(choice(&Sampling { seed, ..forced.clone() }, &[], 0, &[-3.0, 9.0, 9.0]).id, 0);
    }
}

#[test]
fn stop_tokens_stop_and_not_before_their_time() {
    let sampling = Sampling { stop_tokens: vec![0, 2], min_tokens: 2, ..greedy() };
    let logits = [5.0, 1.0, 4.0];
    for generated in 0..2 {
        let history = vec![1; 3 + generated];
        let sampled = choice(&sampling, &history, 3, &logits);
        assert_eq!((sampled.id, sampled.stop), (1, false), "{generated} generated");
    }
    let sampled = choice(&sampling, &[1; 5], 3, &logits);
    assert_eq!((sampled.id, sampled.stop), (0, true));
    for seed in 0..500 {
        let sampling = Sampling { seed, temperature: 2.0, ..sampling.clone() };
        assert_eq!(choice(&sampling, &[], 0, &logits).id, 1, "out of reach in a draw too");
    }
}

#[test]
fn logits_that_are_no_numbers_are_an_error_and_never_a_panic() {
    let awkward = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, -0.0, 1e-45];
    let samplings = [
        greedy(),
        drawing(),
        Sampling { temperature: 1e-45, ..drawing() },
        Sampling { top_k: 2, top_p: 0.5, min_p: 0.5, top_logprobs: Some(9), ..drawing() },
        Sampling { top_p: 1e-45, top_logprobs: Some(0), ..drawing() },
        Sampling { top_p: 0.9, repetition_penalty: 2.0, presence_penalty: 2.0, frequency_penalty: -2.0, ..drawing() },
        Sampling { stop_tokens: vec![0, 1, 2], min_tokens: 9, logit_bias: vec![(0, 100.0)], ..greedy() },
    ];
    let mut failed = 0;
    for a in awkward {
        for b in awkward {
            for c in awkward {
                for sampling in &samplings {
                    match sample(sampling, History { seen: None, tokens: &[0, 1, 1], prompt: 1 }, None, &mut [a, b, c]) {
                        Ok(sampled) => {
                            assert!(sampled.id < 3);
                            let logprobs = sampled.logprob.iter().flat_map(|one| one.top.iter().map(|(_, x)| *x).chain([one.logprob]));
                            assert!(logprobs.into_iter().all(|x| x.is_finite()), "{a} {b} {c}: JSON has no infinity");
                        }
                        Err(Error::UnsupportedModel(message)) => {
                            failed += 1;
                            assert!(message.contains("not finite"), "{message}");
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    }
    assert!(failed > 100, "{failed} failed");
    assert!(sample(&greedy(), History { seen: None, tokens: &[], prompt: 0 }, None, &mut []).is_err(), "no vocabulary, no token");
}

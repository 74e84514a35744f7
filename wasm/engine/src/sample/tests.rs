use super::*;

fn after(tokens: &[u32], prompt: usize) -> History<'_> {
    History { seen: None, tokens, prompt }
}

fn run(sampling: &Sampling, history: &[u32], prompt: usize, logits: &[f32]) -> u32 {
    sample(sampling, after(history, prompt), None, &mut logits.to_vec()).unwrap().id
}

fn counts(sampling: &Sampling, logits: &[f32], draws: u64) -> Vec<f64> {
    let mut counts = vec![0.0; logits.len()];
    for seed in 0..draws {
        counts[run(&Sampling { seed, ..sampling.clone() }, &[], 0, logits) as usize] += 1.0 / draws as f64;
    }
    counts
}

#[test]
fn greedy_takes_the_largest_and_the_first_of_equals() {
    assert_eq!(run(&Sampling::default(), &[], 0, &[1.0, 3.0, 3.0, f32::NAN]), 1);
}

/// The same numbers as in `gpu-backend/spikingbrain/sampling/draws.py`.
#[test]
fn draws_are_the_references() {
    #[derive(serde::Deserialize)]
    struct File {
        /// Seed, number, and the draw's 53 bits.
        draws: Vec<(String, usize, u64)>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/golden/choices/choices.json");
    let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(file.draws.len() > 200);
    for (seed, number, bits) in file.draws {
        assert_eq!(uniform(seed.parse().unwrap(), number), bits as f64 / (1u64 << 53) as f64, "seed {seed}, number {number}");
    }
}

#[test]
fn draws_follow_the_softmax() {
    let logits = [0.0, 1.0, 2.0, -1.0];
    let shares = counts(&Sampling { temperature: 1.0, ..Sampling::default() }, &logits, 40_000);
    let total: f64 = logits.iter().map(|x: &f32| f64::from(*x).exp()).sum();
    for (share, logit) in shares.iter().zip(logits) {
        assert!((share - f64::from(logit).exp() / total).abs() < 0.01, "{shares:?}");
    }
}

#[test]
fn filters_keep_what_they_say() {
    let logits = [0.0f32, 1.0, 2.0, 3.0];
    let one = Sampling { temperature: 1.0, ..Sampling::default() };
    let support = |sampling: &Sampling| counts(sampling, &logits, 4_000).iter().filter(|share| **share > 0.0).count();
    assert_eq!(support(&Sampling { top_k: 2, ..one.clone() }), 2);
    // Shares are 0.64, 0.24, 0.09, 0.03.
    assert_eq!(support(&Sampling { top_p: 0.6, ..one.clone() }), 1);
    assert_eq!(support(&Sampling { top_p: 0.7, ..one.clone() }), 2);
    assert_eq!(support(&Sampling { min_p: 0.2, ..one.clone() }), 2);
    assert_eq!(support(&Sampling { top_k: 3, top_p: 0.9, ..one.clone() }), 2);
    assert_eq!(support(&one), 4);
}

#[test]
fn penalties_bias_and_minimum_length_change_the_choice() {
    let logits = [1.0f32, 2.0, 1.9];
    let base = Sampling::default();
    assert_eq!(run(&Sampling { repetition_penalty: 1.2, ..base.clone() }, &[1], 1, &logits), 2);
    assert_eq!(run(&Sampling { presence_penalty: 0.2, ..base.clone() }, &[1], 1, &logits), 1, "the prompt does not count");
    assert_eq!(run(&Sampling { presence_penalty: 0.2, ..base.clone() }, &[0, 1], 1, &logits), 2);
    assert_eq!(run(&Sampling { frequency_penalty: 0.06, ..base.clone() }, &[0, 1, 1], 1, &logits), 2);
    assert_eq!(run(&Sampling { logit_bias: vec![(0, 5.0)], ..base.clone() }, &[], 0, &logits), 0);
    let stopping = Sampling { stop_tokens: vec![1], min_tokens: 1, ..base };
    assert_eq!(run(&stopping, &[5], 1, &logits), 2);
    assert!(sample(&stopping, after(&[5, 2], 1), None, &mut logits.to_vec()).unwrap().stop);
}

#[test]
fn a_repetition_penalty_sees_what_stands_before_the_tokens() {
    let mut seen = TokenSet::new(3);
    seen.insert(&[1, 1]).unwrap();
    let sampling = Sampling { repetition_penalty: 1.2, presence_penalty: 2.0, ..Sampling::default() };
    let history = History { seen: Some(&seen), tokens: &[], prompt: 0 };
    assert_eq!(sample(&sampling, history, None, &mut [1.0, 2.0, 1.9]).unwrap().id, 2);
    assert_eq!(sample(&sampling, history, None, &mut [1.0, 2.4, 1.9]).unwrap().id, 1, "no output, no presence");
}

#[test]
fn logprobs_are_those_of_the_model() {
    let sampling = Sampling { logit_bias: vec![(0, 50.0)], top_logprobs: Some(2), ..Sampling::default() };
    let sampled = sample(&sampling, after(&[], 0), None, &mut [0.0, 1.0, 2.0]).unwrap();
    let logprob = sampled.logprob.unwrap();
    let total = 1.0f32 + 1.0f32.exp() + 2.0f32.exp();
    assert_eq!(sampled.id, 0);
    assert!((logprob.logprob + total.ln()).abs() < 1e-6);
    assert_eq!(logprob.top.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn what_is_forbidden_is_not_chosen_and_logprobs_do_not_know() {
    let logits = [1.0f32, 2.0, 3.0, 4.0];
    let base = Sampling { top_logprobs: Some(1), ..Sampling::default() };
    let chosen = |sampling: &Sampling, output: &[u32], mask: Option<&TokenSet>| {
        let sampled = sample(sampling, after(output, 0), mask, &mut logits.to_vec())?;
        assert_eq!(sampled.logprob.unwrap().top[0].0, 3, "of the model, whatever may be chosen");
        Ok::<u32, Error>(sampled.id)
    };
    let mask = TokenSet::from_bits(4, &[0b0101]).unwrap();
    assert_eq!(chosen(&base, &[], Some(&mask)).unwrap(), 2);
    let warm = Sampling { temperature: 2.0, ..base.clone() };
    assert!((0..200).all(|seed| [0, 2].contains(&chosen(&Sampling { seed, ..warm.clone() }, &[], Some(&mask)).unwrap())));
    let allowed = Sampling { allowed_tokens: Some(vec![0, 1]), ..base.clone() };
    assert_eq!(chosen(&allowed, &[], None).unwrap(), 1);
    assert_eq!(chosen(&allowed, &[], Some(&mask)).unwrap(), 0, "both rules hold");
    let banned = Sampling { banned_series: vec![vec![3], vec![1, 0, 2]], ..base.clone() };
    assert_eq!(chosen(&banned, &[0], None).unwrap(), 2);
    assert_eq!(chosen(&banned, &[2, 1, 0], None).unwrap(), 1);
    let nothing = Sampling { allowed_tokens: Some(vec![1]), ..base };
    assert!(chosen(&nothing, &[], Some(&mask)).unwrap_err().to_string().contains("every token is forbidden"));
}

#[test]
fn broken_logits_are_an_error() {
    assert!(sample(&Sampling::default(), after(&[], 0), None, &mut [f32::NAN; 3]).is_err());
    assert!(sample(&Sampling { temperature: 1.0, ..Sampling::default() }, after(&[], 0), None, &mut [f32::NAN; 3]).is_err());
}

#[test]
fn ranges_are_checked_by_name() {
    let bad = Sampling { top_p: 0.0, ..Sampling::default() };
    assert!(bad.check(10).unwrap_err().to_string().contains("topP"));
    let bad = Sampling { stop_tokens: vec![10], ..Sampling::default() };
    assert!(bad.check(10).unwrap_err().to_string().contains("stopTokens"));
    let bad = Sampling { allowed_tokens: Some(vec![10]), ..Sampling::default() };
    assert!(bad.check(10).unwrap_err().to_string().contains("allowedTokens"));
    let bad = Sampling { banned_series: vec![vec![1, 10]], ..Sampling::default() };
    assert!(bad.check(10).unwrap_err().to_string().contains("bannedSeries"));
    let bad = Sampling { banned_series: vec![Vec::new()], ..Sampling::default() };
    assert!(bad.check(10).unwrap_err().to_string().contains("one is empty"));
}

//! How the work is cut does not show in the result, to the bit.

use crate::support::models::{ModelSpec, build, catalogue};
use crate::support::random::Random;
use crate::support::running::{KV_TYPES, Runner, bits};

fn has_linear(spec: &ModelSpec) -> bool {
    spec.layers.iter().any(|(mixer, _)| mixer.contains("linear"))
}

/// Ways to cut a text: anywhere for softmax alone, at whole chunks where there is linear attention.
fn cuts(spec: &ModelSpec) -> &'static [&'static [usize]] {
    if has_linear(spec) { &[&[32], &[32, 64], &[64, 32, 32]] } else { &[&[1], &[2, 3], &[31], &[33, 1], &[63, 64, 5], &[7]] }
}

#[test]
fn a_text_may_be_cut_into_passes() {
    for kind in KV_TYPES {
        for (name, spec) in catalogue() {
            let mut runner = Runner::new(&build(&spec).bytes(), kind);
            for count in [33, 130, 200] {
                let tokens = Random::new(count as u64).tokens(count, spec.vocabulary);
                let whole = runner.fresh(&tokens, &[64]);
                for sizes in cuts(&spec) {
                    let cut = runner.fresh(&tokens, sizes);
                    assert_eq!(bits(&whole.0), bits(&cut.0), "{name}, {kind:?}, {count} tokens cut by {sizes:?}");
                    assert_eq!(whole.1, cut.1, "{name}, {kind:?}, state of {count} tokens cut by {sizes:?}");
                }
            }
        }
    }
}

#[test]
fn a_window_rings_across_pages_whatever_the_passes() {
    for kind in KV_TYPES {
        for window in [1, 5, 31, 32, 33, 64, 70] {
            for kept in [0, 3, 40] {
                let spec = ModelSpec { layers: vec![("window", "dense"); 2], window, kept, ..ModelSpec::default() };
                let mut runner = Runner::new(&build(&spec).bytes(), kind);
                let tokens = Random::new(4).tokens(300, spec.vocabulary);
                let by_one = runner.fresh(&tokens, &[1]);
                for sizes in [&[64][..], &[64, 1], &[50, 3]] {
                    let other = runner.fresh(&tokens, sizes);
                    assert_eq!(bits(&by_one.0), bits(&other.0), "window {window}, kept {kept}, {kind:?}, by {sizes:?}");
                    assert_eq!(by_one.1, other.1, "state of window {window}, kept {kept}, {kind:?}, by {sizes:?}");
                }
            }
        }
    }
}

#[test]
fn a_sequence_in_a_batch_is_as_alone() {
    for kind in KV_TYPES {
        for (name, spec) in catalogue() {
            let mut runner = Runner::new(&build(&spec).bytes(), kind);
            let texts: Vec<Vec<u32>> =
                [5, 32, 1, 19].iter().map(|count| Random::new(*count as u64).tokens(*count, spec.vocabulary)).collect();
            let mut alone = Vec::new();
            for text in &texts {
                alone.push(runner.fresh(text, &[64]));
            }
            let mut states: Vec<_> = texts.iter().map(|_| runner.state()).collect();
            let mut parts: Vec<_> = states.iter_mut().zip(&texts).map(|(state, text)| (state, text.as_slice())).collect();
            let together = runner.batch(&mut parts);
            for (index, state) in states.iter().enumerate() {
                assert_eq!(bits(&alone[index].0), bits(&together[index]), "{name}, {kind:?}, text {index}");
                assert_eq!(alone[index].1, runner.save(state), "{name}, {kind:?}, state {index}");
            }
        }
    }
}

#[test]
fn a_fork_and_its_original_do_not_touch_each_other() {
    for kind in KV_TYPES {
        for (name, spec) in catalogue() {
            let mut runner = Runner::new(&build(&spec).bytes(), kind);
            let mut random = Random::new(8);
            let (prefix, left, right) =
                (random.tokens(45, spec.vocabulary), random.tokens(30, spec.vocabulary), random.tokens(30, spec.vocabulary));
            let mut original = runner.state();
            runner.read(&mut original, &prefix, &[64]);
            let before = runner.save(&original);
            let mut fork = original.fork().unwrap();
            let forked = runner.read(&mut fork, &right, &[1]);
            assert_eq!(before, runner.save(&original), "{name}, {kind:?}: a fork's writes reach its original");
            let continued = runner.read(&mut original, &left, &[1]);
            for (text, logits, state) in [(&left, continued, &original), (&right, forked, &fork)] {
                let mut alone = runner.state();
                runner.read(&mut alone, &prefix, &[64]);
                let expected = runner.read(&mut alone, text, &[1]);
                assert_eq!(bits(&expected), bits(&logits), "{name}, {kind:?}");
                assert_eq!(runner.save(&alone), runner.save(state), "{name}, {kind:?}");
            }
        }
    }
}

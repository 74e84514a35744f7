//! Files and states that were changed at random, in CI; `wasm/fuzz` looks further, guided by coverage.

use crate::support::hostile::{StateCases, check_file, small_files};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use std::cell::{Cell, RefCell};

/// One change to some bytes; places are shares of the length.
#[derive(Debug, Clone)]
enum Change {
    Byte(u16, u8),
    Bit(u16, u8),
    /// A number of four or eight bytes.
    Number(u16, u64, bool),
    Truncate(u16),
    Remove(u16, u8),
    Repeat(u16, u8),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let numbers = prop_oneof![
        prop::sample::select(vec![
            0,
            1,
            2,
            3,
            31,
            32,
            33,
            255,
            256,
            65_535,
            65_536,
            1 << 20,
            1 << 31,
            u64::from(u32::MAX),
            1 << 32,
            1 << 40,
            1 << 62,
            u64::MAX,
            // As f32: infinity, NaN, the largest and the smallest number.
            0x7f80_0000,
            0x7fc0_0000,
            0x7f7f_ffff,
            1,
        ]),
        any::<u64>(),
        0u64..200,
    ];
    let change = prop_oneof![
        (any::<u16>(), any::<u8>()).prop_map(|(place, byte)| Change::Byte(place, byte)),
        (any::<u16>(), 0u8..8).prop_map(|(place, bit)| Change::Bit(place, bit)),
        (any::<u16>(), numbers, any::<bool>()).prop_map(|(place, number, wide)| Change::Number(place, number, wide)),
        any::<u16>().prop_map(Change::Truncate),
        (any::<u16>(), any::<u8>()).prop_map(|(place, length)| Change::Remove(place, length)),
        (any::<u16>(), any::<u8>()).prop_map(|(place, length)| Change::Repeat(place, length)),
    ];
    prop::collection::vec(change, 0..5)
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let place = |share: u16| bytes.len() * usize::from(share) / 65_536;
    let range = |share: u16, length: u8| place(share)..(place(share) + usize::from(length)).min(bytes.len());
    match change {
        _ if bytes.is_empty() => {}
        Change::Byte(share, byte) => {
            let at = place(*share);
            bytes[at] = *byte;
        }
        Change::Bit(share, bit) => {
            let at = place(*share);
            bytes[at] ^= 1 << bit;
        }
        Change::Number(share, number, wide) => {
            let at = place(*share);
            let end = (at + if *wide { 8 } else { 4 }).min(bytes.len());
            bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
        }
        Change::Truncate(share) => {
            let at = place(*share);
            bytes.truncate(at);
        }
        Change::Remove(share, length) => {
            let range = range(*share, *length);
            bytes.drain(range);
        }
        Change::Repeat(share, length) => {
            let range = range(*share, *length);
            let part = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, part);
        }
    }
}

/// Runs the cases, the same in every run, and returns what share of them the engine took.
fn share_taken<S: Strategy>(cases: u32, strategy: &S, mut taken: impl FnMut(S::Value) -> bool) -> f64 {
    let config = ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() };
    let count = Cell::new(0u32);
    let taken = RefCell::new(&mut taken);
    let outcome = TestRunner::new(config).run(strategy, |value| {
        count.set(count.get() + u32::from((taken.borrow_mut())(value)));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    f64::from(count.get()) / f64::from(cases)
}

#[test]
fn what_mutations_start_from_is_sound() {
    assert!(small_files().iter().all(|file| check_file(file)));
    let mut states = StateCases::new();
    assert!(states.inputs().iter().all(|input| states.check(input)));
}

#[test]
fn any_file_is_refused_or_runs() {
    let files = small_files();
    let strategy = (any::<prop::sample::Index>(), changes(), any::<bool>());
    let share = share_taken(6_000, &strategy, |(seed, changes, header)| {
        let mut file = seed.get(&files).clone();
        // Most of a file is weights, where little can go wrong: half of the cases change the front alone.
        let rest = if header { file.split_off(file.len().min(1_500)) } else { Vec::new() };
        changes.iter().for_each(|change| apply(&mut file, change));
        file.extend(rest);
        check_file(&file)
    });
    assert!((0.05..0.95).contains(&share), "{share} of the files were taken: the mutations are too mild or too wild");
}

#[test]
fn any_state_is_refused_or_runs() {
    let mut states = StateCases::new();
    let inputs = states.inputs();
    let share = share_taken(20_000, &(any::<prop::sample::Index>(), changes()), |(seed, changes)| {
        let mut input = seed.get(&inputs).clone();
        changes.iter().for_each(|change| apply(&mut input, change));
        states.check(&input)
    });
    assert!((0.05..0.95).contains(&share), "{share} of the states were taken: the mutations are too mild or too wild");
}

#[test]
fn every_byte_of_a_state_may_be_wrong() {
    let mut states = StateCases::new();
    for input in states.inputs() {
        for at in 0..input.len() {
            assert!(!states.check(&input[..at]), "a state cut after {at} of {} bytes was taken", input.len());
            for wrong in [0, 0xff, input[at] ^ 1] {
                let mut changed = input.clone();
                changed[at] = wrong;
                states.check(&changed);
            }
        }
        assert!(!states.check(&[input.as_slice(), &[0]].concat()), "a byte too many was taken");
    }
}

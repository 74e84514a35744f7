//! A file comes in chunks of any size, may be cut anywhere, and must end where it says.

use crate::support::models::{ModelSpec, catalogue};
use crate::support::refusals::{refusal, tiny};
use crate::support::running::{Runner, bits, load_in_chunks};
use spikingbrain_engine::Error;
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::weights::Loader;

#[test]
fn a_file_cut_at_any_byte_says_where_it_ends() {
    let file = tiny().bytes();
    // The last tensor's own end; what follows is padding, which some writers leave out.
    let data_end = file.len() - (32 - tiny().tensors.last().unwrap().bytes.len() % 32) % 32;
    for length in 0..data_end {
        let (code, message) = refusal(&file[..length]);
        assert_eq!(code, "invalid_gguf", "{length} bytes");
        assert!(message.contains(&format!("the file ends after {length} bytes")), "{length} bytes: {message}");
    }
    for length in data_end..=file.len() {
        load_in_chunks(&file[..length], length, None).unwrap();
    }
}

#[test]
fn a_file_that_goes_on_past_its_end_is_refused() {
    let file = tiny().bytes();
    for extra in [1, 31, 32, 4_096] {
        let mut longer = file.clone();
        longer.resize(file.len() + extra, 0);
        for chunk in [longer.len(), 7] {
            match load_in_chunks(&longer, chunk, None) {
                Err(Error::InvalidGguf(message)) => assert!(message.contains(&format!("past its end at byte {}", file.len())), "{message}"),
                other => panic!("{other:?} after {extra} bytes too many"),
            }
        }
    }
}

/// The logits' and the state's bits after a few tokens.
fn fingerprint(bytes: &[u8], chunk: usize) -> (Vec<Vec<u32>>, Vec<u8>) {
    let model = load_in_chunks(bytes, chunk, None).unwrap();
    let mut runner = Runner::of(model, KvType::F32);
    let (logits, state) = runner.fresh(&[1, 2, 3, 4, 0, 1], &[4]);
    (bits(&logits), state)
}

#[test]
fn chunks_of_every_size_give_the_same_model() {
    let file = tiny().bytes();
    let whole = fingerprint(&file, file.len());
    for chunk in 1..file.len() {
        assert_eq!(whole, fingerprint(&file, chunk), "chunks of {chunk}");
    }
}

#[test]
fn chunks_do_not_show_in_any_form() {
    for (name, spec) in catalogue() {
        for lowest_codes in [false, true] {
            let kind = if lowest_codes { spikingbrain_engine::weights::TensorType::Q8_0 } else { spec.kind };
            let spec = if lowest_codes { crate::support::models::catalogue::in_blocks(&spec, kind) } else { spec.clone() };
            let file = crate::support::models::build(&ModelSpec { lowest_codes, ..spec }).bytes();
            let whole = fingerprint(&file, file.len());
            for chunk in [1, 13, 64, 1_000, 65_536] {
                assert_eq!(whole, fingerprint(&file, chunk), "{name}: chunks of {chunk}");
            }
        }
    }
}

#[test]
fn an_error_is_the_answer_to_everything_that_follows() {
    let mut file = tiny().bytes();
    let at = file.len() - 32;
    file[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let mut loader = Loader::new(None);
    let error = loader.push(&file).unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
    assert_eq!(loader.push(&[0; 64]), Err(error.clone()));
    assert_eq!(loader.finish().unwrap_err(), error);
}

#[test]
fn weights_beyond_the_limit_are_refused_before_any_is_read() {
    let model = tiny();
    let file = model.bytes();
    let weights: u64 = model.tensors.iter().map(|tensor| tensor.bytes.len() as u64).sum();
    load_in_chunks(&file, file.len(), Some(weights)).unwrap();
    let header = file.len() - model.tensors.iter().map(|tensor| tensor.bytes.len().next_multiple_of(32)).sum::<usize>();
    match load_in_chunks(&file[..header], header, Some(weights - 1)) {
        Err(Error::OutOfMemory { what: "weights", needed, free }) => {
            assert_eq!((needed as u64, free as u64), (weights, weights - 1));
        }
        other => panic!("{other:?} where the weights were too large by a byte"),
    }
}

#[test]
fn what_was_loaded_is_counted() {
    for (name, spec) in catalogue() {
        let model = crate::support::models::build(&spec);
        let elements: u64 = model.weights.values().map(|dense| dense.values.len() as u64).sum();
        let bytes = model.bytes();
        let loaded = load_in_chunks(&bytes, bytes.len(), None).unwrap();
        assert_eq!(loaded.parameters(), elements, "{name}");
        // Rows are padded to whole panels of four.
        let least = model.tensors.iter().map(|tensor| tensor.bytes.len()).sum::<usize>();
        assert!((least..least + least / 2).contains(&loaded.weight_bytes()), "{name}: {} of {least}", loaded.weight_bytes());
    }
}

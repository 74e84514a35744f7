//! Loading takes the weights and a few megabytes, and a lying file takes nothing.

use crate::support::gguf_file::Meta;
use crate::support::models::{ModelSpec, TestModel, build};
use crate::support::refusals::tiny;
use crate::support::running::load_in_chunks;
use crate::support::tracking::{peak_of, refusing};
use spikingbrain_engine::weights::{Loader, TensorType};
use spikingbrain_engine::{Engine, Error};

const MIB: usize = 1 << 20;

/// Some 20 MB of weights under a header of 2 MB.
fn large(kind: TensorType) -> TestModel {
    let mut model = build(&ModelSpec {
        hidden: 512,
        heads: 8,
        kv_heads: 2,
        head_dim: 64,
        rope_dim: 64,
        inner: 1_536,
        vocabulary: 4_000,
        architecture: "llama",
        kind,
        ..ModelSpec::default()
    });
    model.set("tokenizer.ggml.tokens", Meta::Texts((0..80_000).map(|id| format!("token {id:>12}")).collect()));
    model
}

#[test]
fn loading_takes_the_weights_and_a_few_megabytes() {
    for kind in [TensorType::F32, TensorType::Q4_1] {
        let file = large(kind).bytes();
        for chunk in [1_000, 64 << 10, 1 << 20, file.len()] {
            let (model, peak) = peak_of(|| load_in_chunks(&file, chunk, None).unwrap());
            let weights = model.weight_bytes();
            // The buffered header grows by doubling, and is gone before the second tensor.
            assert!(peak <= weights + 4 * MIB, "{kind:?} in chunks of {chunk}: {peak} bytes for {weights} of weights");
            assert!(peak >= weights, "the weights were counted");
        }
    }
}

#[test]
fn a_claim_alone_takes_nothing() {
    let count_at = |at: usize, count: u64| {
        let mut file = tiny().bytes();
        file[at..at + 8].copy_from_slice(&count.to_le_bytes());
        file
    };
    let changed = |change: &dyn Fn(&mut TestModel)| {
        let mut model = tiny();
        change(&mut model);
        model.bytes()
    };
    let long_array = |kind: u32| {
        let mut payload = kind.to_le_bytes().to_vec();
        payload.extend((60u64 << 20).to_le_bytes());
        Meta::Raw(9, payload)
    };
    let files = [
        ("tensors", count_at(8, 2_000_000)),
        ("metadata entries", count_at(16, 4_000_000)),
        ("a key's length", count_at(24, 60 << 20)),
        ("strings", changed(&|model| model.set("x", long_array(8)))),
        ("numbers", changed(&|model| model.set("x", long_array(10)))),
        ("layers", changed(&|model| model.set("spikingbrain.block_count", Meta::U32(4_096)))),
        ("a vocabulary", changed(&|model| model.tensor("token_embd.weight").dimensions = vec![4, 1 << 30])),
        ("a width", changed(&|model| model.set("spikingbrain.embedding_length", Meta::U32(1 << 20)))),
    ];
    for (what, file) in files {
        let (result, peak) = peak_of(|| load_in_chunks(&file, file.len(), Some(MIB as u64)));
        let error = result.map(|_| ()).unwrap_err();
        assert!(peak <= 256 << 10, "{peak} bytes for a claim of many {what}: {error}");
    }
}

#[test]
fn metadata_takes_a_bounded_multiple_of_its_bytes() {
    // Next to the smallest entries there can be: 19 bytes each.
    let mut file = tiny().bytes();
    file.truncate(24);
    for index in 0..200_000 {
        file.extend(6u64.to_le_bytes());
        file.extend(format!("{index:06}").into_bytes());
        file.extend([0u8, 0, 0, 0, 1]);
    }
    file[16..24].copy_from_slice(&200_000u64.to_le_bytes());
    let (result, peak) = peak_of(|| load_in_chunks(&file, file.len(), None));
    let error = result.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("metadata and tensor names take more than"), "{error}");
    assert!(peak <= 40 * MIB, "{peak} bytes for a header of {}: {error}", file.len());
}

/// A file of a few hundred KB whose state or buffers are hundreds of times as large.
fn swollen(heads: usize, vocabulary: usize) -> Vec<u8> {
    build(&ModelSpec {
        hidden: 2,
        heads,
        kv_heads: heads,
        head_dim: 1_024,
        rope_dim: 2,
        inner: 1,
        vocabulary,
        layers: vec![("linear", "dense")],
        gate: crate::support::models::GateForm::LowRank(1),
        kind: TensorType::F16,
        ..ModelSpec::default()
    })
    .bytes()
}

#[test]
fn what_the_limit_does_not_hold_is_refused_before_it_is_taken() {
    use crate::support::tracking::live_bytes;
    for (file, named) in [(swollen(16, 5), "the state of an empty sequence"), (swollen(1, 1 << 18), "the buffers of a pass")] {
        let limit = live_bytes() + 4 * file.len() + 6 * MIB;
        let model = load_in_chunks(&file, file.len(), Some(limit as u64)).unwrap();
        let (result, peak) = peak_of(|| Engine::new(model, spikingbrain_engine::state::KvType::F32, Some((limit, live_bytes))));
        match result {
            Err(Error::OutOfMemory { what, needed, free }) => assert!(what == named && needed > free, "{what}: {needed} of {free}"),
            other => panic!("{:?} where '{named}' do not fit", other.map(|engine| engine.kernel())),
        }
        assert!(peak <= 8 * MIB, "{peak} bytes were taken before '{named}' were refused");
    }
}

#[test]
fn weights_that_the_allocator_refuses_are_a_typed_error() {
    let file = large(TensorType::Q4_1).bytes();
    let mut loader = Loader::new(None);
    let error = refusing(600 << 10, || file.chunks(64 << 10).find_map(|chunk| loader.push(chunk).err()).unwrap());
    assert!(matches!(error, Error::OutOfMemory { what: "weights" | "the header", .. }), "{error}");
    assert_eq!(loader.finish().unwrap_err(), error);
}

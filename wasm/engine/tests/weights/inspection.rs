//! A 7B that fits no 32-bit memory is described from its header alone.

use crate::support::gguf_file::{self, FileTensor, Meta};
use spikingbrain_engine::Error;
use spikingbrain_engine::config::Config;
use spikingbrain_engine::state::{KvType, StateBytes};
use spikingbrain_engine::weights::names::specs;
use spikingbrain_engine::weights::{Inspection, Inspector, gguf};

const VOCABULARY: u64 = 152_064;
const HIDDEN: u64 = 3_584;
const INNER: u64 = 18_944;
const Q8_0: u32 = 8;
const F32: u32 = 0;
const F16: u32 = 1;

/// `gpu-backend/docs/model.md#101-spikingbrain-7b`.
fn metadata() -> Vec<(String, Meta)> {
    let texts = |odd: &str, even: &str| Meta::Texts((0..28).map(|layer| if layer % 2 == 1 { odd } else { even }.to_owned()).collect());
    let mut list = vec![("general.architecture".to_owned(), Meta::Text("spikingbrain".to_owned()))];
    for (key, value) in [
        ("block_count", Meta::U32(28)),
        ("context_length", Meta::U32(131_072)),
        ("embedding_length", Meta::U32(HIDDEN as u32)),
        ("feed_forward_length", Meta::U32(INNER as u32)),
        ("attention.head_count", Meta::U32(28)),
        ("attention.head_count_kv", Meta::U32(4)),
        ("attention.key_length", Meta::U32(128)),
        ("attention.layer_norm_rms_epsilon", Meta::F32(1e-6)),
        ("attention.sliding_window", Meta::U32(4_097)),
        ("rope.freq_base", Meta::F32(1_000_000.0)),
        ("layer.mixers", texts("window", "linear")),
        ("layer.feed_forwards", texts("dense", "dense")),
        ("spiking.mode", Meta::Text("released".to_owned())),
    ] {
        list.push((format!("spikingbrain.{key}"), value));
    }
    list
}

/// The table of tensors of the released 7B, without their data.
fn seven_billion() -> Vec<u8> {
    let tensor = |name: &str, dimensions: Vec<u64>, kind: u32| FileTensor {
        name: name.to_owned(),
        dimensions,
        kind,
        offset: None,
        bytes: Vec::new(),
    };
    let embedding = tensor("token_embd.weight", vec![HIDDEN, VOCABULARY], Q8_0);
    let mut header = gguf::parse(&gguf_file::write(&metadata(), &[embedding])).unwrap().unwrap();
    // A file has at least as many tensors as layers.
    header.tensors = vec![header.tensors[0].clone(); 28];
    let config = Config::from_header(&header).unwrap();
    // What the file has beyond what the config asks for: an untied head, biases of q, k and v, gates of rank 16.
    let rows_of = |name: &str| match name {
        "output.weight" => Some(VOCABULARY as usize),
        _ if name.ends_with("attn_gate_a.weight") => Some(16),
        _ => (name.ends_with(".bias") && !name.contains("output")).then_some(1),
    };
    let mut offset = 0u64;
    let tensors: Vec<FileTensor> = specs(&config, rows_of)
        .into_iter()
        .map(|spec| {
            let (rows, columns) = (spec.rows as u64, spec.columns as u64);
            let (dimensions, kind) = match columns {
                1 => (vec![rows], F32),
                16 => (vec![16, rows], F16),
                _ => (vec![columns, rows], Q8_0),
            };
            let bytes = match kind {
                Q8_0 => rows * columns / 32 * 34,
                F16 => rows * columns * 2,
                _ => rows * 4,
            };
            let tensor = FileTensor { offset: Some(offset), ..tensor(&spec.name, dimensions, kind) };
            offset += bytes.next_multiple_of(gguf_file::ALIGNMENT as u64);
            tensor
        })
        .collect();
    gguf_file::write(&metadata(), &tensors)
}

#[test]
fn a_seven_billion_model_is_described_from_its_header() {
    let bytes = seven_billion();
    let found: Inspection = Inspector::default().push(&bytes).unwrap().unwrap();
    // `gpu-backend/docs/model.md#101-spikingbrain-7b` and `gpu-backend/docs/model.md#9-what-a-sequence-takes`.
    assert_eq!((found.parameters, found.active_parameters), (7_616_542_976, 7_616_542_976));
    assert!(found.weight_bytes > u64::from(u32::MAX));
    assert_eq!(found.types["q8_0"] + found.types["f16"] + found.types["f32"], 28 * 12 + 14 * 4 + 3);
    let at = |context, kind| StateBytes::new(&found.config, context, kind);
    assert_eq!(at(0, KvType::F32), StateBytes { head: 14 * 4 * 128 * 128 * 4, pages: 0, per_token: 14 * 2 * 4 * 128 * 4 });
    assert_eq!(at(1 << 20, KvType::F32), StateBytes { pages: 4_097 * 14 * 2 * 4 * 128 * 4, per_token: 0, ..at(0, KvType::F32) });
    assert_eq!(at(1 << 20, KvType::Int8).pages, 4_097 * 14 * 2 * 4 * (128 + 4));
}

#[test]
fn a_file_that_ends_in_its_header_is_refused() {
    let bytes = seven_billion();
    let mut inspector = Inspector::default();
    assert!(inspector.push(&bytes[..bytes.len() / 2]).unwrap().is_none());
    assert!(matches!(inspector.finish(), Err(Error::InvalidGguf(message)) if message.contains("within its header")));
}

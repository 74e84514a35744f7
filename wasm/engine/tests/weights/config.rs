//! What the metadata says of the model, value by value.

use crate::support::gguf_file::Meta;
use crate::support::models::{ExpertSpec, ModelSpec, TestModel, build};
use crate::support::refusals::{refusal, refuses, tiny, tiny_spec};
use crate::support::running::load;
use spikingbrain_engine::config::Evicted;
use spikingbrain_engine::spike::Site;

const INVALID: &str = "invalid_gguf";
const UNSUPPORTED: &str = "unsupported_model";

fn text(text: &str) -> Meta {
    Meta::Text(text.to_owned())
}

fn texts(texts: &[&str]) -> Meta {
    Meta::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn required_keys_are_asked_for_by_name() {
    for key in ["block_count", "embedding_length", "feed_forward_length", "attention.head_count", "context_length", "layer.mixers"] {
        let key = format!("spikingbrain.{key}");
        refuses(|model| model.unset(&key), INVALID, &[&key, "missing"]);
    }
    refuses(|model| model.unset("spikingbrain.attention.layer_norm_rms_epsilon"), INVALID, &["layer_norm_rms_epsilon", "missing"]);
    refuses(|model| model.unset("general.architecture"), INVALID, &["general.architecture must be a string", "missing"]);
    refuses(|model| model.set("general.architecture", Meta::U32(7)), INVALID, &["general.architecture", "7"]);
}

#[test]
fn sizes_must_be_integers_in_range() {
    for key in ["block_count", "embedding_length", "feed_forward_length", "attention.head_count", "context_length"] {
        let key = format!("spikingbrain.{key}");
        for (value, shown) in [
            (Meta::U32(0), "0"),
            (Meta::I32(-1), "-1"),
            (Meta::U64(u64::MAX), "18446744073709551615"),
            (Meta::F32(4.0), "4"),
            (text("4"), "'4'"),
            (texts(&["4"]), "an array of 1 strings"),
            (text(&"4".repeat(200)), "a string of 200 bytes"),
        ] {
            refuses(|model| model.set(&key, value), INVALID, &[&key, "an integer from 1 to", shown]);
        }
    }
}

#[test]
fn more_layers_than_tensors_are_refused_before_they_are_listed() {
    refuses(|model| model.set("spikingbrain.block_count", Meta::U32(4_096)), INVALID, &["block_count", "at most the file's", "4096"]);
}

#[test]
fn heads_must_fit_together() {
    let set = |key: &str, value: u32| {
        let key = format!("spikingbrain.attention.{key}");
        move |model: &mut TestModel| model.set(&key, Meta::U32(value))
    };
    refuses(set("head_count_kv", 0), INVALID, &["head_count_kv", "a divisor of 2 heads", "0"]);
    refuses(set("head_count_kv", 3), INVALID, &["head_count_kv", "a divisor of 2 heads", "3"]);
    refuses(set("key_length", 3), INVALID, &["key_length", "even", "3"]);
    refuses(set("key_length", 1 << 20), INVALID, &["key_length", "at most 1048576"]);
    refuses(set("key_length", 2_048), UNSUPPORTED, &["head width of 2048", "1024"]);
    refuses(set("value_length", 4), UNSUPPORTED, &["value_length", "differs from the key length 2"]);
    let uneven = |model: &mut TestModel| {
        model.unset("spikingbrain.attention.key_length");
        model.set("spikingbrain.attention.head_count", Meta::U32(3));
        model.set("spikingbrain.attention.head_count_kv", Meta::U32(3));
    };
    refuses(uneven, INVALID, &["key_length", "3 heads do not divide the width 4"]);
}

#[test]
fn rotary_settings_without_code_for_them_are_refused() {
    let set = |key: &str, value: Meta| {
        let key = format!("spikingbrain.rope.{key}");
        move |model: &mut TestModel| model.set(&key, value)
    };
    refuses(set("dimension_count", Meta::U32(3)), INVALID, &["rope.dimension_count", "from 0 to 2", "3"]);
    refuses(set("dimension_count", Meta::U32(1)), INVALID, &["rope.dimension_count", "even", "1"]);
    refuses(set("scaling.type", text("yarn")), UNSUPPORTED, &["rope.scaling.type is 'yarn'", "none"]);
    refuses(set("scaling.type", Meta::U32(1)), UNSUPPORTED, &["rope.scaling.type is 1"]);
    refuses(set("scaling.factor", Meta::F32(2.0)), UNSUPPORTED, &["rope.scaling.factor is 2"]);
    refuses(set("scale_linear", Meta::F32(0.5)), UNSUPPORTED, &["rope.scale_linear is 0.5"]);
    for value in [f32::NAN, f32::INFINITY, -1.0, 0.0, 1e-42] {
        refuses(set("freq_base", Meta::F32(value)), INVALID, &["rope.freq_base", "a positive number"]);
    }
    let mut model = tiny();
    set("scaling.factor", Meta::F32(1.0))(&mut model);
    load(&model.bytes());
    set("scaling.factor", Meta::F32(4.0))(&mut model);
    set("scaling.type", text("none"))(&mut model);
    load(&model.bytes());
}

#[test]
fn part_of_a_head_cannot_be_rotated_in_the_llama_order() {
    let spec = ModelSpec { architecture: "llama", head_dim: 4, rope_dim: 2, layers: vec![("full", "dense")], ..tiny_spec() };
    let (code, message) = refusal(&build(&spec).bytes());
    assert_eq!(code, UNSUPPORTED);
    assert!(message.contains("rope.dimension_count 2 of 4"), "{message}");
}

#[test]
fn other_architectures_and_shards_are_refused() {
    for name in ["gemma3", "mamba", "LLAMA", ""] {
        let set = |model: &mut TestModel| model.set("general.architecture", text(name));
        refuses(set, UNSUPPORTED, &[&format!("general.architecture is '{name}'"), "spikingbrain"]);
    }
    refuses(|model| model.set("split.count", Meta::U32(3)), UNSUPPORTED, &["shards", "split.count"]);
    let mut one = tiny();
    one.set("split.count", Meta::U32(1));
    load(&one.bytes());
}

#[test]
fn layers_are_checked_one_by_one() {
    let set = |key: &str, value: Meta| {
        let key = format!("spikingbrain.{key}");
        move |model: &mut TestModel| model.set(&key, value)
    };
    refuses(set("layer.mixers", texts(&["full"])), INVALID, &["layer.mixers", "an array of 2 strings", "an array of 1 strings"]);
    for wrong in ["mamba", "", "linear+", "+full", "linear+linear", "window+full", "full+full", "linear+full+window"] {
        refuses(set("layer.mixers", texts(&["full", wrong])), INVALID, &["layer.mixers[1]", &format!("'{wrong}'")]);
    }
    refuses(set("layer.feed_forwards", texts(&["dense", "sparse"])), INVALID, &["layer.feed_forwards[1]", "'dense' or 'moe'", "'sparse'"]);
    refuses(set("layer.feed_forwards", texts(&["dense", "moe"])), INVALID, &["expert_count", "missing"]);
    let window = |model: &mut TestModel| {
        model.set("spikingbrain.layer.mixers", texts(&["full", "window"]));
        model.set("spikingbrain.attention.sliding_window", Meta::U32(0));
    };
    refuses(window, INVALID, &["attention.sliding_window", "from 1 to", "0"]);
    refuses(set("parallel.projections", text("both")), INVALID, &["parallel.projections", "shared", "'both'"]);
    refuses(set("linear.feature_map", text("elu")), INVALID, &["linear.feature_map", "relu", "'elu'"]);
    refuses(set("linear.gate", text("fixed")), INVALID, &["linear.gate", "one_minus_key", "'fixed'"]);
    refuses(set("linear.gate", text("one_minus_key")), INVALID, &["linear.feature_map", "'sigmoid'", "'relu'"]);
    refuses(set("linear.gate_normalizer", Meta::F32(0.0)), INVALID, &["linear.gate_normalizer", "positive"]);
    refuses(set("linear.head_norm", Meta::U32(1)), INVALID, &["linear.head_norm", "a bool", "1"]);
    let both = |model: &mut TestModel| {
        model.set("spikingbrain.attention.sink_count", Meta::U32(2));
        model.set("spikingbrain.attention.kept_tokens", Meta::U32(2));
    };
    refuses(both, INVALID, &["attention.kept_tokens", "learned sinks"]);
    refuses(set("attention.sink_count", Meta::U32(4_097)), INVALID, &["attention.sink_count", "from 0 to 4096"]);
}

#[test]
fn evicted_mixers_stand_alone_and_say_what_they_keep() {
    let spec = ModelSpec { layers: vec![("evicted", "dense"), ("window", "dense")], ..tiny_spec() };
    let refuses = |key: &str, value: Option<Meta>, parts: &[&str]| {
        let mut model = build(&spec);
        let key = format!("spikingbrain.{key}");
        match value {
            Some(value) => model.set(&key, value),
            None => model.unset(&key),
        }
        let (code, message) = refusal(&model.bytes());
        assert_eq!(code, INVALID, "{message}");
        for part in parts {
            assert!(message.contains(part), "'{message}' does not say '{part}'");
        }
    };
    let loaded = load(&build(&spec).bytes());
    assert_eq!(loaded.config().layers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["evicted dense", "window dense"]);
    let evicted = Evicted { sink_cap: 30, salient: 6, salience_half_life: 40 };
    assert_eq!((loaded.config().evicted(), loaded.config().has_constant_state()), (Some(evicted), true));
    for wrong in ["linear+evicted", "evicted+linear", "evicted+evicted", "evicted+window"] {
        refuses("layer.mixers", Some(texts(&["full", wrong])), &["layer.mixers[1]", &format!("'{wrong}'")]);
    }
    refuses("evicted.sink_cap", None, &["evicted.sink_cap", "given where a layer has an evicted mixer", "missing"]);
    refuses("evicted.sink_cap", Some(Meta::U32((1 << 30) + 1)), &["evicted.sink_cap", "from 0 to 1073741824"]);
    refuses("evicted.salient", None, &["evicted.salient", "from 1 to 1073741824", "missing"]);
    refuses("evicted.salient", Some(Meta::U32(0)), &["evicted.salient", "from 1", "0"]);
    refuses("evicted.salience_half_life", Some(Meta::U32(0)), &["evicted.salience_half_life", "from 1", "0"]);
    refuses("attention.sliding_window", None, &["attention.sliding_window", "missing"]);
    let mut sinks = build(&ModelSpec { sinks: 2, ..spec });
    assert!(refusal(&sinks.bytes()).1.contains("attention.sink_count must be 0 where a layer has an evicted mixer; it is 2"));
    sinks.set("spikingbrain.layer.mixers", texts(&["window", "window"]));
    assert!(refusal(&sinks.bytes()).1.contains("evicted_"), "tensors of a mixer that is not there");
}

#[test]
fn a_site_may_have_a_threshold_of_its_own() {
    let mut model = tiny();
    model.set("spikingbrain.spiking.k", Meta::F32(2.7));
    model.set("spikingbrain.spiking.k.query", Meta::F32(4.1));
    let spiking = load(&model.bytes()).config().spiking;
    assert_eq!((spiking.k_at(Site::Query), spiking.k_at(Site::AttentionIn)), (4.1, 2.7));
    refuses(|model| model.set("spikingbrain.spiking.k.query", Meta::F32(0.0)), INVALID, &["spiking.k.query", "a positive number"]);
}

#[test]
fn experts_must_fit_together() {
    let experts = ExpertSpec { count: 4, used: 2, inner: 4, shared_inner: 4, sigmoid: false, normalised: false };
    let spec = ModelSpec { layers: vec![("full", "moe")], experts: Some(experts), ..tiny_spec() };
    let refuses = |key: &str, value: Meta, parts: &[&str]| {
        let mut model = build(&spec);
        model.set(&format!("spikingbrain.{key}"), value);
        let (code, message) = refusal(&model.bytes());
        assert_eq!(code, INVALID, "{message}");
        for part in parts {
            assert!(message.contains(part), "'{message}' does not say '{part}'");
        }
    };
    load(&build(&spec).bytes());
    refuses("expert_count", Meta::U32(0), &["expert_count", "from 1 to 4096"]);
    refuses("expert_used_count", Meta::U32(5), &["expert_used_count", "from 1 to 4", "5"]);
    refuses("expert_feed_forward_length", Meta::U32(6), &["expert_feed_forward_length", "a multiple of 4", "6"]);
    refuses("expert_gating", text("tanh"), &["expert_gating", "softmax", "'tanh'"]);
    refuses("expert_weights_norm", Meta::U32(1), &["expert_weights_norm", "a bool"]);
    let mut wide = build(&spec);
    wide.set("spikingbrain.expert_count", Meta::U32(4_096));
    wide.set("spikingbrain.expert_feed_forward_length", Meta::U32(1 << 19));
    assert!(refusal(&wide.bytes()).1.contains("rows of all experts together"));
}

#[test]
fn special_tokens_must_be_in_the_vocabulary() {
    for key in ["tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"] {
        for value in [Meta::U32(5), Meta::I32(-1), text("0")] {
            refuses(|model| model.set(key, value), INVALID, &[key, "below the vocabulary's 5"]);
        }
    }
    let mut model = tiny();
    model.unset("tokenizer.ggml.eos_token_id");
    model.set("tokenizer.ggml.bos_token_id", Meta::U32(4));
    let loaded = load(&model.bytes());
    assert_eq!((loaded.config().bos, loaded.config().eos), (Some(4), None));
}

#[test]
fn the_name_must_be_a_short_string() {
    refuses(|model| model.set("general.name", Meta::U32(1)), INVALID, &["general.name", "a short string"]);
    refuses(|model| model.set("general.name", text(&"n".repeat(5_000))), INVALID, &["general.name", "a string of 5000 bytes"]);
}

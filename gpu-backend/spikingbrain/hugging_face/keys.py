"""Which keys a `config.json` may have."""

from collections.abc import Mapping

# Our name of a plain field, and the key it has in a config.json. Errors name the key.
KEYS = {
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "vocabulary": "vocab_size",
    "feed_forward_inner": "intermediate_size",
    "rope_theta": "rope_theta",
    "rope_dim": "rope_dim",
    "epsilon": "norm_eps",
    "context": "max_position_embeddings",
    "tied_head": "tie_word_embeddings",
    "learned_sinks": "learned_sinks",
    "kept_tokens": "kept_tokens",
    "parallel_projections": "parallel_projections",
    "branch_norm": "branch_norm",
    "window": "window",
    "name": "name",
    "bos": "bos_token_id",
    "end_tokens": "eos_token_id",
    "biases.query_key_value": "qkv_bias",
    "biases.output": "attention_output_bias",
    "linear.feature_map": "feature_map",
    "linear.head_norm": "head_norm",
    "linear.rope": "linear_rope",
    "linear.reads_sinks": "linear_reads_sinks",
    "linear.gate.normalizer": "gate_logit_normalizer",
    "linear.gate.rank": "gate_low_rank_dim",
    "evicted.sink_cap": "sink_cap",
    "evicted.salient": "salient_tokens",
    "evicted.salience_half_life": "salience_half_life",
    "experts.count": "num_experts",
    "experts.used": "num_experts_per_tok",
    "experts.inner": "moe_intermediate_size",
    "experts.shared_inner": "shared_expert_intermediate_size",
    "experts.router": "router",
    "experts.normalised": "norm_topk_prob",
    "spiking.mode": "spiking_mode",
    "spiking.k": "spiking_k",
    "spiking.site_k": "spiking_site_k",
}
STRUCTURE = {"num_hidden_layers", "attn_layers", "sliding_window", "layer_mixers", "layer_feed_forwards", "gate"}
# Keys of upstream's modules that would change the function, and the values under which they do not.
FIXED: Mapping[str, tuple[object, ...]] = {
    "model_type": ("gla_swa", "spikingbrain", "llama", "qwen2"),
    "hidden_act": ("swish", "silu"),
    "use_short_conv": (False,),
    "elementwise_affine": (True,),
    "rope_scaling": (None,),
}
# Keys that do not change what the model computes.
INERT = {
    *("_name_or_path", "architectures", "attn_mode", "attention_dropout", "auto_map", "conv_size", "dtype", "fuse_cross_entropy"),
    *("fuse_norm", "fuse_swiglu", "initializer_range", "pad_token_id", "torch_dtype", "transformers_version", "use_cache"),
}
# What a missing key of our own means.
OWN_DEFAULTS: dict[str, object] = {
    "learned_sinks": 0,
    "kept_tokens": 0,
    "parallel_projections": "shared",
    "branch_norm": "full",
    "name": "",
    "eos_token_id": [],
    "qkv_bias": True,
    "attention_output_bias": False,
    "feature_map": "relu",
    "gate": "learned",
    "head_norm": True,
    "linear_rope": False,
    "linear_reads_sinks": True,
    "router": "softmax",
    "norm_topk_prob": False,
    "spiking_mode": "off",
    "spiking_k": 3.0,
    "spiking_site_k": {},
}
# Those that change what upstream's code would have to compute.
OWN_KEYS = {*OWN_DEFAULTS, "layer_mixers", "layer_feed_forwards", "window", "head_dim", "rope_dim", "num_experts", "sink_cap"} - {
    *("name", "eos_token_id", "spiking_mode", "spiking_k", "spiking_site_k")
}

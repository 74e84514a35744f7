"""A Hugging Face `config.json` as a `Config`, and back.

The keys of the released 7B (`gla_swa`, `gpu-backend/docs/model.md#101-spikingbrain-7b`) are read as they are. What that model has no word
for has keys of our own:

| key | is |
|---|---|
| `layer_mixers`, `layer_feed_forwards` | per layer, such as `"linear+window"` and `"moe"`; they replace `attn_layers` |
| `window` | keys a window sees, the current one included; it replaces `sliding_window` |
| `head_dim`, `rope_dim`, `kept_tokens`, `learned_sinks`, `name` | as in `Config` |
| `feature_map`, `gate` (`"learned"` or `"one_minus_key"`), `head_norm`, `linear_rope`, `linear_reads_sinks` | linear attention |
| `parallel_projections`, `branch_norm`, `qkv_bias`, `attention_output_bias` | the mixer |
| `num_experts`, `num_experts_per_tok`, `moe_intermediate_size`, `shared_expert_intermediate_size`, `router`, `norm_topk_prob` | experts |
| `spiking_mode`, `spiking_k`, `spiking_site_k` | spikes |

Those of an ordinary Transformer are read too (`transformer.py`).
"""

from spikingbrain.hugging_face.reading import SlidingWindow, from_hugging_face, read_hugging_face
from spikingbrain.hugging_face.writing import to_hugging_face

__all__ = ["SlidingWindow", "from_hugging_face", "read_hugging_face", "to_hugging_face"]

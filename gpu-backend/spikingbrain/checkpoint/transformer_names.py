"""Names of an ordinary Transformer's tensors in a Hugging Face folder (transformers' Llama and Qwen2), which differ from the 7B's only in
these parts (`gpu-backend/docs/model.md#104-tensor-names`)."""

import re

PARTS = {"embeddings": "embed_tokens", "attn": "self_attn", "attn_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}
PART = re.compile(rf"(?<=\.)({'|'.join(PARTS)})(?=\.)")


def transformer_name(name: str) -> str:
    """What transformers calls the tensor that `names.py` calls `name`. Queries and keys have their rows in the same order:
    a rotary pair is half a head apart in both."""
    return PART.sub(lambda found: PARTS[found[0]], name)

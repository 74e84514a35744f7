"""A tokenizer as GGUF metadata, as `infra/local/gguf/metadata.ts` reads it.

| key | is |
|---|---|
| `tokenizer.ggml.model` | `gpt2`: byte-level BPE |
| `tokenizer.ggml.pre` | `gpt-2`, `smollm` or `qwen2` |
| `tokenizer.ggml.tokens`, `.token_type` | by id; 1 normal, 3 control, 4 added by the user, 5 unused |
| `tokenizer.ggml.merges` | in rank order, each `left right` |
| `tokenizer.ggml.bos_token_id`, `.eos_token_id`, `.padding_token_id` | as `config.json` or else `tokenizer_config.json` names them |
| `tokenizer.ggml.unknown_token_id`, `.seperator_token_id`, `.cls_token_id`, `.mask_token_id` | as the GGUF that is written anew has them |
| `tokenizer.ggml.eot_token_id` | ChatML's `<|im_end|>`: a second end token beside the `<|endoftext|>` that upstream names |
| `tokenizer.ggml.add_bos_token` | whether a text begins with the first of them |
| `tokenizer.chat_template` | Jinja |
"""

from gguf import GGUFWriter

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.tokenizer import Tokenizer


def add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    """Adds all keys that the tokenizer has a value for; what GGUF has no key for is refused."""
    if tokenizer.ignore_merges:
        raise CheckpointError("tokenizer.json: model.ignore_merges must be false for a GGUF, which has no key for it; it is true")
    if tokenizer.normalized:
        content = tokenizer.tokens[min(tokenizer.normalized)]
        raise CheckpointError(f"tokenizer.json: added token {content!r}.normalized must be false for a GGUF; it is true")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokenizer.family)
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types([int(kind) for kind in tokenizer.kinds])
    writer.add_token_merges(tokenizer.merges)
    roles = {"bos": tokenizer.bos, "eos": tokenizer.eos, "eot": tokenizer.end_of_turn, "padding": tokenizer.padding}
    roles |= {"unknown": tokenizer.unknown, "seperator": tokenizer.separator, "cls": tokenizer.classifier, "mask": tokenizer.mask}
    for role, token in roles.items():
        if token is not None:
            writer.add_uint32(f"tokenizer.ggml.{role}_token_id", token)
    writer.add_add_bos_token(tokenizer.add_bos)
    if tokenizer.chat_template is not None:
        writer.add_chat_template(tokenizer.chat_template)

"""Text to token ids and back, by Hugging Face's `tokenizers` with the tokenizer of a checkpoint."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

from .errors import CheckpointError
from .tokenizer import Tokenizer, TokenKind
from .tokenizer_family import QWEN2_EXPRESSION

ADDED = (TokenKind.CONTROL, TokenKind.USER_DEFINED)


def text_tokenizer(tokenizer: Tokenizer) -> FastTokenizer:
    """Control tokens in a text become control tokens; nothing is added in front or behind. Refuses a merge of what are no tokens."""
    kinds = list(zip(tokenizer.tokens, tokenizer.kinds, strict=True))
    vocabulary = {token: id_ for id_, (token, kind) in enumerate(kinds) if kind != TokenKind.UNUSED}
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in tokenizer.merges)]
    for rank, (left, right) in enumerate(merges):
        if lacking := [token for token in (left, right, left + right) if token not in vocabulary]:
            raise CheckpointError(f"tokenizer: merge {rank} must be of tokens and make one; {lacking[0]!r} is none")
    fast = FastTokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=tokenizer.ignore_merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=tokenizer.family != "qwen2")
    if tokenizer.family == "qwen2":
        fast.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(QWEN2_EXPRESSION), behavior="isolated", invert=False)
        fast.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    elif tokenizer.family == "smollm":
        fast.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    else:
        fast.pre_tokenizer = byte_level
    fast.decoder = decoders.ByteLevel()
    added = [(id_, token, kind == TokenKind.CONTROL) for id_, (token, kind) in enumerate(kinds) if kind in ADDED]
    fast.add_tokens([AddedToken(token, special=special, normalized=id_ in tokenizer.normalized) for id_, token, special in added])
    return fast


def write_fast_tokenizer(tokenizer: Tokenizer, folder: Path) -> list[Path]:
    """Writes `tokenizer.json` and `tokenizer_config.json`, which `read_tokenizer` and `transformers` read, whatever it was stored as."""
    paths = [folder / "tokenizer.json", folder / "tokenizer_config.json"]
    text_tokenizer(tokenizer).save(str(paths[0]))
    names = {"bos_token": tokenizer.bos, "eos_token": tokenizer.eos, "pad_token": tokenizer.padding}
    settings: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": tokenizer.add_bos}
    settings["clean_up_tokenization_spaces"] = False
    settings |= {role: tokenizer.tokens[token] for role, token in names.items() if token is not None}
    if tokenizer.chat_template is not None:
        settings["chat_template"] = tokenizer.chat_template
    paths[1].write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
    return paths

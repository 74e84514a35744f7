"""A checkpoint's tokenizer as one that runs: byte-level BPE of the `tokenizers` library."""

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.gguf_tokenizer import tokenizer_from_metadata
from spikingbrain.checkpoint.tokenizer import Tokenizer as TokenTable
from spikingbrain.checkpoint.tokenizer import TokenKind, read_tokenizer
from spikingbrain.checkpoint.tokenizer_family import QWEN2_EXPRESSION
from spikingbrain.rules import ConfigError


def open_vocabulary(teacher: Path, vocabulary: int) -> Tokenizer:
    """The tokenizer of a Hugging Face folder or a GGUF file whose embedding has `vocabulary` rows."""
    table = read_tokenizer(teacher, vocabulary) if teacher.is_dir() else tokenizer_from_metadata(GgufFile(teacher).metadata)
    if table is None:
        raise ConfigError("teacher", "a checkpoint with a tokenizer", str(teacher))
    return runnable(table)


def runnable(table: TokenTable) -> Tokenizer:
    """Special tokens in a text are recognised; nothing is added to it."""
    ids = {token: index for index, token in enumerate(table.tokens)}
    merges = [(left, right) for left, right in (merge.split(" ") for merge in table.merges)]
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if table.family == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(QWEN2_EXPRESSION), behavior="isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    elif table.family == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    else:
        tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    added = [
        (token, kind) for token, kind in zip(table.tokens, table.kinds, strict=True) if kind in (TokenKind.CONTROL, TokenKind.USER_DEFINED)
    ]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token, kind in added if kind == TokenKind.CONTROL])
    tokenizer.add_tokens([AddedToken(token, special=False) for token, kind in added if kind == TokenKind.USER_DEFINED])
    return tokenizer

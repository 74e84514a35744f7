"""A tokenizer whose tokens are bytes."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def bytes_only() -> Tokenizer:
    """A token a byte."""
    alphabet = {character: index for index, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer

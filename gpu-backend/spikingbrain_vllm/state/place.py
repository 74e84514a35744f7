"""Where a sequence's memory lies."""

from dataclasses import dataclass

Blocks = tuple[list[int], ...]
"""A sequence's blocks, KV cache group by KV cache group, as the scheduler numbers them."""


@dataclass(frozen=True)
class Place:
    group: int
    """KV cache group of the layer."""
    block_tokens: int

    def block_of(self, token: int) -> int:
        return token // self.block_tokens


@dataclass(frozen=True)
class Page:
    """A state layer's: that of the block in which the last token lies, or the only one where prefixes are not cached."""

    place: Place
    is_aligned: bool

    def slot(self, blocks: Blocks, tokens: int) -> int:
        """Of a sequence that has read so many tokens."""
        return blocks[self.place.group][self.place.block_of(tokens - 1) if self.is_aligned else 0]

"""What a query sees."""

from dataclasses import dataclass

# Queries of a block read the window before them and the block itself: twice as long, and a third of the work would be masked.
BLOCK_TOKENS = 256


@dataclass(frozen=True)
class Reach:
    """Its last `window` positions, itself included, the first `kept` positions of the text, and `salient` others that have left."""

    window: int
    kept: int
    sink_cap: int
    """A query sees the kept tokens as if it stood at this position at most."""
    salient: int
    """Per KV head; a variant without a state sees none."""
    salience_half_life: int

    def capped(self, first: int, tokens: int) -> bool:
        """Whether some query of a segment stands beyond the cap, so that its kept tokens are merged in by `merge_sinks`."""
        return first + tokens > self.sink_cap + 1


def reach_of(window: int, kept: int) -> Reach:
    """Of windows beside which nothing is remembered, and whose kept tokens are seen where they are."""
    return Reach(window=window, kept=kept, sink_cap=2**30, salient=1, salience_half_life=1)

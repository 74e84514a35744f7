"""What a state file holds where: it follows from the config and the position alone (`wasm/STATE_FORMAT.md`)."""

from dataclasses import dataclass

from spikingbrain.config import Config
from spikingbrain.state.sight import Sight


@dataclass(frozen=True)
class Group:
    """Softmax layers that see as far."""

    window: int
    """0 for all of the past."""
    layers: tuple[int, ...]
    kept: range
    """Positions that the next query still sees before its window."""
    near: range
    """Positions within its window."""

    def __len__(self) -> int:
        """Tokens of a file's rows."""
        return len(self.kept) + len(self.near)


def groups_at(config: Config, position: int) -> tuple[Group, ...]:
    """Those of a state at `position`, in order of first appearance."""
    layers: dict[int, list[int]] = {}
    sights: dict[int, Sight] = {}
    for index, layer in enumerate(config.layers):
        if layer.softmax is not None:
            sight = Sight.of(config, layer.softmax)
            window = sight.width or 0
            layers.setdefault(window, []).append(index)
            sights[window] = sight
    return tuple(_group(sights[window], window, tuple(of_window), position) for window, of_window in layers.items())


def evicted_before(config: Config, position: int) -> range:
    """Positions of the tokens that have left the windows of `evicted` layers before the query at `position`."""
    if config.evicted is None or config.window is None:
        return range(0)
    return range(config.kept, max(config.kept, position + 1 - config.window))


def _group(sight: Sight, window: int, layers: tuple[int, ...], position: int) -> Group:
    first = min(sight.first_near(position), position)
    return Group(window, layers, range(min(sight.kept, first)), range(first, position))

"""Learning rates of branches."""

from torch import Tensor

# Maps are many and delicate, vectors few; gates over the hidden size diverged at the rate of vectors in the deepest layers.
RATES = {"query_map": 3e-3, "key_map": 3e-3, "gate": 4e-3, "mix_weight": 4e-3}
VECTOR_RATE = 1e-2


def branch_rate(name: str, parameter: Tensor) -> float:
    """Of an evicted-tokens branch."""
    return RATES.get(name.rsplit(".", 1)[-1], VECTOR_RATE)

"""Learning rates of trained mixers."""

from torch import Tensor

# The teacher's projections already work and are to move slowly.
PROJECTION_RATE = 5e-4
NEW_MATRIX_RATE = 2e-3
# Of gates' biases and of norms, which must move by several units, not by hundredths.
VECTOR_RATE = 8e-3


def mixer_rate(name: str, parameter: Tensor) -> float:
    """Of a parameter by its name, which ends as in `hybrid/mixer.py`."""
    if parameter.dim() == 1:
        return VECTOR_RATE
    return PROJECTION_RATE if name.rsplit(".", 2)[-2] in ("q_proj", "k_proj", "v_proj", "o_proj") else NEW_MATRIX_RATE

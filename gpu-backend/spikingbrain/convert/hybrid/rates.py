"""Learning rates of trained mixers."""

from torch import Tensor

# The teacher's projections already work; they were tried at 5e-4 for transfer, with 3e-4 for distillation.
PROJECTION_RATE = 5e-4
NEW_MATRIX_RATE = 2e-3
# Of gates' biases and of norms, which must move by several units, not by hundredths.
VECTOR_RATE = 8e-3


def mixer_rate(name: str, parameter: Tensor) -> float:
    """Of a parameter by its name, which ends as in `hybrid/mixer.py`."""
    owner = name.rsplit(".", 2)[-2] if not name.rsplit(".", 1)[0][-1].isdigit() else "gk_proj"
    if owner in ("q_proj", "k_proj", "v_proj", "o_proj"):
        return PROJECTION_RATE if parameter.dim() > 1 else VECTOR_RATE
    return NEW_MATRIX_RATE if parameter.dim() > 1 else VECTOR_RATE

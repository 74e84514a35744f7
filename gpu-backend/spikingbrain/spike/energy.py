"""An *estimate* of the energy that spikes would save, never a measurement (`gpu-backend/docs/model.md#87-energy-an-estimate`).

The constants are the 45 nm figures that the paper cites, and like the paper's the estimate leaves out memory traffic, the control of
asynchronous hardware and the changing of sparsity over time. It says what the arithmetic alone would cost.
"""

from dataclasses import dataclass

FP16_MAC_PICOJOULES = 1.5
INT8_MAC_PICOJOULES = 0.23
INT8_ADDITION_PICOJOULES = 0.03


@dataclass(frozen=True)
class Energy:
    """Of the products that spikes feed, picojoules."""

    spikes: float
    """One INT8 addition per spike and output."""
    fp16: float
    """One FP16 multiply-accumulate per input and output."""
    int8: float
    """One INT8 multiply-accumulate per input and output."""


def estimate(additions: int, multiply_accumulates: int) -> Energy:
    return Energy(
        spikes=additions * INT8_ADDITION_PICOJOULES,
        fp16=multiply_accumulates * FP16_MAC_PICOJOULES,
        int8=multiply_accumulates * INT8_MAC_PICOJOULES,
    )

"""flash-linear-attention's kernels against the reference's recurrence."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from spikingbrain.model.gated_linear.chunk import chunk
from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.model.gated_linear.naive import naive
from torch import Tensor

Kernel = Callable[[Inputs, Tensor], tuple[Tensor, Tensor]]
TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 3e-2}
"""Of the largest difference from the reference in f64, over the reference's largest value. f32 is TF32 where a GPU multiplies in that."""


def fla_kernels() -> dict[str, Kernel]:
    """Raises ImportError where flash-linear-attention is not installed."""
    from fla.ops.gla import chunk_gla, fused_recurrent_gla

    def of(function: Any) -> Kernel:  # noqa: ANN401 (fla has no types)
        def run(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
            # [batch, tokens, heads, dim]; it knows no groups: every query head gets its KV head's keys and values.
            group = x.queries.shape[1] // x.keys.shape[1]
            keys, values, gates = (one.repeat_interleave(group, dim=1)[None] for one in (x.keys, x.values, x.log_gates))
            initial = state.repeat_interleave(group, dim=0)[None]
            out, last = function(x.queries[None], keys, values, gates, scale=1.0, initial_state=initial, output_final_state=True)
            return out[0], last[0, ::group]

        return run

    return {"fla chunk": of(chunk_gla), "fla recurrent": of(fused_recurrent_gla)}


def inputs(tokens: int, heads: int, kv_heads: int, dim: int, device: str, dtype: torch.dtype) -> tuple[Inputs, Tensor]:
    """Drawn in f32 from the same seed whatever the type."""
    draw = torch.Generator().manual_seed(1)
    queries, keys, values, gates = (torch.randn(tokens, count, dim, generator=draw) for count in (heads, kv_heads, kv_heads, kv_heads))
    state = torch.randn(kv_heads, dim, dim, generator=draw) * 0.1
    found = Inputs(queries.relu() * dim**-0.5, keys.relu() * dim**-0.5, values, torch.nn.functional.logsigmoid(gates) / 16.0)
    return _moved(found, device, dtype), state.to(device)


def compare(kernels: dict[str, Kernel], *, tokens: int, heads: int, kv_heads: int, dim: int, device: str) -> list[dict[str, Any]]:
    """Of each kernel and type: the difference in outputs and in the last state, and the seconds of one call after the first."""
    found = []
    for dtype, tolerance in TOLERANCE.items():
        x, state = inputs(tokens, heads, kv_heads, dim, device, dtype)
        expected, last = naive(_moved(x, device, torch.float64), state.double())
        for name, kernel in {"reference chunk": _in_f32, **kernels}.items():
            kernel(x, state)
            _wait(device)
            begin = time.perf_counter()
            out, end = kernel(x, state)
            _wait(device)
            seconds = time.perf_counter() - begin
            difference = max(_far(out, expected), _far(end, last))
            kind = str(dtype).removeprefix("torch.")
            found.append({"kernel": name, "type": kind, "difference": difference, "seconds": seconds, "ok": difference <= tolerance})
    return found


def _in_f32(x: Inputs, state: Tensor) -> tuple[Tensor, Tensor]:
    return chunk(_moved(x, str(x.keys.device), torch.float32), state)


def _moved(x: Inputs, device: str, dtype: torch.dtype) -> Inputs:
    parts = {name: getattr(x, name).to(device, dtype) for name in ("queries", "keys", "values", "log_gates")}
    return replace(x, **parts)


def _far(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).abs().max() / expected.abs().max())


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()

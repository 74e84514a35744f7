"""What `verify_gpu.py` measures, part by part, each in a process of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from spikingbrain.config import Config

from spikingbrain_vllm.verify.models import released, seven_like, write_config, write_softmax_twin, write_weights

Result = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    device: str
    small: Config
    """With weights on disk, for what is compared with the reference."""
    large: Config
    """Whose time is measured; its weights are drawn by vLLM."""
    dtype: str
    kernel_tokens: int
    prompts: tuple[int, ...]
    answer: int
    lengths: tuple[int, ...]
    decoded: int
    batch: int
    state_lengths: tuple[int, ...]


def gpu_sizes() -> Sizes:
    small = seven_like(hidden=1_024, heads=8, kv_heads=2, head_dim=128, layers=8, inner=2_816, vocabulary=32_000, window=1_025)
    return Sizes(
        device="cuda",
        small=small,
        large=released(),
        dtype="bfloat16",
        kernel_tokens=2_048,
        prompts=(3_000, 700, 37, 1),
        answer=64,
        lengths=(8_192, 32_768, 131_072, 262_144),
        decoded=64,
        batch=64,
        state_lengths=(8_192, 32_768),
    )


def kernels(sizes: Sizes, _: Path) -> Result:
    from spikingbrain_vllm.verify.kernels import compare, fla_kernels

    config = sizes.large
    shapes: dict[str, Any] = {"heads": config.heads, "kv_heads": config.kv_heads, "dim": config.head_dim}
    rows = compare(fla_kernels(), tokens=sizes.kernel_tokens, device=sizes.device, **shapes)
    return {"rows": rows, "ok": all(row["ok"] for row in rows)}


def equality(sizes: Sizes, place: Path) -> Result:
    """With CUDA graphs and without, in f32 and in the type that is served: the reference's log-probabilities. In f32 the greedy tokens are
    the same with graphs as without."""
    from spikingbrain_vllm.verify.equality import measure_equality

    rows, same = [], True
    for dtype in dict.fromkeys(("float32", sizes.dtype)):
        folder = write_weights(sizes.small, place / dtype, getattr(torch, dtype))
        each = [
            measure_equality(folder, sizes.small, list(sizes.prompts), sizes.answer, dtype, eager=eager, device=sizes.device)
            for eager in (True, sizes.device == "cpu")
        ]
        same = same and (dtype != "float32" or each[0]["answers"] == each[1]["answers"])
        rows += [{key: value for key, value in row.items() if key != "answers"} for row in each]
    return {"rows": rows, "graphs_same": same, "ok": same and all(row["ok"] for row in rows)}


def speed(sizes: Sizes, place: Path) -> Result:
    return _speed(sizes, write_config(sizes.large, place / "model", sizes.dtype))


def softmax_speed(sizes: Sizes, place: Path) -> Result:
    return _speed(sizes, write_softmax_twin(sizes.large, place / "model", sizes.dtype))


def states(sizes: Sizes, place: Path) -> Result:
    from spikingbrain_vllm.verify.states import measure_states

    folder = write_config(sizes.large, place / "model", sizes.dtype)
    rows = measure_states(folder, sizes.large, sizes.state_lengths, dtype=sizes.dtype, **_few(sizes))
    return {"rows": rows, "ok": all(row["cached"] == row["tokens"] for row in rows)}


def _speed(sizes: Sizes, folder: Path) -> Result:
    from spikingbrain_vllm.verify.speed import measure_speed

    shape: dict[str, Any] = {"decoded": sizes.decoded, "batch": sizes.batch, "dtype": sizes.dtype}
    return {"rows": measure_speed(folder, sizes.large.vocabulary, sizes.lengths, **shape, **_few(sizes)), "ok": True}


def _few(sizes: Sizes) -> dict[str, Any]:
    """A CPU has no graphs to capture, and compiles longer than tiny models take."""
    return {"enforce_eager": True} if sizes.device == "cpu" else {}


PARTS: dict[str, Callable[[Sizes, Path], Result]] = {
    "kernels": kernels,
    "equality": equality,
    "speed": speed,
    "softmax speed": softmax_speed,
    "states": states,
}

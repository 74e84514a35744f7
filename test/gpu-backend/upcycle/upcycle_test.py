"""Upcycling: what `gpu-backend/docs/model.md#103-upcycling` says, the dense model exactly where it can be, and near it with the 76B's
settings."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.gguf_tokenizer import tokenizer_from_metadata
from spikingbrain.checkpoint.loading import load_model, model_of
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.cli.main import main
from spikingbrain.cli.upcycle import ROUTERS
from spikingbrain.config import Config, Experts, Layer, Router
from spikingbrain.rules import ConfigError
from spikingbrain.upcycle.scale import expert_scale
from spikingbrain.upcycle.upcycled_source import UpcycledSource, experts_of, upcycled_config
from support.checkpoint_files import random_tensors, write_config, write_weights
from support.checkpoint_models import IDS, SEVEN, VOCABULARY, write_tokenizer
from support.model_oracle import Oracle

DENSE = replace(SEVEN, name="dense", layers=(Layer(mixer=("full",)),) * 4, window=None, linear=None)
WHOLE = range(4)
TOKENS = torch.arange(5, 60)


def upcycled(
    experts: Experts, layers: Sequence[int] = WHOLE, seed: int = 0, scale: float | None = None, dense: Config = DENSE
) -> UpcycledSource:
    config = upcycled_config(dense, experts, layers)
    return UpcycledSource(RandomWeights(dense), config, expert_scale(experts) if scale is None else scale, seed)


def logits_of(source: UpcycledSource | RandomWeights) -> torch.Tensor:
    return model_of(source).logits(TOKENS)


def divergence(expected: torch.Tensor, found: torch.Tensor) -> float:
    """Mean KL over positions, nats."""
    left, right = expected.log_softmax(dim=-1), found.log_softmax(dim=-1)
    return float((left.exp() * (left - right)).sum(dim=-1).mean())


def test_the_scale_is_the_papers() -> None:
    paper = Experts(count=16, used=1, inner=8, shared_inner=8)
    assert expert_scale(paper) == pytest.approx((1 + 1 / 16) ** (-1 / 3))
    assert round(expert_scale(paper), 2) == 0.98
    assert expert_scale(Experts(count=8, used=2, inner=8)) == pytest.approx(4 ** (1 / 3))
    assert expert_scale(Experts(count=8, used=8, inner=8)) == 1
    assert expert_scale(Experts(count=8, used=2, inner=8, normalised=True)) == 1
    assert expert_scale(Experts(count=8, used=2, inner=8, router="sigmoid")) == 1


@pytest.mark.parametrize(
    "experts",
    [
        pytest.param(Experts(count=3, used=3, inner=96), id="all of a softmax"),
        pytest.param(Experts(count=5, used=2, inner=96, normalised=True), id="some, normalised"),
        pytest.param(Experts(count=4, used=1, inner=96, router="sigmoid", normalised=True), id="one, normalised"),
    ],
)
def test_it_is_the_dense_model_where_scores_sum_to_one(experts: Experts) -> None:
    dense = logits_of(RandomWeights(DENSE))
    torch.testing.assert_close(logits_of(upcycled(experts)), dense, rtol=1e-4, atol=1e-4)
    # Not because experts do nothing.
    assert not torch.allclose(logits_of(upcycled(experts, scale=0.5)), dense, rtol=1e-1, atol=1e-1)


def test_with_the_papers_settings_it_is_near_the_dense_model() -> None:
    """One shared expert and one of 16. Far nearer than without the shared expert, or with the scale left out."""
    dense = logits_of(RandomWeights(DENSE))
    experts = experts_of(DENSE, 16, 1, shared=True)
    near = divergence(dense, logits_of(upcycled(experts)))
    assert near < 0.01
    assert near < 0.7 * divergence(dense, logits_of(upcycled(experts, scale=1.0)))
    assert near < 0.1 * divergence(dense, logits_of(upcycled(experts_of(DENSE, 16, 1), scale=1.0)))


@pytest.mark.parametrize("router", ROUTERS)
def test_every_tensor_is_what_the_formula_says(router: Router) -> None:
    experts, layers = experts_of(DENSE, 3, 2, shared=True, router=router), [1, 3]
    source = upcycled(experts, layers)
    dense = {name: tensor.numpy() for name, tensor in random_tensors(DENSE).items()}
    found = {name.name: read_tensor(source, name).numpy() for name in source.names}
    assert [layer.feed_forward for layer in source.config.layers] == ["dense", "moe", "dense", "moe"]
    assert {name.name for name in tensor_names(source.config)} == set(found)
    for name, tensor in found.items():
        copied = re.sub(r"experts\.\d\.|shared_expert\.", "", name)
        if "router" in name:
            continue
        scale = expert_scale(experts) if copied != name else 1.0
        assert np.array_equal(tensor, dense[copied] * np.float32(scale)), name
    # And the reference model reads it as formulas do.
    expected = Oracle(source.config, {name: tensor.astype(np.float64) for name, tensor in found.items()}).logits(TOKENS.numpy())
    np.testing.assert_allclose(logits_of(source).numpy(), expected, rtol=1e-3, atol=1e-3)


def test_routers_come_from_the_seed() -> None:
    def routers(seed: int) -> list[torch.Tensor]:
        source = upcycled(experts_of(DENSE, 64, 2), seed=seed)
        return [read_tensor(source, name) for name in source.names if name.name.endswith("router.weight")]

    once, again, other = routers(7), routers(7), routers(8)
    assert all(torch.equal(one, two) for one, two in zip(once, again, strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(once, other, strict=True))
    assert len({one.sum().item() for one in once}) == len(once)
    drawn = torch.stack(once)
    assert drawn.mean().item() == pytest.approx(0.0, abs=1e-3)
    assert drawn.std().item() == pytest.approx(0.02, rel=0.05)


def test_what_cannot_be_upcycled_is_refused() -> None:
    experts = experts_of(DENSE, 4, 1)
    config = upcycled_config(DENSE, experts, [0])
    with pytest.raises(ConfigError, match="source must be a model without experts; it is 'dense'"):
        upcycled_config(config, experts, [1])
    with pytest.raises(ConfigError, match="layer with experts must be an integer from 0 to 3; it is 4"):
        upcycled_config(DENSE, experts, [4])
    with pytest.raises(ConfigError, match="layers with experts must be at least one"):
        upcycled_config(DENSE, experts, [])


def test_the_routers_offered_are_those_there_are() -> None:
    assert get_args(Router) == ROUTERS


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "dense"
    write_config(folder, SEVEN)
    write_weights(folder, random_tensors(SEVEN))
    write_tokenizer(folder)
    return folder


ARGUMENTS = ["--experts", "4", "--used", "1", "--shared", "--every", "2", "--dense", "4", "--seed", "5", "--type", "f32"]


def test_the_command_writes_what_is_read_back_the_same(checkpoint: Path, tmp_path: Path) -> None:
    gguf, folder = tmp_path / "moe.gguf", tmp_path / "moe"
    assert main(["export", str(checkpoint), str(tmp_path / "dense.gguf"), "--type", "f32"]) == 0
    assert main(["upcycle", str(checkpoint), str(folder), *ARGUMENTS]) == 0
    assert main(["upcycle", str(tmp_path / "dense.gguf"), str(gguf), *ARGUMENTS]) == 0
    for path in (gguf, folder):
        config = open_checkpoint(path).config
        assert [layer.feed_forward for layer in config.layers] == ["dense", "moe", "dense", "dense"]
        assert config.experts == Experts(count=4, used=1, inner=96, shared_inner=96)
    expected = logits_of(upcycled(experts_of(SEVEN, 4, 1, shared=True), [1], seed=5, dense=SEVEN))
    for path in (gguf, folder):
        torch.testing.assert_close(load_model(path).logits(TOKENS), expected, rtol=1e-5, atol=1e-5)
    tokenizer = tokenizer_from_metadata(GgufFile(gguf).metadata)
    assert tokenizer is not None and tokenizer.end_of_turn == IDS["<|im_end|>"]
    assert (folder / "tokenizer.json").is_file()
    assert len(tokenizer.tokens) == VOCABULARY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--used", "5"], "--used must be at most 4 experts; it is 5"),
        (["--dense", "5"], "--dense must name layers from 1 to 4; it names 5"),
        (["--dense", "one"], "must be a whole number from 1; it is 'one'"),
        (["--seed", "-1"], "must be a whole number from 0"),
        (["--type", "q8_0"], "--type must be one of f32, f16, bf16 for a folder; it is q8_0"),
    ],
)
def test_wrong_arguments_are_named(
    checkpoint: Path, tmp_path: Path, change: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["upcycle", str(checkpoint), str(tmp_path / "out"), *ARGUMENTS, *change])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


# Peak resident bytes of a process that upcycles sys.argv[1], as in `test/gpu-backend/export/memory_test.py`.
PROGRAM = r"""
import re, sys
from pathlib import Path
from typing import get_args
from spikingbrain.cli.main import main
assert main(["upcycle", sys.argv[1], sys.argv[2], "--experts", "2", "--used", "1", "--every", sys.argv[3], "--shard-bytes", "8M"]) == 0
print(int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1)) * 1024)
"""


def test_memory_does_not_grow_with_the_experts(tmp_path: Path) -> None:
    """One of 16 layers with experts, or all of them: the output grows by half, the peak by less than a quarter of that."""
    large = replace(DENSE, hidden=512, heads=8, kv_heads=2, head_dim=64, feed_forward_inner=2_048, layers=DENSE.layers * 4)
    write_config(tmp_path / "dense", large)
    tensors = {name.name: torch.ones(name.shape, dtype=torch.bfloat16) for name in tensor_names(large)}
    save_file(tensors, tmp_path / "dense" / "model.safetensors")

    def upcycle(every: int) -> tuple[int, int]:
        out = tmp_path / f"every-{every}"
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "dense"), str(out), str(every)]
        peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        return peak, sum(path.stat().st_size for path in out.iterdir())

    (few_peak, few), (all_peak, whole) = upcycle(16), upcycle(1)
    assert whole > 1.5 * few
    assert all_peak - few_peak < 0.25 * (whole - few)

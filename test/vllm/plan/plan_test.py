"""The 76B and the 7B at their real shapes on the meta device: every rank's part of every tensor, and what fits."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.config import Config
from spikingbrain.presets import seven_billion, seventy_six_billion
from spikingbrain.rules import ConfigError
from spikingbrain.sizes import parameter_count, state_bytes
from spikingbrain_vllm.__main__ import main
from spikingbrain_vllm.plan.launch import node_commands
from spikingbrain_vllm.plan.layout import Layout, layouts
from spikingbrain_vllm.plan.memory import STEP_BYTES, UTILISATION, Pool, plan, plans
from spikingbrain_vllm.plan.slices import Slice, copies, rank_slices
from support.models import MODELS

GB = 10**9
SEVENTY_SIX, SEPARATE = seventy_six_billion(), seventy_six_billion(projections="separate")
EIGHT = [Layout(1, 8, True), Layout(2, 4, True), Layout(4, 2, True), Layout(4, 2), Layout(1, 8)]
TWO_NODES = [Layout(4, 4, True), Layout(1, 16, True), Layout(4, 4)]


def test_the_76b_has_its_parameters_at_real_shapes() -> None:
    on_meta = [torch.empty(name.shape, device="meta") for name in tensor_names(SEVENTY_SIX)]
    assert sum(tensor.numel() for tensor in on_meta) == parameter_count(SEVENTY_SIX).total == 76_055_938_560
    assert parameter_count(SEVENTY_SIX).active == 11_894_883_840


@pytest.mark.parametrize("config", [SEVENTY_SIX, SEPARATE], ids=["shared", "separate"])
@pytest.mark.parametrize("layout", [*EIGHT, *TWO_NODES], ids=str)
def test_all_ranks_together_have_every_tensor_whole(config: Config, layout: Layout) -> None:
    check_cover(config, layout)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_tiny_models_of_every_kind_are_whole_too(name: str, ranks: int) -> None:
    """Beyond the KV heads' number by repeating them: these models have two."""
    check_cover(MODELS[name], Layout(ranks))


def check_cover(config: Config, layout: Layout) -> None:
    """Slices of the real tensors, cut on the meta device, cover each of them exactly as often as there are copies."""
    layout.check(config)
    tensors = {name.name: torch.empty(name.shape, device="meta") for name in tensor_names(config)}
    parts: dict[str, list[Slice]] = {name: [] for name in tensors}
    for rank in layout.ranks():
        for part in rank_slices(config, rank):
            tensor = tensors[part.name.name]
            cut = tensor if part.dimension is None else tensor.narrow(part.dimension, part.start, part.stop - part.start)
            assert tuple(cut.shape) == part.shape
            parts[part.name.name].append(part)
    for name in tensor_names(config):
        found, times = parts[name.name], copies(config, name, layout)
        dimension = found[0].dimension
        if dimension is None:
            assert len(found) == times
            continue
        ranges = Counter((part.start, part.stop) for part in found)
        assert set(ranges.values()) == {times}, name.name
        ordered = sorted(ranges)
        assert ordered[0][0] == 0 and ordered[-1][1] == name.shape[dimension]
        assert all(left[1] == right[0] for left, right in pairwise(ordered))


@pytest.mark.parametrize("layout", [*EIGHT, *TWO_NODES], ids=str)
def test_bytes_of_all_accelerators_are_those_of_the_copies(layout: Layout) -> None:
    pool = Pool(-(-layout.accelerators // 8), 8, 80 * GB)
    found = plan(SEVENTY_SIX, pool, layout, 32_768)
    padding = sum(part.padding * SEVENTY_SIX.hidden for rank in layout.ranks() for part in rank_slices(SEVENTY_SIX, rank))
    expected = sum(copies(SEVENTY_SIX, name, layout) * torch.Size(name.shape).numel() for name in tensor_names(SEVENTY_SIX))
    assert sum(one.weight_bytes for one in found.ranks) == 2 * (expected + padding)
    # A conversation is on all tensor ranks of one data rank, and there on each KV head once, or more often beyond their number.
    whole = state_bytes(SEVENTY_SIX, 32_768, "bfloat16").total
    of_one = sum(one.state_bytes for one in found.ranks if one.rank.data == 0)
    assert of_one == whole * max(1, layout.tensor // SEVENTY_SIX.kv_heads)


@pytest.mark.parametrize(("each", "nodes"), [(80, 1), (64, 1), (80, 2)])
def test_the_76b_fits_where_it_is_said_to(each: int, nodes: int) -> None:
    pool = Pool(nodes, 8, each * GB)
    found = plans(SEVENTY_SIX, pool, 32_768, "bfloat16", "bfloat16")
    assert str(found[0].layout) == "TP 4 x DP 2 with EP" and found[0].replicas == nodes
    for one in found:
        assert one.replicas * one.layout.accelerators == pool.accelerators
        for rank in one.ranks:
            held = rank.weight_bytes + STEP_BYTES + one.ranks[0].sessions(pool.bytes_each) * rank.state_bytes
            assert held <= UTILISATION * pool.bytes_each
    assert not plans(SEVENTY_SIX, Pool(1, 4, 24 * GB), 32_768, "bfloat16", "bfloat16")


def test_a_pool_of_the_7b_is_replicas_beside_each_other() -> None:
    found = plans(seven_billion(), Pool(1, 8, 80 * GB), 32_768, "bfloat16", "bfloat16")
    assert (str(found[0].layout), found[0].replicas) == ("TP 1 x DP 1", 8)
    weights = 2 * parameter_count(seven_billion()).total
    assert found[0].largest.weight_bytes == weights
    expected = (int(80 * GB * UTILISATION) - STEP_BYTES - weights) // state_bytes(seven_billion(), 32_768, "bfloat16").total
    assert found[0].sessions_per_replica == expected
    assert layouts(seven_billion(), 8) == []


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (Layout(3), "tensor must be a divisor of the model's 28 heads; it is 3"),
        (Layout(7), "tensor must be a divisor or a multiple of the model's 4 KV heads; it is 7"),
        (Layout(4, 3, True), "tensor x data must be a divisor of the model's 16 experts; it is 12"),
        (Layout(1, 3), "tensor x data must be a divisor of experts.inner, 18944; it is 3"),
    ],
)
def test_layouts_that_the_engine_would_refuse_are_refused(layout: Layout, told: str) -> None:
    with pytest.raises(ConfigError) as found:
        layout.check(SEVENTY_SIX)
    assert str(found.value) == told


def test_a_model_without_experts_has_no_data_ranks() -> None:
    for layout in (Layout(1, 2), Layout(1, 1, True)):
        with pytest.raises(ConfigError):
            layout.check(seven_billion())


def test_each_node_has_its_command() -> None:
    two = plan(SEVENTY_SIX, Pool(2, 8, 80 * GB), Layout(4, 4, True), 131_072)
    first, second = node_commands(two, "m", 8_000, "/keys", "10.0.0.1")
    engine = first[first.index("--") + 1 :]
    assert first[:6] == ["python", "-m", "spikingbrain_vllm", "serve", "m", "--host"]
    assert engine[engine.index("--data-parallel-size-local") + 1] == "2"
    assert second[:6] == ["vllm", "serve", "m", "--headless", "--data-parallel-start-rank", "2"] and second[6:] == engine


def test_the_command_prints_what_the_plan_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "76b", "--gpus", "8x80GB", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tensor"], told["data"], told["expert_parallel"], len(told["ranks"])) == (4, 2, True, 8)
    assert told["state_file_bytes"] == state_bytes(SEVENTY_SIX, 32_768, "float32").total
    assert told["state_file_seconds"] == pytest.approx(told["state_file_bytes"] * 8 / 25e9)
    assert main(["plan", "7b", "--gpus", "1x80GB"]) == 0
    assert "--max-num-seqs 256" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["76b", "--gpus", "4x24GB"], "error: gpus must be enough for the weights and one conversation of 32768 tokens"),
        (["76b", "--gpus", "8x80GB", "--tensor", "16"], "error: tensor x data must be at most the 8 accelerators; it is 16"),
        (
            ["nothing", "--gpus", "8x80GB"],
            "error: 'nothing' must be a folder, a .gguf file, a config.json, or one of 7b, 76b, 76b-separate",
        ),
    ],
)
def test_what_cannot_be_is_named(given: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *given]) == 1
    assert told in capsys.readouterr().err


def test_wrong_accelerators_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plan", "76b", "--gpus", "8"])
    assert "argument --gpus: must be accelerators of a node and the memory of each, such as 8x80GB; it is '8'" in capsys.readouterr().err


def test_a_larger_vocabulary_is_padded_as_vllm_pads_it() -> None:
    odd = replace(MODELS["seven"], vocabulary=500)
    parts = [part for rank in Layout(2).ranks() for part in rank_slices(odd, rank) if part.name.name == "lm_head.weight"]
    assert [(part.start, part.stop, part.padding) for part in parts] == [(0, 256, 0), (256, 500, 12)]

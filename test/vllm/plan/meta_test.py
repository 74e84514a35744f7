"""The plan against what vLLM itself would hold: the 76B at real shapes on the meta device, one rank after the other."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from spikingbrain.config import Config
from spikingbrain.hugging_face import to_hugging_face
from spikingbrain.presets import seven_billion, seventy_six_billion
from spikingbrain_vllm.model import SpikingBrainForCausalLM
from spikingbrain_vllm.plan.layout import Layout, Rank
from spikingbrain_vllm.plan.slices import rank_slices
from vllm.config import VllmConfig, set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers.fused_moe.expert_map_manager import ExpertMapManager


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[parallel_state.GroupCoordinator]]:
    """Of one process, which each test makes say that it is a rank of several."""
    place = tmp_path_factory.mktemp("store") / "of-one"
    with set_current_vllm_config(VllmConfig()):
        parallel_state.init_distributed_environment(1, 0, f"file://{place}", 0, "gloo")
        parallel_state.initialize_model_parallel(1, 1)
    yield [parallel_state.get_tp_group(), parallel_state.get_ep_group()]
    parallel_state.destroy_model_parallel()  # type: ignore[no-untyped-call]
    parallel_state.destroy_distributed_environment()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("config", "tensor", "expert_parallel"),
    [
        (seventy_six_billion(), 1, False),
        (seventy_six_billion(), 2, True),
        (seventy_six_billion(), 4, True),
        (seventy_six_billion(projections="separate"), 4, False),
        (seven_billion(), 1, False),
        (seven_billion(), 4, False),
    ],
    ids=["76b", "76b TP 2 EP", "76b TP 4 EP", "76b separate TP 4", "7b", "7b TP 4"],
)
def test_every_rank_holds_what_the_plan_says(
    config: Config,
    tensor: int,
    expert_parallel: bool,
    groups: list[parallel_state.GroupCoordinator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # For a line of the log it asks for the numbers of experts, which the meta device has not.
    monkeypatch.setattr(ExpertMapManager, "get_compressed_map_string", lambda self: "")
    (tmp_path / "config.json").write_text(json.dumps(to_hugging_face(config) | {"torch_dtype": "bfloat16"}))
    vllm_config = EngineArgs(
        model=str(tmp_path),
        skip_tokenizer_init=True,
        load_format="dummy",
        enforce_eager=True,
        max_model_len=4_096,
        tensor_parallel_size=tensor,
        enable_expert_parallel=expert_parallel,
        distributed_executor_backend="mp",
    ).create_engine_config()
    for rank in Layout(tensor, 1, expert_parallel).ranks():
        for group in groups:
            monkeypatch.setattr(group, "world_size", tensor)
            monkeypatch.setattr(group, "rank_in_group", rank.tensor)
        vllm_config.compilation_config.static_forward_context.clear()
        with set_current_vllm_config(vllm_config), torch.device("meta"):
            model = SpikingBrainForCausalLM(vllm_config=vllm_config)
        held = {name: parameter.numel() for name, parameter in model.named_parameters()}
        assert by_layer(held) == planned(config, rank)


def planned(config: Config, rank: Rank) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in rank_slices(config, rank):
        place = place_of(part.name.name)
        found[place] = found.get(place, 0) + part.elements
    return found


def by_layer(held: dict[str, int]) -> dict[str, int]:
    """Feed-forward and mixer of each layer apart; vLLM holds some tensors of a checkpoint in one."""
    found: dict[str, int] = {}
    for name, count in held.items():
        found[place_of(name)] = found.get(place_of(name), 0) + count
    return found


def place_of(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:4]) if parts[1] == "layers" else name

"""Folders in every form hold the same model, and whatever is wrong with one is said by name."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.checkpoint.source import WeightSource, read_tensor, row_chunks
from spikingbrain.config import LearnedGate
from support.checkpoint_files import Tensors, merged_gates, random_tensors, write_config, write_index, write_weights
from support.checkpoint_models import CONFIGS, SEVEN, SHARED

GATE = "model.layers.0.attn.gk_proj"


def read_all(source: WeightSource) -> Tensors:
    return {name.name: read_tensor(source, name) for name in source.names}


def assert_same(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor.to(torch.float32), rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_file_form(tmp_path: Path, name: str, suffix: str, shards: int, index: bool) -> None:
    config = CONFIGS[name]
    tensors = random_tensors(config)
    write_config(tmp_path, config)
    write_weights(tmp_path, tensors, suffix, shards, index)
    source = open_checkpoint(tmp_path)
    assert source.config == config
    assert_same(read_all(source), tensors)


def test_the_released_names() -> None:
    """`gpu-backend/docs/model.md#104-tensor-names`, spelled out: a change of the table must not go unseen."""
    linear = ["attn_norm.weight", "mlp_norm.weight", "attn.o_proj.weight", "attn.g_norm.weight", "attn.gk_proj.0.weight"]
    linear += ["attn.gk_proj.1.weight", "attn.gk_proj.1.bias"]
    linear += [f"attn.{kind}_proj.{part}" for kind in "qkv" for part in ("weight", "bias")]
    linear += [f"mlp.{kind}_proj.weight" for kind in ("gate", "up", "down")]
    window = [name for name in linear if "gk_proj" not in name and "g_norm" not in name]
    expected = {"model.embeddings.weight", "model.norm.weight", "lm_head.weight"}
    for layer in range(4):
        expected |= {f"model.layers.{layer}.{name}" for name in (window if layer % 2 else linear)}
    assert random_tensors(SEVEN).keys() == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_other_types_come_as_f32(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    tensors = random_tensors(SEVEN, dtype)
    write_config(tmp_path, SEVEN, torch_dtype=str(dtype))
    write_weights(tmp_path, tensors, suffix, 2)
    assert_same(read_all(open_checkpoint(tmp_path)), tensors)


def test_files_of_old_torch_are_read(tmp_path: Path) -> None:
    tensors = random_tensors(SEVEN)
    write_config(tmp_path, SEVEN)
    torch.save(tensors, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert_same(read_all(open_checkpoint(tmp_path)), tensors)


def test_a_merged_gate_is_found_by_its_name(tmp_path: Path) -> None:
    tensors = merged_gates(random_tensors(SEVEN))
    write_config(tmp_path, SEVEN)
    write_weights(tmp_path, tensors)
    source = open_checkpoint(tmp_path)
    assert source.config.linear is not None
    assert source.config.linear.gate == LearnedGate(rank=None)
    assert_same(read_all(source), tensors)


def test_the_gate_has_the_rank_of_its_tensors(tmp_path: Path) -> None:
    assert SEVEN.linear is not None
    config = replace(SEVEN, linear=replace(SEVEN.linear, gate=LearnedGate(rank=5)))
    write_config(tmp_path, SEVEN)
    write_weights(tmp_path, random_tensors(config))
    assert open_checkpoint(tmp_path).config == config


def test_rows_in_any_ranges_are_the_tensor(tmp_path: Path) -> None:
    write_config(tmp_path, SEVEN)
    write_weights(tmp_path, random_tensors(SEVEN))
    source = open_checkpoint(tmp_path)
    for name in source.names:
        whole = read_tensor(source, name)
        parts = [source.rows(name, start, stop) for start, stop in row_chunks(name, values=1_000)]
        assert torch.equal(torch.cat(parts), whole)


def test_a_tied_head_may_be_stored_but_must_be_the_embedding(tmp_path: Path) -> None:
    tensors = random_tensors(SHARED)
    tensors["lm_head.weight"] = tensors["model.embeddings.weight"].clone()
    write_config(tmp_path, SHARED)
    write_weights(tmp_path, tensors)
    assert "lm_head.weight" not in read_all(open_checkpoint(tmp_path))
    tensors["lm_head.weight"][3, 5] += 1
    write_weights(tmp_path, tensors)
    with pytest.raises(CheckpointError, match=r"tied_head must be false where 'lm_head.weight' differs from 'model.embeddings.weight'"):
        open_checkpoint(tmp_path)


def test_rotary_frequencies_are_left_out_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_config(tmp_path, SEVEN)
    write_weights(tmp_path, random_tensors(SEVEN) | {"model.layers.1.attn.rotary.inv_freq": torch.ones(8)})
    with caplog.at_level(logging.INFO):
        open_checkpoint(tmp_path)
    assert "'model.layers.1.attn.rotary.inv_freq' is left out" in caplog.text


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    tensors = random_tensors(SEVEN)
    del tensors["model.layers.1.attn.q_proj.bias"], tensors["model.norm.weight"]
    tensors["model.layers.2.mlp.up_proj.weight"] = torch.zeros(95, 64)
    tensors["model.layers.4.mlp_norm.weight"] = torch.zeros(64)
    write_config(tmp_path, SEVEN)
    write_weights(tmp_path, tensors)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(tmp_path)
    assert str(caught.value).split("\n") == [
        f"{tmp_path}: 4 problems",
        "  tensor 'model.layers.1.attn.q_proj.bias' [64] is missing",
        "  tensor 'model.norm.weight' [64] is missing",
        "  tensor 'model.layers.2.mlp.up_proj.weight' must have shape [96, 64]; it has [95, 64] (model.safetensors)",
        "  tensor 'model.layers.4.mlp_norm.weight' [64] has no place in this model (model.safetensors)",
    ]


def test_a_long_list_of_problems_is_cut_and_counted(tmp_path: Path) -> None:
    write_config(tmp_path, SEVEN)
    write_weights(tmp_path, {f"x{number}": torch.zeros(1) for number in range(30)})
    with pytest.raises(CheckpointError, match=r"problems\n(.*\n){20}  and \d+ more$"):
        open_checkpoint(tmp_path)


def _in_two_files(folder: Path) -> None:
    save_file(load_file(folder / "model.safetensors"), folder / "another.safetensors")


def _integers(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {f"{GATE}.1.bias": tensors[f"{GATE}.1.bias"].to(torch.int8)}, folder / "model.safetensors")


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def _index_of_nothing(folder: Path) -> None:
    write_index(folder, "model.safetensors.index.json", {})


def _index_of_elsewhere(folder: Path) -> None:
    write_index(folder, "model.safetensors.index.json", {"a": "../model.safetensors", "b": "gone.safetensors"})


def _wrong_index(folder: Path) -> None:
    write_index(folder, "model.safetensors.index.json", {"model.norm.weight": "model.safetensors", "ghost": "model.safetensors"})


def _lost_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00002-of-00003.safetensors")


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _code_in_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": _Code()}, folder / "pytorch_model.bin")


def _not_tensors(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": 3}, folder / "pytorch_model.bin")


class _Code:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("/nowhere"),)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_in_two_files, r"must be in one file; it is in another.safetensors and model.safetensors"),
        (_integers, r"tensor 'model.layers.0.attn.gk_proj.1.bias' must be one of float32, float16, bfloat16, float64; it is int8"),
        (_cut, r"model.safetensors cannot be read as safetensors"),
        (_index_of_nothing, r"weight_map must be an object of file names"),
        (_index_of_elsewhere, r"2 problems\n  '../model.safetensors' must be a file beside it\n  'gone.safetensors' must be"),
        (_wrong_index, r"tensor 'ghost' must be in model.safetensors; it is missing"),
        (_lost_shard, r"2 problems\n  model-00001-of-00003.safetensors is missing\n  model-00003-of-00003.safetensors is missing"),
        (_no_weights, r"has no weights: neither \*.safetensors nor pytorch_model\*.bin"),
        (_no_config, r"has no config.json"),
        (
            _code_in_pickle,
            r"pytorch_model.bin cannot be read as a dictionary of tensors: .*; it names '__builtin__.getattr', which was not run",
        ),
        (_not_tensors, r"pytorch_model.bin cannot be read as a dictionary of tensors: it must hold tensors by name; at .* it holds"),
    ],
)
def test_refusals(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    write_config(tmp_path, SEVEN)
    write_weights(tmp_path, random_tensors(SEVEN))
    spoil(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        read_all(open_checkpoint(tmp_path))


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"must be a folder with config.json and weights, or a .gguf file; it is not there"):
        open_checkpoint(tmp_path / "nothing")

"""Writes checkpoints of random weights in every form that is read, as other programs write them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.config import Config
from spikingbrain.hugging_face import to_hugging_face
from support.checkpoint_models import write_json

Tensors = dict[str, torch.Tensor]


def random_tensors(config: Config, dtype: torch.dtype = torch.float32) -> Tensors:
    """All tensors of a model, by their name in a folder."""
    source = RandomWeights(config)
    return {name.name: read_tensor(source, name, dtype) for name in source.names}


def write_config(folder: Path, config: Config, **changes: object) -> None:
    """A config.json; `changes` replace its fields."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", to_hugging_face(config) | changes)


def write_weights(folder: Path, tensors: Tensors, suffix: str = ".safetensors", shards: int = 1, index: bool = True) -> list[Path]:
    """The tensors dealt out to so many files. Deals one to each file after another, so that every file has parts of every layer."""
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    dealt: list[Tensors] = [dict(list(tensors.items())[shard::shards]) for shard in range(shards)]
    numbers = [""] if shards == 1 else [f"-{number:05d}-of-{shards:05d}" for number in range(1, shards + 1)]
    paths = [folder / f"{stem}{number}{suffix}" for number in numbers]
    for path, part in zip(paths, dealt, strict=True):
        if suffix == ".safetensors":
            save_file(part, path)
        else:
            torch.save(part, path)
    if shards > 1 and index:
        weight_map = {name: path.name for path, part in zip(paths, dealt, strict=True) for name in part}
        write_index(folder, f"{stem}{suffix}.index.json", weight_map)
    return paths


def write_index(folder: Path, name: str, weight_map: Mapping[str, str]) -> None:
    write_json(folder / name, {"metadata": {}, "weight_map": dict(weight_map)})


def merged_gates(tensors: Tensors) -> Tensors:
    """The same model with each gate as one matrix, `B A`, as the W8ASpike checkpoint has it."""
    merged = dict(tensors)
    for name in [name for name in tensors if name.endswith("gk_proj.0.weight")]:
        stem = name.removesuffix(".0.weight")
        merged[f"{stem}.weight"] = merged.pop(f"{stem}.1.weight") @ merged.pop(name)
        merged[f"{stem}.bias"] = merged.pop(f"{stem}.1.bias")
    return merged

"""Writes a source of weights as a Hugging Face folder with the names of `spikingbrain.checkpoint.names`, which upstream's code accepts
for the models it has."""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.source import WeightSource, read_tensor
from spikingbrain.checkpoint.tokenizer import TOKENIZER_FILES
from spikingbrain.config import Config
from spikingbrain.hugging_face import to_hugging_face

from .files import Progress, no_progress
from .safetensors_writer import PlannedTensor, write_safetensors


def stored_tensors(source: WeightSource, dtype: torch.dtype) -> list[PlannedTensor]:
    """All tensors of the source in one type."""
    return [PlannedTensor(name.name, name.shape, dtype, partial(read_tensor, source, name, dtype)) for name in source.names]


def write_hugging_face(
    config: Config,
    tensors: Sequence[PlannedTensor],
    out: Path,
    tokenizer_from: Path | None = None,
    shard_bytes: int | None = None,
    progress: Progress = no_progress,
) -> list[Path]:
    """Writes `config.json`, `generation_config.json`, the tensors, and the tokenizer files of the folder `tokenizer_from`.

    `out` must be new or empty, so that no older shard is taken for one of this model's.
    """
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise CheckpointError(f"{out} must be a new or an empty folder; it holds {next(out.iterdir()).name!r}")
    written = write_safetensors(tensors, out, shard_bytes, progress)
    content = to_hugging_face(config) | {"torch_dtype": str(tensors[0].dtype).removeprefix("torch.")}
    if content["model_type"] == "gla_swa":
        # What upstream's vLLM plugin finds its model class by (`gpu-backend/docs/model.md#106-upstreams-own-programs`).
        content["architectures"] = ["GLAswaForCausalLM"]
    written.append(_write_json(out / "config.json", content))
    if config.end_tokens:
        generation = {"bos_token_id": config.bos, "eos_token_id": list(config.end_tokens)}
        written.append(_write_json(out / "generation_config.json", {key: value for key, value in generation.items() if value is not None}))
    for name in TOKENIZER_FILES if tokenizer_from is not None else ():
        if tokenizer_from is not None and (tokenizer_from / name).is_file():
            written.append(Path(shutil.copyfile(tokenizer_from / name, out / name)))
    return written


def _write_json(path: Path, content: dict[str, object]) -> Path:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path

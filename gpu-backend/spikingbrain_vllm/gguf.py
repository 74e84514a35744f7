"""A GGUF file served by vLLM, which reads none: a folder that looks like a Hugging Face one and holds the file, and a loader of its own."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from spikingbrain.checkpoint.fast_tokenizer import write_fast_tokenizer
from spikingbrain.checkpoint.gguf_file import SHARD, GgufFile
from spikingbrain.checkpoint.opening import find_tokenizer
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.hugging_face import to_hugging_face
from torch import Tensor, nn
from vllm.config import ModelConfig
from vllm.config.load import LoadConfig
from vllm.model_executor.model_loader.base_loader import BaseModelLoader

LOAD_FORMAT = "spikingbrain_gguf"


def write_gguf_folder(file: Path, folder: Path) -> Path:
    """`config.json`, `generation_config.json` and the tokenizer of a GGUF, and a link to it (of a sharded one, to each shard), in a new
    folder. Raises `CheckpointError` or `ConfigError` for what is no model's file."""
    source = GgufFile(file)
    folder.mkdir(parents=True)
    config = to_hugging_face(source.config) | {"torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    ends = {"eos_token_id": list(source.config.end_tokens)} if source.config.end_tokens else {}
    (folder / "generation_config.json").write_text(json.dumps(ends) + "\n", encoding="utf-8")
    tokenizer = find_tokenizer(file, source)
    if tokenizer is not None:
        write_fast_tokenizer(tokenizer, folder)
    sharded = SHARD.match(file.name)
    for shard in sorted(file.parent.glob(f"{sharded[1]}-*-of-{sharded[3]}.gguf")) if sharded else [file]:
        (folder / shard.name).symlink_to(shard.resolve())
    return folder


def gguf_of(folder: Path) -> Path | None:
    """The file of such a folder, of a sharded one the first; None where there is none."""
    return next(iter(sorted(folder.glob("*.gguf"))), None) if folder.is_dir() else None


@runtime_checkable
class SupportsWeights(Protocol):
    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """See `SpikingBrainForCausalLM`."""


class GgufLoader(BaseModelLoader):
    """Tensor by tensor; beside the model one is in memory."""

    def __init__(self, load_config: LoadConfig) -> None:
        super().__init__(load_config)

    def download_model(self, model_config: ModelConfig) -> None:
        """The file is there."""

    def load_weights(self, model: nn.Module, model_config: ModelConfig) -> None:
        """See `BaseModelLoader`."""
        file = gguf_of(Path(model_config.model))
        if file is None:
            raise ValueError(f"model must be a folder with a .gguf file for the load format {LOAD_FORMAT}; it is {model_config.model}")
        assert isinstance(model, SupportsWeights)
        model.load_weights(_tensors(GgufFile(file)))


def _tensors(source: GgufFile) -> Iterator[tuple[str, Tensor]]:
    for name in source.names:
        yield name.name, read_tensor(source, name)

"""Opens whatever a model may be stored as."""

from dataclasses import replace
from pathlib import Path

from spikingbrain.config import Config, SpikingMode
from spikingbrain.hugging_face import from_hugging_face
from spikingbrain.hugging_face.transformer import is_transformer

from .errors import CheckpointError, naming
from .gguf_file import GgufFile
from .gguf_tokenizer import tokenizer_from_metadata
from .hugging_face_folder import HuggingFaceFolder
from .json_file import read_object
from .source import WeightSource
from .tokenizer import Tokenizer, has_tokenizer, read_tokenizer
from .transformer_names import transformer_name


def open_checkpoint(path: Path, spikes: SpikingMode | None = None, k: float | None = None) -> WeightSource:
    """A Hugging Face folder, of ours or of an ordinary Transformer, or a `.gguf` file. `spikes` and `k` replace the config's; the mode
    decides which weights of a W8ASpike folder are rounded, too: see `HuggingFaceFolder`."""
    if path.is_dir():
        config_file = path / "config.json"
        if not config_file.is_file():
            raise CheckpointError(f"{path} has no config.json")
        values = read_object(config_file)
        with naming(config_file.parent):
            config = with_spikes(from_hugging_face(values), spikes, k)
        if is_transformer(values):
            return HuggingFaceFolder(path, config, config.spiking.mode, transformer_name)
        return HuggingFaceFolder(path, config, config.spiking.mode)
    if path.is_file() and path.suffix == ".gguf":
        file = GgufFile(path)
        file.config = with_spikes(file.config, spikes, k)
        return file
    raise CheckpointError(f"{path} must be a folder with config.json and weights, or a .gguf file; it is {_what(path)}")


def with_spikes(config: Config, spikes: SpikingMode | None, k: float | None) -> Config:
    """The config of a run with these choices, the config's own where they are None; a k is that of every site."""
    spiking = config.spiking
    if k is not None:
        spiking = replace(spiking, k=k, site_k=())
    return replace(config, spiking=replace(spiking, mode=spikes or spiking.mode))


def find_tokenizer(path: Path, source: WeightSource) -> Tokenizer | None:
    """The tokenizer of a checkpoint, or of a folder that has only one, for a model with the source's vocabulary. `source` is the checkpoint
    or what was made of it."""
    if path.is_file() and path.suffix == ".gguf":
        file = source if isinstance(source, GgufFile) else GgufFile(path)
        with naming(path):
            return tokenizer_from_metadata(file.metadata)
    with naming(path):
        return read_tokenizer(path, source.config.vocabulary) if has_tokenizer(path) else None


def _what(path: Path) -> str:
    return "another file" if path.exists() else "not there"

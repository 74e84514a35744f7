"""Opens whatever a model may be stored as."""

from pathlib import Path

from spikingbrain.config import SpikingMode
from spikingbrain.hugging_face import from_hugging_face

from .errors import CheckpointError
from .gguf_file import GgufFile
from .hugging_face_folder import HuggingFaceFolder
from .json_file import read_object
from .source import WeightSource


def open_checkpoint(path: Path, spikes: SpikingMode = "released") -> WeightSource:
    """A Hugging Face folder or a `.gguf` file. `spikes` matters to W8ASpike folders only, see `HuggingFaceFolder`."""
    if path.is_dir():
        config_file = path / "config.json"
        if not config_file.is_file():
            raise CheckpointError(f"{path} has no config.json")
        return HuggingFaceFolder(path, from_hugging_face(read_object(config_file)), spikes)
    if path.is_file() and path.suffix == ".gguf":
        return GgufFile(path)
    raise CheckpointError(f"{path} must be a folder with config.json and weights, or a .gguf file; it is {_what(path)}")


def _what(path: Path) -> str:
    return "another file" if path.exists() else "not there"

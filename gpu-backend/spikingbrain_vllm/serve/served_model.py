"""What `serve MODEL` means: a folder that vLLM loads, and who the model is."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.gguf_file import SHARD
from spikingbrain.checkpoint.opening import find_tokenizer, open_checkpoint
from spikingbrain.sizes import parameter_count
from spikingbrain.state.fingerprint import fingerprint

from spikingbrain_vllm.serve.digests import tokenizer_digest, weights_digest
from spikingbrain_vllm.serve.options import Options

_ID = re.compile(r"[\w.-]{1,200}")
NO_TOKENIZER = "0" * 64
"""The digest of a model without one."""


@dataclass(frozen=True)
class ServedModel:
    folder: Path
    """With a `config.json`, as vLLM wants it."""
    id: str
    digest: str
    tokenizer_digest: str
    fingerprint: str
    """What decides a state's meaning (`spikingbrain.state.fingerprint`)."""
    parameters: int
    vocabulary: int
    has_tokenizer: bool
    load_format: str | None
    """Of vLLM; None: as the folder says."""


def resolve(options: Options, run_folder: Path) -> ServedModel:
    """Folders that must be written for it lie in `run_folder`. Raises CheckpointError, ConfigError or OSError that names what is wrong."""
    path = _find(options.model)
    source = open_checkpoint(path)
    folder, load_format = path, None
    if path.suffix == ".gguf":
        # Here because it needs vLLM, which is not there where only arguments are wrong.
        from spikingbrain_vllm.gguf import LOAD_FORMAT, write_gguf_folder

        folder, load_format = write_gguf_folder(path, run_folder / "model"), LOAD_FORMAT
    tokenizer = find_tokenizer(path, source)
    known = NO_TOKENIZER if tokenizer is None else tokenizer_digest(tokenizer)
    return ServedModel(
        folder=folder,
        id=options.served_id or (options.model if path.name != options.model and _ID.fullmatch(options.model) else path.stem),
        digest=options.weights_sha256 or weights_digest(_weights(path)),
        tokenizer_digest=options.tokenizer_sha256 or known,
        fingerprint=fingerprint(source.config).hex(),
        parameters=parameter_count(source.config).total,
        vocabulary=source.config.vocabulary,
        has_tokenizer=tokenizer is not None,
        load_format=load_format,
    )


def model_cache() -> Path:
    """Where set-up keeps the models that it makes (`infra/local/paths.ts`)."""
    configured = os.environ.get("SPIKINGBRAIN_CACHE")
    return Path(configured) if configured else Path(__file__).parents[3] / ".cache" / "spikingbrain"


def _find(model: str) -> Path:
    path = Path(model)
    if path.exists() or not _ID.fullmatch(model):
        return path
    made = model_cache() / f"{model}.gguf"
    if made.is_file():
        return made
    ids = ", ".join(sorted(file.stem for file in model_cache().glob("*.gguf"))) or "none yet (`npm run setup` makes them)"
    raise CheckpointError(f"MODEL must be a folder, a .gguf file, or the id of a model that set-up has made ({ids}); it is {model!r}")


def _weights(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.safetensors")) or sorted(path.glob("pytorch_model*.bin"))
    sharded = SHARD.match(path.name)
    return sorted(path.parent.glob(f"{sharded[1]}-*-of-{sharded[3]}.gguf")) if sharded else [path]

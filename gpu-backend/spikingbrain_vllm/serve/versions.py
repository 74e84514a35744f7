"""Of the programs that a replica is made of."""

import platform
from importlib.metadata import version

import torch


def versions() -> dict[str, str]:
    import vllm

    return {
        "spikingbrain": version("spikingbrain"),
        "vllm": vllm.__version__,
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "python": platform.python_version(),
    }

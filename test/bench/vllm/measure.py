"""One program of the suite: `measure.py KIND SETTINGS-JSON`, in vLLM's environment. KIND is `model`, `softmax` or `states`; prints one JSON
array as the last line."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from spikingbrain.config import Config
from spikingbrain_vllm.verify.models import seven_like, write_config, write_softmax_twin
from spikingbrain_vllm.verify.speed import measure_speed
from spikingbrain_vllm.verify.states import measure_states


def measure(kind: str, settings: dict[str, Any], place: Path) -> list[dict[str, float]]:
    config, dtype = model(settings), settings["dtype"]
    choices: dict[str, Any] = {"dtype": dtype, "enforce_eager": True, "rounds": settings["rounds"]}
    if kind == "states":
        return measure_states(write_config(config, place, dtype), config, settings["stateLengths"], **choices)
    folder = write_softmax_twin(config, place, dtype) if kind == "softmax" else write_config(config, place, dtype)
    decoded, batch = settings["decoded"], settings["batch"]
    return measure_speed(folder, config.vocabulary, settings["lengths"], decoded=decoded, batch=batch, **choices)


def model(settings: dict[str, Any]) -> Config:
    return seven_like(
        hidden=settings["hidden"],
        heads=settings["heads"],
        kv_heads=settings["kvHeads"],
        head_dim=settings["headDim"],
        layers=settings["layers"],
        inner=settings["inner"],
        vocabulary=settings["vocabulary"],
        window=settings["window"],
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(measure(sys.argv[1], json.loads(sys.argv[2]), Path(directory) / "model")))

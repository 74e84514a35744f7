"""Prints what `gpu-backend` says of the published models, in the words of the catalog (`workers/contracts/model-files.ts`)."""

import json
from dataclasses import fields

from spikingbrain.config import Config, EvictedTokens, Layer
from spikingbrain.presets import seven_billion, seventy_six_billion
from spikingbrain.sizes import KeyValueType, parameter_count, state_bytes

CONTEXTS = (0, 1, 100, 4_096, 4_097, 4_225, 131_072)
KINDS: dict[str, KeyValueType] = {"f32": "float32", "bf16": "bfloat16", "int8": "int8"}


def form(config: Config) -> dict[str, object]:
    kinds: dict[tuple[str, str], int] = {}
    for layer in config.layers:
        kind = (layer.mixer_name, layer.feed_forward)
        kinds[kind] = kinds.get(kind, 0) + 1
    return {
        "layers": [{"mixer": mixer, "feedForward": feed_forward, "count": count} for (mixer, feed_forward), count in kinds.items()],
        "window": config.window,
        "keptTokens": config.kept_tokens,
        "learnedSinks": config.learned_sinks,
        "salientTokens": None if config.evicted is None else config.evicted.salient,
        "kvHeads": config.kv_heads,
        "headDim": config.head_dim,
    }


def described(config: Config) -> dict[str, object]:
    states = {name: [[context, state_bytes(config, context, kind).total] for context in CONTEXTS] for name, kind in KINDS.items()}
    return {"form": form(config), "parameters": parameter_count(config).total, "contextLength": config.context, "states": states}


def evicting() -> Config:
    """One whose windows hand their tokens on, with kept ones, as the built-in model has."""
    return Config(
        hidden=64,
        heads=4,
        kv_heads=2,
        head_dim=16,
        vocabulary=100,
        feed_forward_inner=64,
        layers=(Layer(mixer=("evicted",)), Layer(mixer=("full",))),
        window=512,
        kept_tokens=4,
        evicted=EvictedTokens(**dict.fromkeys((field.name for field in fields(EvictedTokens)), 256)),
    )


if __name__ == "__main__":
    models = {"spikingbrain-7b": seven_billion(), "spikingbrain-76b": seventy_six_billion(), "evicting": evicting()}
    print(json.dumps({name: described(config) for name, config in models.items()}))

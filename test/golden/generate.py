"""Makes the golden vectors beside it: tiny models as GGUF files, and what the reference computes with them.

    python test/golden/generate.py [--check]

For each model and spiking mode `NAME-MODE.json` holds a text, the logits after each of its tokens, the spikes that it fires by layer and
site, a second text and the logits that follow, and what the model and its state take; `NAME-MODE.sbst` holds the state between the two.
The reference computes in f64 and rounds to f32. `--check` makes everything again in memory and compares: numbers within 1e-6, everything
else exactly.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from golden_models import GOLDEN_MODELS, GoldenModel, GoldenWeights
from spikingbrain.checkpoint.loading import load_model
from spikingbrain.config import Config, SpikingMode
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.model.model import Model
from spikingbrain.sizes import KeyValueType, parameter_count, state_bytes
from spikingbrain.spike.key_value_codes import Int8Rows
from spikingbrain.spike.telemetry import SpikeCounts, SpikeMeter
from spikingbrain.state.evicted import Evicted
from spikingbrain.state.file import StateError, load_state, save_state
from spikingbrain.state.key_values import KeyValues, Rows
from spikingbrain.state.state import LayerState, State

FOLDER = Path(__file__).parent
# More than a chunk of the linear branches and a page of the softmax ones.
TOKENS, MORE_TOKENS = 36, 4
CONTEXTS = (0, 5, 8, 9, 1_000_000)
NEAR = 1e-6


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        made, configs = {}, {}
        for name, content, config in make(Path(directory)):
            made[name], configs[name] = content, config
    stale = [name for name, content in made.items() if not is_same(FOLDER / name, content, configs[name])]
    superfluous = [path.name for path in FOLDER.iterdir() if path.suffix in (".gguf", ".json", ".sbst") and path.name not in made]
    if check:
        for name in [*stale, *superfluous]:
            print(f"test/golden/{name} is stale: run `npm run golden` and commit what it changes", file=sys.stderr)
        return 1 if stale or superfluous else 0
    for name in stale:
        (FOLDER / name).write_bytes(made[name])
    for name in superfluous:
        (FOLDER / name).unlink()
    print(f"{len(made)} files, {sum(map(len, made.values())):,} bytes; {len(stale)} written, {len(superfluous)} removed")
    return 0


def make(folder: Path) -> Iterator[tuple[str, bytes, Config]]:
    """Every file's name and bytes, and the config of its run; `folder` is for what has to be written on the way."""
    for model in GOLDEN_MODELS:
        path = folder / f"{model.name}.gguf"
        write_gguf(GoldenWeights(model), path, model.kind)
        yield path.name, path.read_bytes(), model.config
        for mode in model.modes:
            expected, state, config = run(model, path, mode)
            yield f"{model.name}-{mode}.json", (json.dumps(expected, separators=(",", ":")) + "\n").encode(), config
            yield f"{model.name}-{mode}.sbst", state, config


def run(model: GoldenModel, path: Path, mode: SpikingMode) -> tuple[dict[str, Any], bytes, Config]:
    """What the reference computes with the file; refuses a seed with which f32 rounds otherwise than f64 somewhere."""
    exact, plain = (load_model(path, spikes=mode, dtype=dtype) for dtype in (torch.float64, torch.float32))
    generator = torch.Generator().manual_seed(model.seed + 1)
    tokens, more = (torch.randint(model.config.vocabulary, (count,), generator=generator) for count in (TOKENS, MORE_TOKENS))
    logits, spikes, state, more_logits = read(exact, tokens, more)
    plain_logits, plain_spikes, *_ = read(plain, tokens, more)
    distance = float((plain_logits - logits).abs().max() / logits.abs().max())
    if plain_spikes != spikes or distance > 1e-5:
        raise ValueError(f"{path.stem} in mode {mode} needs another seed: f32 is {distance:.1e} away from f64")
    expected = {
        "model": path.name,
        "kind": model.kind,
        "mode": mode,
        "tokens": tokens.tolist(),
        "logits": shortest(logits),
        "spikes": spikes,
        "moreTokens": more.tolist(),
        "moreLogits": shortest(more_logits),
        "sizes": sizes(exact.config),
    }
    return expected, save_state(narrowed(state), exact.config), exact.config


def sizes(config: Config) -> dict[str, Any]:
    """Parameters, and bytes of the state: context, linear states, keys and values, what the next token adds."""
    parameters = parameter_count(config)

    def states(kind: KeyValueType) -> list[list[int]]:
        found = ((context, state_bytes(config, context, kind)) for context in CONTEXTS)
        return [[context, state.head, state.pages, state.per_token] for context, state in found]

    return {"parameters": parameters.total, "activeParameters": parameters.active, "f32": states("float32"), "int8": states("int8")}


def read(model: Model, tokens: torch.Tensor, more: torch.Tensor) -> tuple[torch.Tensor, list[dict[str, Any]], State, torch.Tensor]:
    meter = SpikeMeter()
    with torch.inference_mode():
        logits, state = model.step(model.new_state(), tokens, meter)
        more_logits, _ = model.step(state, more)
    layers: list[dict[str, Any]] = [{} for _ in model.config.layers]
    for (layer, site), counts in sorted(meter.counts.items()):
        layers[layer][site] = {camel_case(one.name): getattr(counts, one.name) for one in fields(SpikeCounts)}
    return logits, layers, state, more_logits


def camel_case(name: str) -> str:
    """As the engine's JSON has it."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def shortest(values: torch.Tensor) -> list[list[float]]:
    """As f32, in the shortest decimals that mean the same f32."""
    return [[float(str(value)) for value in row] for row in values.to(torch.float32).numpy()]


def narrowed(state: State) -> State:
    """The state as an f32 model has it."""
    return State(
        state.position,
        tuple(LayerState(_narrow(one.linear), _narrow_held(one.key_values), _narrow_evicted(one.evicted)) for one in state.layers),
    )


def _narrow(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(torch.float32)


def _narrow_held(held: KeyValues | None) -> KeyValues | None:
    if held is None:
        return None
    return KeyValues(_narrow_rows(held.keys), _narrow_rows(held.values), held.positions)


def _narrow_evicted(evicted: Evicted | None) -> Evicted | None:
    if evicted is None:
        return None
    salient = evicted.salient
    keys, values = _narrow_rows(salient.keys), _narrow_rows(salient.values)
    narrow = replace(salient, keys=keys, values=values, salience=salient.salience.to(torch.float32))
    return Evicted(evicted.sums.to(torch.float32), narrow)


def _narrow_rows(rows: Rows) -> Rows:
    return rows if isinstance(rows, Int8Rows) else rows.to(torch.float32)


def is_same(path: Path, content: bytes, config: Config) -> bool:
    """Whether the file holds this, up to the last digits of numbers: another processor may round them otherwise."""
    if not path.is_file():
        return False
    found = path.read_bytes()
    if found == content:
        return True
    if path.suffix == ".json":
        return is_near(json.loads(found), json.loads(content))
    return path.suffix == ".sbst" and is_near_state(found, content, config)


def is_near_state(found: bytes, made: bytes, config: Config) -> bool:
    try:
        states = [load_state(data, config, torch.float32, torch.device("cpu")) for data in (found, made)]
    except StateError:
        return False
    return states[0].position == states[1].position and all(
        one.dtype == other.dtype and torch.allclose(one.double(), other.double(), rtol=NEAR, atol=NEAR)
        for one, other in zip(*(tensors_of(state) for state in states), strict=True)
    )


def tensors_of(state: State) -> Iterator[torch.Tensor]:
    for layer in state.layers:
        if layer.linear is not None:
            yield layer.linear
        if layer.evicted is not None:
            salient = layer.evicted.salient
            yield from (layer.evicted.sums, salient.salience, salient.positions)
            yield from dense(salient.keys)
            yield from dense(salient.values)
        for rows in (layer.key_values.keys, layer.key_values.values) if layer.key_values is not None else ():
            yield from dense(rows)


def dense(rows: Rows) -> tuple[torch.Tensor, ...]:
    return (rows.codes, rows.scales) if isinstance(rows, Int8Rows) else (rows,)


def is_near(found: Any, made: Any) -> bool:  # noqa: ANN401 (JSON)
    """Whether two JSON values are the same up to the last digits of fractions."""
    if isinstance(found, dict) and isinstance(made, dict):
        return found.keys() == made.keys() and all(is_near(found[key], made[key]) for key in made)
    if isinstance(found, list) and isinstance(made, list):
        return len(found) == len(made) and all(map(is_near, found, made))
    if isinstance(found, float) and isinstance(made, float):
        return abs(found - made) <= NEAR * max(1.0, abs(made))
    return bool(found == made)


if __name__ == "__main__":
    sys.exit(main())

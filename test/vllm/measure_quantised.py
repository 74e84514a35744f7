"""What quantised weights on one side of a handover change: the built-in model reads a text with the WASM engine, and goes on in f32, or the
other way.

    gpu-backend/.venv-vllm/bin/python test/vllm/measure_quantised.py [--tokens N] [--more N]

The f32 side is the reference, whose log-probabilities vLLM's are within 1e-4 of (`test/vllm/model`). Prints the table of the record.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "gpu-backend"), str(Path(__file__).parent)]
os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np  # noqa: E402 (the paths come first)
import torch  # noqa: E402
from spikingbrain.checkpoint.fast_tokenizer import write_fast_tokenizer  # noqa: E402
from spikingbrain.checkpoint.gguf_file import GgufFile  # noqa: E402
from spikingbrain.checkpoint.loading import load_model  # noqa: E402
from spikingbrain.checkpoint.opening import find_tokenizer  # noqa: E402
from spikingbrain.export.gguf_writer import write_gguf  # noqa: E402
from spikingbrain.state.file import load_state, save_state  # noqa: E402
from support.wasm import run_wasm  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

MERGED = ROOT / ".cache" / "spikingbrain" / "spikingbrain-135m.gguf"
TEXT = ROOT / "ARCHITECTURE.md"


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=1_200)
    parser.add_argument("--more", type=int, default=200)
    arguments = parser.parse_args()
    model, source = load_model(MERGED), GgufFile(MERGED)
    tokenizer = find_tokenizer(MERGED, source)
    assert tokenizer is not None
    with tempfile.TemporaryDirectory() as place:
        write_fast_tokenizer(tokenizer, Path(place))
        encoder = Tokenizer.from_file(str(Path(place) / "tokenizer.json"))
    ids = encoder.encode(TEXT.read_text(encoding="utf-8")).ids[: arguments.tokens + arguments.more + 1]
    text, more, targets = ids[: arguments.tokens], ids[arguments.tokens : -1], torch.tensor(ids[arguments.tokens + 1 :])
    _, own = model.step(model.new_state(), torch.tensor(text))

    def f32(file: bytes | None) -> torch.Tensor:
        state = own if file is None else load_state(file, model.config, torch.float32, torch.device("cpu"))
        return model.step(state, torch.tensor(more))[0].log_softmax(dim=-1)

    alone = f32(None)

    def row(name: str, found: torch.Tensor, base: torch.Tensor) -> None:
        nll = -float(found.gather(1, targets[:, None]).mean())
        divergence = float((base.exp() * (base - found)).sum(dim=-1).mean())
        same = float((found.argmax(dim=-1) == base.argmax(dim=-1)).float().mean())
        print(f"| {name} | {nll:.4f} | {divergence:.5f} | {100 * same:.1f} % |", flush=True)

    print("| read by | gone on by | NLL | KL to the second alone | same likeliest token |\n| --- | --- | ---: | ---: | ---: |")
    row("f32 | f32", alone, alone)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "own.sbst").write_bytes(save_state(own, model.config))
        small = folder / "q4_0.gguf"
        write_gguf(source, small, "q4_0", tokenizer)
        for weights, path in (("the served file", MERGED), ("q4_0", small)):
            for kv in ("f32", "int8"):
                saved, logits = folder / f"{kv}.sbst", folder / "logits"

                def scored(file: Path = logits) -> torch.Tensor:
                    numbers = np.fromfile(file, dtype="<f4").reshape(len(more), -1)
                    return torch.from_numpy(numbers).log_softmax(dim=-1)

                run_wasm(path, text, 0, save=saved, kv=kv, score=(more, logits))
                wasm = scored()
                row(f"WASM, {weights}, {kv} rows | f32", f32(saved.read_bytes()), alone)
                row(f"WASM, {weights}, {kv} rows | the same", wasm, wasm)
                if kv == "f32":
                    # An engine that keeps int8 rows takes no others.
                    run_wasm(path, more[:0], 0, restore=folder / "own.sbst", kv=kv, score=(more, logits))
                    row(f"f32 | WASM, {weights}, {kv} rows", scored(), wasm)


if __name__ == "__main__":
    main()

"""Proves on a machine with a GPU what a CPU cannot, in under eight minutes and with no file but this repository's:
`python verify_gpu.py [--json FILE]`, in an environment with `requirements-vllm-gpu.lock`. Prints a table; the last line is one JSON object.
Exit codes: 0 all parts hold, 1 one does not, 3 there is no GPU.

1. flash-linear-attention's kernels against the reference's recurrence, in f32 and bf16.
2. Log-probabilities of a small model against the reference, in f32 and bf16, with CUDA graphs and without.
3. TTFT at 8k to 256k tokens, tokens a second of one answer and of a batch, of the 7B's shapes with drawn weights; then of a softmax model
   of the same widths.
4. Time to take a conversation's state out and to go on from it, beside reading the prompt again.

Not run on a GPU yet."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

SECONDS = 460.0
NO_GPU = 3


def main() -> int:
    parser = argparse.ArgumentParser(description="Proves on a machine with a GPU what a CPU cannot.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--part", metavar="NAME", help="one part alone, in this process")
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_ENABLE_V1_MULTIPROCESSING="0")
    os.environ.setdefault("VLLM_USE_V2_MODEL_RUNNER", "0")
    import torch

    if not torch.cuda.is_available():
        print("there is no GPU here that torch can use; nothing is proven", file=sys.stderr)
        return NO_GPU
    from spikingbrain_vllm.plugin import register
    from spikingbrain_vllm.verify.parts import PARTS, gpu_sizes
    from spikingbrain_vllm.verify.report import lines, run_parts

    if arguments.part is not None:
        register()
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps(PARTS[arguments.part](gpu_sizes(), Path(place))))
        return 0
    results = run_parts({name: [sys.executable, __file__, "--part", name] for name in PARTS}, SECONDS)
    gpu = {"name": torch.cuda.get_device_name(), "bytes": torch.cuda.get_device_properties(0).total_memory}
    whole = json.dumps({"gpu": gpu, "torch": torch.__version__, "parts": results})
    if arguments.json is not None:
        arguments.json.write_text(f"{whole}\n", encoding="utf-8")
    print("\n".join([f"{gpu['name']}, torch {torch.__version__}", *lines(results), whole]))
    return 0 if all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

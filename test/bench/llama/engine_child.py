"""llama.cpp beside the engine. Arguments: GGUF, `f16` or `q8_0` keys and values, threads, sequences. See child-participant.ts."""

import json
import re
import sys
from collections.abc import Sequence

import llama_cpp
from llama import STEP, Llama, described, timed


def measure(llama: Llama, prompt: Sequence[int], decode: int, sequences: int) -> dict[str, object]:
    """Reads the prompt, then goes on greedily, in so many sequences side by side."""
    tokens: list[int] = []

    def decoding() -> None:
        for _ in range(decode):
            tokens.append(llama.choose())
            llama.read(tokens[-1:])

    def decoding_each() -> None:
        chosen = [llama.choose()] * sequences
        for count in range(decode):
            tokens.append(chosen[0])
            llama.read_each(chosen, len(prompt) + count)
            chosen = [llama.choose(row) for row in range(sequences)]

    llama.clear()
    prefill_wall, prefill_processor = timed(lambda: llama.read(prompt))
    llama.share(sequences)
    decode_wall, decode_processor = timed(decoding if sequences == 1 else decoding_each)
    return {
        "prefillSeconds": prefill_wall,
        "decodeSeconds": decode_wall,
        "prefillProcessorSeconds": prefill_processor,
        "decodeProcessorSeconds": decode_processor,
        "tokens": tokens,
    }


def main(path: str, kv_type: str, threads: str = "1", sequences: str = "1") -> None:
    """Greets, then answers one task a line."""
    if kv_type not in ("f16", "q8_0"):
        raise SystemExit(f'keys and values must be "f16" or "q8_0"; they are "{kv_type}"')
    # Quantised values need flash attention; without them it is off, as on any processor where it gains nothing.
    quantised = kv_type == "q8_0"
    llama = Llama(path, None, threads=int(threads), flash_attention=quantised, kv_type=kv_type, sequences=int(sequences))
    attention = "flash attention" if quantised else "no flash attention"
    counted = "one thread" if threads == "1" else f"{threads} threads"
    features = " ".join(re.findall(r"(\w+) = 1", llama_cpp.llama_print_system_info().decode()))
    description = described(
        f"{counted}, {kv_type} keys and values, {attention}, {STEP} prompt tokens a step, compiled with {features}",
    )
    print(json.dumps({"description": description, "contextLength": llama.longest}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(measure(llama, task["prompt"], task["decode"], task.get("sequences", 1))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

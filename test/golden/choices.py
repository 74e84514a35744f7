"""Makes `choices/choices.json`: logits, settings and texts, and the tokens that are chosen of them. The WASM engine and the reference must
both choose these, bit for bit; `--check` compares instead of writing.

Logits are not in the file: of a row with seed S and scale C, number i is `C * u * u * u`, computed in f64 from the left and rounded to f32,
where u is the i-th number of SplitMix64 of S, from -1 to 1; some are then replaced by numbers that are given as their 32 bits.
"""

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikingbrain.sampling.choose import NONE, choose
from spikingbrain.sampling.draws import uniform
from spikingbrain.sampling.settings import MOST_SEED, Sampling
from spikingbrain.sampling.tally import Tally

FILE = Path(__file__).parent / "choices" / "choices.json"
VOCABULARIES = (1, 2, 5, 5, 5, 64, 300, 300, 2_000)
LARGE = 49_152
TINY = (5e-324, 1e-308, 1e-150, 1e-45, 1e-38, 1e-30, 1e-6)
SPECIAL = (0.0, -0.0, 1e-45, 3.4028234663852886e38, -3.4028234663852886e38, float("inf"), float("-inf"), float("nan"))
CASES, LARGE_CASES, SEEDS = 400, 12, 6
_WORD = 2**64 - 1


def random_numbers(seed: int, count: int) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """From -1 to 1, in steps of 2^-23."""
    with np.errstate(over="ignore"):
        mixed = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15)
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58_476D_1CE4_E5B9)
        mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D0_49BB_1331_11EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0


def logits_of(case: dict[str, Any]) -> torch.Tensor:
    """`[vocabulary]` f32."""
    number = random_numbers(case["logitsSeed"], case["vocabulary"])
    logits = (case["scale"] * number * number * number).astype(np.float32)
    for place, bits in case["replaced"]:
        logits.view(np.uint32)[place] = bits
    return torch.from_numpy(logits)


def sampling_of(case: dict[str, Any], seed: str) -> Sampling:
    return Sampling(
        temperature=case["temperature"],
        top_k=case["topK"],
        top_p=case["topP"],
        min_p=case["minP"],
        repetition_penalty=case["repetitionPenalty"],
        presence_penalty=case["presencePenalty"],
        frequency_penalty=case["frequencyPenalty"],
        logit_bias=tuple((token, bias) for token, bias in case["logitBias"]),
        seed=int(seed),
        min_tokens=case["minTokens"],
        stop_tokens=tuple(case["stopTokens"]),
    )


def chosen(case: dict[str, Any]) -> list[int | None]:
    """One for each seed; none where no token can be chosen."""
    settings = [sampling_of(case, seed) for seed in case["seeds"]]
    tally = Tally(case["prompt"])
    tally.follow(case["output"])
    for one in settings:
        one.check(case["vocabulary"])
    found = choose([(one, tally) for one in settings], logits_of(case).expand(len(settings), -1)).tolist()
    return [None if token == NONE else token for token in found]


def make() -> dict[str, Any]:
    draw = random.Random(13)
    cases = [make_case(draw, draw.choice(VOCABULARIES)) for _ in range(CASES)]
    cases += [make_case(draw, LARGE) for _ in range(LARGE_CASES)]
    for case in cases:
        case["chosen"] = chosen(case)
    seeds = [0, 1, 7, 2**32 - 1, 2**32, 2**63, MOST_SEED, *(draw.randrange(MOST_SEED) for _ in range(57))]
    # The 53 bits of each draw, as a whole number.
    draws = [[str(seed), number, round(uniform(seed, number) * 2**53)] for seed in seeds for number in (0, 1, 2, 1_000_000)]
    return {"draws": draws, "cases": cases}


def make_case(draw: random.Random, vocabulary: int) -> dict[str, Any]:
    def number(low: float, high: float, least: float = 0.0) -> float:
        kind = draw.randrange(10)
        return high if kind < 2 else low if kind == 2 and low >= least else draw.choice(TINY) if kind == 3 else draw.uniform(low, high)

    def sometimes(value: Any, otherwise: Any) -> Any:  # noqa: ANN401
        return value if draw.random() < 0.5 else otherwise

    def tokens(most: int) -> list[int]:
        return [draw.randrange(min(vocabulary, 50)) for _ in range(draw.randrange(most))]

    replaced = [[draw.randrange(vocabulary), int(np.float32(draw.choice(SPECIAL)).view(np.uint32))] for _ in range(draw.randrange(4))]
    return {
        "vocabulary": vocabulary,
        "logitsSeed": draw.randrange(2**32),
        "scale": draw.choice([0.0, 1.0, 8.0, 8.0, 30.0, 100.0]),
        "replaced": sometimes(replaced, []),
        "temperature": number(0.0, 2.0),
        "topK": sometimes(draw.choice([1, 2, 3, 40, vocabulary - 1, vocabulary, vocabulary + 1]), 0),
        "topP": sometimes(number(1e-9, 1.0), 1.0),
        "minP": sometimes(number(0.0, 1.0), 0.0),
        "repetitionPenalty": sometimes(number(1e-9, 2.0), 1.0),
        "presencePenalty": sometimes(number(-2.0, 2.0, -2.0), 0.0),
        "frequencyPenalty": sometimes(number(-2.0, 2.0, -2.0), 0.0),
        "logitBias": sometimes([[draw.randrange(vocabulary), number(-100.0, 100.0, -100.0)] for _ in range(draw.randrange(4))], []),
        "minTokens": sometimes(draw.randrange(8), 0),
        "stopTokens": sometimes(tokens(4), []),
        "prompt": tokens(12),
        "output": tokens(9),
        "seeds": [str(draw.choice([draw.randrange(100), draw.randrange(2**32), draw.randrange(MOST_SEED)])) for _ in range(SEEDS)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    check = parser.parse_args().check
    text = json.dumps(make(), separators=(",", ":")).replace('},{"voc', '},\n{"voc') + "\n"
    if not check:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(text)
        return 0
    if FILE.read_text() == text:
        return 0
    print(f"{FILE} is stale", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""Random blocks of the types that set-up requantises, as JSON in base64: the bytes, what the `gguf` package decodes, and Q8_0 of that."""

import json
from base64 import b64encode

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

BLOCKS = 64
SCALES = {GGMLQuantizationType.Q5_0: (0,), GGMLQuantizationType.Q4_K: (0, 2), GGMLQuantizationType.Q6_K: (208,)}
"""Where a block has its f16 scales."""


def main() -> None:
    draw, found = np.random.default_rng(7), {}
    for kind, places in SCALES.items():
        stored = draw.integers(0, 256, (BLOCKS, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
        for place in places:
            # Ordinary ones, the least there are, and none.
            scales = (draw.standard_normal(BLOCKS) * 0.01).astype(np.float16)
            scales[:3] = (6e-8, -0.0, 2e-5)
            stored[:, place : place + 2] = scales.view(np.uint8).reshape(BLOCKS, 2)
        values = dequantize(stored, kind)
        parts = (stored, values, quantize(values.reshape(-1, 32), GGMLQuantizationType.Q8_0))
        found[kind.name] = [b64encode(part.tobytes()).decode() for part in parts]
    print(json.dumps(found))


main()

"""The chunked form: `parallel` within a chunk, a state from chunk to chunk. Linear in the run's length; what prompts are read with."""

import torch
from torch import Tensor

from spikingbrain.model.gated_linear.inputs import Inputs
from spikingbrain.model.gated_linear.parallel import parallel

CHUNK_TOKENS = 32


def chunk(x: Inputs, state: Tensor, chunk_tokens: int = CHUNK_TOKENS) -> tuple[Tensor, Tensor]:
    """Shapes as for `naive`; the last chunk may be short."""
    outputs = []
    for start in range(0, x.keys.shape[0], chunk_tokens):
        output, state = parallel(x.part(start, start + chunk_tokens), state)
        outputs.append(output)
    return torch.cat(outputs), state

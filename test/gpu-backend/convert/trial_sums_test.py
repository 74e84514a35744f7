"""The delta rule of the trial, chunk by chunk, against its definition."""

import torch
from spikingbrain.convert.trial_sums import corrected
from spikingbrain.convert.trunk.evicted import CHUNK_TOKENS


def test_the_delta_rule_writes_what_the_sums_do_not_recall() -> None:
    generator = torch.Generator().manual_seed(5)
    tokens, heads, count, dim = 2 * CHUNK_TOKENS + 7, 2, 6, 3
    key = torch.rand(tokens, heads, count, generator=generator)
    value = torch.randn(tokens, heads, dim, generator=generator)
    log_decay, written = torch.tensor([-0.01, -0.2]), torch.tensor([0.9, 0.3])
    state, expected = torch.zeros(heads, count, dim, dtype=torch.float64), []
    for k, v in zip(key.double(), value.double(), strict=True):
        state = state * log_decay.double().exp()[:, None, None]
        recalled = torch.einsum("hf,hfd->hd", k, state) / k.square().sum(dim=-1, keepdim=True)
        expected.append(v - written.double()[:, None] * recalled)
        state = state + torch.einsum("hf,hd->hfd", k, expected[-1])
    torch.testing.assert_close(corrected(key, value, log_decay, written).double(), torch.stack(expected), rtol=1e-4, atol=1e-4)

"""The reference's answers: what every engine gives for the same text, settings and seed, as far as its logits are the reference's."""

from collections.abc import Sequence

import torch

from spikingbrain.model.model import Model
from spikingbrain.sampling.choose import NONE, choose
from spikingbrain.sampling.settings import Sampling
from spikingbrain.sampling.tally import Tally


@torch.inference_mode()
def generate(model: Model, prompt: Sequence[int], sampling: Sampling, most: int, continued: int = 0) -> list[int]:
    """At most so many tokens; a stop token that ends them is the last one. `continued`: of the prompt's last tokens, how many an earlier
    attempt at the same answer has sampled. Raises ConfigError for settings out of range, ValueError where logits are not finite."""
    sampling.check(model.config.vocabulary)
    tally, output = Tally(prompt, continued), list[int]()
    state, unread = model.new_state(), list(prompt)
    while len(output) < most and not (output and output[-1] in sampling.stop_tokens):
        logits, state = model.step(state, torch.tensor(unread))
        tally.follow(output)
        token = int(choose([(sampling, tally)], logits[-1:].to(torch.float32))[0])
        if token == NONE:
            raise ValueError("logits must be finite; they are not, or every token is forbidden")
        output.append(token)
        unread = [token]
    return output

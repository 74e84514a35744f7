"""How much an expert's weights are scaled so that a token's experts together give what the dense feed-forward gave."""

from spikingbrain.config import Experts


def expected_scores(experts: Experts) -> float:
    """Sum of the used experts' scores under a router that prefers none: `k / N` of a softmax (`gpu-backend/docs/model.md#103-upcycling`),
    `k / 2` of sigmoids, and 1 where scores are scaled to sum to 1."""
    if experts.normalised:
        return 1.0
    return experts.used / experts.count if experts.router == "softmax" else experts.used / 2


def expert_scale(experts: Experts) -> float:
    """`a = (S + k / N)^(-1/3)` (`gpu-backend/docs/model.md#103-upcycling`): S shared experts of weight 1 and k of N routed ones. A third of
    the power each for gate, up and down, whose product a SwiGLU is, so that the sum of `S + k / N` equal experts has the size of one; but a
    SwiGLU's gate is not quite proportional to its input, and so the sum is not quite the dense one unless `a` is 1. 0.98 for the 76B's one
    shared and one of 16."""
    shared = 1 if experts.shared_inner > 0 else 0
    return float((shared + expected_scores(experts)) ** (-1 / 3))

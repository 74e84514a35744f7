"""The published models by name."""

from spikingbrain.config import BranchNorm, Config, Experts, Layer, LearnedGate, LinearAttention, OneMinusKeyGate, Projections, Router

QWEN_HIDDEN = 3584
QWEN_INNER = 18_944
QWEN_VOCABULARY = 152_064
END_OF_TEXT = 151_643
END_OF_TURN = 151_645


def seven_billion(*, window: int = 4_097) -> Config:
    """SpikingBrain-7B (`gpu-backend/docs/model.md#101-spikingbrain-7b`): linear and window layers alternate.

    The window is 4,097 keys wide as in the released prefill and vLLM plugin; the paper's formula and the released decode see 4,096.
    """
    return Config(
        name="SpikingBrain-7B",
        hidden=QWEN_HIDDEN,
        heads=28,
        kv_heads=4,
        head_dim=128,
        vocabulary=QWEN_VOCABULARY,
        feed_forward_inner=QWEN_INNER,
        layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))) * 14,
        window=window,
        linear=LinearAttention(feature_map="relu", gate=LearnedGate(normalizer=16.0, rank=16), head_norm=True),
        bos=END_OF_TEXT,
        end_tokens=(END_OF_TEXT, END_OF_TURN),
    )


def seventy_six_billion(
    *,
    projections: Projections = "shared",
    window: int = 4_096,
    branch_norm: BranchNorm = "full",
    head_norm: bool = False,
    linear_rope: bool = False,
    linear_reads_sinks: bool = True,
    router: Router = "softmax",
    normalised_scores: bool = False,
    expert_inner: int = QWEN_INNER,
    shared_inner: int = QWEN_INNER,
) -> Config:
    """SpikingBrain-76B-A12B (`gpu-backend/docs/model.md#102-spikingbrain-76b-a12b`). Each parameter is a choice that the paper leaves open:

    - `projections`: whether the two branches of a layer share q, k, v and o. Shared gives 11.89 B active parameters, nearer to "A12B".
    - `window`: 4,096 keys as the paper's formula and its "4K"; 4,097 would follow the 7B's released code.
    - `branch_norm`: over all heads together, or over each head. Matters to shared projections only.
    - `head_norm`: the 7B's norm over each head of the linear branch, beside the branch's norm. Off: the paper draws one norm a branch.
    - `linear_rope`: RoPE in the linear branch. Off, as in the 7B.
    - `linear_reads_sinks`: whether the 128 learned sinks enter the linear state. On: they are "prepended to the input" of every layer.
    - `router`: "softmax or sigmoid" in the paper.
    - `normalised_scores`: off, since a single normalised score would always be 1 and the router could not be learned.
    - `expert_inner`, `shared_inner`: the dense width, since every expert starts as a copy of the dense feed-forward.

    The weights of the sum of branches are inside the branches' norms. The rest (auxiliary loss, capacity factor, learning rates) concerns
    training only; inference drops no token.
    """
    full, dense = {7, 14, 21, 28}, {1, 2, 3, 5, 7, 9, 11}
    layers = tuple(
        Layer(mixer=("linear", "full" if number in full else "window"), feed_forward="dense" if number in dense else "moe")
        for number in range(1, 29)
    )
    return Config(
        name="SpikingBrain-76B-A12B",
        hidden=QWEN_HIDDEN,
        heads=28,
        kv_heads=4,
        head_dim=128,
        vocabulary=QWEN_VOCABULARY,
        feed_forward_inner=QWEN_INNER,
        layers=layers,
        window=window,
        linear=LinearAttention(
            feature_map="sigmoid", gate=OneMinusKeyGate(), head_norm=head_norm, rope=linear_rope, reads_sinks=linear_reads_sinks
        ),
        experts=Experts(count=16, used=1, inner=expert_inner, shared_inner=shared_inner, router=router, normalised=normalised_scores),
        parallel_projections=projections,
        branch_norm=branch_norm,
        learned_sinks=128,
        bos=END_OF_TEXT,
        end_tokens=(END_OF_TEXT, END_OF_TURN),
    )

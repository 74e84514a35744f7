"""The evicted-tokens mixer: a window, and what is remembered of the tokens that have left it
(`gpu-backend/docs/evicted-tokens.md`; the tokens kept exactly come after the sparse caches of LoLA and the heavy hitters of H2O).

Of a layer with a window of `W` keys and `K` kept tokens, at the query of position `t`:

    evicted(t) = { j : K <= j <= t - W },  n = their number
    phi(x)     = softmax([M x, -M x] + b)                      of un-rotated x, M and b per head: `[2 head_dim]`, positive, sums to 1
    S_t        = sum over j of evicted(t) of g^(t-W-j) phi_k(k_j) [v_j, 1]^T     `[2 head_dim, head_dim + 1]` per KV head
    [num, den] = phi_q(q_t) S_t                                per query head
    claim_j    = u k_j + ln(2) / half-life * j                 per KV head
    salient(t) = the N of evicted(t) with the greatest claims  per KV head
    a          = n / (n + 128) * sigmoid(w x_t + c + d lse_t + e ln(den + 1e-6))
    o          = (1 - a) o_exact + a num / (den + 1e-6)
    r, (s, u)  = n / (n + 128),  2 sigmoid(C x_t)              s and u per query head
    out        = o (1 + r (s - 1)) (1 + r scale) + r bias (1 + r (u - 1))

`o_exact` is softmax attention over the window, the kept tokens and the salient ones, which all meet the query as if at a distance of W.
`x_t` is the layer's normed input (what its neurons fire of it, where they do), `lse_t` the natural log of that softmax's sum of
exponentials, and `g` a decay per KV head below 1, so that the sums stay within bounds however
long the text. While nothing has left the window n is 0 and `out` is attention over the window to the bit.

The window is that of `attention.py`, except that kept tokens meet the query rotated to `min(t, sink_cap)`: rotations between them stay
within the trained context.

`k_j` is the key as the window holds it, its rotation undone. `naive.py` is the definition of the sums, `chunk.py` the same for many tokens;
`salient.py` says which tokens are kept exactly.
"""

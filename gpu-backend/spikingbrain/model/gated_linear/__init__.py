"""Gated linear attention (`gpu-backend/docs/model.md#4-gated-linear-attention`) in three forms of one function, all kept and tested against
one another.

`naive` goes token by token and is the definition; `chunk` does a fixed number of tokens at once; `parallel` does all of them.
"""

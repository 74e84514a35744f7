"""From logits to a token, by the rule of `wasm/engine/src/sample.rs` and bit for bit: on equal logits the same seed gives the same tokens
there and here. `test/golden/choices` holds both to it.

Randomness is a function of the seed and of how many tokens the output has, so that an answer which was cut off goes on elsewhere with the
tokens it would have had.
"""

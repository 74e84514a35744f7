"""Random numbers that are a function of a seed and of a place in its stream."""

_WORD = 2**64 - 1
_GOLDEN = 0x9E37_79B9_7F4A_7C15
_MANTISSA = 53


def uniform(seed: int, number: int) -> float:
    """In [0, 1): SplitMix64 of the seed, an unsigned 64-bit one, and the number of the token. Every seed begins at a place of its own."""
    start = ((seed << 32 | seed >> 32) & _WORD) ^ 0x5BD1_E995
    mixed = (start + (number + 1) * _GOLDEN) & _WORD
    mixed = (mixed ^ mixed >> 30) * 0xBF58_476D_1CE4_E5B9 & _WORD
    mixed = (mixed ^ mixed >> 27) * 0x94D0_49BB_1331_11EB & _WORD
    mixed ^= mixed >> 31
    return float(mixed >> (64 - _MANTISSA)) / float(1 << _MANTISSA)

"""The model's layers, in the order of `block.py`."""

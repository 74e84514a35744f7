"""The reference model: read `model.py` first."""

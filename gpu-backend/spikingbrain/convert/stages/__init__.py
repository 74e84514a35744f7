"""The stages of a conversion (`pipeline.py`), by what they do; each is a function of the run's `Work`."""

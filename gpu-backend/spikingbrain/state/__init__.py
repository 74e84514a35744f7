"""What a model remembers of a sequence, as a value and as bytes (`file.py`). Nothing here imports the model, so that
other engines can use it."""

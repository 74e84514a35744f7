"""The commands of `python -m spikingbrain`: one file each, with `add` for its arguments and `run` for its work.

Modules that need torch are imported where a command runs, so that `--help` and mistakes in the arguments answer at once.
"""

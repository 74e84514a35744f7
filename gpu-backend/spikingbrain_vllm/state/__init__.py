"""A conversation's state in and out of vLLM, in the one format of state files (`wasm/STATE_FORMAT.md`)."""

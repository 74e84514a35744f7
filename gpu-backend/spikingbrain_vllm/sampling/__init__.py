"""Tokens chosen by the rule that the engine and the reference have (`spikingbrain.sampling`), instead of vLLM's own."""

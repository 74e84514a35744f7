"""vLLM serves every model of `spikingbrain.config`: read `plugin.py`, then `model.py`.

`spikingbrain` says what the models compute and this package computes the same with vLLM's layers, so that vLLM's scheduler, its KV cache
and its parallel forms apply. Formulas are in `gpu-backend/docs/model.md`; what is proven is in `gpu-backend/docs/vllm.md`.
"""

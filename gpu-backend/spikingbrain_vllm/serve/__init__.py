"""A replica: vLLM's engine behind the few routes that a pool needs (`gpu-backend/docs/vllm-replica.md`). Begin with `command.py`."""

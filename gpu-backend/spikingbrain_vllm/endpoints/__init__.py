"""States over HTTP, beside vLLM's own API (`gpu-backend/docs/vllm-states.md`)."""

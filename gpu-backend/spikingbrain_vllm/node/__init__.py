"""How a replica makes itself known to the edge: signed messages that say who it is and how it is (`gpu-backend/docs/vllm-replica.md`)."""

"""Measurements of an engine on whatever it runs on: `gpu-backend/verify_gpu.py` makes them on a GPU, `npm run bench -- vllm` on a CPU."""

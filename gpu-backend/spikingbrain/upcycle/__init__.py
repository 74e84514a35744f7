"""Dense-to-MoE upcycling (`gpu-backend/docs/model.md#103-upcycling`): a model with experts that begins as the dense one it is made of."""

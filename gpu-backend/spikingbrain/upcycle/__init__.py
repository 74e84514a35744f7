"""Dense-to-MoE upcycling (`model.md` 2): a model with experts that begins as the dense one it is made of."""

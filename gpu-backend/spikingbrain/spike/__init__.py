"""Spikes (`model.md` 3), written from the paper's description: the neuron, its codings, integer products, and what is measured of them."""

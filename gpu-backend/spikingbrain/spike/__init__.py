"""Spikes (`gpu-backend/docs/model.md#8-spikes`), written from the paper's description: the neuron, its codings, integer products, and what
is measured of them."""

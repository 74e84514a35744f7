"""The frozen teacher and the branches beside it, written for training speed: whole sequences, bf16 products, gradients.

The definition is the reference model (`spikingbrain.model`); tests hold the two together.
"""

"""Makes a SpikingBrain of an ordinary Transformer, and trains what is new in it. Read `pipeline.py` first."""

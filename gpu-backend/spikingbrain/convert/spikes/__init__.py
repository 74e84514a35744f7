"""The spiking variant: thresholds, and what they cost."""

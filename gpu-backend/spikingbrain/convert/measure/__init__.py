"""What a student is worth on text that no training read."""

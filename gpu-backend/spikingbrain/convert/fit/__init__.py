"""What is fitted before any training."""

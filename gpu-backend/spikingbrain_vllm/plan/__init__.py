"""What a model needs on accelerators, from its config alone: bytes, sessions, and every rank's part of every tensor."""

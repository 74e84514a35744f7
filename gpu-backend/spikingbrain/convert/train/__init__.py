"""The training stages, their losses, and how a run goes on where it was stopped."""

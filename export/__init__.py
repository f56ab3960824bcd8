"""Checkpoint to model bundle."""

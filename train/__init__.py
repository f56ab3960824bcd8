"""Recordings to checkpoint and report."""

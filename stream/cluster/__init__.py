"""Recordings heard by a Ray cluster. Nothing here is imported before `--engine ray` asks for it."""

"""Live heart-sound classification: sources, ring, pipeline, sinks, monitor."""

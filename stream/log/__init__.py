"""The session log's format, and the one reader of it."""

"""The full-screen terminal view."""

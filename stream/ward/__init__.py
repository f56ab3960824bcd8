"""Several streams at once: what they come from, who is told of each, and one screen for all of them."""

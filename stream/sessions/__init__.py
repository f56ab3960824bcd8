"""What sessions leave behind: a folder each, its summary, the list of them, and their removal."""

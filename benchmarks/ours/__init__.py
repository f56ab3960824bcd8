"""Laennec itself, measured: what takes part in rounds has `prepare`, what is measured once has `measure`."""

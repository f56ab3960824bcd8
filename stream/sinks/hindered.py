"""How a sink says that something went wrong which is no reason to stop listening."""

from __future__ import annotations

from models.errors import LaennecError


class HinderedError(LaennecError):
    """Raised by a sink that copes with a failure of its own; the session tells all sinks, and goes on with this one."""

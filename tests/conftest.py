"""Settings for all tests."""

from __future__ import annotations

from hypothesis import settings

# A slow example on a busy machine is no failure; what must be quick has a test of its own.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

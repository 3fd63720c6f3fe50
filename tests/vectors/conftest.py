from __future__ import annotations

import pytest

from tests.vectors.published import Tally


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    return Tally(request)

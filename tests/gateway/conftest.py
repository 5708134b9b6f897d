import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Gateway  # noqa: E402


@pytest.fixture
def gateway():
    """Gateways that are ended, and looked at for faults, with the test."""
    made = []

    def make(**kw):
        made.append(Gateway(**kw))
        return made[-1]

    yield make
    for g in made:
        g.close()

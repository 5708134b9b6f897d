"""`rig` makes systems around a real runner that are ended, and looked after, at the test's end."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from rig import Rig  # noqa: E402


@pytest.fixture
def rig():
    made = []

    def make(start=True, **kw):
        r = Rig(**kw)
        made.append(r)
        return r.start() if start else r

    yield make
    errors = []
    for r in made:
        try:
            r.end()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)

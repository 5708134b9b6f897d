"""`rig` makes systems around a real runner that are ended, and looked after, at the test's end."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from rig import Rig  # noqa: E402


def pytest_generate_tests(metafunc):
    """Each test runs with the stand-in for vitrine-sandbox and with the real one, but for those that need the
    stand-in's failures (marked `stand_in`) or what only a real sandbox has (`real`)."""
    if "rig" in metafunc.fixturenames:
        marked = {m.name for m in metafunc.definition.iter_markers()}
        kinds = ["stand-in"] if "stand_in" in marked else ["real"] if "real" in marked else ["stand-in", "real"]
        metafunc.parametrize("rig", kinds, indirect=True)


def pytest_configure(config):
    config.addinivalue_line("markers", "stand_in: needs a failure that a real sandbox does not have")
    config.addinivalue_line("markers", "real: needs what only a real sandbox has")


@pytest.fixture
def rig(request):
    made = []

    def make(start=True, **kw):
        r = Rig(real=request.param == "real", **kw)
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

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import Egress, Origin, make_certificate  # noqa: E402


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate, key) of a.localhost, which also is its own authority"""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def origin(certificate):
    """Servers outside, that are ended with the test."""
    made = []

    def make(**kw):
        made.append(Origin(certificate, **kw))
        return made[-1]

    yield make
    for o in made:
        o.close()


@pytest.fixture
def egress(certificate):
    """Proxies, that are ended, and looked at for faults, with the test."""
    made = []

    def make(policy, **kw):
        made.append(Egress(f"ca {certificate[0]}\n" + policy, **kw))
        return made[-1]

    yield make
    for e in made:
        e.close()

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from platform_fake import Platform  # noqa: E402


@pytest.fixture
def make(tmp_path):
    """Makes platforms; what is still there at the end is stopped, and has to end well."""
    made = []

    def new(**options):
        folder = tmp_path / f"data{len(made)}"
        folder.mkdir()
        made.append(Platform(folder, **options))
        return made[-1]

    yield new
    for p in made:
        if p.process.poll() is None:
            status = p.stop()
            log = open(p.data + "/webui.log").read()
            assert status == 0, log[-4000:]
            assert "Sanitizer" not in log, log[-8000:]
        p.close()


@pytest.fixture
def site(make):
    return make()

"""The access log under `vitrine up`, which opens its file and looks after it."""
import json
import os

from vitrine import until

from test_up import refused


def lines(path):
    return [json.loads(x) for x in open(path)] if os.path.exists(path) else []


def test_the_log_and_its_rotation(vitrine):
    v = vitrine("[log]\naccess = json\n")
    path = os.path.join(v.data, "access.log")
    v.get("/healthz?token=secret")
    assert until(lambda: any(x["target"] == "/healthz?token=***" and x["status"] == 200 for x in lines(path)), 5)
    assert os.stat(path).st_mode & 0o777 == 0o640
    os.rename(path, path + ".1")
    assert until(lambda: os.path.exists(path), 5)
    assert until(lambda: v.get("/healthz?2") and any(x["target"] == "/healthz?2" for x in lines(path)), 5)
    with open(path, "w"):
        pass  # logrotate's copytruncate
    assert until(lambda: v.get("/healthz?3") and any(x["target"] == "/healthz?3" for x in lines(path)), 5)
    assert b"\0" not in open(path, "rb").read()


def test_a_file_that_cannot_be_opened(vitrine):
    v = vitrine(start=False)
    said = refused(v, config="[log]\naccess = combined\naccess_file = /nowhere/at/all\n")
    assert "/nowhere/at/all" in said and "access_file" in said
    said = refused(v, config="[log]\naccess = yes\n")
    assert "log.access" in said and "combined" in said

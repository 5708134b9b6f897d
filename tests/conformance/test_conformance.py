"""Our gateway's part of conformance/run: all cases at once, and a test for each."""
import importlib.util
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
spec = importlib.util.spec_from_loader("conformance_run", importlib.machinery.SourceFileLoader("conformance_run", os.path.join(HERE, "run")))
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)


@pytest.fixture(scope="module")
def results():
    return run.judge_all(run.Ours, run.ALL)


@pytest.mark.parametrize("case", run.ALL, ids=lambda c: c.name)
def test_case(results, case):
    wrong, lie, r = results[case.name]
    assert not wrong and not lie, f"{case.ref}: {case.must}\n{wrong or lie}; {run.what(r)}"


def test_there_are_hundreds():
    assert sum(1 for c in run.ALL if c.level == "MUST") >= 200

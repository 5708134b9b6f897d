import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(TESTS, "sandbox"), os.path.join(TESTS, "e2e")]
if os.getuid() != 0:
    collect_ignore = ["test_as_root.py"]

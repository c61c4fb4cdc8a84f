"""Hostile mail in a real browser (H-01, H-03, H-04): the node tests of web/browser, which start Debian's Chromium by themselves."""
import glob
import os
import subprocess

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
TESTS = sorted(glob.glob(os.path.join(TOP, "web", "browser", "*_test.mjs")))


@pytest.mark.parametrize("path", TESTS, ids=[os.path.basename(p)[:-len("_test.mjs")] for p in TESTS])
def test_browser(path):
    done = subprocess.run(["node", "--test", path], cwd=os.path.join(TOP, "web"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=600, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout, done.stdout[-2000:]

import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))

import peers  # noqa: E402

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"


@pytest.fixture
def folder():
    """A private folder that roles running as other users can reach; kept when HOLDFAST_KEEP is set."""
    path = tempfile.mkdtemp(prefix="holdfast-e2e-", dir=os.environ.get("HOLDFAST_TMP", "/var/tmp"))
    os.chmod(path, 0o755)
    yield path
    if not os.environ.get("HOLDFAST_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def started(request):
    """started(x) starts x and stops it at the end of the test, whatever happened."""
    running = []

    def start(thing, *args, **kwargs):
        running.append(thing)
        thing.start(*args, **kwargs)
        return thing

    yield start
    for thing in reversed(running):
        for end in ("close", "kill", "stop"):
            if hasattr(thing, end):
                getattr(thing, end)()
                break
    for thing in running:
        if isinstance(thing, peers.Holdfast) and os.path.exists(thing.log):  # K5 of the clerk: no role says what is another's to say
            with open(thing.log, "rb") as f:
                assert b"record.foreign" not in f.read()


def pytest_configure(config):
    if not os.access(os.path.join(peers.BUILD, "holdfast"), os.X_OK):
        pytest.exit("build/holdfast is missing: run make first", 2)

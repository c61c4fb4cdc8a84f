"""P1 under true power cuts (user-mode-linux): 0 acknowledged messages missing."""
import os
import random
import shutil

import oracle
import peers
import powercut
import pytest
from conftest import SOAK

ROUNDS = 50 if SOAK else 3
pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(powercut.LINUX), reason="needs root and user-mode-linux")


def acknowledged(journal):
    try:
        with open(journal) as f:
            return f.read().count('"GOT_250"')
    except OSError:
        return 0


def test_power_cuts_lose_nothing(folder, started):
    rng = random.Random(int(os.environ.get("HOLDFAST_SEED", "3")))
    primary = peers.Postfix(os.path.join(folder, "primary"))
    machine = powercut.Machine(os.path.join(folder, "machine"))
    holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), primary.port)
    inside = os.path.join(machine.disk, "data")
    with open(holdfast.config) as f:
        text = f.read()
    with open(holdfast.config, "w") as f:
        f.write(text.replace(holdfast.data, inside))
    journal = os.path.join(folder, "journal")
    for n in range(ROUNDS):
        before = acknowledged(journal)
        machine.run_holdfast_under_load(holdfast, journal, seed=n)
        target = before + rng.randrange(20, 200)
        peers.wait_for(lambda: acknowledged(journal) >= target or machine.process.poll() is not None, 120,
                       f"mail to be accepted inside:\n{machine.tail()}\n{holdfast.tail()}")
        machine.cut_power()
        assert acknowledged(journal) >= target, f"the guest ended by itself:\n{machine.tail()}\n{holdfast.tail()}"
    machine.copy_out(holdfast.data)
    with open(holdfast.config, "w") as f:
        f.write(text)
    holdfast.data = os.path.join(holdfast.data, "data")
    with open(holdfast.config, "w") as f:
        f.write(text.replace("data: " + os.path.dirname(holdfast.data), "data: " + holdfast.data))
    holdfast.run("log", "verify", timeout=120)
    started(holdfast)
    started(primary)
    peers.wait_for(lambda: holdfast.status().get("held") == 0, 180, lambda: "everything handed back:\n" + holdfast.tail(), every=0.5)
    peers.wait_for(lambda: primary.queued() == 0, 60, "the primary's queue to empty")
    from test_handback import unsure_tokens
    verdict = oracle.assert_kept_all(journal, primary.messages(), explained=unsure_tokens(holdfast))
    print(f"{ROUNDS} power cuts: {verdict}")
    shutil.rmtree(machine.folder, ignore_errors=True)

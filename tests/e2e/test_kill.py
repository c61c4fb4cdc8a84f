"""K-01, P1, P2: kill -9 of roles under load; acceptance while everything else is stopped."""
import os
import random
import signal

import oracle
import peers
import pytest
from conftest import SOAK

ROUNDS = 2000 if SOAK else 20
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")


@root_only
def test_k_01_kill_at_random_under_load(folder, started):
    primary = started(peers.Postfix(os.path.join(folder, "primary")))
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    journal, rng = os.path.join(folder, "journal"), random.Random(int(os.environ.get("HOLDFAST_SEED", "1")))
    sender = oracle.Sender(holdfast.port, journal, sessions=6, retry=True, seed=1, per_session=5).start()
    for round_no in range(ROUNDS):
        target = sender.counts.get("GOT_250", 0) + rng.randrange(1, 25)  # before more is added: it must be reachable
        for size in oracle.log_sizes(30, 1024, 200 << 10, rng):
            sender.add(size, [f"user{rng.randrange(5)}@example.com"])
        if round_no % 5 == 2:
            primary.kill()
        if round_no % 5 == 4 and primary.master() is None:
            primary.start()
        peers.wait_for(lambda: sender.counts.get("GOT_250", 0) >= target, 60, lambda: f"round {round_no}: mail to be accepted:\n" + holdfast.tail())
        if rng.random() < 0.25:
            holdfast.kill()
            holdfast.start(wait=False)
        else:
            roles = holdfast.roles()
            if roles:
                try:
                    os.kill(roles[rng.choice(sorted(roles))], signal.SIGKILL)
                except ProcessLookupError:
                    pass
    sender.finish(120)
    if primary.master() is None:
        primary.start()
    holdfast.wait_accepting()
    peers.wait_for(lambda: holdfast.status().get("held") == 0, 120, lambda: "everything handed back:\n" + holdfast.tail(), every=0.3)
    peers.wait_for(lambda: primary.queued() == 0, 60, "the primary's queue to empty")
    from test_handback import unsure_tokens
    unsure = unsure_tokens(holdfast)
    verdict = oracle.assert_kept_all(journal, primary.messages(), explained=unsure)
    print(f"{ROUNDS} rounds: {verdict}; {len(unsure)} deliveries named UNSURE; tries {sender.counts}")
    holdfast.run("log", "verify", timeout=120)


def test_p2_accepts_with_every_other_role_stopped(folder, started):
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    others = {name: pid for name, pid in holdfast.roles().items() if not name.startswith("edge")}
    assert len(others) >= 5, others
    journal = os.path.join(folder, "journal")
    for pid in list(others.values()) + [holdfast.process.pid]:
        os.kill(pid, signal.SIGSTOP)
    try:
        sender = oracle.Sender(holdfast.port, journal, sessions=4).start()
        for i in range(400):
            sender.add(4096, [f"user{i % 5}@example.com"])
        sender.finish(30)
        assert sender.counts == {"GOT_250": 400}
    finally:
        for pid in list(others.values()) + [holdfast.process.pid]:
            os.kill(pid, signal.SIGCONT)
    peers.wait_for(lambda: holdfast.site()["held"] == 400, 20, "the views to catch up", every=0.2)

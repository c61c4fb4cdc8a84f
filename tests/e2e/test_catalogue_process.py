"""Process faults at named points of the real program: K-02, and L5 in the trace of system calls."""
import os
import re

import oracle
import peers
import primaries
import pytest
from conftest import SOAK
from test_faults import Strace, try_one

ROUNDS = 100 if SOAK else 1
MESSAGES = 12
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root (strace on another user's process)")

# name of the point, role, the call at whose entry it is killed (the call itself is not made), which one, sessions at once
POINTS = {
    "edge": [("recv-end: read, nothing written", "pwritev", 3, 1), ("append: written, not synced", "fdatasync", 3, 4),
             ("fsync: synced, its loop not told", "write", 4, 4), ("250: before a reply leaves", "sendto", 23, 4)],
    "sequencer": [("index: order not written", "pwritev", 2, 4), ("index: order not synced", "fdatasync", 2, 4),
                  ("index: clerk not told", "sendmsg", 3, 4)],
    "clerk": [("index: views half written", "pwrite64", 40, 4), ("lease: order to a courier not sent", "sendmsg", 4, 4)],
    "courier": [("record: intent or outcome not written", "pwritev", 3, 4), ("record-fsync: written, not synced", "fdatasync", 3, 4),
                ("record: synced, not told", "write", 3, 4), ("deliver-250: before the dot or another command leaves", "sendto", 5, 4),
                ("deliver-250: before the primary's reply is read", "recvfrom", 7, 4)],
}


def pids_of(holdfast, role):
    return [pid for name, pid in holdfast.roles().items() if name.split("-")[0] == role]


def as_files(primary, first, folder):
    """What the primary took since its message number `first`, as files for the oracle."""
    os.makedirs(folder)
    paths = []
    for i, (_, _, body) in enumerate(primary.messages[first:]):
        paths.append(os.path.join(folder, str(i)))
        with open(paths[-1], "wb") as f:
            f.write(b"Received: by primary.example.com id %d\r\n" % i + body)  # each arrival is one of its own
    return paths


def wait_for_the_segment_ahead(holdfast):
    """Zeroed by a thread of its own, whose writes would be counted as well: made when the first message has come, and then at rest."""
    lane, sizes = os.path.join(holdfast.data, "ledger", "lane-edge-0"), []
    assert try_one(holdfast.port)[0] == 250

    def is_at_rest():
        sizes.append(sum(os.stat(os.path.join(lane, n)).st_blocks for n in os.listdir(lane)))
        return len(sizes) > 10 and len(set(sizes[-10:])) == 1
    peers.wait_for(is_at_rest, 20, "edge's next segment", every=0.05)


def kill_and_count(holdfast, primary, journal, role, call, nth, sessions):
    """Load while a role is killed at a call; then everything handed back. (verdict, tries without a reply, copies too many, new UNSURE)"""
    from test_handback import unsure_tokens
    before, named = len(primary.messages), unsure_tokens(holdfast)
    traced = peers.wait_for(lambda: pids_of(holdfast, role), 40, f"{role} to be back:\n" + holdfast.tail())
    holdfast.wait_accepting()
    traces, sender = [], oracle.Sender(holdfast.port, journal, sessions=sessions, retry=True, seed=nth)
    try:
        for pid in traced:
            traces.append(Strace(pid, f"{call}:signal=KILL:when={nth}", f"{journal}-trace-{pid}"))
        sender.start()
        for i in range(MESSAGES + nth):
            sender.add(3000, [f"user{i % 3}@example.com"])
        peers.wait_for(lambda: not set(traced) <= set(pids_of(holdfast, role)), 30, f"{role} to be killed at {call} {nth}:\n" + holdfast.tail())
    finally:
        for t in traces:
            t.stop()
    sender.finish(60)
    sent = MESSAGES + nth
    peers.wait_for(lambda: len(primary.messages) - before >= sent and holdfast.status().get("held") == 0, 60,
                   "all of it to be handed back:\n" + holdfast.tail(), every=0.2)
    now = unsure_tokens(holdfast)
    verdict = oracle.assert_kept_all(journal, as_files(primary, before, journal + "-primary"), explained=now)
    rows = oracle.Journal.read(journal)
    no_reply = sum(e["tries"].count("NO_REPLY") + e["tries"].count("SENT_END") for e in rows.values())
    return verdict, no_reply, len(primary.messages) - before - len(rows), len(now - named)


@root_only
@pytest.mark.parametrize("role", POINTS)
def test_k_02_killed_at_named_points(folder, started, role):
    """L0 to L3 after each; what is at the primary twice was sent twice for want of a reply, or its delivery is named UNSURE."""
    primary = started(primaries.Primary())
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    holdfast.wait_state("up")
    wait_for_the_segment_ahead(holdfast)
    peers.wait_for(lambda: len(primary.messages) == 1, 20, "the first message at the primary")
    for n in range(ROUNDS):
        for point, (name, call, nth, sessions) in enumerate(POINTS[role]):
            journal = os.path.join(folder, f"journal-{n}-{point}")
            verdict, no_reply, twice, unsure = kill_and_count(holdfast, primary, journal, role, call, nth + n % 20, sessions)
            told = f"{name}: {verdict}; {no_reply} without a reply, {twice} more than once, {unsure} UNSURE"
            print(told)
            assert twice <= no_reply + unsure, told
            if role != "edge":
                assert no_reply == 0, told  # P2: acceptance noticed nothing
            if role in ("edge", "sequencer"):
                assert unsure == 0, told
            if n == 0 and name.startswith("recv-end"):
                assert no_reply == 1 and twice == 0, told  # nothing was written of what got no reply
            if name.startswith("record: intent"):
                assert unsure <= 40, told  # at most what two couriers had in flight
    holdfast.stop()
    holdfast.run("log", "verify")


@root_only
def test_l5_no_250_before_the_sync_that_covers_it(folder, started):
    """One message after the other: written, synced with success, and only then acknowledged; a new segment's folder likewise."""
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    trace = os.path.join(folder, "trace")
    strace = Strace(pids_of(holdfast, "edge")[0], "pwritev,fdatasync,fsync,sendto:delay_enter=1", trace)
    for _ in range(MESSAGES):
        assert try_one(holdfast.port)[0] == 250
    strace.stop()
    unsynced, synced, seen = False, False, 0
    with open(trace, errors="replace") as f:
        for line in f:
            if re.search(r'pwritev\(\d+, \[\{iov_base="HFrc', line):
                unsynced, synced = True, False
            elif re.search(r"fdatasync(\(\d+\)| resumed>\)).* = 0", line):
                unsynced, synced = False, True
            elif '"250 2.0.0 ' in line:
                seen += 1
                assert synced and not unsynced, f"acknowledged before the sync: {line}"
                synced = False
    assert seen == MESSAGES

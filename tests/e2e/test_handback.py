"""The main job: mail sent while the primary is down is at the primary afterwards, once, unchanged, oldest first."""
import os
import random
import re
import subprocess

import oracle
import peers
import pytest
from conftest import SOAK

MESSAGES = 5000
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")


def swaks(port, n, journal):
    """Mail by swaks; journalled like the rest."""
    note = oracle.Journal(journal)
    for i in range(n):
        token = f"{random.getrandbits(128):032x}"
        message = oracle.make_message(token, 1500 + i, random.Random(i), "swaks@example.com")
        import hashlib
        note.note(token, "NOT_FINISHED", sha=hashlib.sha256(message).hexdigest(), size=len(message), rcpts=["swaks@example.com"])
        done = subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--from", "sender@example.org", "--to", "swaks@example.com",
                               "--data", "-", "--suppress-data"], input=message.decode().replace("\r\n", "\n")[:-1], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        note.note(token, "GOT_250" if done.returncode == 0 else "GOT_5xx", reply=done.stdout[-300:])
        assert done.returncode == 0, done.stdout


def unsure_tokens(holdfast):
    """Tokens of the deliveries that the receipts name as UNSURE."""
    rows = holdfast.json("queue", "list", "--unsure", check=False)
    return {m.group(1) for r in rows.get("messages", []) for m in [re.match(r"<?([0-9a-f]{32})@sender", r.get("message_id", ""))] if m}


@root_only
def test_everything_comes_home_once(folder, started):
    primary = peers.Postfix(os.path.join(folder, "primary"))
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port))
    journal = os.path.join(folder, "journal")
    swaks(holdfast.port, 20, journal)
    made = subprocess.run(["smtp-source", "-c", "-s", "10", "-m", "1000", "-l", "4096", "-f", "source@example.org", "-t", "source@example.com",
                           f"127.0.0.1:{holdfast.port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert made.returncode == 0, made.stdout
    rng = random.Random(7)
    sender = oracle.Sender(holdfast.port, journal, sessions=8, seed=7).start()
    sizes = oracle.log_sizes(MESSAGES - 1020 - 200, 1024, 5 << 20, rng)
    scale = 300 * (1 << 20) / sum(sizes)  # about 300 MiB in all
    for i, size in enumerate(sizes):
        sender.add(max(1024, int(size * min(1, scale))), [f"user{i % 10}@example.com"])
    sender.finish()
    assert sender.counts == {"GOT_250": len(sizes)}

    primary.start()
    try:
        peers.wait_for(lambda: len(primary.messages()) > 500, 120, "the hand-back to get going")
        primary.stop()  # again, in the middle of the drain
        live = oracle.Sender(holdfast.port, journal, sessions=4, seed=8).start()
        for i in range(200):
            live.add(rng.randrange(1024, 20000), [f"user{i % 10}@example.com"])
        live.finish()
        primary.start()
        before = len(primary.messages())
        peers.wait_for(lambda: len(primary.messages()) > before + 500, 120, "the hand-back to go on")
        primary.kill()  # in the middle of DATA, with several transactions open
        primary.start()
        peers.wait_for(lambda: holdfast.site()["held"] == 0, 300, "nothing held any more", every=0.5)
        peers.wait_for(lambda: primary.queued() == 0, 60, "the primary's own queue to empty")
        unsure = unsure_tokens(holdfast)
        verdict = oracle.assert_kept_all(journal, primary.messages(), explained=unsure)
        from_source = count_from_source(primary)
        print(f"{verdict}; {from_source} from smtp-source; {len(unsure)} UNSURE")
        assert from_source >= 1000 and from_source <= 1000 + len(unsure) + unsure_from_source(holdfast)
        assert "0 need a decision" in holdfast.run("status").stdout or holdfast.site()["decide"] == 0
        holdfast.run("log", "verify", timeout=120)
    finally:
        primary.kill()


def unsure_from_source(holdfast):
    rows = holdfast.json("queue", "list", "--unsure", check=False)
    return sum(1 for r in rows.get("messages", []) if r.get("sender") == "source@example.org")


def count_from_source(primary):
    n = 0
    for path in primary.messages():
        with open(path, "rb") as f:
            n += b"source@example.org" in f.read(200)
    return n


@root_only
def test_first_offers_are_oldest_first_per_mailbox(folder, started):
    """P4, from outside: in the primary's own log, the messages of one mailbox begin in the order of their 250."""
    primary = peers.Postfix(os.path.join(folder, "primary"))
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port))
    session, accepted = oracle.Session(holdfast.port), []
    note = oracle.Sender(holdfast.port, os.path.join(folder, "journal"))
    for i in range(300):
        token = f"{i:032x}"
        assert note._send(session, (token, 2000, [f"user{i % 3}@example.com"], "sender@example.org"), None) == "GOT_250"
        accepted.append(token)
    primary.start()
    try:
        peers.wait_for(lambda: holdfast.site()["held"] == 0, 60, "nothing held any more", every=0.2)
        with open(os.path.join(primary.log, "mail.log")) as f:
            seen = re.findall(r"message-id=<([0-9a-f]{32})@sender", f.read())
    finally:
        primary.kill()
    assert sorted(set(seen)) == sorted(accepted) and len(seen) == len(accepted)
    concurrency = 20  # connections side by side may overtake each other by as many messages and no more
    for mailbox in range(3):
        order = [int(t, 16) for t in seen if int(t, 16) % 3 == mailbox]
        late = [(at, n) for at, n in enumerate(order) if n // 3 - at > concurrency or at - n // 3 > concurrency]
        assert not late, f"user{mailbox}: out of order {late[:5]}"

"""Catalogue cases that take a whole Holdfast and a primary: S-17, S-23, D-09, K-07, K-09, K-11, N-07."""
import glob
import os
import signal
import struct
import time

import oracle
import peers
import primaries
import pytest
from conftest import SOAK
from test_faults import Strace, try_one
from test_primary import send

AUTH_CLIENTS = 10000 if SOAK else 200
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
RATE = 600 if SOAK else 20  # messages a minute
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root (signals and strace to other users' processes)")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def let_expire(path):
    """Sets a published file's expiry into the past, with the checksum of its header right."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    struct.pack_into("<QQ", data, 8, 1, 2)
    struct.pack_into("<I", data, 44, crc32c(bytes(data[:44])))
    with open(path + ".test", "wb") as f:
        f.write(data)
    os.chmod(path + ".test", 0o644)
    os.replace(path + ".test", path)


def answer_to_rcpt(port):
    session = oracle.Session(port)
    session.command("MAIL FROM:<victim@example.org>")
    answer = session.command("RCPT TO:<nobody@example.com>")
    session.close()
    return answer


@root_only
@pytest.mark.parametrize("directory", ["fresh", "stale", "missing"])
def test_s_17_unknown_recipient_and_forged_sender(folder, started, directory):
    """550 at RCPT where the address is known to be bad; else kept for a decision. Never a notification to who did not write."""
    primary = started(primaries.Primary(refuse_rcpt=lambda a: None if a.startswith(("postmaster@", "anna@")) else b"550 5.1.1 no such user\r\n"))
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", more="queue: { retry: [1s, 1s, 2s] }\n"))
    holdfast.wait_state("up")
    recipients = os.path.join(holdfast.data, "publish", "recipients.map")
    peers.wait_for(lambda: answer_to_rcpt(holdfast.port)[0] == 550, 10, "the primary to be asked", every=0.2)  # and it is remembered
    peers.wait_for(lambda: os.path.exists(recipients) and b"nobody@example.com" in open(recipients, "rb").read(), 20, "the address to be published")
    primary.stop()
    holdfast.wait_state("down")
    if directory == "fresh":
        code, text = answer_to_rcpt(holdfast.port)
        assert code == 550 and "5.1.1" in text, text
        assert holdfast.site()["held"] == 0
        return
    clerk = holdfast.roles()["clerk"]
    os.kill(clerk, signal.SIGSTOP)  # or it would publish anew
    try:
        let_expire(recipients) if directory == "stale" else os.unlink(recipients)
        peers.wait_for(lambda: answer_to_rcpt(holdfast.port)[0] == 250, 10, "edge to see that it knows nothing")
        assert try_one(holdfast.port, "nobody@example.com")[0] == 250
        assert try_one(holdfast.port)[0] == 250  # one that the primary takes, so that probation ends
    finally:
        os.kill(clerk, signal.SIGCONT)
    primary.start()
    peers.wait_for(lambda: holdfast.site()["decide"] >= 1, 60, "it to be listed for a decision:\n" + holdfast.tail(), every=0.2)
    rows = holdfast.json("queue", "list", "--limit", "100")["messages"]
    assert rows and all(r["sender"] == "a@example.org" for r in rows), rows
    assert not [m for m in primary.messages if b"<>" in m[0]]


def test_s_23_auth_on_port_25(folder, started):
    """Not offered, refused in every form, and no drain on others."""
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port(), limits={"sessions": "12000", "sessions_per_source": "12000"}))
    pid = next(p for n, p in holdfast.roles().items() if n.startswith("edge"))
    fds = lambda: len(os.listdir(f"/proc/{pid}/fd"))  # noqa: E731
    before = fds()
    for i in range(AUTH_CLIENTS):
        s = oracle.Session(holdfast.port)
        code, text = s.command(("AUTH PLAIN AGEAYQ==", "AUTH LOGIN", "AUTH", "AUTH PLAIN *", "AUTH BOGUS !!!", "AUTH PLAIN " + "A" * 3000)[i % 6])
        assert code in (500, 501, 503, 504, 530, 538), text
        s.sock.close()
        if i % 50 == 0:
            assert try_one(holdfast.port)[0] == 250
    assert "AUTH" not in oracle.Session(holdfast.port).command("EHLO x")[1]
    peers.wait_for(lambda: fds() <= before + 3, 10, "descriptors to come back")


def flip(holdfast, text):
    """One bit of the stored message that holds this text."""
    for path in glob.glob(os.path.join(holdfast.data, "ledger", "lane-edge-*", "*.seg")):
        with open(path, "r+b") as f:
            at = f.read().find(text)
            if at >= 0:
                f.seek(at)
                f.write(bytes([text[0] ^ 1]))
                f.flush()
                os.fsync(f.fileno())
                return
    raise AssertionError(f"{text} is in no segment")


def test_d_09_rot_in_held_mail(folder, started):
    """Rot before a start and under the running program: named by `log verify`, never delivered, listed; the others go home."""
    primary = primaries.Primary()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    send(holdfast.port, 8)
    peers.wait_for(lambda: holdfast.site()["held"] == 8, 20, "eight held", every=0.1)
    holdfast.run("log", "verify")
    holdfast.stop()
    flip(holdfast, b"body 3\r\n")
    done = holdfast.run("log", "verify", check=False)
    assert done.returncode == 1 and "edge-0" in done.stdout + done.stderr, done
    holdfast.start()
    flip(holdfast, b"body 5\r\n")
    started(primary)
    peers.wait_for(lambda: len(primary.messages) >= 6 and holdfast.site()["decide"] == 2, 60, "six delivered, two listed:\n" + holdfast.tail(), every=0.2)
    bodies = sorted(m[2].split(b"\r\n\r\n", 1)[1] for m in primary.messages)
    assert bodies == [b"body %d\r\n" % i for i in (0, 1, 2, 4, 6, 7)]
    assert holdfast.run("log", "verify", check=False).returncode == 1


@root_only
def test_k_07_a_message_couriers_die_of(folder, started):
    """Whoever offers it dies: set aside after three, and the others arrive."""
    primary, killed = primaries.Primary(), []

    def on_rcpt(address):
        if address.startswith("poison@"):
            killed.append(time.monotonic())
            for name, pid in holdfast.roles().items():
                if name.startswith("courier"):
                    os.kill(pid, signal.SIGKILL)
        return None

    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    for i in range(6):
        send(holdfast.port, 1, rcpt="poison@example.com" if i == 2 else f"user{i}@example.com")
    peers.wait_for(lambda: holdfast.site()["held"] == 6, 20, "six held", every=0.1)
    primary.refuse_rcpt = on_rcpt
    started(primary)
    peers.wait_for(lambda: len(primary.messages) >= 5 and holdfast.site()["decide"] == 1, 60, "five delivered, one set aside:\n" + holdfast.tail(), every=0.2)
    assert 1 <= len(killed) <= 3, killed
    assert not [m for m in primary.messages if "poison@example.com" in m[1]]


@root_only
def test_k_11_no_new_process_for_a_while(folder, started):
    """fork says EAGAIN: mail flows, and the role is started again as soon as that is possible."""
    primary = started(primaries.Primary())
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    holdfast.wait_state("up")
    strace = Strace(holdfast.process.pid, "clone,clone3,fork,vfork:error=EAGAIN")
    try:
        os.kill(holdfast.roles()["scout"], signal.SIGKILL)
        peers.wait_for(lambda: "scout" not in holdfast.roles(), 5, "scout to be gone")
        send(holdfast.port, 5)
        peers.wait_for(lambda: len(primary.messages) == 5, 20, "mail to flow without scout")
        assert "scout" not in holdfast.roles() and holdfast.process.poll() is None
    finally:
        strace.stop()
    peers.wait_for(lambda: "scout" in holdfast.roles(), 20, "scout to be back:\n" + holdfast.tail(), every=0.1)


def test_n_07_hand_back_keeps_to_the_rate(folder, started):
    """One message first; then oldest first, and never more than the set rate in a minute."""
    primary = primaries.Primary(replies={"data": "hang"})
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", site=f"    rate_per_minute: {RATE}\n",
                                      more="queue: { retry: [1s, 1s, 2s] }\n"))
    send(holdfast.port, RATE + 20)
    peers.wait_for(lambda: holdfast.site()["held"] == RATE + 20, 20, "all held", every=0.1)
    holdfast.wait_state("down")
    started(primary)
    offered = lambda: sum(b"a@example.org" in m for m in primary.mails)  # noqa: E731
    peers.wait_for(lambda: offered() == 1, 30, "the canary")
    time.sleep(2)  # time to do something wrong
    assert offered() == 1, "more than the canary before it was taken"
    primary.stop()
    primary.replies = {}
    primary.start()
    peers.wait_for(lambda: len(primary.messages) >= RATE - 2, 60, "the rate to be used:\n" + holdfast.tail())
    time.sleep(3)  # time to go beyond
    assert len(primary.messages) <= RATE, "more than the rate in a minute"
    order = [int(m[2].split(b"Subject: n", 1)[1].split(b"\r\n", 1)[0]) for m in primary.messages]
    assert max(order) <= RATE and all(abs(n - at) <= 20 for at, n in enumerate(order)), order  # as many connections side by side


@pytest.mark.skipif(not FAKETIME, reason="needs faketime")
def test_k_09_wall_clock_years_off(folder):
    """Mail taken ten years back and handed back decades ahead: nothing expires early, nothing bounces, the order stays."""
    primary = primaries.Primary()
    # One connection: what several carry side by side arrives here in any order.
    holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", site="    concurrency: 1\n", more="roles: { couriers: 1 }\n")
    clock = lambda days: {"LD_PRELOAD": FAKETIME[0], "FAKETIME": f"{days:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}  # noqa: E731
    for n, days in enumerate((-3650, 0, 18250, -1)):
        holdfast.start(env=clock(days))
        try:
            send(holdfast.port, 2)
            peers.wait_for(lambda: holdfast.site()["held"] == 2 * n + 2, 20, f"all held at {days} days:\n" + holdfast.tail(), every=0.1)
            assert holdfast.site()["decide"] == 0
            if days == -1:
                primary.start()
                peers.wait_for(lambda: holdfast.site()["held"] == 0, 60, "everything handed back:\n" + holdfast.tail(), every=0.2)
                assert holdfast.site()["decide"] == 0
        finally:
            holdfast.stop()
    primary.stop()
    assert len(primary.messages) == 8 and not [m for m in primary.messages if b"<>" in m[0]]
    years = [int(y) for m in primary.messages for y in [m[2].split(b" +0000", 1)[0].split(b" ")[-2]]]
    assert max(years) - min(years) >= 59, years  # the clock was where the test wanted it
    assert years[0] == min(years), years  # oldest by sequence first

"""Disk and process faults on the real program: D-04, D-06, D-12, D-13, K-06, K-12, O-01, O-02, O-04."""
import os
import shutil
import signal
import subprocess
import time

import oracle
import peers
import primaries
import pytest
from conftest import SOAK

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root (mount, strace on another user's process)")


def try_one(port, rcpt="anna@example.com"):
    """(code, text) of the reply after the final dot, or of the first refusal."""
    session = oracle.Session(port, timeout=90)
    try:
        for line in ("MAIL FROM:<a@example.org>", f"RCPT TO:<{rcpt}>", "DATA"):
            code, text = session.command(line)
            if code >= 400:
                return code, text
        return session.command("Subject: x\r\n\r\nhello\r\n.")
    finally:
        session.close()


class Strace:
    def __init__(self, pid, inject, to="/dev/null"):
        self.process = subprocess.Popen(["strace", "-f", "-qq", "-p", str(pid), "-e", "trace=" + inject.split(":")[0], "-e", "inject=" + inject, "-o", to],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peers.wait_for(lambda: self._attached(pid), 10, "strace to attach")

    @staticmethod
    def _attached(pid):
        for t in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{t}/status") as f:
                if "TracerPid:\t0\n" in f.read():
                    return False
        return True

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:  # strace waits for ever when a traced thread died at the wrong moment
            self.process.kill()
            self.process.wait(10)


def edge(holdfast):
    return next(pid for name, pid in holdfast.roles().items() if name.startswith("edge"))


def condition(holdfast, role):
    return next(r["condition"] for r in holdfast.json("status")["roles"] if r["name"].startswith(role))


@root_only
def test_d_04_failed_sync_is_never_called_good(folder, started):
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    assert try_one(holdfast.port)[0] == 250
    strace = Strace(edge(holdfast), "fdatasync:error=EIO:when=1")
    code, text = try_one(holdfast.port)
    strace.stop()
    assert code == 451 and "4.3.0" in text, text
    peers.wait_for(lambda: try_one(holdfast.port)[0] == 250, 10, "acceptance in a new segment")
    said = [line for line in holdfast.tail(500).splitlines() if "event=lane.condemned" in line]
    assert len(said) == 1 and "Input/output error" in said[0], said
    peers.wait_for(lambda: "accepting; segments condemned: 1" in condition(holdfast, "edge"), 10, "edge to say it in its condition", every=0.1)
    peers.wait_for(lambda: holdfast.site()["held"] == 2, 10, "two messages held, not three", every=0.1)
    holdfast.stop()
    holdfast.run("log", "verify")
    started(holdfast)
    peers.wait_for(lambda: holdfast.site()["held"] == 2, 10, "the same after a restart", every=0.1)


@root_only
def test_d_12_slow_sync(folder, started):
    """Syncs that take seconds: the batches grow, memory does not, and all is true in the end."""
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    strace = Strace(edge(holdfast), f"fdatasync:delay_enter={5000000 if SOAK else 1500000}")
    sender = oracle.Sender(holdfast.port, os.path.join(folder, "journal"), sessions=30, per_session=100).start()
    for _ in range(60):
        sender.add(4096, ["anna@example.com"])
    sender.finish(120)
    strace.stop()
    assert sender.counts == {"GOT_250": 60}
    peers.wait_for(lambda: holdfast.site()["held"] == 60, 20, "60 held", every=0.1)


@root_only
def test_d_13_writes_fail(folder, started):
    """As after a remount read-only: 4xx and an alert, no crash loop; service comes back by itself."""
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    pid = edge(holdfast)
    strace = Strace(pid, "pwritev,pwritev2,openat:error=EROFS")
    for _ in range(5):
        code, text = try_one(holdfast.port)
        assert 400 <= code < 500, text
    assert edge(holdfast) == pid, "edge ended"
    peers.wait_for(lambda: "storage trouble" in condition(holdfast, "edge"), 10, "edge to say it in its condition", every=0.1)
    strace.stop()
    peers.wait_for(lambda: try_one(holdfast.port)[0] == 250, 15, "service to come back")
    peers.wait_for(lambda: "event=lane.mended" in holdfast.tail(500), 10, "the end of the trouble to be told", every=0.1)
    assert holdfast.tail(500).count("event=lane.failing") == 1


@root_only
def test_d_06_full_disk(folder, started):
    disk = os.path.join(folder, "disk")
    os.makedirs(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,mode=755", "holdfast-test", disk], check=True)
    try:
        primary = primaries.Primary()
        holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", limits={"reserve": "64MiB"})
        with open(holdfast.config) as f:
            text = f.read()
        with open(holdfast.config, "w") as f:
            f.write(text.replace(holdfast.data, os.path.join(disk, "data")))
        started(holdfast)
        assert try_one(holdfast.port)[0] == 250
        filler = os.path.join(disk, "filler")
        with open(filler, "wb", buffering=0) as f:  # the next segment is being made beside: fill step by step
            while shutil.disk_usage(disk).free > 40 << 20:
                f.write(bytes(1 << 20))
        code, text = peers.wait_for(lambda: (lambda r: r if r[0] != 250 else None)(try_one(holdfast.port)), 10, "the reserve to be noticed")
        assert code == 452 and "4.3.1" in text, text
        primary.start()  # reading and delivery go on from the reserve
        peers.wait_for(lambda: holdfast.site()["held"] == 0, 40, lambda: "the hand-back below the reserve:\n" + holdfast.tail(), every=0.2)
        assert primary.messages
        os.unlink(filler)
        peers.wait_for(lambda: try_one(holdfast.port)[0] == 250, 10, "acceptance to come back by itself")
        holdfast.stop()
        primary.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_k_06_sigterm_under_load(folder, started):
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    journal = os.path.join(folder, "journal")
    sender = oracle.Sender(holdfast.port, journal, sessions=8, retry=True).start()
    for _ in range(3000):
        sender.add(8192, ["anna@example.com"])
    peers.wait_for(lambda: sender.counts.get("GOT_250", 0) > 100, 20, "load")
    began = time.monotonic()
    assert holdfast.stop() == 0
    assert time.monotonic() - began < 30
    holdfast.start()
    sender.finish(120)
    rows = oracle.Journal.read(journal)
    acked = sum(1 for e in rows.values() if "GOT_250" in e["tries"])
    unsure = sum(e["tries"].count("NO_REPLY") for e in rows.values())
    peers.wait_for(lambda: acked <= holdfast.site()["held"] <= acked + unsure, 20, f"{acked} held", every=0.1)


def test_k_12_reloads_under_load(folder, started):
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    sender = oracle.Sender(holdfast.port, os.path.join(folder, "journal"), sessions=4, per_session=100000).start()
    for _ in range(2000):
        sender.add(4096, ["anna@example.com"])
    for _ in range(1000 if SOAK else 40):
        holdfast.run("reload")
    sender.finish(120)
    assert sender.counts == {"GOT_250": 2000}


def test_o_01_wrong_configuration(folder, started):
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    with open(holdfast.config) as f:
        good = f.read()
    for wrong, hint in ((good + "lisen: 1\n", "listen"), (good.replace("domains:", "domians:"), "domains"), (good + "node: twice\n", "node"),
                        (good.replace("mode: backup-mx", "mode: backupmx"), "backup-mx"), (good.replace("every: 5s", "every: 5"), "5s"),
                        (good + "tls: { certificate: /nonexistent/c.pem, key: /nonexistent/k.pem }\n", "/nonexistent")):
        with open(holdfast.config, "w") as f:
            f.write(wrong)
        checked = holdfast.run("check-config", check=False)
        assert checked.returncode == 1 and hint in checked.stdout + checked.stderr and "holdfast.yaml:" in checked.stdout + checked.stderr, checked
        assert holdfast.run("reload", check=False).returncode == 1
        assert try_one(holdfast.port)[0] == 250, "the running system lost its configuration"
    assert holdfast.process.poll() is None
    # A wrong configuration never starts half a system.
    other = peers.Holdfast(os.path.join(folder, "other"), peers.free_port(), more="unknown_key: 1\n")
    other.start(wait=False)
    assert other.process.wait(10) != 0
    assert not peers.port_answers(other.port)


def test_o_02_key_that_others_can_read(folder):
    tls = os.path.join(folder, "tls")
    os.makedirs(tls)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x", "-keyout",
                    tls + "/k.pem", "-out", tls + "/c.pem"], check=True, stderr=subprocess.DEVNULL)
    os.chmod(tls + "/k.pem", 0o644)
    holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port(), more=f"tls: {{ certificate: {tls}/c.pem, key: {tls}/k.pem }}\n")
    done = holdfast.run("check-config", check=False)
    assert done.returncode == 1 and "chmod" in done.stdout + done.stderr
    os.chmod(tls + "/k.pem", 0o400)
    holdfast.run("check-config")


def test_o_04_what_can_be_deleted_is_rebuilt(folder, started):
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    sender = oracle.Sender(holdfast.port, os.path.join(folder, "journal"), sessions=4).start()
    for i in range(200):
        sender.add(4096, [f"user{i % 7}@example.com"])
    sender.finish()
    peers.wait_for(lambda: holdfast.site()["held"] == 200, 20, "200 held", every=0.1)
    listing = lambda: [{k: v for k, v in m.items() if k not in ("age", "age_s", "next", "next_in_s")} for m in holdfast.json("queue", "list", "--limit", "1000")["messages"]]  # noqa: E731
    before = listing()
    assert len(before) == 200
    holdfast.stop()
    for gone in ("views", "publish", "run"):
        shutil.rmtree(os.path.join(holdfast.data, gone))
    started(holdfast)
    peers.wait_for(lambda: holdfast.site()["held"] == 200, 20, "the views to be rebuilt", every=0.1)
    assert listing() == before

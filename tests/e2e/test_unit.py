"""The systemd unit: how closed it is, that Holdfast runs with what it leaves, and what Holdfast tells systemd."""
import os
import re
import signal
import smtplib
import socket
import subprocess
import time

import peers
import people
import pytest
import under_unit

EXPOSURE = 2.6  # of `systemd-analyze security`; most of the rest is the root the supervisor starts as, and the network


class OfficeUnderUnit(people.Office):
    def start(self, wait=True, env=None):
        return UnderUnit.start(self, wait, env)


class UnderUnit(peers.Holdfast):
    def start(self, wait=True, env=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([under_unit.__file__, os.path.join(peers.BUILD, "holdfast"), "run", "--config", self.config],
                                            stdout=log, stderr=log, env={**os.environ, **(env or {})})
        self.wait_accepting()
        return self


def send(port, rcpt="anna@example.com"):
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as s:
        s.sendmail("writer@example.org", [rcpt], "Subject: hello\r\n\r\nhello\r\n")


def facts(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_exposure():
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", under_unit.UNIT], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert "ignoring" not in done.stderr, "this systemd leaves out a line of the unit: " + done.stderr
    level = re.search(r"Overall exposure level.*: ([0-9.]+)", done.stdout)
    assert level and float(level.group(1)) <= EXPOSURE, done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take away what the unit takes away")
def test_runs_with_what_the_unit_leaves(folder, started):
    holdfast = started(UnderUnit(os.path.join(folder, "holdfast"), peers.free_port(), every="1s"))
    send(holdfast.port)
    peers.wait_for(lambda: holdfast.site()["held"] == 1, 20, lambda: "one held:\n" + holdfast.tail(), every=0.1)
    roles = holdfast.roles()
    assert {name.split("-")[0] for name in roles} == {"edge", "scout", "sequencer", "clerk", "courier", "watch"}
    filters = int(facts(holdfast.process.pid)["Seccomp_filters"])
    for name, pid in roles.items():
        now = facts(pid)
        assert now["NoNewPrivs"] == "1" and int(now["CapEff"], 16) == 0 and now["Uid"].split()[0] != "0", (name, now)
        assert int(now["Seccomp_filters"]) > filters, f"{name} could not close its own filter:\n{holdfast.tail()}"
    assert os.getpriority(os.PRIO_PROCESS, roles["clerk"]) > 0 and os.sched_getscheduler(roles["clerk"]) == os.SCHED_BATCH
    # Reload, the death of a role and an orderly end need rights of their own.
    assert holdfast.run("reload").returncode == 0
    os.kill(roles["edge-0"], signal.SIGKILL)
    peers.wait_for(lambda: holdfast.roles().get("edge-0", roles["edge-0"]) != roles["edge-0"], 10, lambda: "a new edge:\n" + holdfast.tail())
    holdfast.wait_accepting()
    send(holdfast.port)
    peers.wait_for(lambda: holdfast.site()["held"] == 2, 20, lambda: "two held:\n" + holdfast.tail(), every=0.1)
    assert holdfast.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take away what the unit takes away")
def test_people_work_with_what_the_unit_leaves(folder, started):
    """All ten roles; logins, reading and sending; and auth's folder is nobody's but its own."""
    office = started(OfficeUnderUnit(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    anna, bert = office.add("anna", "bert")
    roles = office.roles()
    assert {name.split("-")[0] for name in roles} == {"edge", "scout", "sequencer", "clerk", "courier", "watch", "desk", "auth", "submission", "indexer"}
    filters = int(facts(office.process.pid)["Seccomp_filters"])
    for name, pid in roles.items():
        now = facts(pid)
        assert now["NoNewPrivs"] == "1" and int(now["CapEff"], 16) == 0 and now["Uid"].split()[0] != "0", (name, now)
        assert int(now["Seccomp_filters"]) > filters, f"{name} could not close its own filter:\n{office.tail()}"
    assert os.stat(os.path.join(office.data, "secrets", "auth")).st_mode & 0o077 == 0
    mid = bert.send(bert.write(anna.address, "under the unit"))
    m = anna.imap()
    peers.wait_for(lambda: [c[0] for c in people.contents(m, "INBOX")] == [mid], 10, lambda: "Bert's mail:\n" + office.tail())
    m.logout()
    assert office.stop() == 0


def test_tells_systemd(folder, started):
    """READY when mail is accepted and not before, RELOADING and READY, WATCHDOG twice in its time and not when it hangs, STOPPING."""
    address = os.path.join(folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address)
        heard.settimeout(20)
        began = time.monotonic()
        holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()), wait=False,
                           env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})

        def wait(word):
            while True:
                text = heard.recv(4096).decode()
                if text != "WATCHDOG=1":
                    assert word in text.split("\n"), f"{text!r} where {word} was due"
                    return text
                if word == "WATCHDOG=1":
                    return text

        wait("READY=1")
        assert time.monotonic() - began < 10 and peers.port_answers(holdfast.port)
        wait("WATCHDOG=1")
        at = [0.0] * 4
        for i in range(len(at)):
            wait("WATCHDOG=1")
            at[i] = time.monotonic()
        gaps = [b - a for a, b in zip(at, at[1:])]
        assert max(gaps) < 1.0, gaps
        holdfast.process.send_signal(signal.SIGHUP)
        reloading = wait("RELOADING=1")
        assert int(re.search(r"MONOTONIC_USEC=(\d+)", reloading).group(1)) <= time.monotonic() * 1e6
        wait("READY=1")
        holdfast.process.send_signal(signal.SIGSTOP)
        heard.settimeout(1.5)
        with pytest.raises(socket.timeout):
            while True:
                heard.recv(4096)
        heard.settimeout(20)
        holdfast.process.send_signal(signal.SIGCONT)
        wait("WATCHDOG=1")
        holdfast.process.terminate()
        wait("STOPPING=1")
        assert holdfast.stop() == 0

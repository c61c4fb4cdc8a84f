"""The commands an operator uses at night, against the real program: what they show, what they change, and what they leave alone."""
import json
import os
import pty
import smtplib
import subprocess

import oracle
import peers
import primaries


def send(port, rcpt="anna@example.com", sender="writer@example.org", subject="hello", size=1000):
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as s:
        s.sendmail(sender, [rcpt], f"From: {sender}\r\nSubject: {subject}\r\n\r\n" + "x" * size + "\r\n")


def start_with_mail(folder, started, n=6, primary_port=None, **kwargs):
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary_port or peers.free_port(), every="1s", **kwargs))
    for i in range(n):
        send(holdfast.port, rcpt=f"user{i}@example.com", size=1000 if i % 2 else 5000, subject=f"number {i}")
    peers.wait_for(lambda: holdfast.site().get("held") == n, 20, lambda: f"{n} held:\n" + holdfast.tail(), every=0.1)
    return holdfast


def messages(holdfast, *words):
    return holdfast.json("queue", "list", *words)["messages"]


def test_queue_list_and_show(folder, started):
    holdfast = start_with_mail(folder, started)
    rows = messages(holdfast)
    assert [r["recipient"] for r in rows] == [f"user{i}@example.com" for i in range(6)], "oldest first"
    assert all(r["state"] == "ready" and r["sender"] == "writer@example.org" and r["site"] == "head-office" for r in rows)
    assert len(messages(holdfast, "--match", "larger=4KiB")) == 3
    assert len(messages(holdfast, "--match", "rcpt=user1@*")) == 1
    assert len(messages(holdfast, "--match", "domain=example.com,smaller=4KiB,newer=1h")) == 3
    assert len(messages(holdfast, "--match", "older=1h")) == 0
    assert len(messages(holdfast, "--limit", "2")) == 2
    text = holdfast.run("queue", "list", "--limit", "2").stdout
    assert rows[0]["id"][:8] in text and "2 of 6 deliveries shown" in text and all(len(line) <= 80 for line in text.splitlines())
    shown = holdfast.json("queue", "show", rows[2]["id"][:10])
    assert shown["id"] == rows[2]["id"] and shown["subject"].strip() == "number 2" and shown["recipients"][0]["recipient"] == "user2@example.com"
    assert "number 2" in holdfast.run("queue", "show", rows[2]["id"]).stdout
    assert holdfast.run("queue", "show", "0" * 32, check=False).returncode == 1
    assert holdfast.run("queue", "list", "--match", "nonsense=1", check=False).returncode == 2


def test_acts_ask_first_and_are_audited(folder, started):
    holdfast = start_with_mail(folder, started)
    rows = messages(holdfast)
    # Without a terminal and without --yes nothing happens.
    refused = holdfast.run("queue", "discard", "--match", "larger=4KiB", check=False, stdin="")
    assert refused.returncode == 1 and "--yes" in refused.stderr and len(messages(holdfast)) == 6
    done = holdfast.json("queue", "discard", "--match", "larger=4KiB", "--yes", "--reason", "too large for us")
    assert done["ok"] and done["count"] == 3
    assert len(messages(holdfast)) == 3
    one = messages(holdfast)[0]["id"]
    assert holdfast.run("queue", "discard", one, "--yes", "--reason", "spam").returncode == 0
    assert one not in [r["id"] for r in messages(holdfast)] and len(messages(holdfast)) == 2
    # Again: there is nothing any more, and that is a no.
    assert holdfast.run("queue", "discard", one, "--yes", check=False).returncode == 1
    told = holdfast.json("history")["history"]
    acts = [a for a in told if a["verb"] == "queue.discard"]
    assert [a["reason"] for a in acts] == ["too large for us", "spam"] and all("uid %d" % os.geteuid() in a["actor"] for a in acts), acts
    assert "too large for us" in holdfast.run("history").stdout
    assert rows[0]["id"] != one
    holdfast.run("log", "verify")


def test_redirect_and_retry(folder, started):
    other = primaries.Primary().start()
    holdfast = start_with_mail(folder, started)
    done = holdfast.json("queue", "redirect", "--to", f"127.0.0.1:{other.port}", "--match", "rcpt=user1@*", "--yes", "--reason", "she moved")
    assert done["ok"] and done["count"] == 1
    peers.wait_for(lambda: len(other.messages) == 1, 20, lambda: "the redirected message:\n" + holdfast.tail(), every=0.1)
    peers.wait_for(lambda: len(messages(holdfast)) == 5, 10, "it to be off the queue", every=0.1)
    assert holdfast.run("queue", "retry", "--match", "state=held", "--yes").returncode == 0
    other.stop()


def test_status_without_watch_and_without_anything(folder, started):
    holdfast = start_with_mail(folder, started, n=2)
    text = holdfast.run("status").stdout
    assert "head-office" in text and "2 deliveries are held" in text and "0 need a decision" in text
    assert all(len(line) <= 80 for line in text.splitlines()), text
    holdfast.stop()
    # All roles gone: the views still tell what is held, the rest is said to be missing.
    done = holdfast.run("status", check=False)
    assert done.returncode == 1 and "2 deliveries are held" in done.stdout and "Missing" in done.stdout, done.stdout
    told = json.loads(holdfast.run("status", "--json", check=False).stdout)
    assert told["ok"] is False and told["held"] == 2 and told["missing"]
    assert len(messages(holdfast)) == 2
    assert holdfast.run("hold", "head-office", "on", check=False).returncode == 1
    assert holdfast.run("queue", "discard", "--match", "state=held", "--yes", check=False).returncode == 1
    assert len(messages(holdfast)) == 2


def test_a_half_edited_configuration_does_not_blind_the_operator(folder, started):
    holdfast = start_with_mail(folder, started, n=2)
    with open(holdfast.config, "a") as f:
        f.write("lisen: {}\n")
    done = holdfast.run("status")  # and exits 0: nothing that runs is wrong
    assert "2 deliveries are held" in done.stdout and "has mistakes" in done.stderr
    assert holdfast.json("status")["disk"]["reserve_bytes"] > 0


def test_o_08_check_config_sees_a_pair_that_does_not_match(folder):
    tls = os.path.join(folder, "tls")
    os.makedirs(tls)
    for name in "ab":
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x", "-days", "30",
                        "-keyout", f"{tls}/{name}.key", "-out", f"{tls}/{name}.pem"], check=True, stderr=subprocess.DEVNULL)
        os.chmod(f"{tls}/{name}.key", 0o400)
    for key, status in (("a", 0), ("b", 1)):
        holdfast = peers.Holdfast(os.path.join(folder, key), peers.free_port(), more=f"tls: {{ certificate: {tls}/a.pem, key: {tls}/{key}.key }}\n")
        done = holdfast.run("check-config", check=False)
        assert done.returncode == status, done
    assert "holdfast.yaml: error: " in done.stderr and "does not belong to certificate" in done.stderr, done.stderr


def test_h_04_text_of_hostile_mail(folder, started):
    """Queue, trace and history in words: nothing of a mail or a reason is more than text, decoded or not."""
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    session = oracle.Session(holdfast.port)
    for line in ("MAIL FROM:<a@example.org>", "RCPT TO:<anna@example.com>", "DATA"):
        session.command(line)
    evil = "=?utf-8?q?=1B[2J=C2=9B31m=E2=80=AEfdp.exe_=E2=80=8F=F3=A0=81=81?="
    assert session.command(f'From: "{evil}" <x@example.org>\r\nSubject: {evil} \u009b31m\u202e\x1b]0;owned\x07\r\n\r\nx\r\n.')[0] == 250
    session.close()
    peers.wait_for(lambda: holdfast.site()["held"] == 1, 10, "one held", every=0.1)
    one = messages(holdfast)[0]["id"]
    holdfast.run("hold", "head-office", "on", "--reason", "\u202eevil\x1b[2J\u2066")
    for words in (("queue", "list"), ("queue", "show", one), ("trace", "--to", "anna"), ("trace", "--subject", "FDP.EXE"), ("history",),
                  ("history", "--match", "evil"), ("status",), ("timeline", "head-office")):
        text = holdfast.run(*words, check=False).stdout
        assert text and not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7f <= ord(c) < 0xa0 or c in "\u200f\u202e\u2066\U000e0041")], (words, text)
    assert "fdp.exe" in holdfast.run("trace", "--to", "anna").stdout


def test_json_of_hostile_mail_on_a_terminal(folder, started):
    """C1 controls and turned writing in a subject reach no terminal, and the JSON says them all the same."""
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port()))
    session = oracle.Session(holdfast.port)
    for line in ("MAIL FROM:<a@example.org>", "RCPT TO:<anna@example.com>", "DATA"):
        session.command(line)
    assert session.command("Subject: \u009b31m\u202e\x1b[2J\r\n\r\nx\r\n.")[0] == 250
    session.close()
    peers.wait_for(lambda: holdfast.site()["held"] == 1, 10, "one held", every=0.1)
    ours, theirs = pty.openpty()
    done = subprocess.Popen([os.path.join(peers.BUILD, "holdfast"), "queue", "list", "--json", "--config", holdfast.config], stdout=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        if not more:
            break
        shown += more
    assert done.wait(20) == 0
    assert not [c for c in shown if c > 126 or (c < 32 and c not in b"\r\n")]
    assert json.loads(shown)["messages"][0]["subject"] == "\u009b31m\u202e\x1b[2J"

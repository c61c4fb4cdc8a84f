"""Hostile mail in a real browser (H-01, H-03, H-04): the node tests of web/browser, which start Debian's Chromium by themselves."""
import glob
import os
import smtplib
import subprocess

import peers
import people
import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
TESTS = sorted(glob.glob(os.path.join(TOP, "web", "browser", "*_test.mjs")))


@pytest.mark.parametrize("path", TESTS, ids=[os.path.basename(p)[:-len("_test.mjs")] for p in TESTS])
def test_browser(path):
    done = subprocess.run(["node", "--test", path], cwd=os.path.join(TOP, "web"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=600, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout, done.stdout[-2000:]


@pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")
def test_our_verdict_stands_above_what_a_sender_claims(folder, started):
    """What web/portal/safe/verdict.ts relies on (V1): our Authentication-Results and our Received field are a message's first two."""
    postfix = started(peers.Postfix(os.path.join(folder, "postfix")))
    office = started(people.Office(os.path.join(folder, "office"), postfix.port, mode="backup-mx"))
    office.add("anna")
    forged = "Authentication-Results: mx2.example.net; spf=pass smtp.mailfrom=bank.example"
    with smtplib.SMTP("127.0.0.1", office.port) as s:
        s.sendmail("x@remote.example", ["anna@example.com"], f"{forged}\r\nFrom: x@bank.example\r\nSubject: hi\r\n\r\nbody\r\n")
    j = office.people["anna"].jmap()
    peers.wait_for(lambda: len(j.emails("inbox")) == 1, 10, "the message")
    got, = j.emails("inbox", properties=["headers"])
    first, second, third = got["headers"][:3]
    assert first["name"] == "Authentication-Results" and "smtp.mailfrom=remote.example" in first["value"] and "spf=pass" not in first["value"]
    assert second["name"] == "Received" and f"by {first['value'].strip().split(';')[0]} (Holdfast) with " in second["value"]
    assert third["value"].strip().endswith("bank.example")

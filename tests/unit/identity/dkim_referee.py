#!/usr/bin/python3
"""DKIM against dkimpy, both ways: what we sign it takes, what it signs (every canonical form) we take, and what was changed
afterwards neither does. dkim_referee.py DKIM_TOOL"""
import random
import subprocess
import sys
import tempfile

import dkim

TOOL = sys.argv[1]
RANDOM = random.Random(20261122)
ROUNDS = 25


def tool(*args, given=b""):
    done = subprocess.run([TOOL, *args], input=given, capture_output=True, timeout=60)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def text(n, alphabet=b"abc  \t.=;:\xc3\xa9"):
    return bytes(RANDOM.choice(alphabet) for _ in range(RANDOM.randrange(n)))


def message():
    """Blanks at line ends, empty lines at the end, folding, fields twice, no last line end now and then."""
    fields = [b"From: \"A  B\"  <a@example.org>\r\n", b"To:b@example.net ,\r\n\t c@example.net\r\n",
              b"SUBJECT:  Hello " + text(30).strip() + b"x  \r\n", b"Date: Sat, 21 Nov 2026 21:10:22 +0000\r\n"]
    if RANDOM.random() < 0.5:
        fields.append(b"Received: from x\r\n by y; z\r\n")
    if RANDOM.random() < 0.3:
        fields.append(b"To: twice@example.net\r\n")
    RANDOM.shuffle(fields)
    lines = [text(60) for _ in range(RANDOM.randrange(12))] + [b""] * RANDOM.randrange(4)
    body = b"\r\n".join(lines) + RANDOM.choice([b"", b"\r\n", b"\r\n\r\n", b" \r\n"])
    return b"".join(fields) + b"\r\n" + body


def referee(signed, record):
    return dkim.verify(signed, dnsfunc=lambda name, timeout=5: record, minkey=1024)


def ours(signed, record):
    return tool("verify", given=record + b"\n" + signed).decode().split("\n")[0]


def changed(signed):
    """One letter of the subject, or one of the body."""
    at = signed.index(b"Hello")
    return signed[:at] + b"J" + signed[at + 1:]


def main():
    dkim_key = {}
    with tempfile.TemporaryDirectory() as folder:
        for algorithm in ("rsa-sha256", "ed25519-sha256"):
            record, pem = tool("make", algorithm).split(b"\n", 1)
            dkim_key[algorithm] = (record, pem)
            path = f"{folder}/{algorithm}.pem"
            with open(path, "wb") as f:
                f.write(pem)
            for _ in range(ROUNDS):
                m = message()
                signed = tool("sign", "example.org", "sel", path, given=m)
                sent = signed if signed.endswith(b"\r\n") else signed + b"\r\n"  # as the courier sends it
                assert referee(sent, record), (algorithm, sent)
                assert ours(sent, record) == "pass ", (algorithm, ours(sent, record), sent)
                assert not referee(changed(sent), record) and ours(changed(sent), record).startswith("fail")
                # what is covered once more than it is there cannot be added
                added = b"Subject: another\r\n" + sent
                assert not referee(added, record) and ours(added, record).startswith("fail"), added
        record, pem = dkim_key["rsa-sha256"]
        for header in (b"relaxed", b"simple"):
            for body in (b"relaxed", b"simple"):
                for _ in range(ROUNDS):
                    m = message()
                    m = m if m.endswith(b"\r\n") else m + b"\r\n"
                    field = dkim.sign(m, b"sel", b"example.org", pem, canonicalize=(header, body))
                    assert ours(field + m, record) == "pass ", (header, body, ours(field + m, record), field + m)
                    assert ours(changed(field + m), record).startswith("fail")
    print("DKIM: the referee agrees")


main()

"""Real messages, as they came from the wild, through the whole program: bytes equal at the primary.

HOLDFAST_CORPUS names a folder of message files (mbox files are cut at their From_ lines). What SMTP itself cannot carry is made
carryable first, by the sender as any sender must: line ends become CRLF, and messages with NUL or a bare CR are left out.
"""
import os
import re
import secrets

import oracle
import peers
import primaries
import pytest

CORPUS = os.environ.get("HOLDFAST_CORPUS", "")


def messages():
    for folder, _, names in sorted(os.walk(CORPUS)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.startswith("README") or os.path.getsize(path) > 4 << 20:
                continue
            with open(path, "rb") as f:
                raw = f.read()
            for part in re.split(rb"(?m)^From [^\n]*\n", raw) if raw.startswith(b"From ") else [raw]:
                wire = part.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                if not wire or b"\0" in wire or re.search(rb"\r(?!\n)", wire):
                    continue
                yield wire if wire.endswith(b"\r\n") else wire + b"\r\n"


@pytest.mark.skipif(not os.path.isdir(CORPUS), reason="HOLDFAST_CORPUS names no folder of real messages")
def test_real_messages_come_out_as_they_went_in(folder, started):
    primary = primaries.Primary()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    sent, refused = {}, []
    session = oracle.Session(holdfast.port)
    for wire in messages():
        token = secrets.token_hex(16)
        body = f"{oracle.TOKEN}: {token}\r\n".encode() + wire
        for line in ("MAIL FROM:<sender@example.org> BODY=8BITMIME", "RCPT TO:<anna@example.com>", "DATA"):
            assert session.command(line)[0] < 400
        session.sock.sendall(oracle.dot_stuffed(body) + b".\r\n")
        code, text = session.reply()
        if code == 250:
            sent[token] = body
        else:
            refused.append((text, wire[:200]))
    session.close()
    assert len(sent) > 100, "the corpus is smaller than it says"
    # The only reason to refuse one: it has gone through more hops than limits.hops allows.
    assert all("5.4.6" in text for text, _ in refused), refused[:3]
    primary.start()
    peers.wait_for(lambda: holdfast.site()["held"] == 0, 60, f"{len(sent)} messages handed back:\n" + holdfast.tail(), every=0.2)
    primary.stop()
    came = {}
    for _, _, raw in primary.messages:
        token, _ = oracle.digest_from_token(raw)
        came.setdefault(token, []).append(raw[raw.index(oracle.TOKEN.encode()):])
    assert {t: [b] for t, b in sent.items()} == came
    print(f"{len(sent)} real messages unchanged, {len(refused)} refused for their hops")

"""What people send: signed to the world by a second Postfix, refused there, kept while it is away, and to each other."""
import email
import email.message
import email.policy
import glob
import json
import os
import smtplib
import socket
import threading

import peers
import people
import pytest

dkim = pytest.importorskip("dkim")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")


@pytest.fixture
def world(folder, started):
    return started(peers.Postfix(os.path.join(folder, "world"), domains=("world.example",), users=["eve@world.example", "mallory@world.example"]))


@pytest.fixture
def office(folder, started, world):
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx", world_port=world.port))
    o.add("anna", "bert")
    return o


def taken(world, user):
    found = []
    for path in glob.glob(os.path.join(world.mail, "world.example", user, "new", "*")):
        with open(path, "rb") as f:
            found.append(f.read())
    return found


def wire(stored):
    """As it came over the wire: without what Postfix put before it, with CRLF."""
    text = stored.replace(b"\r\n", b"\n")
    return text[text.index(b"DKIM-Signature:"):].replace(b"\n", b"\r\n")


def test_the_world_gets_it_signed_and_without_bcc(office, world):
    anna = office.people["anna"]
    made = json.loads(office.run("dkim", "create", "example.com", "--selector", "test", "--json").stdout)
    records = {k["name"].encode() + b".": k["value"].encode() for k in made["keys"]}
    assert sorted(k["algorithm"] for k in made["keys"]) == ["ed25519-sha256", "rsa-sha256"]
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Bcc"], message["Subject"] = anna.address, "eve@world.example", "mallory@world.example", "Hello"
    message.set_content("Grüße aus dem Büro\n\n\n")
    with smtplib.SMTP("127.0.0.1", office.ports["submission"], timeout=30) as s:
        s.starttls(context=people.trusting())
        s.login(anna.address, anna.password)
        s.sendmail(anna.address, ["eve@world.example", "mallory@world.example", "bert@example.com"], message.as_bytes(policy=email.policy.SMTP))
    for user in ("eve", "mallory"):
        peers.wait_for(lambda: taken(world, user), 20, lambda: f"mail to {user}:\n" + office.tail())
        [stored] = taken(world, user)
        parsed = email.message_from_bytes(stored)
        assert parsed["Bcc"] is None and parsed["Date"] and parsed["Message-ID"]
        assert not [r for r in parsed.get_all("Received") if "127.0.0.1" in r and "mx2.example.net" in r and "by primary" not in r]
        for i in (0, 1):  # both signatures
            checked = dkim.DKIM(wire(stored))
            assert checked.verify(idx=i, dnsfunc=lambda name, timeout=5: records[name]), (i, stored)
    m = office.people["bert"].imap()
    peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 1, 10, "Bert to have it too")


def test_a_refusal_comes_back_to_the_author(office, world):
    anna = office.people["anna"]
    anna.send(anna.write("nobody@world.example", "To nobody"))
    m = anna.imap()
    peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 1, 20, lambda: "the notification:\n" + office.tail())
    people.ok(m.select("INBOX"))
    [(_, raw), _] = people.ok(m.fetch("1", "(BODY.PEEK[])"))
    report = email.message_from_bytes(raw)
    assert report.get_content_type() == "multipart/report"
    status = report.get_payload()[1].as_string()
    assert "nobody@world.example" in status and "Action: failed" in status and "5.1.1" in status


def test_the_world_away_and_back(office, world):
    anna = office.people["anna"]
    world.stop()
    anna.send(anna.write("eve@world.example", "Later"), port="submissions")
    peers.wait_for(lambda: "deferred" in office.run("queue", "list", "--json").stdout, 20, "the message to wait")
    world.start()
    office.run("queue", "retry", "--match", "rcpt=eve@world.example", "--yes")
    peers.wait_for(lambda: taken(world, "eve"), 20, lambda: "mail to eve:\n" + office.tail())
    assert len(taken(world, "eve")) == 1


class Names:
    """A name server of our own: TXT records by name, NXDOMAIN for the rest."""

    def __init__(self):
        self.texts, self.socket = {}, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def start(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def stop(self):
        self.socket.close()

    def _serve(self):
        while True:
            try:
                asked, peer = self.socket.recvfrom(1000)
            except OSError:
                return
            at, labels = 12, []
            while asked[at]:
                labels.append(asked[at + 1:at + 1 + asked[at]].decode().lower())
                at += asked[at] + 1
            question = asked[12:at + 5]
            text = self.texts.get(".".join(labels)) if asked[at + 1:at + 3] == b"\0\x10" else None
            found = b""
            if text:
                data = b"".join(bytes([len(part)]) + part for part in (text[i:i + 255] for i in range(0, len(text), 255)))
                found = b"\xc0\x0c\0\x10\0\x01\0\0\0\0" + len(data).to_bytes(2, "big") + data
            self.socket.sendto(asked[:2] + (b"\x81\x80" if text else b"\x81\x83") + b"\0\x01" + (b"\0\x01" if text else b"\0\0") + b"\0\0\0\0"
                               + question + found, peer)


def test_doctor_looks_for_the_keys(folder, started):
    names = started(Names())
    office = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx",
                                   more=f'dns: {{ server: "127.0.0.1@{names.port}" }}\n'))

    def doctor():
        done = office.run("doctor", "--json", check=False)
        return [(f["level"], f["text"]) for f in json.loads(done.stdout)["checks"] if f["topic"] == "example.com, sending"]

    assert any("has no DKIM key" in t for _, t in doctor())
    keys = json.loads(office.run("dkim", "create", "example.com", "--selector", "k", "--json").stdout)["keys"]
    assert [t for _, t in doctor()].count("the DKIM record k._domainkey.example.com is not published") == 1
    for key in keys:
        names.texts[key["name"]] = key["value"].encode()
    assert sum("is published" in t for level, t in doctor() if level == "good") == 2
    names.texts["k._domainkey.example.com"] = b"v=DKIM1; k=rsa; p=AAAA"
    assert any("another than ours" in t for level, t in doctor() if level == "bad")

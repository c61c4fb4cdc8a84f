#!/usr/bin/python3
"""holdfast-scout as a process, in its sandbox: a name server (UDP and TCP) and a primary (with STARTTLS) on loopback,
the test as supervisor, edge, courier and watch.

What must be seen: every question answered under the seccomp filter that kills, in time also when the DNS is silent; what
was learned goes to watch; askers that ask what is not theirs, or send what is no message, lose their link and nobody
else does (the receiver treats the asker as hostile); a reload; an end without fuss.
Usage: scout_process.py PATH-OF-holdfast-scout
"""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from alone import HEAD, Alone, wait_for  # noqa: E402

A, PTR, TXT = 1, 12, 16
DNS_TIMEOUT_MS = 20000  # far beyond the 350 ms in which scout answers, however busy this machine is


def name_wire(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"


class NameServer:
    """Knows a few names; is silent for those that contain "silent"; truncates over UDP what contains "big"."""

    zone = {
        ("mx.test", A): [b"\x7f\0\0\1"],
        ("2.2.0.192.in-addr.arpa", PTR): [name_wire("mail.test")],
        ("mail.test", A): [b"\xc0\0\2\2"],
        ("2.2.0.192.black.test", A): [b"\x7f\0\0\2"],
        ("sender.test", TXT): [b"\x1cv=spf1 ip4:192.0.2.0/24 -all"],
        ("big.test", TXT): [b"\xffv=spf1 ip4:192.0.2.2" + b" " * 235, b"\xff" + b"x" * 255],
    }

    def __init__(self):
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.by_tcp = 0
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def reply(self, query, is_tcp):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += query[at] + 1
        name, kind = ".".join(labels), query[at + 2]
        question = query[:at + 5]
        if "silent" in name:
            return None
        if "big" in name and not is_tcp:
            return question[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + question[12:]
        found = self.zone.get((name, kind), [])
        is_known = any(n == name for n, _ in self.zone)
        out = question[:2] + b"\x81" + (b"\x80" if is_known else b"\x83") + b"\0\1" + len(found).to_bytes(2, "big")
        out += b"\0\0\0\0" + question[12:]
        for data in found:
            out += b"\xc0\x0c\0" + bytes([kind]) + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big") + data
        return out

    def serve_udp(self):
        while True:
            query, peer = self.udp.recvfrom(600)
            answer = self.reply(query, False)
            if answer:
                self.udp.sendto(answer, peer)

    def serve_tcp(self):
        while True:
            conn, _ = self.tcp.accept()
            with conn:
                while True:
                    head = conn.recv(2)
                    if len(head) < 2:
                        break
                    self.by_tcp += 1
                    answer = self.reply(conn.recv(int.from_bytes(head, "big")), True)
                    conn.sendall(len(answer).to_bytes(2, "big") + answer)


class Primary:
    """Takes good@; offers STARTTLS with a certificate nobody knows."""

    def __init__(self, folder):
        pair = [os.path.join(folder, n) for n in ("primary.crt", "primary.key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        "/CN=mx.test", "-days", "2", "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.over_tls, self.senders = 0, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            conn, _ = self.sock.accept()
            threading.Thread(target=self.talk, args=(conn,), daemon=True).start()

    def talk(self, conn):
        try:
            self.dialogue(conn)
        except OSError:
            pass
        conn.close()

    def dialogue(self, conn):
        conn.sendall(b"220 mx.test ESMTP\r\n")
        lines = conn.makefile("rb")
        while line := lines.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                conn.sendall(b"250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
            elif word == b"STAR":
                conn.sendall(b"220 go\r\n")
                conn = self.context.wrap_socket(conn, server_side=True)
                lines = conn.makefile("rb")
                self.over_tls += 1
            elif word == b"RCPT":
                conn.sendall(b"250 2.1.5 fine\r\n" if b"<good@" in line else b"550 5.1.1 no such user\r\n")
            elif word == b"QUIT":
                conn.sendall(b"221 bye\r\n")
                return
            else:
                if word == b"MAIL":
                    self.senders.append(line)
                conn.sendall(b"250 fine\r\n")


def answer_to(link, question, answer, **values):
    """Asks and waits; returns the answer and how long it took."""
    answer_to.last = getattr(answer_to, "last", 0) + 1
    begin = time.monotonic()
    link.send(question, id=answer_to.last, **values)
    found = wait_for(lambda: [a for a in link.of(answer) if a["id"] == answer_to.last], 10, f"{answer} to {values}", 0.005)
    return found[0], time.monotonic() - begin


def learns(link, question, answer, is_known, **values):
    """The answer once everything has come: on a busy machine the first may be told without it, and the caches fill."""
    return wait_for(lambda: [a for a, _ in [answer_to(link, question, answer, **values)] if is_known(a)], 20,
                    f"a whole {answer} to {values}")[0]


def is_closed(link):
    try:
        link.sock.setblocking(False)
        return link.sock.recv(1 << 17) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def ask_everything(scout, names, primary):
    edge, watch, courier = (scout.links[n] for n in ("edge", "watch", "courier"))
    found = learns(edge, "AskConnection", "ConnectionAnswer", lambda a: a["host_name"] and a["listed"], address="192.0.2.2",
                   dnsbl=["black.test", "clean.test"])
    assert found["host_name"] == "mail.test" and found["listed"] == ["black.test"], found
    for sender in ("a@sender.test", "a@big.test"):
        found = learns(edge, "AskSender", "SenderAnswer", lambda a: a["spf"], address="192.0.2.2", helo="x.test", sender=sender)
        assert found["spf"] == "pass", found
    assert names.by_tcp
    found, took = answer_to(edge, "AskConnection", "ConnectionAnswer", address="192.0.2.2", dnsbl=["silent.test"])
    assert found["host_name"] == "mail.test" and 0.3 < took < DNS_TIMEOUT_MS / 2000, (found, took)
    found = learns(edge, "AskRecipient", "RecipientAnswer", lambda a: a["verdict"], site="hq", address="good@example.org")
    assert (found["verdict"], found["catch_all"]) == (1, False), found
    found = learns(edge, "AskRecipient", "RecipientAnswer", lambda a: a["verdict"], site="hq", address="bad@example.org")
    assert (found["verdict"], found["code"]) == (2, 550), found
    learned = {m["address"]: m["verdict"] for m in wait_for(lambda: len(watch.of("Learned")) == 2 and watch.of("Learned"))}
    assert learned == {"good@example.org": 1, "bad@example.org": 2}, learned
    assert primary.over_tls == 2 and b"postmaster@backup.example.net" in primary.senders[0], primary.senders
    for link in (watch, courier):
        found, _ = answer_to(link, "Resolve", "ResolveAnswer", host="mx.test")
        assert found["ok"] and found["addresses"] == ["127.0.0.1"], found


def hostile_askers_lose_their_link(scout):
    edge = scout.links["edge"]
    edge.send("Resolve", id=1, host="mx.test")  # not edge's to ask
    wait_for(lambda: is_closed(edge), why="the link that asked what is not its own to close")
    courier = scout.links["courier"]
    courier.sock.send(HEAD.pack(b"HFip", 1, 0, 86, 3, 0) + b"abc")  # Resolve, cut short
    wait_for(lambda: is_closed(courier), why="the link with a malformed message to close")
    found, _ = answer_to(scout.links["watch"], "Resolve", "ResolveAnswer", host="mx.test")
    assert found["ok"]
    wait_for(lambda: len(scout.channel.of("LinkLost")) == 2, why="two links to be told lost")


def a_flood_is_bounded(scout):
    """Each question has its answer long before the name server's silence is over; so has the next one, looked up or not."""
    edge = scout.link("edge")
    for i in range(3000):
        edge.send("AskConnection", id=100000 + i, address="192.0.2.2", dnsbl=["silent.test"])
    wait_for(lambda: len(edge.of("ConnectionAnswer")) == 3000, 15, "3000 answers")
    found, _ = answer_to(edge, "AskSender", "SenderAnswer", address="192.0.2.2", helo="x.test", sender="a@sender.test")
    assert found["spf"] == "pass" or found["why"] == "too many checks at once", found


def main():
    folder = tempfile.mkdtemp(prefix="holdfast-scout-")
    names, primary = NameServer(), Primary(folder)
    config = {
        "node": "backup.example.net", "data": folder, "dns_server": f"127.0.0.1@{names.port}", "dns_timeout_ms": DNS_TIMEOUT_MS,
        "spf": True, "log_level": "debug", "domains": [{"name": "example.org", "site": "hq", "mode": "backup-mx"}],
        "sites": [{"name": "hq", "tls": "opportunistic", "primaries": [{"host": "mx.test", "port": primary.port}]}],
    }
    scout = Alone(sys.argv[1], "scout", folder, config, peers=("edge", "courier", "watch"))
    try:
        scout.start()
        print(scout.channel.of("Started"))
        ask_everything(scout, names, primary)
        scout.send_config(True, log_level="info")
        hostile_askers_lose_their_link(scout)
        a_flood_is_bounded(scout)
        metrics = wait_for(lambda: [m for m in scout.channel.of("Metrics") if "scout_learned_total" in m["text"]])
        assert "holdfast_scout_resolved_total" in metrics[-1]["text"]
        assert scout.stop() == 0, scout.log()
    except BaseException:
        print(scout.log())
        raise
    finally:
        if scout.process:
            scout.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

"""The IMAP part of the bench: Holdfast beside Dovecot (maildir, mdbox) on the same messages.

All are asked by the same raw client over TLS on loopback; a run asks each in turn, and the medians stand side by side.
"""
import os
import random
import resource
import secrets
import select
import smtplib
import socket
import ssl
import statistics
import threading
import time

import dovecot
import peers
import people

MESSAGES = int(os.environ.get("HOLDFAST_BENCH_MESSAGES", "10000"))
IDLERS = int(os.environ.get("HOLDFAST_BENCH_IDLERS", "1000"))
PUSHES = 20
TAIL = 4096  # of an answer: more than Dovecot's list of capabilities
WORDS = [w for w in """budget report invoice meeting delivery contract project summer office printer customer order parcel holiday
training server backup ticket station garden kitchen window river mountain coffee""".split()]


def make(i, rng):
    """Plain, alternative and mixed messages, as an office's mailbox has them; one in 500 holds the rare word."""
    subject = " ".join(rng.choices(WORDS, k=5)) + f" {i}"
    text = "\r\n".join(" ".join(rng.choices(WORDS, k=10)) for _ in range(rng.randrange(5, 60)))
    if i % 500 == 7:
        text += "\r\nzeppelin\r\n"
    head = (f"Return-Path: <sender{i % 50}@example.org>\r\nFrom: \"Sender {i % 50}\" <sender{i % 50}@example.org>\r\nTo: Anna <anna@example.com>\r\n"
            f"Subject: {subject}\r\nDate: Sat, 21 Nov 2026 {i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02} +0000\r\n"
            f"Message-ID: <{secrets.token_hex(8)}.{i}@example.org>\r\nMIME-Version: 1.0\r\n")
    if i % 3 == 0:
        body = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    elif i % 3 == 1:
        body = (f"Content-Type: multipart/alternative; boundary=b{i}\r\n\r\n--b{i}\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--b{i}\r\n"
                f"Content-Type: text/html\r\n\r\n<p>{text}</p>\r\n--b{i}--\r\n")
    else:
        blob = "\r\n".join(secrets.token_hex(38) for _ in range(rng.randrange(10, 200)))
        body = (f"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--b{i}\r\n"
                f"Content-Type: application/octet-stream; name=data{i}.bin\r\nContent-Disposition: attachment; filename=data{i}.bin\r\n\r\n{blob}\r\n--b{i}--\r\n")
    return (head + body).encode()


class Raw:
    """A client that costs next to nothing: sends a line, reads to the tagged answer, keeps the last bytes only."""
    trust = people.trusting()  # one for all: to make it takes longer than a login

    def __init__(self, port, user, password, tls="imaps"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        if tls == "imaps":
            self.socket = self.trust.wrap_socket(self.socket)
        self.buffer, self.n, self.bytes = bytearray(1 << 20), 0, 0
        self.until(b"\n")
        self.command(f'LOGIN "{user}" "{password}"')

    def until(self, mark):
        tail = b"\n"
        while True:
            n = self.socket.recv_into(self.buffer)
            if n == 0:
                raise RuntimeError("closed")
            self.bytes += n
            tail = (tail + bytes(self.buffer[max(0, n - TAIL):n]))[-TAIL:]
            at = tail.rfind(b"\n" + mark)
            if tail.endswith(b"\n") and (at >= 0 or mark == b"\n"):
                return tail[at + 1:]

    def command(self, line):
        """Seconds it took."""
        self.n += 1
        tag = b"a%d " % self.n
        began = time.monotonic()
        self.socket.sendall(tag + line.encode() + b"\r\n")
        answer = self.until(tag)
        assert answer.startswith(tag + b"OK"), (line, answer)
        return time.monotonic() - began


class Server:
    def __init__(self, name, imaps_port, user, password, pids):
        self.name, self.port, self.user, self.password, self.pids = name, imaps_port, user, password, pids

    def login(self):
        return Raw(self.port, self.user, self.password)


def pss(pids):
    """KiB of memory that these processes and their children take, shared pages shared out."""
    total = 0
    for pid in pids:
        for p in [pid] + peers._children(pid):
            try:
                with open(f"/proc/{p}/smaps_rollup") as f:
                    total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
            except (OSError, StopIteration):
                pass
    return total


WORKS = [
    ("select", ["SELECT INBOX"]),
    ("flags + envelope of all", ["FETCH 1:* (FLAGS ENVELOPE)"]),
    ("structure of all", ["FETCH 1:* (BODYSTRUCTURE)"]),
    ("search header", ["SEARCH SUBJECT \"zeppelin\"", "SEARCH FROM \"sender7@\""]),
    ("search body, rare word", ["SEARCH BODY \"zeppelin\""]),
    ("search text, common word", ["SEARCH TEXT \"coffee\""]),
    ("all bodies", ["FETCH 1:* (BODY.PEEK[])"]),
]


def measure(servers, runs, rows, progress):
    for work, lines in WORKS:
        took = {s.name: [] for s in servers}
        for run in range(runs + 1):
            for s in servers:
                progress(f"imap: {work}, run {run}/{runs}: {s.name}")
                c = s.login()
                if work != "select":
                    c.command("SELECT INBOX")
                seconds = sum(c.command(line) for line in lines)
                if run:  # the first warms every cache, Dovecot's index too
                    took[s.name].append(seconds)
                c.socket.close()
        rows.append({"work": "imap", "what": work, "messages": MESSAGES, "seconds": {n: statistics.median(t) for n, t in took.items()}, "runs": took})


def notified():
    """So many sessions of Dovecot the kernel lets hear of changes at once (half of what a user may have); others look each 30 s."""
    with open("/proc/sys/fs/inotify/max_user_instances") as f:
        return int(f.read()) // 2


def idle(server, count, deliver, rows, progress):
    """Memory of many idle sessions, and how long a push takes to reach them all."""
    progress(f"imap: {count} idle sessions: {server.name}")
    base = pss(server.pids())
    sessions = []
    for _ in range(count):
        c = server.login()
        c.command("SELECT INBOX")
        c.socket.sendall(b"i IDLE\r\n")
        c.until(b"+")
        sessions.append(c)
    grown = pss(server.pids()) - base
    delays = []
    for _ in range(PUSHES):
        deliver()
        began = time.monotonic()
        waiting = {c.socket.fileno(): c for c in sessions}
        poll = select.poll()
        for fd in waiting:
            poll.register(fd, select.POLLIN)
        while waiting and time.monotonic() - began < 30:
            for fd, _ in poll.poll(1000):
                c = waiting[fd]
                c.socket.recv_into(c.buffer)
                delays.append(time.monotonic() - began)
                poll.unregister(fd)
                del waiting[fd]
        assert not waiting, f"{len(waiting)} sessions were not told"
        drain(sessions)
    for c in sessions:
        c.socket.close()
    delays.sort()
    rows.append({"work": "idle", "who": server.name, "sessions": count, "kib_per_session": grown / count,
                 "push_p50_ms": 1000 * delays[len(delays) // 2], "push_p99_ms": 1000 * delays[int(len(delays) * 0.99)]})


def drain(sessions):
    """What else was said (Dovecot tells RECENT apart) is read before the next push."""
    for c in sessions:
        c.socket.settimeout(0.0)
        try:
            while c.socket.recv_into(c.buffer):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        c.socket.settimeout(300)


def fill(targets, user, messages):
    """Each server gets all messages, in the same order, by a session of its own."""
    def one(protocol, port):
        with protocol("127.0.0.1", port) as s:
            for m in messages:
                s.sendmail("sender@example.org", [user], m)
    threads = [threading.Thread(target=one, args=t) for t in targets]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def mailboxes(folder, rows, runs, progress):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    rng = random.Random(3)
    user, password = "anna@example.com", "a password for the bench"
    office = people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx",
                           more=f"accounts: {{ sessions: {2 * IDLERS + 10} }}\n").start()
    office.run("user", "add", user, "--password-stdin", stdin=password + "\n")
    maildir = dovecot.Dovecot({user: password}, more="mail_fsync = never\n").start()
    mdbox = dovecot.Dovecot({user: password}, location="mdbox:~/mdbox", more="mail_fsync = never\n").start()
    servers = [Server("holdfast", office.ports["imaps"], user, password, lambda: [office.process.pid]),
               Server("dovecot maildir", maildir.imaps_port, user, password, lambda: [maildir.process.pid]),
               Server("dovecot mdbox", mdbox.imaps_port, user, password, lambda: [mdbox.process.pid])]
    try:
        messages = [make(i, rng) for i in range(MESSAGES)]
        progress(f"imap: {MESSAGES} messages for each of three servers")
        fill([(smtplib.SMTP, office.port), (smtplib.LMTP, maildir.lmtp_port), (smtplib.LMTP, mdbox.lmtp_port)], user, messages)
        peers.wait_for(lambda: office.status()["views"].get("lag_records", 0) == 0, 120, "the views", every=0.2)
        measure(servers, runs, rows, progress)

        def by(protocol, port):
            def deliver():
                with protocol("127.0.0.1", port) as s:
                    s.sendmail("sender@example.org", [user], make(1, rng))
            return deliver
        idle(servers[0], IDLERS, by(smtplib.SMTP, office.port), rows, progress)
        idle(servers[1], min(IDLERS, notified()), by(smtplib.LMTP, maildir.lmtp_port), rows, progress)
    finally:
        office.kill()
        maildir.close()
        mdbox.close()


def show(r):
    if r["work"] == "imap":
        s = r["seconds"]
        best = min(v for k, v in s.items() if k != "holdfast")
        print(f"imap, {r['what']:28} {1000 * s['holdfast']:9.1f} ms; dovecot maildir {1000 * s['dovecot maildir']:.1f}, mdbox "
              f"{1000 * s['dovecot mdbox']:.1f}: {best / s['holdfast']:.2f} x as fast as the better")
    else:
        print(f"{r['sessions']} idle sessions, {r['who']:16} {r['kib_per_session']:6.1f} KiB each; push p50 {r['push_p50_ms']:.0f} ms, p99 {r['push_p99_ms']:.0f} ms")

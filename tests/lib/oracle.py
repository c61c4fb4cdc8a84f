"""The oracle of every fault test: a sender with a journal of its own, and the checker that reads it.

The journal is one fsynced line per change of a message: NOT_FINISHED before the first byte, SENT_END before the final
dot is sent, then GOT_250, GOT_4xx, GOT_5xx or NO_REPLY. It is written by the sender's process, which no fault touches.
The checker knows nothing of Holdfast but what came out at the primary:
  L0  each GOT_250 arrived at least once
  L1  what was never finished or was refused never arrived
  L2  more than once only if the sender sent it more than once, or a delivery was in flight at a kill
  L3  the bytes from the token line to the end are those that were sent
"""
import hashlib
import json
import os
import queue
import random
import re
import secrets
import socket
import threading
import time

TOKEN = "X-Token"
QUEUE_ID = re.compile(rb"\(Postfix\) with \w+ id \w+")


def make_message(token, size, rng, recipient, sender="sender@example.org", subject=None):
    """A message of about size bytes: 76-column lines, lines that begin with dots, some 8-bit bytes."""
    head = (f"{TOKEN}: {token}\r\nFrom: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {subject or 'test ' + token}\r\n"
            f"Message-ID: <{token}@sender.example.org>\r\nDate: Sat, 21 Nov 2026 21:10:00 +0000\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n").encode()
    lines = [b".\r\n", b"..\r\n", b".leading dot\r\n", "Grüße aus Köln – ganz unverändert\r\n".encode()]
    have = len(head) + sum(map(len, lines))
    alphabet = b"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789."
    block = bytes(rng.choices(alphabet, k=4096))
    while have < size:
        at = rng.randrange(0, 4096 - 80)
        line = block[at:at + min(74, max(1, size - have - 2))] + b"\r\n"
        lines.append(line)
        have += len(line)
    return head + b"".join(lines)


def log_sizes(count, least, most, rng):
    """Sizes spread evenly over the logarithm."""
    import math
    a, b = math.log(least), math.log(most)
    return [int(math.exp(rng.uniform(a, b))) for _ in range(count)]


class Journal:
    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        self.file = open(path, "a", buffering=1)

    def note(self, token, state, **more):
        line = json.dumps({"token": token, "state": state, "at": time.time(), **more}) + "\n"
        with self.lock:
            self.file.write(line)
            self.file.flush()
            if state != "NOT_FINISHED":
                os.fdatasync(self.file.fileno())

    @staticmethod
    def read(path):
        """{token: {sha, recipients, tries: [last state of each try], ...}}"""
        found = {}
        with open(path) as f:
            for line in f:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue  # the last line of a sender that was cut off itself
                entry = found.setdefault(row["token"], {"tries": []})
                if "sha" in row:  # a try begins; it may end as NOT_FINISHED too
                    entry["tries"].append("NOT_FINISHED")
                    entry.update(sha=row["sha"], rcpts=row["rcpts"], size=row["size"])
                else:
                    entry["tries"][-1] = row["state"]
                    entry["reply"] = row.get("reply")
                entry["at"] = row["at"]
        return found


def dot_stuffed(message):
    out = message.replace(b"\r\n.", b"\r\n..")
    return b"." + out if out.startswith(b".") else out


class Session:
    """One SMTP session of the sender, plain sockets, no help from a library that might hide a lost reply."""

    def __init__(self, port, host="127.0.0.1", timeout=60, helo="sender.example.org"):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.rest = b""
        assert self.reply()[0] == 220
        self.command(f"EHLO {helo}")

    def reply(self):
        lines = []
        while True:
            while b"\n" not in self.rest:
                more = self.sock.recv(65536)
                if not more:
                    raise ConnectionError("closed")
                self.rest += more
            line, self.rest = self.rest.split(b"\n", 1)
            lines.append(line.decode(errors="replace").rstrip("\r"))
            if len(lines[-1]) < 4 or lines[-1][3] != "-":
                return int(lines[-1][:3]), "\n".join(lines)

    def command(self, text):
        self.sock.sendall(text.encode() + b"\r\n")
        return self.reply()

    def close(self):
        try:
            self.sock.sendall(b"QUIT\r\n")
            self.reply()
        except (OSError, ConnectionError, ValueError):
            pass
        self.sock.close()


class Sender:
    """Sends messages by several sessions at once and journals each. Retries what got no 250 when told so."""

    def __init__(self, port, journal, sessions=8, retry=False, seed=None, per_session=20):
        self.port, self.journal, self.sessions, self.retry, self.per_session = port, Journal(journal), sessions, retry, per_session
        self.work, self.stopping, self.threads = queue.Queue(), threading.Event(), []
        self.seed = seed if seed is not None else random.randrange(1 << 30)
        self.counts, self.lock = {}, threading.Lock()

    def add(self, size, recipients, sender="sender@example.org"):
        self.work.put((secrets.token_hex(16), size, recipients, sender))

    def start(self):
        self.threads = [threading.Thread(target=self._loop, args=(i,), daemon=True) for i in range(self.sessions)]
        for t in self.threads:
            t.start()
        return self

    def finish(self, seconds=600):
        """Waits until all that was added had its answer."""
        end = time.monotonic() + seconds
        while self.work.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.02)
        assert not self.work.unfinished_tasks, f"{self.work.unfinished_tasks} messages unsent after {seconds} s; {self.counts}"
        self.stop()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(70)

    def _count(self, state):
        with self.lock:
            self.counts[state] = self.counts.get(state, 0) + 1

    def _loop(self, i):
        rng, session, used = random.Random(self.seed + i), None, 0
        while not self.stopping.is_set():
            try:
                item = self.work.get(timeout=0.1)
            except queue.Empty:
                continue
            done = False
            while not done and not self.stopping.is_set():
                try:
                    if session is None or used >= self.per_session:
                        if session:
                            session.close()
                        session, used = Session(self.port), 0
                except (OSError, AssertionError, ValueError):
                    session = None
                    time.sleep(0.05)
                    continue
                state = self._send(session, item, rng)
                used += 1
                self._count(state)
                if state == "NO_REPLY" or state == "NOT_FINISHED":
                    session.sock.close()
                    session = None
                done = state == "GOT_250" or not self.retry
                if not done:
                    time.sleep(0.02)
            self.work.task_done()
        if session:
            session.close()

    def _send(self, session, item, rng):
        token, size, recipients, sender = item
        message = make_message(token, size, random.Random(token), recipients[0], sender)
        self.journal.note(token, "NOT_FINISHED", sha=hashlib.sha256(message).hexdigest(), size=len(message), rcpts=recipients)
        state = "NOT_FINISHED"
        try:
            for line in [f"MAIL FROM:<{sender}> BODY=8BITMIME"] + [f"RCPT TO:<{r}>" for r in recipients] + ["DATA"]:
                code, text = session.command(line)
                if code >= 400:
                    state = f"GOT_{code // 100}xx"
                    self.journal.note(token, state, reply=text)
                    session.command("RSET")
                    return state
            session.sock.sendall(dot_stuffed(message))
            state = "NO_REPLY"
            self.journal.note(token, "SENT_END")
            session.sock.sendall(b".\r\n")
            code, text = session.reply()
            state = "GOT_250" if code == 250 else f"GOT_{code // 100}xx"
            self.journal.note(token, state, reply=text)
        except (OSError, ConnectionError, ValueError):
            self.journal.note(token, state)
        return state


def digest_from_token(raw):
    """(token, SHA-256 from the token line to the end with CRLF line ends) of a delivered message; token None if none."""
    at = raw.find(TOKEN.encode() + b": ")
    if at < 0:
        return None, None
    body = raw[at:]
    if b"\r\n" not in body[:200]:
        body = body.replace(b"\n", b"\r\n")
    token = body.split(b"\r\n", 1)[0].split(b": ", 1)[1].decode(errors="replace").strip()
    return token, hashlib.sha256(body).hexdigest()


class Verdict:
    def __init__(self):
        self.lost, self.phantoms, self.damaged, self.duplicates, self.acknowledged, self.arrived, self.primary_doubled = [], [], [], [], 0, 0, 0

    def __str__(self):
        return (f"{self.acknowledged} acknowledged, {self.arrived} arrived, {len(self.lost)} lost, {len(self.phantoms)} phantoms, "
                f"{len(self.damaged)} damaged, {len(self.duplicates)} arrived more than once, {self.primary_doubled} doubled by the primary itself")


def check(journal_path, delivered_paths, explained=()):
    """Compares the journal with the delivered files. explained: tokens whose delivery the receipt names as UNSURE."""
    journal, seen, v = Journal.read(journal_path), {}, Verdict()
    whole = set()
    for path in delivered_paths:
        with open(path, "rb") as f:
            raw = f.read()
        token, sha = digest_from_token(raw)
        if token is None:
            continue
        # A Postfix killed between its Maildir and its queue delivers the same queue file again: same Received, same queue id.
        # Equal copies at a primary that gives no id of its own are ours, and count.
        if QUEUE_ID.search(raw[:4096]) and hashlib.sha256(raw).digest() in whole:
            v.primary_doubled += 1
            continue
        whole.add(hashlib.sha256(raw).digest())
        v.arrived += 1
        seen.setdefault(token, []).append(sha)
    for token, entry in journal.items():
        acked, copies = entry["tries"].count("GOT_250"), seen.get(token, [])
        per_try = len(entry["rcpts"])
        unsure = entry["tries"].count("NO_REPLY") + entry["tries"].count("SENT_END")
        v.acknowledged += acked
        if len(copies) < acked * per_try:
            v.lost.append(token)
        if copies and not acked and not unsure:
            v.phantoms.append(token)
        if any(sha != entry["sha"] for sha in copies):
            v.damaged.append(token)
        if len(copies) > (acked + unsure) * per_try and token not in explained:
            v.duplicates.append(token)
    v.phantoms += [t for t in seen if t not in journal]
    return v


def assert_kept_all(journal_path, delivered_paths, explained=()):
    v = check(journal_path, delivered_paths, explained)
    assert not (v.lost or v.phantoms or v.damaged or v.duplicates), (
        f"{v}\nlost {v.lost[:5]}\nphantoms {v.phantoms[:5]}\ndamaged {v.damaged[:5]}\ndoubled {v.duplicates[:5]}")
    return v


def main():
    """oracle.py send PORT JOURNAL COUNT SEED: a sender of its own process, until COUNT messages have their 250."""
    import sys
    if len(sys.argv) != 6 or sys.argv[1] != "send":
        sys.exit(main.__doc__)
    port, journal, count, seed = int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    rng = random.Random(seed)
    sender = Sender(port, journal, sessions=8, retry=True, seed=seed).start()
    for i, size in enumerate(log_sizes(count, 1024, 300 << 10, rng)):
        sender.add(size, [f"user{i % 7}@example.com"])
    sender.finish()


if __name__ == "__main__":
    main()

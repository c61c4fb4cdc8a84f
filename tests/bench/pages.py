"""The portal's part of the bench: what a mail program does, by JMAP from Holdfast and by IMAP from Dovecot, on the same messages.

Each work is what one action of a person takes, with as many requests as it takes in that protocol, on a kept connection over TLS on loopback.
Both clients parse little: JMAP's answer is read as JSON (as a browser has to), IMAP's is read to its end. Push: from the 250 of the message to
the line in the EventSource stream of each open page.
"""
import http.client
import os
import random
import resource
import smtplib
import statistics
import time

import dovecot
import jmap
import mailboxes
import peers
import people

MESSAGES, PAGES, PUSHES, TIMES = mailboxes.MESSAGES, int(os.environ.get("HOLDFAST_BENCH_PAGES", "100")), mailboxes.PUSHES, 20
LIST = ["id", "threadId", "mailboxIds", "keywords", "from", "subject", "receivedAt", "preview", "hasAttachment", "size"]


class Ours:
    name = "holdfast"

    def __init__(self, office, user, password):
        self.jmap = jmap.Jmap(office, user, password)
        self.inbox = self.jmap.boxes()["inbox"]
        self.newest = self.query({"inMailbox": self.inbox}, 50)
        self.state = self.jmap.one("Email/get", ids=[])["state"]

    def query(self, filter_, limit):
        ids = self.jmap.one("Email/query", filter=filter_, sort=[{"property": "receivedAt", "isAscending": False}], limit=limit)["ids"]
        assert ids, filter_
        return ids

    def list(self):
        _, (name, got) = self.jmap.call(
            ("Email/query", {"filter": {"inMailbox": self.inbox}, "sort": [{"property": "receivedAt", "isAscending": False}], "limit": 50}),
            ("Email/get", {"#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids"}, "properties": LIST}))
        assert name == "Email/get" and len(got["list"]) == 50, name

    def get(self):
        got = self.jmap.one("Email/get", ids=[random.choice(self.newest)], properties=[*LIST, "to", "bodyValues", "textBody", "htmlBody", "attachments"],
                            fetchAllBodyValues=True)["list"]
        assert got[0]["bodyValues"]

    def search(self):
        self.query({"inMailbox": self.inbox, "body": "zeppelin"}, 50)

    def changes(self):
        got = self.jmap.one("Email/changes", sinceState=self.state)
        assert not got["created"] and not got["updated"], got

    def close(self):
        self.jmap.close()


class Theirs:
    """A page of 50 by IMAP: the newest are the last; a fresh start knows how many there are by SELECT."""

    def __init__(self, name, port, user, password):
        self.name, self.raw = name, mailboxes.Raw(port, user, password)
        self.raw.command("SELECT INBOX")

    def list(self):
        self.raw.command("SELECT INBOX")
        self.raw.command(f"FETCH {MESSAGES - 49}:{MESSAGES} (UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[TEXT]<0.512>)")

    def get(self):
        at = random.randrange(MESSAGES - 49, MESSAGES + 1)
        self.raw.command(f"FETCH {at} (UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE BODY.PEEK[])")

    def search(self):
        self.raw.command('SEARCH BODY "zeppelin"')

    def changes(self):
        self.raw.command("NOOP")

    def close(self):
        self.raw.socket.close()


WORKS = ["list", "get", "search", "changes"]


def measure(clients, runs, rows, progress):
    for work in WORKS:
        took = {c.name: [] for c in clients}
        for run in range(runs + 1):
            for c in clients:
                progress(f"portal: {work}, run {run}/{runs}: {c.name}")
                for _ in range(TIMES):
                    began = time.monotonic()
                    getattr(c, work)()
                    if run:  # the first warms every cache
                        took[c.name].append(time.monotonic() - began)
        rows.append({"work": "portal", "what": work, "messages": MESSAGES, "p50": {n: statistics.median(t) for n, t in took.items()},
                     "p99": {n: sorted(t)[int(len(t) * 0.99)] for n, t in took.items()}})


class Page(jmap.Events):
    """An open page: when it heard of each new state of its mail."""

    def _read(self):
        self.at = []
        try:
            for line in self.answer:
                if line.startswith(b"data:") and b'"Email"' in line:
                    self.at.append(time.monotonic())
        except (OSError, ValueError, AttributeError, http.client.HTTPException):  # closed while it reads
            pass


def push(office, user, password, deliver, rows, progress):
    """Each page's first news of Emails after the 250."""
    progress(f"portal: push to {PAGES} open pages")
    client = jmap.Jmap(office, user, password)
    opened = [Page(client, types="Email,Mailbox") for _ in range(PAGES)]
    delays = []
    try:
        for _ in range(PUSHES):
            time.sleep(0.5)  # what belongs to the last one has come
            before = [len(p.at) for p in opened]
            deliver()
            began = time.monotonic()
            peers.wait_for(lambda: all(len(p.at) > n for p, n in zip(opened, before)), 30, "all pages to be told", every=0.005)
            delays += [max(0.0, p.at[n] - began) for p, n in zip(opened, before)]
    finally:
        for p in opened:
            p.close()
        client.close()
    delays.sort()
    rows.append({"work": "portal push", "pages": PAGES, "p50_ms": 1000 * statistics.median(delays), "p99_ms": 1000 * delays[int(len(delays) * 0.99)]})


def pages(folder, rows, runs, progress):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    rng = random.Random(3)
    user, password = "anna@example.com", "a password for the bench"
    office = people.Office(os.path.join(folder, "portal"), peers.free_port(), mode="backup-mx",
                           more=f"accounts: {{ sessions: {2 * PAGES + 50} }}\n").start()
    office.run("user", "add", user, "--password-stdin", stdin=password + "\n")
    maildir = dovecot.Dovecot({user: password}, more="mail_fsync = never\n").start()
    mdbox = dovecot.Dovecot({user: password}, location="mdbox:~/mdbox", more="mail_fsync = never\n").start()
    clients = []
    try:
        progress(f"portal: {MESSAGES} messages for each of three servers")
        mailboxes.fill([(smtplib.SMTP, office.port), (smtplib.LMTP, maildir.lmtp_port), (smtplib.LMTP, mdbox.lmtp_port)], user,
                       [mailboxes.make(i, rng) for i in range(MESSAGES)])
        peers.wait_for(lambda: office.status()["views"].get("lag_records", 1) == 0, 120, "the views", every=0.2)
        clients = [Ours(office, user, password), Theirs("dovecot maildir", maildir.imaps_port, user, password),
                   Theirs("dovecot mdbox", mdbox.imaps_port, user, password)]
        measure(clients, runs, rows, progress)

        def deliver():
            with smtplib.SMTP("127.0.0.1", office.port) as s:
                s.sendmail("sender@example.org", [user], mailboxes.make(1, rng))
        push(office, user, password, deliver, rows, progress)
    finally:
        for c in clients:
            c.close()
        office.kill()
        maildir.close()
        mdbox.close()


def show(r):
    if r["work"] == "portal push":
        print(f"portal, push to {r['pages']} open pages: p50 {r['p50_ms']:.0f} ms, p99 {r['p99_ms']:.0f} ms after the 250")
        return
    p50, p99 = r["p50"], r["p99"]
    best = min(v for k, v in p50.items() if k != "holdfast")
    print(f"portal, {r['what']:8} p50 {1000 * p50['holdfast']:8.2f} ms, p99 {1000 * p99['holdfast']:8.2f}; IMAP, dovecot maildir "
          f"{1000 * p50['dovecot maildir']:.2f}, mdbox {1000 * p50['dovecot mdbox']:.2f}: {best / p50['holdfast']:.2f} x as fast as the better")

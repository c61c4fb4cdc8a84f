"""An office for the tests: Holdfast with listeners for people, and what its people do with the protocols of the standard library."""
import email.message
import email.utils
import imaplib
import os
import poplib
import re
import secrets
import smtplib
import ssl
import urllib.request

import dovecot as dovecot_lib
import peers

SERVICES = ("submission", "submissions", "imap", "imaps", "pop3", "pop3s", "https")
PASSWORD = "correct horse battery {name}"

CONFIG = """node: mx2.example.net
data: {data}
listen:
  smtp: ["127.0.0.1:{port}"]
  metrics: ["127.0.0.1:{metrics}"]
{listen}
sites:
  - name: head-office
    primaries: [{{ host: 127.0.0.1, port: {primary} }}]
    probe: {{ every: 1s, fail: 3, recover: 2, recipient: postmaster@example.com }}
{site}domains:
  - {{ name: example.com, site: head-office, mode: {mode}, recipients: [learn] }}
limits: {{ {limits} }}
{more}"""


def trusting():
    """A TLS context that takes any certificate: the tests' own is self-signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Office(peers.Holdfast):
    """dovecot: the primary's IMAP server (tests/lib/dovecot.py) or None; world_port: where mail for foreign domains goes."""

    def __init__(self, folder, primary_port, dovecot=None, mode="gateway", world_port=None, more="", passthrough=False, master=True, imap_port=None,
                 limits=None):
        self.ports = {s: peers.free_port() for s in SERVICES}
        self.dovecot = dovecot
        port, self.metrics_port = peers.free_port(), peers.free_port()
        listen = "\n".join(f'  {s}: ["127.0.0.1:{p}"]' for s, p in self.ports.items())
        site = ""
        if dovecot:
            site += f"    imap: [{{ host: 127.0.0.1, port: {imap_port or dovecot.imap_port}, tls: none }}]\n"
            if master:
                site += f'    master: {{ user: {dovecot_lib.MASTER}, login: "%u*%m" }}\n'
            if passthrough:
                site += "    passthrough: true\n"
        if world_port:
            more += f"smarthost: {{ host: 127.0.0.1, port: {world_port} }}\n"
        limits = ", ".join(f"{k}: {v}" for k, v in {**peers.LIMITS, **(limits or {})}.items())
        super().__init__(folder, primary_port, port=port, config=CONFIG.format(
            data=os.path.join(os.path.realpath(folder), "data"), port=port, metrics=self.metrics_port, listen=listen, primary=primary_port, site=site, mode=mode,
            limits=limits, more=more))
        self.people = {}

    def start(self, wait=True, env=None):
        super().start(wait, env)
        if wait:
            for service in SERVICES:
                peers.wait_for(lambda: self._connects(self.ports[service]), 20, lambda: f"{service}:\n" + self.tail())
        return self

    @staticmethod
    def _connects(port):
        import socket
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return True
        except OSError:
            return False

    def metric(self, name):
        """Sum of a metric over all instances."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        values = [float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[ {{]", line)]
        assert values, f"no metric {name}"
        return sum(values)

    def set_master_password(self, password, site="head-office"):
        self.run("site", "password", site, "--password-stdin", stdin=password + "\n")

    def add(self, *names):
        """Accounts name@example.com, each with a password of its own."""
        for name in names:
            password = PASSWORD.format(name=name)
            self.run("user", "add", f"{name}@example.com", "--name", name.title(), "--password-stdin", stdin=password + "\n")
            self.people[name] = Person(self, name, password)
        return [self.people[n] for n in names]


class Person:
    def __init__(self, office, name, password):
        self.office, self.name, self.password = office, name, password
        self.address = f"{name}@example.com"

    def imap(self, tls=True):
        """A logged-in imaplib session."""
        ports = self.office.ports
        if tls:
            m = imaplib.IMAP4_SSL("127.0.0.1", ports["imaps"], ssl_context=trusting(), timeout=30)
        else:
            m = imaplib.IMAP4("127.0.0.1", ports["imap"], timeout=30)
            m.starttls(trusting())
        m.login(self.address, self.password)
        return m

    def jmap(self):
        """What this person's JMAP program sees (tests/lib/jmap.py)."""
        from jmap import Jmap
        return Jmap(self.office, self.address, self.password)

    def pop(self):
        m = poplib.POP3_SSL("127.0.0.1", self.office.ports["pop3s"], context=trusting(), timeout=30)
        m.user(self.address)
        m.pass_(self.password)
        return m

    def send(self, message, to=None, port="submission"):
        """Submits an email.message; returns its Message-ID."""
        if "Message-ID" not in message:
            message["Message-ID"] = email.utils.make_msgid(domain="example.com")
        if port == "submissions":
            s = smtplib.SMTP_SSL("127.0.0.1", self.office.ports[port], context=trusting(), timeout=30)
        else:
            s = smtplib.SMTP("127.0.0.1", self.office.ports[port], timeout=30)
            s.starttls(context=trusting())
        with s:
            s.login(self.address, self.password)
            s.send_message(message, self.address, to)
        return message["Message-ID"]

    def write(self, to, subject, body="Good morning.\n", reply_to=None):
        m = email.message.EmailMessage()
        m["From"], m["To"], m["Subject"] = f"{self.name.title()} <{self.address}>", ", ".join(to if isinstance(to, list) else [to]), subject
        m["Date"] = email.utils.formatdate()
        m["Message-ID"] = f"<{secrets.token_hex(12)}@example.com>"
        if reply_to:
            m["In-Reply-To"] = m["References"] = reply_to
        m.set_content(body)
        return m


# ---- looking at mailboxes by IMAP, the same for Holdfast and for a primary ----

MESSAGE_ID = re.compile(rb"message-id:\s*(<[^>]*>)", re.I)
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
UID = re.compile(rb"UID (\d+)")


def ok(answer):
    status, data = answer
    assert status == "OK", answer
    return data


def quoted(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def folders(m):
    """Names of all mailboxes that can be selected."""
    names = []
    for line in ok(m.list()):
        if line and b"\\noselect" not in line.lower() and b"\\nonexistent" not in line.lower():
            names.append(re.match(rb'\(.*?\) (?:"[^"]*"|NIL) "?(.*?)"?$', line).group(1).decode())
    return names


def contents(m, folder):
    """[(Message-ID, flags without \\Recent, uid)] of a mailbox, ascending by UID."""
    total = int(ok(m.select(quoted(folder), readonly=True))[0])
    if total == 0:
        return []
    found, mid = [], None
    for part in ok(m.fetch("1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")):
        if isinstance(part, tuple):
            mid, flags, uid = MESSAGE_ID.search(part[1]), FLAGS.search(part[0]), UID.search(part[0])
            mid = mid.group(1).decode() if mid else ""
        elif mid is not None:  # the closing line: flags may stand after the literal
            flags, uid = flags or FLAGS.search(part), uid or UID.search(part)
            found.append((mid, frozenset(flags.group(1).decode().split()) - {"\\Recent"}, int(uid.group(1))))
            mid = None
        # else: news about another message, told in between
    return found


def everything(m):
    """{folder: contents} of a whole account."""
    return {f: contents(m, f) for f in folders(m)}


def find_uid(m, folder, message_id):
    ok(m.select(quoted(folder)))
    uids = ok(m.uid("SEARCH", None, "HEADER", "Message-ID", quoted(message_id)))[0].split()
    assert len(uids) == 1, (folder, message_id, uids)
    return uids[0].decode()

"""Passwords and codes that people type, right or wrong, stand nowhere but (as verifiers) below secrets/: not in the log, the
ledger, the views, what processes show of themselves, nor in what is published."""
import base64
import glob
import imaplib
import os
import poplib
import re
import smtplib
import socket
import stat

import peers
import people
import pytest
from console import Browser, totp

WRONG = "canary-wrong-7Qx{n}-password"


@pytest.fixture
def office(folder, started):
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    o.add("anna", "bert")
    return o


def attempts(office, name, password):
    """Every way in, in turn; True for each that was let in."""
    ports, trust = office.ports, people.trusting()

    def imap(how):
        m = imaplib.IMAP4_SSL("127.0.0.1", ports["imaps"], ssl_context=trust, timeout=30)
        try:
            how(m)
            m.logout()
            return True
        except imaplib.IMAP4.error:
            m.shutdown()
            return False

    def pop(how):
        m = poplib.POP3_SSL("127.0.0.1", ports["pop3s"], context=trust, timeout=30)
        try:
            how(m)
            m.quit()
            return True
        except poplib.error_proto:
            m.close()
            return False

    def submit(mechanism):
        with smtplib.SMTP_SSL("127.0.0.1", ports["submissions"], context=trust, timeout=30) as s:
            s.ehlo()
            s.user, s.password = name, password
            try:
                s.auth(mechanism, getattr(s, "auth_" + mechanism.lower()))
                return True
            except smtplib.SMTPAuthenticationError:
                return False

    def literal(m):
        m.send(b"x LOGIN {%d}\r\n" % len(name))
        m.readline()
        m.send(name.encode() + b" {%d}\r\n" % len(password))
        m.readline()
        m.send(password.encode() + b"\r\n")
        line = m.readline()
        while not line.startswith(b"x "):
            line = m.readline()
        if not line.startswith(b"x OK"):
            raise imaplib.IMAP4.error(line)

    plain = f"\0{name}\0{password}".encode()
    yield imap(lambda m: m.login(name, password))
    yield imap(lambda m: m.authenticate("PLAIN", lambda _: plain))
    yield imap(literal)
    yield pop(lambda m: (m.user(name), m.pass_(password)))
    yield pop(lambda m: m._shortcmd("AUTH PLAIN " + base64.b64encode(plain).decode()))
    yield submit("PLAIN")
    yield submit("LOGIN")


def malformed(office, password):
    """What is no login, with a password in it."""
    trust = people.trusting()
    for service, lines in (("imaps", (f"a LOGIN {password}", f"a LOGIN x y {password}", f"{password} LOGIN x y", f"a LOGIN \"{password}",
                                      f"a {password}")),
                           ("pop3s", (f"PASS {password}", f"USER x\r\nPASS {password} \x01", password)),
                           ("submissions", (f"AUTH PLAIN {password}", f"AUTH LOGIN eA==\r\n{password}", f"AUTH {password}", password))):
        for line in lines:
            s = trust.wrap_socket(socket.create_connection(("127.0.0.1", office.ports[service]), timeout=20))
            s.settimeout(1)
            try:
                s.recv(1000)
                s.sendall(line.encode() + b"\r\nQUIT\r\na LOGOUT\r\n")
                while s.recv(1000):
                    pass
            except OSError:
                pass
            s.close()


def by_the_portal(office, person, code):
    """Everything a browser is told or tells that would let somebody else in: {what: secret}."""
    b, n = Browser(office.ports["https"]), [0]
    told = {}

    def ask(verb, **body):
        a = b.post(verb if verb.startswith("/") else "/api/me/" + verb, **body)
        for name, value in b.cookies.items():
            n[0] += 1
            told[f"{name} {n[0]}"] = value
        b.token = a.headers.get("X-Holdfast-Token") or b.token
        assert a.status == 200, (verb, a.status, a.body)
        return a.json if a.body else {}

    for name in (person.address, "nobody@example.com"):
        told[f"wrong by the portal, {name}"] = WRONG.format(n=name[0])
        assert b.post("/api/login", account=name, password=WRONG.format(n=name[0])).status == 403
    ask("/api/login", account=person.address, password=person.password)
    b.token = told["token"] = b.get("/api/me").json["token"]
    made = ask("app-add", argument="notebook", password=person.password)
    told["app password"], told["bearer token"] = made["password"], made["token"]
    authorization = "Bearer " + made["token"]
    assert b.ask("GET", "/.well-known/jmap", headers={"Cookie": "", "Authorization": authorization}).status == 200
    told["secret of the factor"] = ask("factor-begin", password=person.password)["secret"]
    recovery = ask("factor-confirm", argument=totp(told["secret of the factor"]))["recovery_codes"]
    told.update({f"recovery code {i}": c for i, c in enumerate(recovery)})
    ask("/api/login", account=person.address, password=person.password)
    ask("/api/login/factor", code=recovery[0])
    told["a code in the address"] = WRONG.format(n=77)
    b.get("/api/me", password=WRONG.format(n=77))
    told["chosen with an invitation"] = "words that were chosen by carl"
    ask("/api/login/invitation", account="carl@example.com", code=code, password=told["chosen with an invitation"])
    told["the invitation's code"] = code
    b.get("/api/me")
    return told


def spellings(secret):
    raw = secret.encode()
    yield raw
    for lead in (0, 1, 2):  # inside base64, at each place it may begin at
        text = base64.b64encode(b"\0" * lead + raw)
        yield text[4 if lead else 0:len(text) // 4 * 4 - 4]


def processes(office):
    for pid in office.roles().values():
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    yield f"/proc/{pid}/{name}", f.read()
            except OSError:
                pass


def everything(office):
    for path in glob.glob(os.path.join(os.path.realpath(office.folder), "**"), recursive=True, include_hidden=True):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                yield path, f.read()
    yield from processes(office)


def test_no_secret_is_written_anywhere(office):
    anna, bert = office.people["anna"], office.people["bert"]
    secrets = {"the password": anna.password}
    answer = office.run("user", "invite", bert.address)
    code = re.search(r"\b[A-Za-z0-9]{4,6}(?:-[A-Za-z0-9]{4,6}){2,}\b", str(getattr(answer, "stdout", answer)))
    assert code, answer
    secrets["an invitation"] = code.group(0)
    assert all(attempts(office, anna.address, anna.password))
    assert any(attempts(office, bert.address, code.group(0)))
    for n, name in enumerate((anna.address, "nobody@example.com")):
        secrets[f"wrong {n}"] = WRONG.format(n=n)
        assert not any(attempts(office, name, WRONG.format(n=n)))
    secrets["malformed"] = WRONG.format(n=9)
    malformed(office, WRONG.format(n=9))
    anna.imap().logout()
    office.run("user", "add", "carl@example.com", "--no-password")
    secrets.update(by_the_portal(office, anna, office.json("user", "invite", "carl@example.com")["code"]))
    assert len(secrets) > 25
    looked = list(everything(office))
    known = " ".join(path for path, content in looked if anna.address.encode() in content)
    assert "/ledger/" in known and "/views/" in known and "/secrets/" in known and "log" in known, known  # it looks where things are
    found = [(what, path) for path, content in looked for what, secret in secrets.items() for spelling in spellings(secret)
             if spelling in content]
    assert not found


def test_secrets_are_their_users_alone(office):
    office.run("dkim", "create", "example.com")
    base = os.path.join(os.path.realpath(office.folder), "data", "secrets")
    seen = 0
    for where, folders, files in os.walk(base):
        for name in folders + files:
            mode = stat.S_IMODE(os.lstat(os.path.join(where, name)).st_mode)
            assert mode & 0o077 == 0, (where, name, oct(mode))
            seen += 1
    assert seen >= 5

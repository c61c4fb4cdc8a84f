"""Mail clients that nobody here wrote against Holdfast: mbsync, mutt, curl, fetchmail, getmail, nodemailer and imapflow."""
import glob
import json
import os
import pty
import re
import select
import shutil
import ssl
import subprocess
import threading
import time

import peers
import people
import pytest
from test_people import arrive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the tests' user for clients needs root")
NODE = os.path.join(peers.TOP, "tests", "e2e", "node")


@pytest.fixture
def office(folder, started):
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    o.add("anna", "bert")
    o.certificate = os.path.join(folder, "server.pem")
    with open(o.certificate, "w") as f:
        f.write(ssl.get_server_certificate(("127.0.0.1", o.ports["imaps"])))
    return o


def run(words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, **more)
    text = done.stdout.decode(errors="replace") if isinstance(done.stdout, bytes) else done.stdout
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{text}"
    return text


def shown(person, n, folder="INBOX"):
    m = person.imap()
    peers.wait_for(lambda: len(people.contents(m, folder)) == n, 5, f"{n} messages in {folder}")
    m.logout()


# ---- mbsync ----

class Maildir:
    """One computer that keeps an account in step with mbsync."""

    def __init__(self, folder, person, name):
        self.path = os.path.join(folder, name)
        os.makedirs(self.path)
        self.config = os.path.join(self.path, "mbsyncrc")
        office = person.office
        with open(self.config, "w") as f:
            f.write(f"""IMAPAccount office
Host 127.0.0.1
Port {office.ports["imaps"]}
User {person.address}
Pass "{person.password}"
SSLType IMAPS
CertificateFile {office.certificate}

IMAPStore far
Account office

MaildirStore near
Path {self.path}/mail/
Inbox {self.path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
        os.makedirs(os.path.join(self.path, "mail"))

    def sync(self):
        return run(["mbsync", "-c", self.config, "-a"])

    def messages(self, folder="INBOX"):
        """{Message-ID: letters of the Maildir's flags}"""
        found = {}
        for path in glob.glob(os.path.join(self.path, "mail", folder, "*", "*")):
            if os.path.basename(os.path.dirname(path)) not in ("cur", "new"):
                continue
            with open(path, "rb") as f:
                mid = re.search(rb"(?im)^message-id:\s*(<[^>]*>)", f.read()).group(1).decode()
            found[mid] = "".join(sorted(set(path.rsplit(":2,", 1)[1] if ":2," in path else "") - {"T"}))
        return found

    def path_of(self, mid, folder="INBOX"):
        for path in glob.glob(os.path.join(self.path, "mail", folder, "*", "*")):
            with open(path, "rb") as f:
                if mid.encode() in f.read():
                    return path
        raise AssertionError(mid)

    def mark(self, mid, letters, folder="INBOX"):
        path = self.path_of(mid, folder)
        base = os.path.basename(path).split(":2,")[0]
        os.rename(path, os.path.join(self.path, "mail", folder, "cur", f"{base}:2,{''.join(sorted(letters))}"))


LETTERS = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R", "\\Draft": "D"}


def views_of(person, folder="INBOX"):
    m = person.imap()
    found = {mid: "".join(sorted(LETTERS[f] for f in flags if f in LETTERS)) for mid, flags, _ in people.contents(m, folder)}
    m.logout()
    return found


def test_two_syncing_computers_stay_equal_to_the_views(office, folder):
    anna = office.people["anna"]
    ids = arrive(office.port, anna.address, 10)
    shown(anna, 10)
    one, two = Maildir(folder, anna, "one"), Maildir(folder, anna, "two")
    one.sync()
    two.sync()
    assert set(one.messages()) == set(two.messages()) == set(ids)
    stop = threading.Event()
    more = []

    def pour():
        while not stop.is_set():
            more.extend(arrive(office.port, anna.address, 1, "More"))
            time.sleep(0.1)
    thread = threading.Thread(target=pour)
    thread.start()
    try:
        for i in range(5):
            one.mark(ids[i], "S")
            two.mark(ids[9 - i], "FS")
            one.sync()
            two.sync()
    finally:
        stop.set()
        thread.join()
    # Offline: the program dies and comes back while both computers change things.
    office.kill()
    one.mark(ids[0], "FRS")
    os.unlink(two.path_of(ids[1]))
    office.start()
    peers.wait_for(lambda: _syncs(one), 20, "mbsync to work again", every=0.5)
    for _ in range(2):
        two.sync()
        one.sync()
    expected = views_of(anna)
    assert one.messages() == expected
    assert two.messages() == expected
    assert set(expected) == (set(ids) | set(more)) - {ids[1]}
    assert expected[ids[0]] == "FRS" and expected[ids[9]] == "FS" and expected[ids[4]] in ("S", "FS")


def _syncs(maildir):
    try:
        maildir.sync()
        return True
    except AssertionError:
        return False


# ---- curl ----

def test_curl(office, folder):
    anna, bert = office.people["anna"], office.people["bert"]
    login = ["-s", "-S", "-k", "-u", f"{anna.address}:{anna.password}"]
    path = os.path.join(folder, "out.eml")
    with open(path, "wb") as f:
        f.write(anna.write([bert.address], "By curl").as_bytes().replace(b"\n", b"\r\n"))
    run(["curl", *login, f"smtps://127.0.0.1:{office.ports['submissions']}", "--mail-from", anna.address, "--mail-rcpt", bert.address, "-T", path])
    run(["curl", *login, "--ssl-reqd", f"smtp://127.0.0.1:{office.ports['submission']}", "--mail-from", anna.address, "--mail-rcpt", anna.address, "-T", path])
    shown(anna, 1)
    shown(bert, 1)
    text = run(["curl", *login, f"imaps://127.0.0.1:{office.ports['imaps']}/INBOX;UID=1"])
    assert "Subject: By curl" in text and "Good morning." in text
    assert "Subject: By curl" in run(["curl", *login, "--ssl-reqd", f"imap://127.0.0.1:{office.ports['imap']}/INBOX;UID=1;SECTION=HEADER"])
    assert "SEARCH 1" in run(["curl", *login, f"imaps://127.0.0.1:{office.ports['imaps']}/INBOX?SUBJECT%20curl"])
    run(["curl", *login, f"imaps://127.0.0.1:{office.ports['imaps']}/Drafts", "-T", path])
    shown(anna, 1, "Drafts")
    assert "Good morning." in run(["curl", *login, f"pop3s://127.0.0.1:{office.ports['pop3s']}/1"])
    assert re.match(r"1 \d+", run(["curl", *login, "--ssl-reqd", f"pop3://127.0.0.1:{office.ports['pop3']}/"]))


# ---- mutt ----

def in_terminal(words, keys, cwd, seconds=30, env=None):
    """Runs a program in a terminal, types keys into it, and waits for its end."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execvpe(words[0], words, {**os.environ, "TERM": "xterm", **(env or {})})
    out, end, typed = b"", time.monotonic() + seconds, False
    while time.monotonic() < end:
        ready, _, _ = select.select([fd], [], [], 0.2)
        if ready:
            try:
                got = os.read(fd, 65536)
            except OSError:
                break
            if not got:
                break
            out += got
        elif out and not typed:  # drawn and quiet: it waits for us
            os.write(fd, keys)
            typed = True
    else:
        os.kill(pid, 9)
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    assert status == 0, out.decode(errors="replace")[-3000:]
    return out.decode(errors="replace")


def test_mutt(office, folder):
    anna, bert = office.people["anna"], office.people["bert"]
    rc = os.path.join(folder, "muttrc")
    base = f"imaps://127.0.0.1:{office.ports['imaps']}/"
    with open(rc, "w") as f:
        f.write(f"""set imap_user="{anna.address}" imap_pass="{anna.password}"
set smtp_url="smtp://anna%40example.com@127.0.0.1:{office.ports['submission']}/" smtp_pass="{anna.password}"
set ssl_starttls=yes ssl_force_tls=yes certificate_file="{office.certificate}" ssl_verify_host=no
set folder="{base}" spoolfile="+INBOX" record="+Sent" postponed="+Drafts" copy=yes
set from="{anna.address}" realname="Anna" use_from=yes quit=yes delete=yes confirmappend=no move=no resolve=no header_cache="" sleep_time=0
""")
    run(["mutt", "-F", rc, "-s", "By mutt", "--", bert.address], input=b"Hello Bert\n", env={**os.environ, "HOME": folder})
    shown(bert, 1)
    shown(anna, 1, "Sent")  # mutt saved it itself: there is no second
    ids = arrive(office.port, anna.address, 2, "For mutt")
    shown(anna, 2)
    in_terminal(["mutt", "-F", rc, "-f", base + "INBOX"], b"Fs=Archive\n$q", folder, env={"HOME": folder})
    m = anna.imap()
    kept, moved = people.contents(m, "INBOX"), people.contents(m, "Archive")
    assert len(kept) == 1 and len(moved) == 1 and {kept[0][0], moved[0][0]} == set(ids)
    assert "\\Flagged" in moved[0][1]


# ---- fetchmail, getmail ----

@pytest.mark.parametrize("protocol", ["IMAP", "POP3"])
def test_fetchmail(office, folder, protocol):
    anna = office.people["anna"]
    ids = arrive(office.port, anna.address, 3)
    shown(anna, 3)
    port = office.ports["imaps" if protocol == "IMAP" else "pop3s"]
    rc, box = os.path.join(folder, "fetchmailrc"), os.path.join(folder, "fetched")
    with open(rc, "w") as f:
        f.write(f"poll 127.0.0.1 service {port} protocol {protocol} user \"{anna.address}\" password \"{anna.password}\" ssl no sslcertck "
                f"keep fetchall mda \"cat >> {box}\"\n")
    os.chmod(rc, 0o600)
    run(["fetchmail", "-f", rc, "--nosyslog", "--pidfile", os.path.join(folder, "pid"), "--idfile", os.path.join(folder, "ids")],
        env={**os.environ, "HOME": folder, "FETCHMAILHOME": folder})
    with open(box) as f:
        text = f.read()
    assert all(text.count(f"Message-ID: {mid}") == 1 for mid in ids)


@pytest.mark.parametrize("kind", ["SimpleIMAPSSLRetriever", "SimplePOP3SSLRetriever"])
def test_getmail(office, folder, kind):
    anna = office.people["anna"]
    ids = arrive(office.port, anna.address, 3)
    shown(anna, 3)
    home = os.path.join(folder, "getmail")
    for d in ("", "mail", "mail/cur", "mail/new", "mail/tmp"):
        os.makedirs(os.path.join(home, d), exist_ok=True)
    with open(os.path.join(home, "getmailrc"), "w") as f:
        f.write(f"""[retriever]
type = {kind}
server = 127.0.0.1
port = {office.ports["imaps" if "IMAP" in kind else "pop3s"]}
username = {anna.address}
password = {anna.password}
[destination]
type = Maildir
path = {home}/mail/
[options]
read_all = false
delete = false
""")
    run(["chown", "-R", "nobody:nogroup", home])
    for expected in (3, 3):  # the second time nothing is new: UIDs and UIDLs are stable
        run(["getmail", "--getmaildir", home, "--rcfile", "getmailrc"], user="nobody", group="nogroup", extra_groups=[], env={**os.environ, "HOME": home})
        paths = glob.glob(os.path.join(home, "mail", "new", "*"))
        assert len(paths) == expected
    found = {re.search(r"(?im)^message-id:\s*(<[^>]*>)", open(p).read()).group(1) for p in paths}
    assert found == set(ids)


# ---- npm: imapflow and nodemailer ----

@pytest.mark.skipif(not os.path.isdir(os.path.join(NODE, "node_modules", "imapflow")), reason="npm ci has not been run in tests/e2e/node")
def test_imapflow_and_nodemailer(office):
    anna, bert = office.people["anna"], office.people["bert"]
    ids = arrive(office.port, anna.address, 3)
    shown(anna, 3)
    told = json.dumps({"imaps": office.ports["imaps"], "submission": office.ports["submission"], "smtp": office.port, "user": anna.address,
                       "password": anna.password, "to": bert.address})
    text = run([shutil.which("node"), os.path.join(NODE, "client.js")], input=told.encode(), cwd=NODE)
    seen = json.loads(text.strip().splitlines()[-1])
    assert sorted(seen["ids"]) == sorted(ids)
    assert {"Sent": "\\Sent", "Drafts": "\\Drafts", "Trash": "\\Trash", "Junk": "\\Junk", "Archive": "\\Archive"}.items() <= seen["special"].items()
    assert seen["structure"] == "text/plain" and seen["found"] == 1 and seen["moved_uid"] >= 1
    assert seen["pushed"] is not None and seen["pushed"] < 2000  # ms from 250 to EXISTS
    shown(bert, 1)
    m = anna.imap()
    assert "\\Answered" in people.contents(m, "INBOX")[0][1] and len(people.contents(m, "Archive")) == 1

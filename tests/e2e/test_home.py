"""P6: what people did during an outage is found in their mailboxes on the primary, once, with a real Dovecot."""
import glob
import os
import signal
import time

import dovecot
import peers
import people
import pytest
from cutting import Cutting
from primaries import Primary

from test_people import arrive

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")


class Home:
    """An office whose primary keeps its mail in a real Dovecot: a small SMTP server hands each message over by LMTP."""

    def __init__(self, folder, started, names, master=True, office=None, cutting=False, **options):
        self.dovecot = dovecot.Dovecot({f"{n}@example.com": f"primary {n}" for n in names}, **options)
        started(self.dovecot)
        if cutting:
            self.cutting = started(Cutting(self.dovecot.imap_port))
            office = {"imap_port": self.cutting.port, **(office or {})}
        self.primary = ToDovecot(self.dovecot)
        started(self.primary)
        self.office = started(people.Office(os.path.join(folder, "office"), self.primary.port, self.dovecot, **(office or {})))
        if master:
            self.office.set_master_password(dovecot.MASTER_PASSWORD)
        if office and office.get("passthrough"):
            for n in names:
                self.office.people[n] = people.Person(self.office, n, self.dovecot.users[f"{n}@example.com"])
        else:
            self.office.add(*names)
        self.office.wait_state("up")

    def down(self):
        self.primary.stop()
        self.dovecot.kill()
        self.office.wait_state("down")

    def up(self):
        self.dovecot.start()
        self.primary.start()

    def person(self, name):
        return self.office.people[name]

    def at_primary(self, name):
        m = self.dovecot.imap(f"{name}@example.com")
        try:
            return {f: sorted((mid, tuple(sorted(flags))) for mid, flags, _ in c) for f in people.folders(m)
                    if (c := people.contents(m, f))}
        finally:
            m.logout()

    def wait_primary(self, name, expected, seconds=60):
        expected = {f: sorted((mid, tuple(sorted(flags))) for mid, flags in c.items()) for f, c in expected.items()}
        peers.wait_for(lambda: self.at_primary(name) == expected, seconds,
                       lambda: f"\n{expected}\nat home:\n{self.at_primary(name)}\n" + self.office.tail(25), every=0.3)


class ToDovecot(Primary):
    """SMTP in front of Dovecot's LMTP."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def _data(self, s, lines, sender, rcpts):
        body = b""
        for line in lines:
            if line == b".\r\n":
                break
            body += line[1:] if line.startswith(b".") else line
        people_of = [r for r in rcpts if r in self.server.users]
        for rcpt in people_of:
            self.server.deliver(rcpt, body)
        s.sendall(b"250 2.0.0 queued as FAKE\r\n")

    def close(self):
        if self.socket:
            self.stop()


def store(m, folder, mid, how, flags):
    people.ok(m.uid("STORE", people.find_uid(m, folder, mid), how, flags))


def test_what_one_person_did_is_there(folder, started):
    """P6: Sent with its date, marks, keywords, a mark taken back, moves, COPY with EXPUNGE, a folder made, a deletion, a draft."""
    home = Home(folder, started, ("anna", "bert"))
    anna = home.person("anna")
    before = arrive(home.office.port, anna.address, 2, "Before")
    home.wait_primary("anna", {"INBOX": {mid: [] for mid in before}})
    home.down()
    during = arrive(home.office.port, anna.address, 6, "During")
    m = anna.imap()
    peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 8, 10, "all mail here")
    store(m, "INBOX", before[0], "+FLAGS", "(\\Seen \\Answered)")
    store(m, "INBOX", during[0], "+FLAGS", "(\\Seen $Forwarded)")
    store(m, "INBOX", during[1], "+FLAGS", "(\\Flagged)")
    store(m, "INBOX", during[1], "-FLAGS", "(\\Flagged)")
    people.ok(m.create("Projects/Moon"))
    people.ok(m.uid("MOVE", people.find_uid(m, "INBOX", before[1]), "Projects/Moon"))
    people.ok(m.uid("COPY", people.find_uid(m, "INBOX", during[2]), "Archive"))
    store(m, "INBOX", during[2], "+FLAGS", "(\\Deleted)")
    people.ok(m.expunge())
    store(m, "INBOX", during[3], "+FLAGS", "(\\Deleted)")
    people.ok(m.expunge())
    people.ok(m.uid("COPY", people.find_uid(m, "INBOX", during[4]), "Archive"))
    draft = anna.write(["x@example.org"], "A draft")
    people.ok(m.append("Drafts", "(\\Draft)", None, draft.as_bytes().replace(b"\n", b"\r\n")))
    gone = anna.write(["x@example.org"], "A draft thrown away")
    people.ok(m.append("Drafts", "(\\Draft)", None, gone.as_bytes().replace(b"\n", b"\r\n")))
    m.select("Drafts")
    store(m, "Drafts", gone["Message-ID"], "+FLAGS", "(\\Deleted)")
    people.ok(m.expunge())
    sent = anna.send(anna.write(["bert@example.com"], "Sent meanwhile"))
    sent_at = time.time()
    m.logout()
    time.sleep(3)  # so that a date of now could not pass for the date it was sent
    home.up()
    home.wait_primary("anna", {
        "INBOX": {before[0]: ["\\Seen", "\\Answered"], during[0]: ["\\Seen", "$Forwarded"], during[1]: [], during[4]: [], during[5]: []},
        "Projects/Moon": {before[1]: []}, "Archive": {during[2]: [], during[4]: []}, "Trash": {during[3]: []},
        "Drafts": {draft["Message-ID"]: ["\\Draft"]}, "Sent": {sent: ["\\Seen"]}})
    home.wait_primary("bert", {"INBOX": {sent: []}})
    (_, _, date, _, _), = home.dovecot.state(anna.address, ["Sent"])["Sent"]
    stamp = time.mktime(time.strptime(date[:20].strip(), "%d-%b-%Y %H:%M:%S")) - time.timezone
    assert abs(stamp - sent_at) < 3, (date, sent_at)
    receipt = peers.wait_for(lambda: (home.office.site().get("drain") or {}).get("receipt", "") if "in Sent" in str(home.office.site())
                             else "", 20, lambda: str(home.office.site()))
    assert "1 sent message in Sent" in receipt and "1 moved to Trash" in receipt, receipt


def test_nothing_doubles_when_couriers_die(folder, started):
    """P6, W1: kill -9 of couriers, clerk, sequencer and the primary's IMAP while forty messages go to Sent."""
    home = Home(folder, started, ("anna",))
    anna = home.person("anna")
    home.down()
    mids = [anna.send(anna.write(["someone@example.com"], f"Sent {i}")) for i in range(40)]
    home.up()
    for i in range(10):
        time.sleep(0.4)
        roles = home.office.roles()
        victims = [r for r in roles if r.startswith(("courier", "clerk", "sequencer"))]
        try:
            os.kill(roles[sorted(victims)[i % len(victims)]], signal.SIGKILL)
        except (ProcessLookupError, KeyError):
            pass
        if i == 5:
            home.dovecot.kill()
            home.dovecot.start()
    home.wait_primary("anna", {"Sent": {mid: ["\\Seen"] for mid in mids}}, 150)


def test_an_append_whose_answer_is_lost_is_found_again(folder, started):
    """W1: the primary has it, we were not told. It is found, also where it was moved and marked here since, and is there once."""
    home = Home(folder, started, ("anna",), cutting=True)
    anna = home.person("anna")
    home.down()
    sent = [anna.send(anna.write(["someone@example.com"], f"Sent {i}")) for i in range(3)]
    m = anna.imap()
    draft = anna.write(["x@example.org"], "A draft")
    people.ok(m.append("Drafts", "(\\Draft \\Flagged work)", None, draft.as_bytes().replace(b"\n", b"\r\n")))
    home.cutting.cuts = 100  # a second APPEND of one of them would be seen
    home.up()
    lost = {}

    def all_there_unknown():
        """Each time an answer was lost, what it was about is moved or marked here, until it is asked for again."""
        there = home.at_primary("anna")
        for mid, flags in there.get("Drafts", []):
            if "draft" not in lost:
                lost["draft"] = True
                store(m, "Drafts", draft["Message-ID"], "-FLAGS", "(\\Flagged work)")
        for mid, flags in there.get("Sent", []):
            if mid == sent[1] and "moved" not in lost:
                lost["moved"] = True
                people.ok(m.uid("MOVE", people.find_uid(m, "Sent", mid), "Archive"))
        return home.cutting.cut == 4
    peers.wait_for(all_there_unknown, 120, lambda: f"{home.cutting.cut} answers lost, {lost}\n" + home.office.tail(25), every=0.05)
    assert lost == {"draft": True, "moved": True}
    home.wait_primary("anna", {"Sent": {sent[0]: ["\\Seen"], sent[2]: ["\\Seen"]}, "Archive": {sent[1]: ["\\Seen"]},
                               "Drafts": {draft["Message-ID"]: ["\\Draft"]}}, 90)
    assert peers.wait_for(lambda: home.office.json("queue", "home")["waiting"] == 0, 30, "nothing left")
    assert home.cutting.cut == 4
    m.logout()


@pytest.mark.parametrize("separator,prefix", [(".", "INBOX."), ("/", "")])
def test_folders_of_the_servers_shape(folder, started, separator, prefix):
    """A primary with another delimiter and a namespace prefix gets the folders where it has them."""
    home = Home(folder, started, ("anna",), separator=separator, prefix=prefix)
    anna = home.person("anna")
    home.down()
    m = anna.imap()
    draft = anna.write(["x@example.org"], "Filed")
    people.ok(m.create("Kunden/Meyer"))
    people.ok(m.append("Kunden/Meyer", "(\\Seen)", None, draft.as_bytes().replace(b"\n", b"\r\n")))
    sent = anna.send(anna.write(["someone@example.com"], "Sent"))
    m.logout()
    home.up()
    home.wait_primary("anna", {f"{prefix}Kunden{separator}Meyer": {draft["Message-ID"]: ["\\Seen"]}, f"{prefix}Sent": {sent: ["\\Seen"]}})


def test_a_message_id_alone_is_not_enough(folder, started):
    """G4: other mail with the same Message-ID at the primary is left alone; what is there already is not put there again."""
    home = Home(folder, started, ("anna",))
    anna = home.person("anna")
    home.down()
    (mid,) = arrive(home.office.port, anna.address, 1, "During")
    m = anna.imap()
    peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 1, 10, "the mail here")
    people.ok(m.uid("MOVE", people.find_uid(m, "INBOX", mid), "Archive"))
    twin = anna.write(["someone@example.com"], "Sent")
    anna.send(twin)
    m.logout()
    home.dovecot.start()
    imposter = f"Message-ID: {mid}\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject: not it\r\n\r\nx\r\n".encode()
    home.dovecot.append(anna.address, "INBOX", imposter)
    own = f"Message-ID: {twin['Message-ID']}\r\nDate: {twin['Date']}\r\nSubject: my own program saved it\r\n\r\nx\r\n".encode()
    home.dovecot.append(anna.address, "Sent", own, "(\\Seen)")
    home.primary.start()
    home.wait_primary("anna", {"INBOX": {mid: []}, "Archive": {mid: []}, "Sent": {twin["Message-ID"]: ["\\Seen"]}})
    assert home.dovecot.state(anna.address, ["INBOX"])["INBOX"][0][3] == len(imposter)


def test_the_views_are_deleted_on_the_way(folder, started):
    """H2: what is left to do follows from the ledger alone."""
    import shutil
    home = Home(folder, started, ("anna",))
    anna = home.person("anna")
    home.down()
    mids = arrive(home.office.port, anna.address, 3, "During")
    m = anna.imap()
    peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 3, 10, "all mail here")
    store(m, "INBOX", mids[0], "+FLAGS", "(\\Seen)")
    people.ok(m.uid("MOVE", people.find_uid(m, "INBOX", mids[1]), "Trash"))
    sent = anna.send(anna.write(["someone@example.com"], "Sent"))
    m.logout()
    home.office.stop()
    shutil.rmtree(os.path.join(home.office.folder, "data", "views"))
    home.office.start()
    home.up()
    home.wait_primary("anna", {"INBOX": {mids[0]: ["\\Seen"], mids[2]: []}, "Trash": {mids[1]: []}, "Sent": {sent: ["\\Seen"]}}, 90)


def test_a_persons_own_password_by_consent(folder, started):
    """Nobody has the master user's password: it waits, says so, and goes home with the password the person agreed to keep."""
    home = Home(folder, started, ("anna",), master=False)
    anna = home.person("anna")
    home.down()
    sent = anna.send(anna.write(["someone@example.com"], "Sent"))
    home.up()
    home.office.wait_state("up")
    shown = peers.wait_for(lambda: (h := home.office.site()["home"])["waiting"] and h, 20, "the change waits")
    assert shown["accounts"] == 1, shown
    listed = home.office.json("queue", "home")
    assert listed["waiting"] == 1 and listed["changes"][0]["account"] == anna.address, listed
    home.office.run("user", "consent", anna.address, "--password-stdin", stdin=home.dovecot.users[anna.address] + "\n")
    home.wait_primary("anna", {"Sent": {sent: ["\\Seen"]}}, 90)
    assert peers.wait_for(lambda: home.office.json("queue", "home")["waiting"] == 0, 20, "nothing left")


def test_a_master_password_that_comes_late_brings_everything_home(folder, started):
    """What waits says what it waits for; `site password` ends the wait, is in the history, and is never shown."""
    home = Home(folder, started, ("anna", "bert"), master=False)
    run = home.office.run
    home.down()
    sent = home.person("anna").send(home.person("anna").write(["bert@example.com"], "Before the password"))
    home.up()
    peers.wait_for(lambda: "holdfast site password" in run("queue", "home").stdout, 60, lambda: run("queue", "home").stdout)
    assert run("site", "password", "head-offic", "--password-stdin", stdin="x\n", check=False).returncode == 1
    assert run("site", "password", "head-office", "--password-stdin", stdin="\n", check=False).returncode == 1
    home.office.set_master_password(dovecot.MASTER_PASSWORD)
    home.wait_primary("anna", {"Sent": {sent: ["\\Seen"]}})
    history = home.office.json("history")["history"]
    assert [(a["object"], a["argument"]) for a in history if a["verb"] == "site.password"] == [("head-office", "set")]
    assert dovecot.MASTER_PASSWORD not in str(history) + home.office.tail(10000)


OWN = {"passthrough": True, "master": False}


def without_a_word(folder, started, n_sent):
    """Anna's account came by the primary's word; we have forgotten it in the outage (a restart). What she sent then waits."""
    home = Home(folder, started, ("anna",), master=False, office=OWN)
    anna = home.person("anna")
    anna.imap().logout()
    home.down()
    home.office.stop()
    home.office.start()
    (mid,) = arrive(home.office.port, anna.address, 1, "During")
    m = anna.imap()  # by what is kept; the primary cannot be asked
    peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 1, 10, "the mail here")
    store(m, "INBOX", mid, "+FLAGS", "(\\Seen)")
    m.logout()
    return home, anna, mid, [anna.send(anna.write(["someone@example.com"], f"Sent {i}")) for i in range(n_sent)]


def test_the_password_seen_at_a_login_after_recovery(folder, started):
    """No master user: what somebody did waits until they log in once more, and then goes home without being asked for."""
    home, anna, mid, sent = without_a_word(folder, started, 1)
    home.up()
    home.office.wait_state("up")
    home.wait_primary("anna", {"INBOX": {mid: []}})
    assert peers.wait_for(lambda: (h := home.office.site()["home"])["waiting"] == 2 and h, 20, lambda: str(home.office.site()))
    began = time.monotonic()

    def logs_in_and_it_is_home():
        anna.imap().logout()  # as a mail program does now and then
        return home.at_primary("anna").get("Sent")
    peers.wait_for(logs_in_and_it_is_home, 40, lambda: home.office.tail(25), every=2)
    home.wait_primary("anna", {"INBOX": {mid: ["\\Seen"]}, "Sent": {m: ["\\Seen"] for m in sent}})
    assert time.monotonic() - began < 40


@pytest.mark.skipif(not FAKETIME, reason="needs faketime")
def test_after_three_days_what_was_sent_comes_by_mail(folder, started):
    """Nobody can log in for her: one message holds what she sent; marks wait on, and nothing comes twice when she is back."""
    home, anna, mid, sent = without_a_word(folder, started, 2)
    home.office.stop()
    home.dovecot.start()
    home.primary.start()
    home.office.start(env={"LD_PRELOAD": FAKETIME[0], "FAKETIME": "+4d", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                           "DONT_FAKE_MONOTONIC": "1"})
    home.office.wait_state("up")

    def by_mail():
        m = home.dovecot.imap(anna.address)
        try:
            m.select("INBOX", readonly=True)
            _, found = m.search(None, "SUBJECT", '"[Not in your Sent folder]"')
            return [m.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in found[0].split()]
        finally:
            m.logout()
    (letter,) = peers.wait_for(by_mail, 90, lambda: home.office.tail(25), every=1)
    assert all(s.encode() in letter for s in sent) and letter.count(b"message/rfc822") == 2
    assert home.office.site()["home"]["waiting"] == 1  # the mark

    def logs_in_and_it_is_home():
        anna.imap().logout()
        return ("\\Seen",) in [flags for m, flags in home.at_primary("anna")["INBOX"] if m == mid]
    peers.wait_for(logs_in_and_it_is_home, 60, lambda: home.office.tail(25), every=2)
    assert home.office.site()["home"]["waiting"] == 0
    assert "Sent" not in home.at_primary("anna")
    assert len(by_mail()) == 1

"""Copies of mail that the primary has handled: journal reports, blind copies, dual delivery, and mail that passed a gateway.

What people see of them by IMAP, that nothing is seen twice, and that no copy ever goes to the primary.
"""
import os
import smtplib

import peers
import people
import primaries
import pytest

REPORT = """From: <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.com>\r
To: <reports@j.example.net>\r
Subject: {subject}\r
Message-ID: <{token}@journal.report.generator>\r
Content-Type: multipart/mixed; boundary="_{token}_"\r
X-MS-Journal-Report:\r
MIME-Version: 1.0\r
\r
--_{token}_\r
Content-Type: text/plain; charset="us-ascii"\r
Content-Transfer-Encoding: 7bit\r
\r
Sender: {sender}\r
Subject: {subject}\r
Message-ID: {mid}\r
{rcpts}\r
\r
--_{token}_\r
Content-Type: message/rfc822\r
\r
"""


def original(mid, sender="anna@example.com", to="bert@example.com", subject="Figures", lines=3, received=0):
    top = "Received: from inside by mail.example.com; Sat, 21 Nov 2026 21:10:22 +0000\r\n" * received
    return (f"{top}From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: {mid}\r\n"
            "Date: Sat, 21 Nov 2026 22:10:21 +0100\r\n\r\n" + "..a line of figures\r\n" * lines).encode()


def report(of, mid, sender, rcpts, subject="Figures", token="6d6d"):
    head = REPORT.format(subject=subject, token=token, sender=sender, mid=mid, rcpts="\r\n".join(rcpts))
    return head.encode() + of + f"\r\n--_{token}_--\r\n".encode()


def send(port, to, message, sender=""):
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
        s.sendmail(sender, to, message)


class Copies(people.Office):
    """mode gateway for example.com, a journal domain beside it, and the primary of the test."""

    def __init__(self, folder, primary_port, **kwargs):
        super().__init__(folder, primary_port, **kwargs)
        with open(self.config) as f:
            text = f.read()
        text = text.replace("limits:", "  - { name: j.example.net, site: head-office, mode: journal, journal: { from: [127.0.0.1], "
                            "to: [reports@j.example.net] } }\nlimits:", 1)
        with open(self.config, "w") as f:
            f.write(text)


@pytest.fixture
def office(folder, started):
    o = started(Copies(os.path.join(folder, "office"), peers.free_port(), mode="gateway"))
    o.add("anna", "bert", "carl")
    return o


def shown(office, name, folder="INBOX"):
    m = office.people[name].imap()
    found = [c[0] for c in people.contents(m, folder)]
    m.logout()
    return found


def wait_shown(office, name, mids, folder="INBOX"):
    peers.wait_for(lambda: shown(office, name, folder) == mids, 10, lambda: f"{name}/{folder}: {shown(office, name, folder)} to be {mids}")


def body(office, name, folder="INBOX", which=b"1"):
    m = office.people[name].imap()
    people.ok(m.select(folder, readonly=True))
    got = people.ok(m.fetch(which.decode(), "(RFC822.SIZE BODY.PEEK[])"))[0]
    m.logout()
    assert f"RFC822.SIZE {len(got[1])}".encode() in got[0], got[0]
    return got[1]


@pytest.mark.parametrize("lines", [3, 30000])
def test_a_journal_report_shows_the_original_to_those_it_was_for(office, lines):
    """Also above 128 KiB, where the report lies in chunks. Carl was blind; the list was expanded; far away is not ours."""
    mail = original("<1@example.com>", lines=lines)
    send(office.port, "reports@j.example.net", report(mail, "<1@example.com>", "anna@example.com", [
        "To: Bert@example.com, Expanded: team@example.com", "Bcc: carl@example.com", "Recipient: far@example.org"]))
    wait_shown(office, "bert", ["<1@example.com>"])
    wait_shown(office, "carl", ["<1@example.com>"])
    wait_shown(office, "anna", ["<1@example.com>"], "Sent")
    assert shown(office, "anna") == []
    for name, folder in (("bert", "INBOX"), ("carl", "INBOX"), ("anna", "Sent")):
        assert body(office, name, folder) == mail, "the original, bit for bit"
    assert office.json("queue", "list")["messages"] == []
    assert office.site()["held"] == 0


def test_what_passed_is_not_shown_again_by_its_copies(office):
    """Held mail first; then the primary's report of it, a second report, and a blind copy: with fields the primary added."""
    mid = "<2@example.com>"
    send(office.port, "bert@example.com", original(mid, sender="out@example.org"), "out@example.org")
    wait_shown(office, "bert", [mid])
    for token in ("aa", "bb"):
        send(office.port, "reports@j.example.net", report(original(mid, sender="out@example.org", received=2), mid, "out@example.org",
                                                          ["Recipient: bert@example.com", "Recipient: carl@example.com"], token=token))
    send(office.port, "reports@j.example.net", original(mid, sender="out@example.org", received=1), "out@example.org")
    wait_shown(office, "carl", [mid])
    # The last of a lane is applied after all before it:
    send(office.port, "reports@j.example.net", report(original("<3@x>"), "<3@x>", "out@example.org", ["To: bert@example.com"]))
    wait_shown(office, "bert", [mid, "<3@x>"])
    assert shown(office, "carl") == [mid]
    assert len(office.json("queue", "list")["messages"]) == 1, "the held one alone waits for the primary"


def test_the_same_message_id_on_another_day_is_another_message(office):
    """M: never by Message-ID alone."""
    send(office.port, "bert@example.com", original("<same@x>", subject="one"), "out@example.org")
    wait_shown(office, "bert", ["<same@x>"])
    other = original("<same@x>", subject="two").replace(b"Sat, 21 Nov", b"Fri, 20 Nov")
    send(office.port, "reports@j.example.net", report(other, "<same@x>", "out@example.org", ["To: bert@example.com"]))
    wait_shown(office, "bert", ["<same@x>", "<same@x>"])
    assert body(office, "bert", which=b"2") == other


def test_what_a_person_deleted_does_not_come_back_as_a_copy(office):
    send(office.port, "bert@example.com", original("<del@x>"), "out@example.org")
    wait_shown(office, "bert", ["<del@x>"])
    m = office.people["bert"].imap()
    people.ok(m.uid("STORE", people.find_uid(m, "INBOX", "<del@x>"), "+FLAGS", "(\\Deleted)"))
    people.ok(m.expunge())
    m.logout()
    for mid in ("<del@x>", "<after@x>"):
        send(office.port, "reports@j.example.net", report(original(mid), mid, "out@example.org", ["To: bert@example.com"]))
    wait_shown(office, "bert", ["<after@x>"])


def test_a_copy_that_overtakes_is_the_one_that_is_shown(office):
    """The mail itself waits for the primary all the same."""
    send(office.port, "reports@j.example.net", report(original("<fast@x>"), "<fast@x>", "out@example.org", ["To: bert@example.com"]))
    wait_shown(office, "bert", ["<fast@x>"])
    send(office.port, "bert@example.com", original("<fast@x>"), "out@example.org")
    send(office.port, "bert@example.com", original("<after@x>"), "out@example.org")
    wait_shown(office, "bert", ["<fast@x>", "<after@x>"])
    assert len(office.json("queue", "list")["messages"]) == 2


def test_a_blind_copy_goes_to_those_whom_the_header_names(office):
    send(office.port, "reports@j.example.net", original("<4@x>", to="bert@example.com>, Carl <carl@example.com"), "anna@example.com")
    wait_shown(office, "bert", ["<4@x>"])
    wait_shown(office, "carl", ["<4@x>"])
    wait_shown(office, "anna", ["<4@x>"], "Sent")
    assert office.json("queue", "list")["messages"] == []


def test_copies_survive_the_views(office):
    """P9: what was shown, and what was not shown twice, follows from the records alone."""
    import shutil
    mid = "<5@x>"
    send(office.port, "bert@example.com", original(mid), "out@example.org")
    send(office.port, "reports@j.example.net", report(original(mid, received=1), mid, "anna@example.com",
                                                      ["To: bert@example.com", "Cc: carl@example.com"]))
    wait_shown(office, "carl", [mid])
    wait_shown(office, "anna", [mid], "Sent")
    before = body(office, "carl")
    office.stop()
    shutil.rmtree(os.path.join(office.data, "views"))
    office.start()
    for name, folder in (("bert", "INBOX"), ("carl", "INBOX"), ("anna", "Sent")):
        wait_shown(office, name, [mid], folder)
    assert body(office, "carl") == before


def test_a_gateway_shows_what_passed(folder, started):
    """The primary is up: mail goes on at once and stays readable here; then the primary is gone, and people read on."""
    primary = peers.Sink().start()
    o = started(Copies(os.path.join(folder, "office"), primary.port, mode="gateway"))
    o.add("bert")
    o.wait_state("up")
    send(o.port, "bert@example.com", original("<6@x>"), "out@example.org")
    wait_shown(o, "bert", ["<6@x>"])
    peers.wait_for(lambda: o.site()["held"] == 0 and o.site()["done"] == 1, 20, "the message to go on", every=0.1)
    primary.stop()
    o.wait_state("down")
    send(o.port, "bert@example.com", original("<7@x>"), "out@example.org")
    wait_shown(o, "bert", ["<6@x>", "<7@x>"])
    assert o.site()["held"] == 1


def test_a_gateway_keeps_what_the_primary_wrongly_refuses(folder, started):
    """The primary answers, and says 550 to people it knew a moment ago: nothing bounces, all is readable, and goes on when it is mended."""
    primary = primaries.Primary().start()
    o = started(Copies(os.path.join(folder, "office"), primary.port, mode="gateway"))
    o.add("bert")
    o.wait_state("up")
    send(o.port, "bert@example.com", original("<8@x>"), "out@example.org")
    peers.wait_for(lambda: len(primary.messages) == 1, 20, "the first message at the primary")
    primary.refuse_rcpt = lambda a: None if a.startswith("postmaster@") else b"550 5.1.1 no such user\r\n"
    send(o.port, "bert@example.com", original("<9@x>"), "out@example.org")
    wait_shown(o, "bert", ["<8@x>", "<9@x>"])
    peers.wait_for(lambda: [m["state"] for m in o.json("queue", "list")["messages"]] in (["deferred"], ["decide"]), 20, "a try", every=0.1)
    assert o.site()["state"] in ("up", "suspect") and "" not in primary.mails, "no bounce"
    primary.refuse_rcpt = None
    o.run("queue", "retry", "--match", "site=head-office", "--yes")
    peers.wait_for(lambda: len(primary.messages) == 2, 20, lambda: "the second message at the primary\n" + o.tail())
    primary.stop()


def test_strangers_send_no_copies(folder, started):
    o = started(Copies(os.path.join(folder, "office"), peers.free_port()))
    with open(o.config) as f:
        text = f.read()
    with open(o.config, "w") as f:
        f.write(text.replace("from: [127.0.0.1]", "from: [192.0.2.1]"))
    o.run("reload")
    def refused():
        with smtplib.SMTP("127.0.0.1", o.port, timeout=20) as s:
            s.ehlo()
            s.mail("anna@example.com")
            return s.rcpt("reports@j.example.net")[0] == 550
    peers.wait_for(refused, 10, "the new configuration")

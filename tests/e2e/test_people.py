"""People at work while their server is down, with the protocols of Python's library: read, answer, move, send."""
import os
import signal
import time

import oracle
import peers
import people
import pytest
import smtplib

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")


def arrive(port, to, n=1, subject="Report", size=1500):
    """Mail from outside; returns the Message-IDs."""
    import random
    import secrets
    ids = []
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
        for i in range(n):
            token = secrets.token_hex(16)
            s.sendmail("sender@example.org", [to], oracle.make_message(token, size, random.Random(token), to, subject=f"{subject} {i}"))
            ids.append(f"<{token}@sender.example.org>")
    return ids


@pytest.fixture
def office(folder, started):
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    o.add("anna", "bert")
    return o


def test_what_arrives_is_there_within_a_second(office):
    anna = office.people["anna"]
    m = anna.imap()
    assert people.contents(m, "INBOX") == []
    for _ in range(5):
        [mid] = arrive(office.port, anna.address)
        began = time.monotonic()
        peers.wait_for(lambda: mid in [c[0] for c in people.contents(m, "INBOX")], 5, "the message to be shown")
        assert time.monotonic() - began < 1.0  # P3
    m.logout()


def test_mail_from_before_the_account_is_shown(office):
    ids = arrive(office.port, "carl@example.com", 3)
    [carl] = office.add("carl")
    m = carl.imap()
    assert sorted(c[0] for c in people.contents(m, "INBOX")) == sorted(ids)
    kept = office.status()["mailboxes"]
    assert (kept["accounts"], kept["mailboxes"], kept["messages"]) == (3, 18, 3)


def test_the_views_may_be_deleted_in_the_middle_of_the_day(office, folder):
    """P9, L7: same UIDVALIDITY, UIDs and flags afterwards."""
    import shutil
    anna = office.people["anna"]
    ids = arrive(office.port, anna.address, 6)
    m = anna.imap()
    peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 6, 5, "six messages")
    m.select("INBOX")
    people.ok(m.uid("STORE", people.find_uid(m, "INBOX", ids[0]), "+FLAGS", "(\\Seen \\Flagged $Work)"))
    people.ok(m.create("Projects/Moon"))
    people.ok(m.uid("COPY", people.find_uid(m, "INBOX", ids[1]), "Projects/Moon"))
    people.ok(m.uid("STORE", people.find_uid(m, "INBOX", ids[2]), "+FLAGS", "(\\Deleted)"))
    people.ok(m.expunge())
    people.ok(m.append("Drafts", "(\\Draft)", None, anna.write("bert@example.com", "not yet").as_bytes().replace(b"\n", b"\r\n")))

    def picture():
        s = anna.imap()
        shown = people.everything(s)
        for f in shown:
            people.ok(s.select(people.quoted(f), readonly=True))
            shown[f] = (s.response("UIDVALIDITY")[1], shown[f])
        s.logout()
        return shown
    before = picture()
    office.stop()
    shutil.rmtree(os.path.join(office.data, "views"))
    office.start()
    peers.wait_for(lambda: _try(picture) == before, 20, lambda: f"{before}\nbut\n{_try(picture)}", every=0.3)


def _try(call):
    try:
        return call()
    except Exception as e:  # noqa: BLE001 - shown by the caller
        return e


def test_a_submitted_message_is_in_sent_and_with_the_colleague(office):
    anna, bert = office.people["anna"], office.people["bert"]
    mid = anna.send(anna.write([bert.address], "Lunch?"))
    m = bert.imap()
    peers.wait_for(lambda: [c[0] for c in people.contents(m, "INBOX")] == [mid], 5, "the message at Bert's")
    m = anna.imap()
    peers.wait_for(lambda: people.contents(m, "Sent"), 5, "the copy in Sent")
    [(found, flags, _)] = people.contents(m, "Sent")
    assert found == mid and "\\Seen" in flags


def test_a_client_that_saves_its_own_copy_gets_no_second(office):
    anna = office.people["anna"]
    message = anna.write(["bert@example.com"], "Once")
    mid = anna.send(message)
    m = anna.imap()
    people.ok(m.append("Sent", "(\\Seen)", None, message.as_bytes().replace(b"\n", b"\r\n")))
    peers.wait_for(lambda: len(people.contents(m, "Sent")) == 1, 5, lambda: str(people.contents(m, "Sent")))
    time.sleep(0.5)
    assert [c[0] for c in people.contents(m, "Sent")] == [mid]


def test_pop3_reads_and_deletes_only_at_quit(office):
    """P-03"""
    anna = office.people["anna"]
    arrive(office.port, anna.address, 3)
    peers.wait_for(lambda: anna.pop().stat()[0] == 3, 5, "three messages by POP3")
    p = anna.pop()
    uidls = p.uidl()[1]
    p.dele(1)
    p.close()  # without QUIT
    p = anna.pop()
    assert p.uidl()[1] == uidls
    p.dele(2)
    p.quit()
    p = anna.pop()
    assert [u.split()[1] for u in p.uidl()[1]] == [uidls[0].split()[1], uidls[2].split()[1]]


def test_two_sessions_see_each_other(office):
    anna = office.people["anna"]
    [mid] = arrive(office.port, anna.address)
    a, b = anna.imap(), anna.imap(tls=False)
    peers.wait_for(lambda: len(people.contents(a, "INBOX")) == 1, 5, "the message")
    uid = people.find_uid(a, "INBOX", mid)
    people.ok(b.select("INBOX"))
    people.ok(a.uid("STORE", uid, "+FLAGS", "(\\Flagged)"))
    people.ok(b.noop())
    assert "\\Flagged" in people.contents(b, "INBOX")[0][1]


def test_wrong_passwords_and_unknown_people_get_the_same_answer(office):
    """H-17, the text"""
    import imaplib
    texts = []
    for user, password in (("anna@example.com", "wrong password here"), ("nobody@example.com", "wrong password here")):
        m = imaplib.IMAP4_SSL("127.0.0.1", office.ports["imaps"], ssl_context=people.trusting(), timeout=30)
        with pytest.raises(imaplib.IMAP4.error) as e:
            m.login(user, password)
        texts.append(str(e.value))
    assert texts[0] == texts[1]


def test_no_one_sends_as_another(office):
    anna = office.people["anna"]
    message = anna.write(["bert@example.com"], "I am not Bert")
    with pytest.raises(smtplib.SMTPException):
        s = smtplib.SMTP("127.0.0.1", office.ports["submission"], timeout=30)
        s.starttls(context=people.trusting())
        s.login(anna.address, anna.password)
        s.sendmail("bert@example.com", ["bert@example.com"], message.as_bytes())
    with pytest.raises(smtplib.SMTPException):
        s = smtplib.SMTP("127.0.0.1", office.ports["submission"], timeout=30)
        s.starttls(context=people.trusting())
        s.sendmail(anna.address, ["bert@example.com"], message.as_bytes())


def test_a_login_right_after_the_account_was_made_waits_for_its_mailboxes(office):
    """Auth knows an account before the views have it."""
    import threading
    clerk = office.roles()["clerk"]
    os.kill(clerk, signal.SIGSTOP)
    threading.Timer(1.5, os.kill, (clerk, signal.SIGCONT)).start()
    began = time.monotonic()
    [carl] = office.add("carl")
    m = carl.imap()
    assert people.contents(m, "INBOX") == []
    m.logout()
    p = carl.pop()
    assert p.stat() == (0, 0)
    p.quit()
    assert time.monotonic() - began > 1.4, "the login did not have to wait"

"""The index of messages' words and structures (indexer): it follows, survives kill and deletion, and IMAP uses it."""
import imaplib
import os
import shutil
import signal
import smtplib
import sqlite3

import peers
import people
import pytest


def arrive(port, to, subject, body):
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
        s.sendmail("sender@example.org", [to], f"From: sender@example.org\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode())


def subjects(office):
    """Of all messages the index knows."""
    path = os.path.join(office.data, "index", "digest.db")
    if not os.path.exists(path):
        return []
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as db:
            return sorted(bytes(row[0]).decode().strip() for row in db.execute("SELECT subject FROM words"))
    except sqlite3.Error:
        return []


@pytest.fixture
def office(folder, started):
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    o.add("anna")
    return o


def test_the_index_follows_and_is_made_again(office):
    expected = []
    for i in range(3):
        arrive(office.port, "anna@example.com", f"Number {i}", "some words")
        expected.append(f"number {i}")
    peers.wait_for(lambda: subjects(office) == expected, 10, lambda: f"{subjects(office)}\n" + office.tail())
    os.kill(office.roles()["indexer"], signal.SIGKILL)
    arrive(office.port, "anna@example.com", "After a kill", "x")
    expected = ["after a kill"] + expected
    peers.wait_for(lambda: subjects(office) == expected, 20, lambda: f"{subjects(office)}\n" + office.tail())
    office.stop()
    shutil.rmtree(os.path.join(office.data, "index"))
    office.start()
    peers.wait_for(lambda: subjects(office) == expected, 20, lambda: f"{subjects(office)}\n" + office.tail())


def test_search_by_index_is_search_by_looking(office):
    """The same questions with the index and, while the indexer is stopped, without."""
    anna = office.people["anna"]
    words = ["gr\u00fcn", "STRASSE", "moon", "Moonlight", "nothing"]
    for i in range(20):
        arrive(office.port, "anna@example.com", f"Letter {i}", f"{words[i % len(words)]} and {i}")
    peers.wait_for(lambda: len(subjects(office)) == 20, 20, lambda: office.tail())
    questions = [("BODY", "moon"), ("TEXT", "letter 1"), ("SUBJECT", "letter 19"), ("BODY", "stra\u00dfe"), ("FROM", "example.org"),
                 ("BODY", "xyzzy"), ("TO", "anna"), ("BODY", "GR\u00dcN"), ("BODY", "an")]

    def ask():
        m = anna.imap()
        people.ok(m.select("INBOX"))
        answers = []
        for where, text in questions:
            m.literal = text.encode()
            answers.append(people.ok(m.uid("SEARCH", "CHARSET", "UTF-8", where))[0].split())
        m.logout()
        return answers
    indexed = ask()
    assert [len(a) for a in indexed] == [8, 11, 1, 4, 20, 0, 20, 4, 20]
    pid = office.roles()["indexer"]
    os.kill(pid, signal.SIGSTOP)
    try:
        shutil.rmtree(os.path.join(office.data, "index"))
        for name, desk in office.roles().items():  # those that have the database open still
            if name.startswith("desk"):
                os.kill(desk, signal.SIGKILL)
        peers.wait_for(lambda: _try(ask) == indexed, 20, lambda: f"{_try(ask)} is not {indexed}", every=0.3)
    finally:
        os.kill(pid, signal.SIGKILL)


def _try(call):
    try:
        return call()
    except (OSError, imaplib.IMAP4.error) as e:
        return repr(e)

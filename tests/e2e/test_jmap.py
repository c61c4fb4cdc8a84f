"""JMAP as other people's programs speak it, against the real program."""
import base64
import json
import os
import subprocess
import time

import peers
import people
import pytest
from jmap import Events
from test_people import arrive

NODE = os.path.join(peers.TOP, "tests", "e2e", "node")


@pytest.fixture
def office(folder, started):
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    o.add("anna", "bert")
    return o


def bearer(office, person):
    """An app password as a token."""
    made = json.loads(office.run("user", "app-password", person.address, "add", "jmap", "--json").stdout)
    return made.get("token") or base64.urlsafe_b64encode(f"{person.address}\0{made['password']}".encode()).decode().rstrip("=")


def shown(jmap, box, n, seconds=10):
    peers.wait_for(lambda: len(jmap.emails(box)) == n, seconds, lambda: f"{n} in {box}: {jmap.emails(box)}")
    return jmap.emails(box)


def test_a_client_nobody_here_wrote_lists_fetches_sets_flags_and_sends(office):
    anna, bert = office.people["anna"], office.people["bert"]
    arrive(office.port, anna.address, 3, "Hello")
    mine = anna.jmap()
    shown(mine, "inbox", 3)
    done = subprocess.run(["node", "jam.mjs"], cwd=NODE, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          input=json.dumps({"https": office.ports["https"], "token": bearer(office, anna), "user": anna.address, "to": bert.address}),
                          env={**os.environ, "NODE_TLS_REJECT_UNAUTHORIZED": "0"})
    assert done.returncode == 0, done.stderr[-3000:]
    out = json.loads(done.stdout.strip().splitlines()[-1])
    assert {"inbox", "sent", "drafts", "trash", "archive", "junk"} <= set(out["roles"])
    assert len(out["subjects"]) == 3 and all("Hello" in s for s in out["subjects"])
    assert out["first"]["bodyValues"] and out["flagged"] and out["moved"]
    assert "id" in out["sent"], out["sent"]
    # What it did is there for everybody: in the mailboxes, by IMAP, and at Bert's.
    sent = shown(mine, "sent", 1)[0]
    assert sent["subject"] == "By jmap-jam" and "$draft" not in sent["keywords"]
    assert mine.emails("drafts") == [] and len(mine.emails("archive")) == 1
    m = anna.imap()
    flags = [flags for _, flags, _ in people.contents(m, "INBOX")]
    assert any({"\\Flagged", "\\Seen"} <= f for f in flags), flags
    theirs = bert.jmap()
    got = shown(theirs, "inbox", 1)[0]
    assert got["messageId"] == sent["messageId"]
    parts = theirs.one("Email/get", ids=[got["id"]], properties=["attachments", "textBody", "bodyValues"], fetchTextBodyValues=True)["list"][0]
    assert [(a["name"], a["type"]) for a in parts["attachments"]] == [("Übersicht.csv", "text/csv")]
    assert "Grüße" in next(iter(parts["bodyValues"].values()))["value"]
    status, headers, data = theirs.download(parts["attachments"][0]["blobId"], "Übersicht.csv", "text/csv")
    assert (status, data) == (200, b"a,b\n1,2\n")
    assert headers["Content-Disposition"].startswith("attachment") and headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


def test_push_says_what_changed_within_a_second(office):
    anna = office.people["anna"]
    mine = anna.jmap()
    before = mine.one("Email/get", ids=[])["state"]
    events = Events(mine, types="Email,Mailbox")
    time.sleep(0)  # the stream stands: its head was answered
    arrive(office.port, anna.address, 1, "Pushed")
    began = time.monotonic()
    _, change = events.wait(lambda e, d: e == "state" and d["changed"].get(mine.account, {}).get("Email", before) != before)
    assert time.monotonic() - began < 1
    assert change["@type"] == "StateChange"
    new = mine.one("Email/changes", sinceState=before)
    assert len(new["created"]) == 1 and new["updated"] == [] and new["newState"] == change["changed"][mine.account]["Email"]
    # A mark set by IMAP reaches the stream, too.
    m = anna.imap()
    m.select("INBOX")
    m.store("1", "+FLAGS", "(\\Seen)")
    events.wait(lambda e, d: e == "state" and int(d["changed"][mine.account].get("Email", 0)) > int(new["newState"]))
    again = mine.one("Email/changes", sinceState=new["newState"])
    assert again["updated"] == new["created"] and again["created"] == []
    events.close()


def test_a_stream_hears_of_what_it_asked_for_alone(office):
    """RFC 8621 s1.5: a device that is woken for new mail sleeps on when a message is marked."""
    anna = office.people["anna"]
    mine = anna.jmap()
    arrive(office.port, anna.address, 1, "First")
    all_, deliveries = Events(mine, types="Email"), Events(mine, types="EmailDelivery")
    _, first = deliveries.wait(lambda e, d: e == "state")
    assert set(first["changed"][mine.account]) == {"EmailDelivery"}
    before = mine.one("Email/get", ids=[])["state"]
    email = shown(mine, "inbox", 1)[0]["id"]
    assert email in mine.one("Email/set", update={email: {"keywords/$flagged": True}})["updated"]
    all_.wait(lambda e, d: e == "state" and int(d["changed"][mine.account]["Email"]) > int(before))
    arrive(office.port, anna.address, 1, "Second")
    deliveries.wait(lambda e, d: e == "state" and d != first)
    assert [e for e, _ in deliveries.seen].count("state") == 2, deliveries.seen
    all_.close()
    deliveries.close()


def test_what_is_asked_of_another_persons_mail_is_not_there(office):
    """H-09: the same answer as for what never was."""
    anna, bert = office.people["anna"].jmap(), office.people["bert"].jmap()
    arrive(office.port, anna.address, 1, "Private")
    email = shown(anna, "inbox", 1)[0]
    blob = anna.one("Email/get", ids=[email["id"]], properties=["blobId"])["list"][0]["blobId"]
    upload = anna.upload(b"mine")
    assert bert.one("Email/get", ids=[email["id"]])["notFound"] == [email["id"]]
    box = anna.boxes()["inbox"]
    assert bert.one("Mailbox/get", ids=[box])["notFound"] == [box]
    answers = []
    for what in (blob, upload, "G999999", "U" + "0" * 32, "../../etc/passwd"):
        status, headers, text = bert.download(what)
        answers.append((status, text, headers["Content-Type"]))
    assert {a[0] for a in answers} == {404} and len(set(answers)) == 1, answers
    status, _, _ = bert.raw("POST", "/jmap/api", json.dumps({"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"], "methodCalls": [
        ["Mailbox/get", {"accountId": anna.account, "ids": None}, "0"]]}), {"Content-Type": "application/json"})
    assert status == 200
    (name, answer), = bert.call(("Mailbox/get", {"accountId": anna.account, "ids": None}))
    assert (name, answer["type"]) == ("error", "accountNotFound")


def test_an_upload_and_a_draft_outlive_every_process(office):
    anna = office.people["anna"]
    mine = anna.jmap()
    blob = mine.upload(b"x" * 300000, "image/png")
    office.kill()
    office.start()
    mine = anna.jmap()
    made = mine.one("Email/set", create={"d": {
        "mailboxIds": {mine.boxes()["drafts"]: True}, "keywords": {"$draft": True}, "subject": "With a picture", "from": [{"email": anna.address}],
        "textBody": [{"partId": "1", "type": "text/plain"}], "bodyValues": {"1": {"value": "See below"}},
        "attachments": [{"blobId": blob, "type": "image/png", "name": "p.png"}]}})
    assert "d" in (made.get("created") or {}), made
    office.kill()
    office.start()
    mine = anna.jmap()
    draft, = mine.emails("drafts", properties=["subject", "attachments"])
    assert draft["subject"] == "With a picture"
    status, headers, data = mine.download(draft["attachments"][0]["blobId"])
    assert (status, data) == (200, b"x" * 300000)
    status, headers, data = mine.download(draft["attachments"][0]["blobId"], headers={"Range": "bytes=10-19"})
    assert (status, data, headers["Content-Range"]) == (206, b"x" * 10, "bytes 10-19/300000")


def test_an_answer_is_in_the_same_conversation(office):
    anna, bert = office.people["anna"], office.people["bert"]
    mid = bert.send(bert.write(anna.address, "Lunch"))
    mine = anna.jmap()
    first = shown(mine, "inbox", 1)[0]
    anna.send(anna.write(bert.address, "Re: Lunch", reply_to=mid))
    bert.send(bert.write(anna.address, "Lunch"))  # the same subject alone is another conversation
    shown(mine, "inbox", 2)
    thread = mine.one("Thread/get", ids=[first["threadId"]])["list"][0]
    assert len(thread["emailIds"]) == 2 and thread["emailIds"][0] == first["id"]
    filter_ = {"inMailbox": mine.boxes()["inbox"]}
    assert len(mine.one("Email/query", filter=filter_, collapseThreads=True)["ids"]) == 2


def test_search_finds_and_shows_where(office):
    anna = office.people["anna"]
    bert = office.people["bert"]
    for subject, body in (("One", "The quick brown fox & the <b>lazy</b> dog\n"), ("Two", "Nothing of the kind\n")):
        bert.send(bert.write(anna.address, subject, body))
    mine = anna.jmap()
    shown(mine, "inbox", 2)
    found = mine.one("Email/query", filter={"text": "LAZY"})["ids"]
    assert len(found) == 1
    snippet, = mine.one("SearchSnippet/get", emailIds=found, filter={"text": "LAZY"})["list"]
    assert "<mark>lazy</mark>" in snippet["preview"] and "<b>" not in snippet["preview"] and "&lt;b&gt;" in snippet["preview"]

"""What JMAP changes, on the real program: mailboxes, Emails, sending, identities; and how what cannot be is refused."""
import email
import email.policy
import json
import os
import shutil
import signal
import tempfile

import peers
import people
import pytest


@pytest.fixture(scope="module")
def office():
    """One for the tests here, each with people of its own."""
    folder = tempfile.mkdtemp(prefix="holdfast-e2e-", dir=os.environ.get("HOLDFAST_TMP", "/var/tmp"))
    os.chmod(folder, 0o755)
    o = people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx")
    o.start()
    try:
        o.add("anna", "bert", "carl", "dora", "emil")
        yield o
    finally:
        o.kill()
        shutil.rmtree(folder, ignore_errors=True)


def errors(answer, which):
    return {k: v["type"] for k, v in (answer[which] or {}).items()}


def note(box, subject, **more):
    return {**{"mailboxIds": {box: True}, "subject": subject, "from": [{"email": "anna@example.com"}],
               "textBody": [{"partId": "1", "type": "text/plain"}], "bodyValues": {"1": {"value": "text"}}}, **more}


def test_a_tree_of_mailboxes(office):
    mine = office.people["anna"].jmap()
    made = mine.one("Mailbox/set", create={"b": {"name": "Below", "parentId": "#a"}, "a": {"name": "Äbove", "isSubscribed": True}, "c": {"name": "Deep", "parentId": "#b"},
                                           "x": {"name": "a/b"}, "y": {"name": "Lost", "parentId": "F999"}, "z": {"name": "Loop", "parentId": "#w"},
                                           "w": {"name": "Loop2", "parentId": "#z"}, "r": {"name": "Other", "role": "inbox"}, "s": {"name": "Äbove", "sortOrder": 3}})
    assert set(made["created"]) == {"a", "b", "c"}
    assert errors(made, "notCreated") == {k: "invalidProperties" for k in "xyzwrs"}
    assert made["created"]["a"]["isSubscribed"] is True and made["created"]["a"]["myRights"]["mayDelete"] is True
    ids = {k: v["id"] for k, v in made["created"].items()}
    got = {b["id"]: b for b in mine.one("Mailbox/get", ids=list(ids.values()))["list"]}
    assert got[ids["b"]]["parentId"] == ids["a"] and got[ids["c"]]["name"] == "Deep" and got[ids["a"]]["parentId"] is None
    assert made["newState"] == mine.one("Mailbox/get", ids=[])["state"]
    # The same mailboxes by IMAP.
    assert "&AMQ-bove/Below/Deep" in people.folders(office.people["anna"].imap())
    boxes = mine.boxes()
    moved = mine.one("Mailbox/set", update={ids["c"]: {"name": "Deeper", "parentId": None, "isSubscribed": True}, ids["a"]: {"parentId": ids["b"]},
                                            boxes["inbox"]: {"name": "Eingang"}, boxes["sent"]: {"isSubscribed": False, "sortOrder": 77}, "F1": {"name": "x"}})
    assert set(moved["updated"]) == {ids["c"], boxes["sent"]}
    assert moved["updated"][boxes["sent"]] == {"sortOrder": 3}
    assert errors(moved, "notUpdated") == {ids["a"]: "invalidProperties", boxes["inbox"]: "forbidden", "F1": "notFound"}
    deeper = mine.one("Mailbox/get", ids=[ids["c"]])["list"][0]
    assert (deeper["name"], deeper["parentId"], deeper["isSubscribed"]) == ("Deeper", None, True)
    mine.one("Email/set", create={"n": note(ids["c"], "in it")})
    gone = mine.one("Mailbox/set", destroy=[ids["a"], ids["c"], boxes["trash"], "F1"])
    assert errors(gone, "notDestroyed") == {ids["a"]: "mailboxHasChild", ids["c"]: "mailboxHasEmail", boxes["trash"]: "forbidden", "F1": "notFound"}
    gone = mine.one("Mailbox/set", destroy=[ids["a"], ids["b"], ids["c"]], onDestroyRemoveEmails=True)
    assert set(gone["destroyed"]) == set(ids.values()) and gone["notDestroyed"] is None
    assert mine.emails() == []


def test_states_follow_each_other(office):
    mine, other = office.people["bert"].jmap(), office.people["bert"].jmap()
    drafts = mine.boxes()["drafts"]
    first = mine.one("Email/set", create={"a": note(drafts, "one"), "b": note(drafts, "two")})
    assert first["newState"] == mine.one("Email/get", ids=[])["state"]
    since = mine.one("Email/changes", sinceState=first["oldState"])
    assert set(since["created"]) == {e["id"] for e in first["created"].values()} and since["newState"] == first["newState"]
    ids = [e["id"] for e in first["created"].values()]
    other.one("Email/set", update={ids[0]: {"keywords/$flagged": True}})
    (name, refused), = mine.call(("Email/set", {"ifInState": first["newState"], "update": {ids[1]: {"keywords/$seen": True}}}))
    assert (name, refused["type"]) == ("error", "stateMismatch")
    now = mine.one("Email/get", ids=[])["state"]
    fine = mine.one("Email/set", ifInState=now, update={i: {"keywords/$seen": True} for i in ids}, create={"c": note(drafts, "three")})
    assert fine["oldState"] == now and len(fine["updated"]) == 2 and "c" in fine["created"]
    assert mine.one("Email/set")["oldState"] == fine["newState"]


def test_what_an_update_may_say(office):
    mine = office.people["carl"].jmap()
    boxes = mine.boxes()
    made = mine.one("Email/set", create={k: note(boxes["inbox"], k, keywords={"$seen": True}) for k in "abc"})
    a, b, c = (made["created"][k]["id"] for k in "abc")
    bad = {"keywords/$seen": False}, {"keywords": {"$seen": True}, "keywords/$flagged": True}, {"subject": "x"}, {"mailboxIds": {}}, {"mailboxIds/F1": True}, \
        {"keywords/a b": True}, {f"keywords/k{i}": True for i in range(200)}, {"mailboxIds/" + boxes["inbox"]: None}, {"mailboxIds/x/y": True}
    kinds = [errors(mine.one("Email/set", update={a: patch}), "notUpdated").get(a) for patch in bad]
    assert kinds[:6] == ["invalidProperties", "invalidPatch", "invalidProperties", "invalidProperties", "invalidProperties", "invalidProperties"], kinds
    assert kinds[6] in ("tooManyKeywords", "overQuota") and kinds[7:] == ["invalidProperties", "invalidPatch"], kinds
    assert mine.emails("inbox")[0]["keywords"] == {"$seen": True}
    # One that cannot be does not stand in the way of the others.
    mine.one("Email/set", update={a: {"mailboxIds/" + boxes["archive"]: True}})
    done = mine.one("Email/set", update={a: {"mailboxIds/" + boxes["inbox"]: None}, b: {"mailboxIds/" + boxes["inbox"]: None}, "M999": {"keywords": {}},
                                         c: {"mailboxIds": {boxes["archive"]: True}, "keywords": {"$answered": True, "Mine": True}}})
    assert set(done["updated"]) == {a, c}
    assert errors(done, "notUpdated") == {b: "invalidProperties", "M999": "notFound"}
    c_now, = (e for e in mine.emails("archive") if e["id"] == c)
    assert c_now["keywords"] == {"$answered": True, "mine": True} and c_now["mailboxIds"] == {boxes["archive"]: True}
    gone = mine.one("Email/set", update={a: {"keywords": {}}}, destroy=[a, b, "M998"])
    assert set(gone["destroyed"]) == {a, b} and errors(gone, "notUpdated") == {a: "willDestroy"} and errors(gone, "notDestroyed") == {"M998": "notFound"}
    assert [e["id"] for e in mine.emails()] == [c]


CREATIONS = [  # what RFC 8621 s4.6 forbids, and whose fault it is
    ({"bodyStructure": {"partId": "1", "type": "text/plain"}, "textBody": [{"partId": "1"}]}, "bodyStructure"),
    ({"headers": []}, "headers"), ({"header:Subject:asText": "a", "subject": "b"}, "Subject"), ({"header:Content-Type": "x"}, "header:Content-Type"),
    ({"header:From:asDate": "2020-01-01T00:00:00Z"}, "header:From:asDate"), ({"header:X-A:asText": "a", "header:x-a": "b"}, "header:x-a"),
    ({"textBody": [{"partId": "1", "type": "text/html"}]}, "textBody"), ({"textBody": [{"partId": "1"}, {"partId": "1"}]}, "textBody"),
    ({"htmlBody": [{"partId": "1", "type": "text/plain"}]}, "htmlBody"), ({"textBody": [{"partId": "9"}]}, "bodyValues"),
    ({"bodyValues": {"1": {"value": "x", "isTruncated": True}}}, "bodyValues"), ({"textBody": [{"partId": "1", "blobId": "U1"}]}, "partId"),
    ({"textBody": [{"partId": "1", "charset": "utf-8"}]}, "charset"), ({"textBody": [{"partId": "1", "size": 4}]}, "size"),
    ({"textBody": [{"partId": "1", "header:Content-Transfer-Encoding": "7bit"}]}, "header:Content-Transfer-Encoding"),
    ({"attachments": [{"type": "multipart/mixed", "subParts": [{"partId": "1"}]}]}, "attachments"),
    ({"to": [{"email": "a@b>, <c@d"}]}, "to"), ({"to": [{"name": "x"}]}, "to"), ({"messageId": ["a b"]}, "messageId"), ({"sentAt": "yesterday"}, "sentAt"),
    ({"header:X-Raw": " a\r\nBcc: x@y"}, "header:X-Raw"), ({"receivedAt": "2020"}, "receivedAt"), ({"keywords": {"a b": True}}, "keywords"), ({"mailboxIds": {}}, "mailboxIds"),
    ({"size": 1}, "size"), ({"textBody": None, "bodyStructure": {"type": "multipart/mixed", "subParts": []}}, "subParts"),
    ({"textBody": None, "bodyStructure": {"partId": "1", "header:Subject": " x"}}, "header:Subject"),
]


def test_what_a_creation_may_not_say(office):
    mine = office.people["dora"].jmap()
    box = mine.boxes()["drafts"]
    for more, property_ in CREATIONS:
        refused = mine.one("Email/set", create={"x": {**note(box, "s"), **more}})
        assert refused["created"] is None, (more, refused)
        error = refused["notCreated"]["x"]
        assert error["type"] == "invalidProperties" and property_ in " ".join(error["properties"]), (more, error)
    assert mine.emails() == []


def test_what_is_written_is_what_was_said(office):
    mine = office.people["dora"].jmap()
    box = mine.boxes()["drafts"]
    blob = mine.upload(bytes(range(256)) * 100, "application/pdf")
    made = mine.one("Email/set", create={"x": {
        "mailboxIds": {box: True}, "keywords": {"$draft": True}, "receivedAt": "2021-02-03T04:05:06Z",
        "from": [{"name": "Dörte \"D\" Müller", "email": "dora@example.com"}], "to": [{"email": "a@example.org"}, {"name": "Über, Uwe", "email": "uwe@münchen.example"}],
        "bcc": [{"email": "secret@example.org"}], "subject": "Grüße  =?utf-8?Q?nicht?= 日本", "sentAt": "2021-02-03T05:05:06+01:00", "messageId": ["mine@example.com"],
        "references": ["r1@x", "r2@x"], "inReplyTo": ["r2@x"], "header:List-Post:asURLs": ["mailto:x@y"], "header:X-Multi:asText:all": ["one", "zwei ä"],
        "bodyStructure": {"type": "multipart/mixed", "subParts": [
            {"type": "multipart/alternative", "subParts": [{"partId": "t", "type": "text/plain", "language": ["de", "en"]}, {"partId": "h", "type": "text/html"}]},
            {"blobId": blob, "type": "application/pdf", "name": "Größe \"1\".pdf", "disposition": "attachment"}]},
        "bodyValues": {"t": {"value": "Zeile\n" + "lang " * 60 + "\n.\nFrom here"}, "h": {"value": "<p>ä</p>"}}}})
    new = made["created"]["x"]
    raw = mine.download(new["blobId"])[2]
    assert len(raw) == new["size"]
    m = email.message_from_bytes(raw, policy=email.policy.default)
    assert not m.defects and m["Bcc"] == "secret@example.org" and m["Message-ID"] == "<mine@example.com>" and m["Date"].datetime.isoformat() == "2021-02-03T05:05:06+01:00"
    assert m["From"].addresses[0].display_name == "Dörte \"D\" Müller" and m["To"].addresses[1].addr_spec == "uwe@xn--mnchen-3ya.example"
    assert m.get_all("X-Multi") == ["one", "zwei ä"]
    got = mine.one("Email/get", ids=[new["id"]], fetchAllBodyValues=True, properties=[
        "subject", "from", "to", "sentAt", "receivedAt", "references", "bodyValues", "textBody", "attachments", "header:List-Post:asURLs", "keywords"])["list"][0]
    assert got["subject"] == "Grüße  =?utf-8?Q?nicht?= 日本" and got["sentAt"] == "2021-02-03T05:05:06+01:00" and got["receivedAt"] == "2021-02-03T04:05:06Z"
    assert got["references"] == ["r1@x", "r2@x"] and got["header:List-Post:asURLs"] == ["mailto:x@y"]
    assert got["bodyValues"][got["textBody"][0]["partId"]]["value"] == "Zeile\n" + "lang " * 60 + "\n.\nFrom here" and got["textBody"][0]["language"] == ["de", "en"]
    assert got["attachments"][0]["name"] == "Größe \"1\".pdf" and mine.download(got["attachments"][0]["blobId"])[2] == bytes(range(256)) * 100
    # A draft goes on from its own parts, with the message before as an attachment, and the old one goes.
    again = mine.one("Email/set", destroy=[new["id"]], create={"y": {"mailboxIds": {box: True}, "attachments": [
        {"blobId": got["attachments"][0]["blobId"], "name": "again.pdf"}, {"blobId": new["blobId"], "type": "message/rfc822", "name": "was.eml"}]}})
    m = email.message_from_bytes(mine.download(again["created"]["y"]["blobId"])[2], policy=email.policy.default)
    first, second = m.iter_attachments()
    assert first.get_content() == bytes(range(256)) * 100 and second.get_content()["Subject"] == "Grüße  =?utf-8?Q?nicht?= 日本"
    assert [e["id"] for e in mine.emails()] == [again["created"]["y"]["id"]]


def test_what_is_sent_is_told(office):
    mine, other = office.people["emil"].jmap(), office.people["carl"].jmap()
    boxes = mine.boxes()
    identity, = mine.one("Identity/get", ids=None)["list"]
    assert identity["email"] == "emil@example.com" and identity["mayDelete"] is False
    draft = {"mailboxIds": {boxes["drafts"]: True}, "keywords": {"$draft": True}, "from": [{"email": "emil@example.com"}], "to": [{"email": "carl@example.com"}],
             "bcc": [{"email": "bert@example.com"}], "subject": "Sent", "textBody": [{"partId": "1"}], "bodyValues": {"1": {"value": "x"}}}
    answers = mine.call(
        ("Email/set", {"create": {"d": draft, "other": {**draft, "from": [{"email": "carl@example.com"}]}, "none": {**draft, "to": None, "bcc": None},
                                  "odd": {**draft, "to": [{"email": "nobody-at-all"}]}}}),
        ("EmailSubmission/set", {"create": {
            "go": {"emailId": "#d", "identityId": identity["id"]}, "other": {"emailId": "#other", "identityId": identity["id"]},
            "none": {"emailId": "#none", "identityId": identity["id"]}, "odd": {"emailId": "#odd", "identityId": identity["id"]},
            "who": {"emailId": "#d", "identityId": "I1"}, "what": {"emailId": "M999", "identityId": identity["id"]},
            "as": {"emailId": "#d", "identityId": identity["id"], "envelope": {"mailFrom": {"email": "carl@example.com"}, "rcptTo": [{"email": "bert@example.com"}]}},
            "later": {"emailId": "#d", "identityId": identity["id"], "envelope": {"mailFrom": {"email": "emil@example.com", "parameters": {"HOLDFOR": "60"}}, "rcptTo": []}}},
            "onSuccessUpdateEmail": {"#go": {"mailboxIds": {boxes["sent"]: True}, "keywords/$draft": None}, "#other": {"keywords": {}}},
            "onSuccessDestroyEmail": ["#none"]}))
    assert [name for name, _ in answers] == ["Email/set", "EmailSubmission/set", "Email/set"]
    made, sent, after = (a for _, a in answers)
    assert set(sent["created"]) == {"go"} and sent["created"]["go"]["undoStatus"] == "final"
    assert errors(sent, "notCreated") == {"other": "forbiddenFrom", "none": "noRecipients", "odd": "invalidRecipients", "who": "invalidProperties",
                                          "what": "invalidProperties", "as": "forbiddenMailFrom", "later": "invalidProperties"}
    assert sent["notCreated"]["odd"]["invalidRecipients"] == ["nobody-at-all"]
    assert set(after["updated"]) == {made["created"]["d"]["id"]} and after["destroyed"] is None
    peers.wait_for(lambda: len(other.emails("inbox")) == 1, 10, "it to come")
    raw = other.download("G" + other.emails("inbox")[0]["id"])[2]
    assert b"Bcc" not in raw and b"with HTTP" in raw and b"127.0.0.1" not in raw
    assert [e["subject"] for e in mine.emails("sent")] == ["Sent"] and len(mine.emails("drafts")) == 3
    # What became of it (the primary is away: it waits), and the one who sent it alone knows.
    id_ = sent["created"]["go"]["id"]
    peers.wait_for(lambda: mine.one("EmailSubmission/get", ids=[id_])["list"], 10, "the submission")
    got, = mine.one("EmailSubmission/get", ids=[id_, "x"])["list"]
    assert got["emailId"] == made["created"]["d"]["id"] and got["identityId"] == identity["id"] and got["threadId"] == made["created"]["d"]["threadId"]
    assert set(got["deliveryStatus"]) == {"carl@example.com", "bert@example.com"} and {d["delivered"] for d in got["deliveryStatus"].values()} == {"queued"}
    assert other.one("EmailSubmission/get", ids=[id_])["notFound"] == [id_]
    ids = mine.one("EmailSubmission/query", filter={"emailIds": [got["emailId"]]}, sort=[{"property": "sentAt", "isAscending": False}])["ids"]
    assert ids == [id_] and mine.one("EmailSubmission/query", filter={"undoStatus": "pending"})["ids"] == []
    refused = mine.one("EmailSubmission/set", update={id_: {"undoStatus": "canceled"}, "x": {}}, destroy=[id_])
    assert errors(refused, "notUpdated") == {id_: "cannotUnsend", "x": "notFound"} and errors(refused, "notDestroyed") == {id_: "forbidden"}
    state = mine.one("EmailSubmission/get", ids=[])["state"]
    assert mine.one("EmailSubmission/changes", sinceState=state)["created"] == []


def test_signatures_are_kept(office):
    mine = office.people["emil"].jmap()
    identity, = mine.one("Identity/get", ids=None)["list"]
    state = mine.one("Identity/get", ids=[])["state"]
    done = mine.one("Identity/set", ifInState=state, update={identity["id"]: {"name": "Emil E.", "textSignature": "-- \nEmil", "htmlSignature": "<b>Emil</b>",
                                                                                   "replyTo": [{"name": None, "email": "team@example.com"}]}})
    assert list(done["updated"]) == [identity["id"]] and done["oldState"] == state != done["newState"]
    office.kill()
    office.start()
    mine = office.people["emil"].jmap()
    now, = mine.one("Identity/get", ids=[identity["id"]])["list"]
    assert (now["name"], now["textSignature"], now["replyTo"]) == ("Emil E.", "-- \nEmil", [{"name": None, "email": "team@example.com"}])
    refused = mine.one("Identity/set", update={identity["id"]: {"email": "x@example.com"}, "I0": {"name": "x"}}, create={"n": {"email": "y@example.com"}}, destroy=[identity["id"]])
    assert errors(refused, "notUpdated") == {identity["id"]: "invalidProperties", "I0": "notFound"}
    assert errors(refused, "notCreated") == {"n": "forbidden"} and errors(refused, "notDestroyed") == {identity["id"]: "forbidden"}


def test_who_is_away_is_told_and_nothing_is_claimed(folder, started, monkeypatch):
    """J2: with submission away nothing was sent; with the clerk away nobody knows, and the record stands."""
    monkeypatch.setattr(peers, "LIMITS", {**peers.LIMITS, "command_timeout": "4s"})  # how long an answer is waited for
    office = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    office.add("anna", "bert")
    mine = office.people["anna"].jmap()
    boxes, identity = mine.boxes(), mine.one("Identity/get", ids=None)["list"][0]["id"]
    made = mine.one("Email/set", create={"d": note(boxes["drafts"], "away", to=[{"email": "bert@example.com"}]), "e": note(boxes["inbox"], "to go")})["created"]
    submission, clerk = office.roles()["submission"], office.roles()["clerk"]
    os.kill(submission, signal.SIGSTOP)
    try:
        sent = mine.one("EmailSubmission/set", create={"s": {"emailId": made["d"]["id"], "identityId": identity}}, onSuccessDestroyEmail=["#s"])
        assert errors(sent, "notCreated") == {"s": "serverUnavailable"}
    finally:
        os.kill(submission, signal.SIGCONT)
    os.kill(clerk, signal.SIGSTOP)
    try:
        (name, answer), = mine.call(("Email/set", {"destroy": [made["e"]["id"]]}))
        assert (name, answer["type"]) == ("error", "serverPartialFail")
        assert [e["subject"] for e in mine.emails("drafts")] == ["away"]  # reading goes on
    finally:
        os.kill(clerk, signal.SIGCONT)
    peers.wait_for(lambda: mine.emails("inbox") == [], 10, "what was recorded to be done")
    again = mine.one("EmailSubmission/set", create={"s": {"emailId": made["d"]["id"], "identityId": identity}})
    assert "s" in again["created"]
    theirs = office.people["bert"].jmap()
    peers.wait_for(lambda: [e for e in theirs.emails("inbox") if e["subject"] == "away"], 10, "it to come")
    assert len([e for e in theirs.emails("inbox") if e["subject"] == "away"]) == 1

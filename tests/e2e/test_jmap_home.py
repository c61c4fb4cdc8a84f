"""What people do by JMAP while the primary is away is found in their mailboxes on the primary, once (P6): the twin of test_home.py."""
from test_home import Home
from test_people import arrive

import peers


def mids(mine, box):
    return {e["messageId"][0]: e for e in mine.emails(box)}


def test_a_day_by_jmap_goes_home(folder, started):
    home = Home(folder, started, ("anna", "bert"))
    anna, bert = home.person("anna"), home.person("bert")
    before = arrive(home.office.port, anna.address, 1, "Before")
    home.wait_primary("anna", {"INBOX": {mid: [] for mid in before}})
    home.down()
    during = arrive(home.office.port, anna.address, 5, "During")
    mine, theirs = anna.jmap(), bert.jmap()
    peers.wait_for(lambda: len(mine.emails("inbox")) == 6, 10, "all mail here")
    boxes, at = mine.boxes(), {mid.strip("<>"): e for mid, e in mids(mine, "inbox").items()}
    ids = [at[mid.strip("<>")]["id"] for mid in [*before, *during]]
    made = mine.one("Mailbox/set", create={"p": {"name": "Projects"}, "m": {"name": "Moon", "parentId": "#p"}})["created"]
    done = mine.one("Email/set", update={
        ids[0]: {"mailboxIds": {made["m"]["id"]: True}, "keywords/$seen": True},
        ids[1]: {"keywords/$seen": True, "keywords/$flagged": True, "keywords/$forwarded": True},
        ids[2]: {"keywords/$flagged": True, "mailboxIds/" + boxes["archive"]: True},
        ids[3]: {"mailboxIds": {boxes["trash"]: True}}}, destroy=[ids[4]])
    assert len(done["updated"]) == 4 and done["destroyed"] == [ids[4]]
    assert mine.one("Email/set", update={ids[1]: {"keywords/$flagged": None}})["updated"]
    # An answer: drafted, drafted again, sent; it moves to Sent. And a draft that stays.
    blob = mine.upload(b"\x89PNG" * 5000, "image/png")
    draft = {"mailboxIds": {boxes["drafts"]: True}, "keywords": {"$draft": True, "$seen": True}, "from": [{"name": "Anna Ä", "email": anna.address}],
             "to": [{"email": bert.address}], "subject": "Answer", "inReplyTo": [during[0].strip("<>")], "references": [during[0].strip("<>")],
             "textBody": [{"partId": "1"}], "bodyValues": {"1": {"value": "Grüße\n"}}, "attachments": [{"blobId": blob, "type": "image/png", "name": "Bild.png"}]}
    first = mine.one("Email/set", create={"d": draft, "stays": {**draft, "subject": "Later", "attachments": None}})["created"]
    again = mine.one("Email/set", create={"d": draft}, destroy=[first["d"]["id"]])["created"]["d"]
    identity = mine.one("Identity/get", ids=None)["list"][0]["id"]
    (_, sent), (_, after) = mine.call(("EmailSubmission/set", {
        "create": {"s": {"emailId": again["id"], "identityId": identity}},
        "onSuccessUpdateEmail": {"#s": {"mailboxIds/" + boxes["drafts"]: None, "mailboxIds/" + boxes["sent"]: True, "keywords/$draft": None}}}))
    assert "s" in sent["created"] and again["id"] in after["updated"], (sent, after)
    mid, = (f"<{m}>" for m in mids(mine, "sent"))
    later, = (f"<{m}>" for m in mids(mine, "drafts"))
    peers.wait_for(lambda: len(theirs.emails("inbox")) == 1, 10, "the answer at Bert's")
    home.up()
    # What was destroyed is in Trash there: nothing that came is thrown away by us.
    home.wait_primary("anna", {
        "INBOX": {during[0]: ["$forwarded", "\\Seen"], during[1]: ["\\Flagged"], during[4]: []},
        "Archive": {during[1]: ["\\Flagged"]}, "Trash": {during[2]: [], during[3]: []}, "Projects/Moon": {before[0]: ["\\Seen"]},
        "Sent": {mid: ["\\Seen"]}, "Drafts": {later: ["\\Draft", "\\Seen"]}})
    home.wait_primary("bert", {"INBOX": {mid: []}})
    # The message in Sent is the one that was written, whole.
    m = home.dovecot.imap(anna.address)
    m.select("Sent", readonly=True)
    raw = m.fetch("1", "(BODY.PEEK[])")[1][0][1]
    m.logout()
    assert raw == mine.download("G" + mids(mine, "sent")[mid.strip("<>")]["id"])[2]

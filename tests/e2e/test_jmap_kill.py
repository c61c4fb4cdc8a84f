"""JMAP's changes while roles die, and what it says after the views were made anew."""
import http.client
import os
import shutil
import threading
import time

import peers
import people
import pytest

from conftest import SOAK
from test_desk import crash
from test_people import arrive

ROLE_CRASHES = 10 if SOAK else 4
MESSAGES = 40


@pytest.fixture
def office(folder, started):
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    o.add("anna", "bert")
    return o


def filled(office, person, n):
    arrive(office.port, person.address, n, "Report")
    mine = person.jmap()
    peers.wait_for(lambda: len(mine.emails("inbox")) == n, 20, f"{n} messages")
    return mine


def patiently(what, seconds=60):
    """Until the server gives an answer again."""
    until = time.monotonic() + seconds
    while True:
        try:
            return what()
        except (OSError, http.client.HTTPException, AssertionError, ValueError):
            assert time.monotonic() < until, "the server did not come back"
            time.sleep(0.05)


def test_k_01_a_patch_that_was_answered_is_there(office):
    """Emails marked and moved at once, while desk and clerk are killed: what was answered is whole; what was not is whole or nothing."""
    anna = office.people["anna"]
    mine = filled(office, anna, MESSAGES)
    ids = [e["id"] for e in mine.emails("inbox")]
    boxes = mine.boxes()
    answered, asked = set(), set()

    def patch(id_):
        nonlocal mine
        asked.add(id_)
        try:
            done = mine.one("Email/set", update={id_: {"keywords/$flagged": True, f"keywords/k{id_.lower()}": True,
                                                       "mailboxIds": {boxes["archive"]: True}}})
            if id_ in (done.get("updated") or {}):
                answered.add(id_)
                return
            raise AssertionError(done)
        except (OSError, http.client.HTTPException, AssertionError, ValueError):
            mine.close()
            raise

    def work():
        for id_ in ids[: MESSAGES // 2]:
            patiently(lambda: patch(id_))
            time.sleep(0.05)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    for i in range(ROLE_CRASHES):
        time.sleep(0.3)
        crash(office, ["clerk", "desk-0"][i % 2])
    worker.join(300 if SOAK else 90)
    assert not worker.is_alive()
    mine = patiently(anna.jmap)
    emails = {e["id"]: e for e in patiently(lambda: mine.one("Email/get", ids=ids, properties=["keywords", "mailboxIds"]))["list"]}
    assert len(emails) == MESSAGES
    for id_, e in emails.items():
        moved = {"keywords": {"$flagged": True, f"k{id_.lower()}": True}, "mailboxIds": {boxes["archive"]: True}}
        whole = {k: e[k] for k in moved}
        assert whole == moved if id_ in answered else whole == {"keywords": {}, "mailboxIds": {boxes["inbox"]: True}}, (id_, e)
    assert answered == set(ids[: MESSAGES // 2])


def test_views_made_anew_say_the_same(office):
    """States, ids, conversations, changes since an old state: the same numbers from the ledger alone."""
    anna, bert = office.people["anna"], office.people["bert"]
    mid = bert.send(bert.write(anna.address, "Lunch"))
    mine = anna.jmap()
    peers.wait_for(lambda: len(mine.emails("inbox")) == 1, 10, "mail")
    old = mine.one("Email/get", ids=[])["state"]
    bert.send(bert.write(anna.address, "AW: Lunch", reply_to=mid))
    arrive(office.port, anna.address, 4, "Report")
    peers.wait_for(lambda: len(mine.emails("inbox")) == 6, 10, "mail")
    boxes = mine.boxes()
    ids = [e["id"] for e in mine.emails("inbox")]
    mine.one("Email/set", update={ids[0]: {"keywords/$seen": True}, ids[1]: {"mailboxIds": {boxes["trash"]: True}}}, destroy=[ids[2]])
    people.ok(anna.imap().create("Moon"))

    def all_of_it(m):
        return {
            "emails": sorted(m.emails(properties=["threadId", "mailboxIds", "keywords", "subject", "preview", "hasAttachment"]), key=lambda e: e["id"]),
            "boxes": m.boxes(),
            "state": m.one("Email/get", ids=[])["state"],
            "changes": m.one("Email/changes", sinceState=old),
            "threads": m.one("Thread/changes", sinceState=old),
            "mailboxes": m.one("Mailbox/changes", sinceState=old),
        }

    before = all_of_it(mine)
    threads = {e["subject"]: e["threadId"] for e in before["emails"]}
    assert threads.get("Lunch") == threads.get("AW: Lunch"), threads
    assert len(before["changes"]["created"]) >= 4 and before["mailboxes"]["created"] == [before["boxes"]["Moon"]]
    office.kill()
    shutil.rmtree(os.path.join(office.folder, "data", "views"))
    office.start()
    mine = patiently(anna.jmap)
    peers.wait_for(lambda: patiently(lambda: all_of_it(mine)) == before, 30, lambda: f"{all_of_it(mine)} instead of {before}")

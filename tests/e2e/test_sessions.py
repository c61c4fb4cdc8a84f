"""Browsers' sessions through the doors, by HTTP, with two desks: catalogue H-08, H-19, H-20, and what people order with them."""
import http.client
import json
import os
import signal
import time

import peers
import people
import pytest
from console import Browser, totp

LOOKS = 12  # connections: enough that both desks are asked


@pytest.fixture
def office(folder, started):
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx", more="roles: { desks: 2 }\n"))
    o.add("anna", "bert")
    return o


def log_in(office, person):
    b = Browser(office.ports["https"])
    a = b.post("/api/login", account=person.address, password=person.password)
    assert a.status == 200 and a.json["state"] == "in", (a.status, a.body)
    b.token = b.get("/api/me").json["token"]
    return b


def is_in(browser):
    """Both desks say the same."""
    kept = dict(browser.cookies)
    seen = set()
    for _ in range(LOOKS):
        browser.cookies = dict(kept)
        seen.add(browser.get("/api/me").status)
    browser.cookies = kept
    assert seen in ({200}, {401}), seen
    return seen == {200}


def dead_within_a_second(browsers, change):
    """All of them were in, are asked at both desks, and out no later than a second after the change was answered."""
    for b in browsers:
        assert is_in(b)  # and so both desks remember the answer
    change()
    from_then = time.monotonic()
    for b in browsers:
        peers.wait_for(lambda: not any(b.get("/api/me").status == 200 for _ in range(4)), 1, lambda: "still in", every=0.05)
    assert time.monotonic() - from_then < 1.5
    assert not any(is_in(b) for b in browsers)


def me(browser, verb, **body):
    return browser.post(f"/api/me/{verb}", **body)


def renewed(browser, answer):
    """The answer brought another session; its token comes with it."""
    assert answer.status == 200, (answer.status, answer.body)
    browser.token = answer.headers["X-Holdfast-Token"]
    assert is_in(browser) and browser.get("/api/me").json["token"] == browser.token
    return browser


def test_h_08_a_session_ends_everywhere(office):
    anna, bert = office.people["anna"], office.people["bert"]
    first, second, his = log_in(office, anna), log_in(office, anna), log_in(office, bert)
    assert first.cookies != second.cookies

    old = Browser(first.port)
    old.cookies = dict(first.cookies)
    dead_within_a_second([old], lambda: first.post("/api/logout"))
    assert is_in(second) and is_in(his)

    here, there = log_in(office, anna), second
    before = Browser(here.port)
    before.cookies = dict(here.cookies)
    answers = []
    dead_within_a_second([there, before], lambda: answers.append(
        me(here, "password", password=anna.password, new_password="a longer one than that was")))
    renewed(here, answers[0])
    anna.password = "a longer one than that was"
    assert here.cookies != before.cookies and is_in(his)

    phone = log_in(office, anna)
    listed = me(here, "sessions").json["sessions"]
    assert len(listed) == 2 and sum(s["is_this"] for s in listed) == 1
    dead_within_a_second([phone], lambda: me(here, "session-end", argument=next(s["id"] for s in listed if not s["is_this"])))
    phone = log_in(office, anna)
    dead_within_a_second([phone], lambda: me(here, "others-end"))
    assert is_in(here)

    assert "Browser" not in office.run("user", "sessions", anna.address).stdout
    assert len(office.json("user", "sessions", anna.address)["sessions"]) == 1
    dead_within_a_second([here], lambda: office.run("user", "sessions", anna.address, "--end"))
    again = log_in(office, anna)
    dead_within_a_second([again], lambda: office.run("user", "disable", anna.address))
    assert is_in(his)


def test_h_08_sessions_outlive_every_role(office):
    anna = office.people["anna"]
    browser, out = log_in(office, anna), log_in(office, anna)
    over = Browser(out.port)
    over.cookies = dict(out.cookies)
    assert out.post("/api/logout").status == 204
    for role in ("auth", "desk-0", "desk-1"):
        was = office.roles()[role]
        os.kill(was, signal.SIGKILL)
        peers.wait_for(lambda: office.roles().get(role) not in (None, was), 20, lambda: role + "\n" + office.tail(), every=0.1)
        peers.wait_for(lambda: browser.get("/api/me").status == 200, 20, lambda: office.tail(), every=0.2)
        peers.wait_for(lambda: over.get("/api/me").status == 401, 20, lambda: office.tail(), every=0.2)
    office.stop()
    office.start()
    assert is_in(browser) and not is_in(over)
    with open(os.path.join(office.data, "secrets", "auth", "sessions")) as f:
        text = f.read()
    assert text.count("open ") == 1 and next(iter(browser.cookies.values())) not in text


def test_h_19_codes_and_tickets_are_good_once(office):
    anna = office.people["anna"]
    b = log_in(office, anna)
    begun = me(b, "factor-begin", password=anna.password).json
    wrong = me(b, "factor-confirm", argument="000000")
    assert wrong.status == 422 and wrong.json["type"] == "code", wrong.body
    answer = me(b, "factor-confirm", argument=totp(begun["secret"], time.time() - 30))
    renewed(b, answer)
    recovery = answer.json["recovery_codes"]

    door = Browser(b.port)
    assert door.post("/api/login", account=anna.address, password=anna.password).json["state"] == "factor"
    assert not is_in(door)
    ticket = dict(door.cookies)
    code = totp(begun["secret"])
    assert door.post("/api/login/factor", code=code).json["state"] == "in"
    assert is_in(door)

    replay = Browser(b.port)
    replay.cookies = dict(ticket)  # the ticket again, with a code that was not used
    a = replay.post("/api/login/factor", code=recovery[0])
    assert a.status == 403 and a.json["type"] == "ticket", a.body
    assert replay.post("/api/login", account=anna.address, password=anna.password).json["state"] == "factor"
    assert replay.post("/api/login/factor", code=code).status == 403  # the code again
    assert replay.post("/api/login/factor", code=recovery[0]).json["state"] == "in"
    assert replay.post("/api/login", account=anna.address, password=anna.password).json["state"] == "factor"
    assert replay.post("/api/login/factor", code=recovery[0]).status == 403

    # With a second factor the password alone opens nothing, an app password what programs need, and no session.
    made = me(b, "app-add", argument="notebook", password=anna.password).json
    for authorization, status in ((f"{anna.address}:{anna.password}", 401), (f"{anna.address}:{made['password']}", 200)):
        assert basic(b.port, authorization) == status
    assert bearer(b.port, made["token"]) == 200
    assert Browser(b.port).post("/api/login", account=anna.address, password=made["password"]).status == 403
    assert me(b, "app-remove", argument="notebook").status == 200
    peers.wait_for(lambda: {bearer(b.port, made["token"]) for _ in range(LOOKS)} == {401}, 1, lambda: "still taken", every=0.05)
    assert is_in(b)


def ask(port, authorization):
    c = http.client.HTTPSConnection("127.0.0.1", port, context=people.trusting(), timeout=30)
    c.request("GET", "/.well-known/jmap", headers={"Authorization": authorization})
    status = c.getresponse().status
    c.close()
    return status


def basic(port, text):
    import base64
    return ask(port, "Basic " + base64.b64encode(text.encode()).decode())


def bearer(port, token):
    return ask(port, "Bearer " + token)


def test_an_invitation_by_the_portal(office):
    office.run("user", "add", "carl@example.com", "--no-password")
    code = office.json("user", "invite", "carl@example.com")["code"]
    b = Browser(office.ports["https"])
    assert b.post("/api/login", account="carl@example.com", password=code).json["state"] == "invitation"
    a = b.post("/api/login/invitation", account="carl@example.com", code=code, password="carl")
    assert a.status == 403 and a.json["type"] == "new-password", (a.status, a.body)
    assert b.post("/api/login/invitation", account="carl@example.com", code=code, password="words that carl chose").json["state"] == "in"
    assert is_in(b)
    for password in ("other words of a thief", "words that carl chose"):
        assert Browser(b.port).post("/api/login/invitation", account="carl@example.com", code=code, password=password).status == 403
    assert Browser(b.port).post("/api/login", account="carl@example.com", password="words that carl chose").json["state"] == "in"
    told = json.dumps(office.json("history"))
    assert "user.invitation-used" in told and "carl@example.com" in told, told[:1000]

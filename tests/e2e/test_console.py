"""The console as its pages use it: every endpoint against the real program, and the same by command."""
import os
import smtplib
import ssl
import time

import console
import peers
import primaries


def send(port, rcpt="anna@example.com", sender="writer@example.org", subject="hello"):
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as s:
        s.sendmail(sender, [rcpt], f"From: Writer <{sender}>\r\nSubject: {subject}\r\nMessage-ID: <{time.time_ns()}@example.org>\r\n\r\nx\r\n")


def certificate(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


def held(hq, n):
    peers.wait_for(lambda: hq.site().get("held") == n, 20, lambda: f"{n} held:\n" + hq.tail(), every=0.1)


def test_operators_day(folder, started):
    primary = primaries.Primary().start()
    port = primary.port
    primary.stop()
    hq = started(console.Headquarters(os.path.join(folder, "holdfast"), port))
    anna, _ = hq.add("anna", "bert")
    admin = hq.administrator()
    portal = console.Browser(hq.ports["https"])
    assert portal.post("/api/login", account=anna.address, password=anna.password).json["state"] == "in"

    def told_to_work(wanted):
        peers.wait_for(lambda: portal.get("/api/now").json["continuity"] == wanted, 5, lambda: f"continuity to be {wanted}: {portal.get('/api/now').body}")
    for i in range(5):
        send(hq.port, subject=f"number {i}", rcpt="anna@example.com" if i else "bert@example.com")
    held(hq, 5)
    hq.wait_state("down")

    status = admin.get("/api/status").json
    site = status["sites"][0]
    assert status["ok"] and status["held"] == 5 and site["state"] == "down" and status["people"]["accounts"] == 3, status
    told = hq.json("status")
    assert told["sites"][0]["continuity"]["switch"] == site["continuity"]["switch"] == "auto"
    assert set(told) == set(status) and set(told["sites"][0]) == set(site), set(told) ^ set(status)

    line = admin.get("/api/timeline", site="head-office").json
    assert line["ok"] and sum(b["failed"] for b in line["buckets"]) > 0 and any(m["argument"] == "down" for m in line["marks"])
    assert admin.get("/api/timeline", site="nowhere").json["ok"] is False
    assert hq.json("timeline", "head-office")["site"] == "head-office"
    assert "site.state down" in hq.run("timeline", "head-office").stdout

    # switches
    assert admin.post("/api/hold", target="head-office", mode="on", for_ms=3600000).status == 400  # without a reason
    a = admin.post("/api/hold", target="head-office", mode="on", for_ms=3600000, reason="disk swap")
    assert a.status == 200 and "until" in a.json["text"], a.body
    hold = hq.json("status")["sites"][0]["hold"]
    assert hold["mode"] == "on" and hold["reason"] == "disk swap" and "administrator root@example.com (127.0.0.1)" == hold["by"]
    assert admin.post("/api/hold", target="head-office", mode="auto").status == 200
    assert admin.post("/api/continuity", target="head-office", mode="on", for_ms=60000, reason="they asked").status == 200
    assert admin.get("/api/status").json["sites"][0]["continuity"]["state"] == "on"
    told_to_work("on")
    assert admin.post("/api/continuity", target="Example.COM", mode="off", for_ms=60000, reason="not these").status == 200
    told_to_work("off")  # a domain's order beats its site's
    hq.run("continuity", "example.com", "auto")
    told_to_work("on")
    assert admin.post("/api/continuity", target="nowhere", mode="on", reason="x").status == 409
    text = hq.run("continuity", "head-office", "auto").stdout
    assert "automatic again" in text, text

    # queue
    page = admin.get("/api/queue", limit=2).json
    assert page["total"] == 5 and len(page["messages"]) == 2 and page["next"], page
    rest = admin.get("/api/queue", limit=10, after=page["next"]["number"], after_recipient=page["next"]["recipient"]).json
    assert [m["subject_text"] for m in rest["messages"]] == ["number 2", "number 3", "number 4"]
    assert admin.get("/api/queue", match="rcpt=bert@*").json["total"] == 1
    assert admin.get("/api/queue", match="colour=red").status == 400
    one = page["messages"][0]
    assert admin.get("/api/queue/" + one["id"]).json["recipients"][0]["recipient"] == "bert@example.com"
    assert admin.get("/api/queue/" + "0" * 32).status == 404
    assert admin.post("/api/queue", verb="discard", match=one["id"]).status == 400
    a = admin.post("/api/queue", verb="discard", match=one["id"], reason="spam")
    assert a.status == 200 and a.json["count"] == 1, a.body
    held(hq, 4)
    assert admin.post("/api/queue", verb="eat", match="state=held").status == 400

    # trace
    found = admin.get("/api/trace", **{"from": "writer@", "to": "anna", "limit": 2, "reason": "ticket 7"}).json
    assert len(found["messages"]) == 2 and found["next"], found
    m = found["messages"][0]
    assert m["subject_text"] == "number 4" and m["mailboxes"][0]["account"] == "anna@example.com" and m["recipients"][0]["held_since"]
    assert "body" not in m and "flags" not in m["mailboxes"][0]
    assert admin.get("/api/trace").status == 400
    text = hq.run("trace", "--from", "writer@example.org", "--subject", "NUMBER 4").stdout
    assert "anna@example.com's mailbox here: INBOX" in text and "held for" in text, text
    assert hq.run("trace", "--from", "nobody@example.org", check=False).returncode == 1
    assert len(hq.json("trace", "--to", "anna@example.com")["messages"]) == 4

    # people
    listed = admin.get("/api/people").json
    assert {p["account"]: p["can_log_in"] for p in listed["accounts"]}["anna@example.com"] is True
    hq.run("user", "add", "carl@example.com", "--no-password")
    invited = admin.post("/api/people", verb="invite", account="carl@example.com").json
    assert invited["ok"] and invited["code"], invited
    assert hq.run("user", "invite", "--all", check=False, stdin="").returncode == 1  # asks first
    made = hq.json("user", "invite", "--all", "--yes")
    assert [i["account"] for i in made["invitations"]] == ["carl@example.com"] and made["invitations"][0]["code"] != invited["code"] and not made["failed"]
    assert "carl@example.com" in hq.run("user", "invite", "--all", "--yes").stdout
    assert hq.run("user", "invite", check=False).returncode == 2 and hq.run("user", "invite", "a@example.com", "--all", check=False).returncode == 2
    assert admin.post("/api/people", verb="disable", account="bert@example.com").status == 400
    assert admin.post("/api/people", verb="disable", account="bert@example.com", reason="left").status == 200
    assert not [p for p in admin.get("/api/people", match="bert").json["accounts"] if p["can_log_in"]]
    assert admin.post("/api/people", verb="passwd", account="bert@example.com", reason="x").status == 400

    # audit: who ordered what, and why
    acts = admin.get("/api/audit", orders=1).json["history"]
    said = [(a["verb"], a["reason"]) for a in acts]
    for wanted in (("hold.set", "disk swap"), ("continuity.set", "they asked"), ("queue.discard", "spam"), ("mail.trace", "ticket 7"),
                   ("people.disable", "left")):
        assert wanted in said, (wanted, said)
    assert not {a["actor"] for a in acts} & {"watch", "clerk", "auth", ""}, {(a["verb"], a["actor"]) for a in acts}
    assert not [a for a in acts if a["verb"] == "site.state"]
    assert [a["verb"] for a in admin.get("/api/audit", text="disk swap").json["history"]] == ["hold.set"]
    assert hq.json("history", "--match", "disk swap")["history"][0]["verb"] == "hold.set"
    assert "disk swap" in hq.run("history", "--orders").stdout

    # back: everything goes home
    primaries.Primary(port=port).start()
    peers.wait_for(lambda: admin.get("/api/status").json["held"] == 0, 40, lambda: "the hand-back:\n" + hq.tail(), every=0.3)
    way = admin.get("/api/trace", to="anna", limit=1).json["messages"][0]["recipients"][0]
    assert way["state"] == "delivered" and way["way"][-1]["what"] == "accepted" and way["held_since"] is None, way


def test_only_administrators_with_a_second_factor(folder, started):
    hq = started(console.Headquarters(os.path.join(folder, "holdfast"), peers.free_port()))
    anna, = hq.add("anna")
    browser = console.Browser(hq.admin)
    paths = ("/api/status", "/api/timeline?site=head-office", "/api/history", "/api/audit", "/api/queue", "/api/queue/abcdef", "/api/home",
             "/api/trace?to=a", "/api/people")
    for path in paths:
        assert browser.ask("GET", path).status == 401, path
    for path in ("/api/hold", "/api/continuity", "/api/queue", "/api/people"):
        assert browser.post(path, target="head-office", mode="on", reason="x").status in (401, 403), path
    assert browser.post("/api/login", account=anna.address, password=anna.password).status == 403  # no administrator
    admin = hq.administrator()
    token = admin.token
    for forged in ({"X-Holdfast-Token": "x" * 22}, {"X-Holdfast-Token": ""}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                   {"Content-Type": "text/plain"}):
        a = admin.ask("POST", "/api/hold", {"target": "head-office", "mode": "on", "reason": "x"}, forged)
        assert a.status in (403, 415), (forged, a.status)
    assert hq.json("status")["sites"][0]["hold"]["mode"] == "auto"
    assert admin.token == token
    assert admin.get("/api/status").status == 200
    # A new certificate is read by the console, too, which by then may read little.
    before = certificate(hq.admin)
    for name in ("certificate.pem", "key.pem"):
        os.unlink(os.path.join(hq.data, "tls", name))
    hq.run("reload")
    peers.wait_for(lambda: certificate(hq.admin) != before, 10, lambda: "the new certificate:\n" + hq.tail())
    assert admin.get("/api/status").status == 200
    hq.run("user", "admin", admin.person.address, "off")
    peers.wait_for(lambda: admin.get("/api/status").status == 401, 10, "the session of one who is no administrator any more to end")


def test_a_role_that_is_away_is_said(folder, started):
    hq = started(console.Headquarters(os.path.join(folder, "holdfast"), peers.free_port()))
    admin = hq.administrator()
    send(hq.port, rcpt="root@example.com")
    held(hq, 1)
    hq.signal_role("watch", 19)  # SIGSTOP
    try:
        a = admin.post("/api/hold", target="head-office", mode="on", reason="x")
        assert a.status == 503 and "history" in a.json["title"], a.body
        assert admin.get("/api/trace", to="root").status == 503  # not noted, not shown
        status = admin.get("/api/status").json
        assert not status["ok"] and status["held"] == 1 and "live state" in status["missing"][0], status
    finally:
        hq.signal_role("watch", 18)


def test_t_10_the_certificate_is_read_anew_by_all_that_show_it(folder, started):
    hq = started(console.Headquarters(os.path.join(folder, "holdfast"), peers.free_port()))
    speakers = ("edge-0", "submission", "desk-0", "console")

    def loaded(role):
        with open(hq.log) as f:
            return sum(f" {role} " in line and "event=tls.loaded" in line for line in f)
    before = {role: loaded(role) for role in speakers}
    hq.run("reload")
    peers.wait_for(lambda: all(loaded(r) > before[r] for r in speakers), 10, lambda: f"each to load it: {before}\n" + hq.tail())
    with open(hq.log) as f:
        assert "tls.bad_pair" not in f.read()

#!/usr/bin/python3
"""holdfast-watch alone: fake supervisor, scout, sequencer, courier and primaries around the real process.

What must be seen: hold at the third failed probe and at once on a failed delivery (N-03 moods of a primary), records before
acts, sites.map, restart with states and leases kept (K-09), facts written once, the control socket's answers and manners,
metrics that promtool would take. Usage: watch_role.py PATH-OF-holdfast-watch [test name...]
"""

import concurrent.futures
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from alone import Alone, BY_NUMBER, HEAD, STRUCTS, decode, encode, frame, wait_for  # noqa: E402

PROGRAM = sys.argv[1]
EVERY_MS = 200


class Primary:
    """An SMTP server with a mood, on loopback."""

    def __init__(self):
        self.mood, self.seen, self.sock, self.port = "fine", [], None, 0
        self.open()

    def open(self):
        self.sock = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.serve, args=(self.sock,), daemon=True).start()

    def close(self):
        if self.sock.fileno() < 0:
            return
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def serve(self, sock):
        while True:
            try:
                conn, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(conn,), daemon=True).start()

    def talk(self, conn):
        with conn:
            try:
                self.dialogue(conn)
            except OSError:
                pass

    def dialogue(self, conn):
        mood = self.mood
        if mood == "rst":
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if mood == "hang":
            time.sleep(30)
            return
        if mood == "421":
            conn.sendall(b"421 4.3.2 going down\r\n")
            return
        conn.sendall(b"220 primary ESMTP\r\n")
        for line in conn.makefile("rb"):
            word = line.split()[0].upper() if line.split() else b""
            self.seen.append(line.decode(errors="replace").strip())
            if word == b"EHLO":
                conn.sendall(b"250-primary\r\n250 STARTTLS\r\n" if mood == "tls" else b"250 primary\r\n")
            elif word == b"STARTTLS":
                conn.sendall(b"220 go\r\nthis is not TLS\r\n")
            elif word == b"RCPT":
                conn.sendall({"rcpt4": b"450 4.2.0 greylisted\r\n", "rcpt5": b"550 5.1.1 no such user\r\n"}.get(
                    mood, b"250 ok\r\n"))
            elif word == b"QUIT":
                conn.sendall(b"221 bye\r\n")
                return
            else:
                conn.sendall(b"250 ok\r\n")


class Bed:
    def __init__(self, below=None, **changes):
        self.folder = tempfile.mkdtemp(prefix="watch-", dir=below)
        self.primary = Primary()
        self.waiting = 0  # what the clerk says
        self.control_path = os.path.join(self.folder, "run", "control.sock")
        os.makedirs(os.path.dirname(self.control_path))
        self.control = socket.socket(socket.AF_UNIX)
        self.control.bind(self.control_path)
        self.control.listen(16)
        self.control.setblocking(False)
        self.metrics = socket.create_server(("127.0.0.1", 0))
        self.metrics.setblocking(False)
        self.role = Alone(PROGRAM, "watch", self.folder, {**self.config(), **changes}, ("scout", "sequencer", "courier", "clerk"),
                          (("control", self.control), ("metrics", self.metrics)))
        self.role.start()

    def site(self, **changes):
        return {"name": "head-office", "primaries": [{"host": "127.0.0.1", "port": self.primary.port, "weight": 1}],
                "probe_every_ms": EVERY_MS, "probe_fail": 3, "probe_recover": 2, "probe_recipient": "postmaster@example.com",
                "hold": "auto", "tls": "opportunistic", "concurrency": 5, "continuity_switch": "auto",
                "continuity_after_ms": 30000, **changes}

    def config(self):
        return {"node": "mx2.example.net", "data": self.folder, "sites": [self.site()],
                "domains": [{"name": "example.com", "site": "head-office", "mode": "gated", "learn": True, "unknown": "hold",
                             "recipients": ["listed@example.com"], "recipient_files": ["a@example.com\nb@example.com\n"]}],
                "limits": {"reserve_bytes": 1 << 20}, "queue_lifetime_ms": 5000, "log_level": "info"}

    def end(self):
        status = self.role.stop()
        self.primary.close()
        self.control.close()
        self.metrics.close()
        log = self.role.log()
        shutil.rmtree(self.folder)
        assert status in (0, None), f"ended with {status}\n{log}"

    # the control socket
    def ask(self, name, /, **values):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.control_path)
            s.sendall(frame(name, **values))
            return self.answer(s)

    @staticmethod
    def answer(s):
        data = b""
        while len(data) < HEAD.size or len(data) < HEAD.size + HEAD.unpack_from(data)[4]:
            more = s.recv(65536)
            assert more, "the control socket was closed"
            data += more
        number, n = HEAD.unpack_from(data)[3:5]
        return decode(BY_NUMBER[number].name, data[HEAD.size:HEAD.size + n])

    def status(self):
        return json.loads(self.ask("StatusAsk")["json"])

    def history(self, last=0):
        return json.loads(self.ask("HistoryAsk", last=last)["json"])["history"]

    def at(self, *states, seconds=15):
        def there():
            self.role.links["clerk"].send("SiteQueue", site="head-office", waiting=self.waiting)
            site = self.status()["sites"][0]
            return site if site["state"] in states else None
        return wait_for(there, seconds, lambda: f"{states}; {self.role.log()}")

    def evidence(self, **values):
        self.role.links["courier"].send("DeliveryEvidence", site="head-office", host="127.0.0.1", **values)


def read_map(bed):
    """The bytes of sites.map; None when it is not there."""
    path = os.path.join(bed.folder, "publish", "sites.map")
    return open(path, "rb").read() if os.path.exists(path) else None


def records(bed):
    """Bytes of all segments of the lane, to look for words in."""
    folder = os.path.join(bed.folder, "ledger", "lane-watch")
    return b"".join(open(os.path.join(folder, n), "rb").read() for n in sorted(os.listdir(folder)) if n.endswith(".seg"))


# ---- the tests ----

def test_up_then_n_03_each_mood_is_down_and_back():
    bed = Bed()
    try:
        site = bed.at("up")
        assert site["primaries"][0]["good"] is True, site
        assert any("RCPT TO:<postmaster@example.com>" in line for line in bed.primary.seen)
        for mood, kinds in (("rst", ("greeting", "tcp")), ("421", ("greeting",)), ("rcpt4", ("rcpt",)), ("rcpt5", ("rcpt",))):
            bed.primary.mood = mood
            site = bed.at("down")
            assert site["class"] in kinds, (mood, site)
            assert "failed probes in a row" in site["evidence"], site["evidence"]
            bed.primary.mood = "fine"
            bed.at("up")
        states = [h["argument"] for h in bed.history() if h["verb"] == "site.state"]
        assert states[::-1][:5] == ["up", "suspect", "down", "probation", "up"], states
    finally:
        bed.end()


def test_refused_connection_and_map():
    bed = Bed()
    try:
        bed.at("up")
        before = read_map(bed)
        assert before and b"head-office" in before
        bed.primary.close()
        site = bed.at("down")
        assert site["class"] == "tcp" and site["confidence"] >= 90, site
        assert read_map(bed) != before
        bed.primary.open()
        bed.at("probation", "up")
        bed.at("up")
    finally:
        bed.end()


def test_failed_delivery_and_failed_probe_are_down_at_once():
    bed = Bed()
    try:
        bed.role.send_config(True, sites=[bed.site(probe_every_ms=3600000)])  # no probe would come by itself
        bed.at("up")
        wait_for(lambda: bed.status()["sites"][0]["probe"]["next_ms"] > 1000)
        bed.primary.close()
        began = time.monotonic()
        bed.evidence(attempt=3, at_connection=True, stage="connect", text="connection refused")
        site = bed.at("down", seconds=3)
        assert time.monotonic() - began < 1.5
        assert "a delivery could not connect and the probe failed too" in site["evidence"], site
        bed.primary.open()
    finally:
        bed.end()


def test_probation_by_deliveries_and_n_05_valve():
    bed = Bed()
    try:
        bed.at("up")
        bed.evidence(attempt=2, refused_good=30, stage="rcpt", code=550)
        site = bed.at("stopped")
        assert site["class"] == "delivery" and site["phase"] == "down"
        assert bed.history()[0]["verb"] in ("drain.stop", "site.state")
        assert any(h["verb"] == "drain.stop" for h in bed.history(3))
        assert bed.ask("HoldSet", target="head-office", mode="auto")["ok"]
        bed.at("probation", "up")
    finally:
        bed.end()


def test_probation_goes_on_while_mail_waits_although_no_answers_come():
    bed = Bed()
    try:
        bed.at("up")
        bed.waiting = 7
        bed.evidence(attempt=2, refused_good=30, stage="rcpt", code=550)
        bed.at("stopped")
        assert bed.ask("HoldSet", target="head-office", mode="auto")["ok"]
        bed.at("probation")
        bed.evidence(attempt=0, accepted=1, phase=1, granted_us=time.monotonic_ns() // 1000)
        end = time.monotonic() + 4  # twice the quiet that would end it
        while time.monotonic() < end:
            bed.at("probation", seconds=1)
            time.sleep(0.1)
        bed.waiting = 0
        bed.at("up")
    finally:
        bed.end()


def test_hold_by_command_and_lease_end():
    bed = Bed()
    try:
        bed.at("up")
        answer = bed.ask("HoldSet", target="head-office", mode="on", for_ms=60000, reason="disk\r\nswap")
        assert answer["ok"] and len(answer["act_id"]) == 32 and "until" in answer["text"], answer
        site = bed.status()["sites"][0]
        assert site["state"] == "down" and site["seen"] == "up" and site["hold"]["mode"] == "on", site
        assert "uid 0" in site["hold"]["by"] or "operator" in site["hold"]["by"]
        assert "disk  swap" in site["hold"]["reason"]
        assert answer["act_id"].encode() in records(bed)
        assert bed.ask("HoldSet", target="head-office", mode="off", for_ms=300)["ok"]
        assert bed.status()["sites"][0]["state"] == "up"
        wait_for(lambda: bed.status()["sites"][0]["hold"]["mode"] == "auto")
        over = next(h for h in bed.history() if h["verb"] == "hold.set")
        assert over["argument"] == "auto" and "lease" in over["reason"] and over["actor"] == "watch", over
        # domains
        assert bed.ask("HoldSet", target="Example.COM", mode="on", for_ms=400)["ok"]
        assert bed.status()["overrides"][0]["target"] == "example.com"
        assert b"@example.com" in read_map(bed)
        wait_for(lambda: not bed.status()["overrides"])
        wait_for(lambda: b"@example.com" not in read_map(bed))
        for bad in ({"target": "nowhere", "mode": "on"}, {"target": "head-office", "mode": "perhaps"}):
            answer = bed.ask("HoldSet", **bad)
            assert not answer["ok"] and answer["text"] and not answer["act_id"], answer
    finally:
        bed.end()


def test_restart_keeps_states_leases_and_writes_no_fact_twice():
    bed = Bed()
    try:
        bed.at("up")
        bed.ask("HoldSet", target="head-office", mode="on", for_ms=3600000, reason="kept")
        bed.ask("HoldSet", target="example.com", mode="off", for_ms=3600000)
        facts = records(bed).count(b"listed@example.com")
        assert facts == 1
        seq = bed.role.links["sequencer"].of("Durable")[-1]["seq"]
        bed.role.stop(9)
        bed.role.start()
        site = bed.status()["sites"][0]
        assert site["state"] == "down" and site["hold"]["mode"] == "on" and site["hold"]["reason"] == "kept", site
        assert site["hold"]["until_us"] - site["since_us"] <= 3600 * 10**6 + 10**6
        assert bed.status()["overrides"][0]["mode"] == "off"
        assert records(bed).count(b"listed@example.com") == facts
        assert bed.role.links["sequencer"].of("Durable")[-1]["seq"] >= seq
        assert bed.ask("HoldSet", target="head-office", mode="auto")["ok"]
        bed.at("probation", "up")
        # a down site is down again, and does not forget because the lane was killed
        bed.primary.close()
        bed.at("down")
        bed.role.stop(9)
        bed.role.start()
        assert bed.status()["sites"][0]["state"] == "down"
        bed.primary.open()
        bed.at("up")
    finally:
        bed.end()


def test_reload_adds_and_removes():
    bed = Bed()
    try:
        bed.at("up")
        domains = bed.config()["domains"]
        bed.role.send_config(True, sites=[bed.site(), bed.site(name="branch")],
                             domains=domains + [{"name": "branch.example", "site": "branch", "mode": "backup-mx"}])
        wait_for(lambda: [s["state"] for s in bed.status()["sites"]] == ["up", "up"])
        assert records(bed).count(b"branch.example") >= 1
        bed.role.send_config(True, sites=[bed.site()], domains=domains)
        wait_for(lambda: len(bed.status()["sites"]) == 1)
        assert bed.status()["sites"][0]["state"] == "up"
        for _ in range(30):  # K-12
            bed.role.send_config(True, sites=[bed.site(), bed.site(name="x")])
        wait_for(lambda: len(bed.status()["sites"]) == 2)
    finally:
        bed.end()


def test_names_come_from_scout_and_are_kept():
    bed = Bed(sites=[])
    try:
        host = {"host": "mail.example.com", "port": bed.primary.port, "weight": 1}
        bed.role.send_config(True, sites=[bed.site(primaries=[host])])
        scout = bed.role.links["scout"]
        ask = wait_for(lambda: scout.of("Resolve"))[0]
        assert ask["host"] == "mail.example.com"
        scout.send("ResolveAnswer", id=ask["id"], ok=True, addresses=["127.0.0.1"])
        bed.at("up")
        assert bed.status()["sites"][0]["primaries"][0]["addresses"] == ["127.0.0.1"]
        scout.sock.close()  # scout dies: the last good answer is used
        time.sleep(3 * EVERY_MS / 1000)
        assert bed.status()["sites"][0]["state"] == "up"
        again = bed.role.link("scout")
        again.send("Learned", address="new@example.com", verdict=1)
        again.send("Learned", address="new@example.com", verdict=1)
        again.send("Learned", address="x@foreign.example", verdict=1)
        for i in range(2000):
            again.send("Learned", address=f"guess{i}@example.com", verdict=2)
        wait_for(lambda: b"new@example.com" in records(bed))
        time.sleep(1)
        data = records(bed)
        assert data.count(b"new@example.com") == 1
        assert data.count(b"foreign.example") == 0
        assert 100 < data.count(b"guess") < 900, data.count(b"guess")
    finally:
        bed.end()


def test_queue_acts_are_recorded_and_checked():
    bed = Bed()
    try:
        good = bed.ask("QueueAct", verb="retry", match="site=head-office", reason="now")
        assert good["ok"] and good["act_id"].encode() in records(bed), good
        assert b"queue.retry" in records(bed)
        assert bed.ask("QueueAct", verb="redirect", match="state=held", argument="[192.0.2.1]:25")["ok"]
        for bad in ({"verb": "eat", "match": "state=held"}, {"verb": "retry", "match": ""}, {"verb": "retry", "match": "colour=red"},
                    {"verb": "redirect", "match": "state=held"}, {"verb": "retry", "match": "state=held", "argument": "x"}):
            answer = bed.ask("QueueAct", **bad)
            assert not answer["ok"] and answer["text"], (bad, answer)
    finally:
        bed.end()


def test_continuity_follows_the_outage_and_is_recorded_first():
    bed = Bed()
    try:
        bed.role.send_config(True, sites=[bed.site(continuity_switch="auto", continuity_after_ms=600)])
        bed.at("up")
        assert bed.status()["sites"][0]["continuity"]["state"] == "off"
        bed.waiting = 3
        bed.primary.close()
        bed.at("down")
        on = wait_for(lambda: [s["continuity"] for s in bed.status()["sites"] if s["continuity"]["state"] == "on"])[0]
        assert on["class"] == "down" and "not taken mail" in on["why"] and on["since_us"], on
        assert b"continuity.state" in records(bed)
        bed.role.stop(9)  # kept over a restart
        bed.role.start()
        assert bed.status()["sites"][0]["continuity"]["state"] == "on"
        assert [h["argument"] for h in bed.history() if h["verb"] == "continuity.state"] == ["on"]
        bed.primary.open()
        bed.evidence(attempt=0, accepted=200, phase=1)

        def probation_over():
            bed.evidence(attempt=0, accepted=200, phase=1)
            return bed.status()["sites"][0]["state"] == "up"
        wait_for(probation_over)
        bed.at("up")  # mail waits: still on
        assert bed.status()["sites"][0]["continuity"]["state"] == "on"
        bed.waiting = 0
        bed.at("up")
        wait_for(lambda: bed.status()["sites"][0]["continuity"]["state"] == "off")
        said = [(h["argument"], h["class"]) for h in bed.history() if h["verb"] == "continuity.state"]
        assert said == [("off", "up"), ("on", "down")], said
    finally:
        bed.end()


def test_continuity_by_command_lease_and_domain():
    bed = Bed()
    try:
        bed.role.send_config(True, sites=[bed.site(continuity_switch="manual", continuity_after_ms=100)])
        bed.at("up")
        answer = bed.ask("ContinuitySet", target="head-office", mode="on", for_ms=60000, reason="drill\x1b[2J")
        assert answer["ok"] and "continuity is on for head-office until" in answer["text"], answer
        c = bed.status()["sites"][0]["continuity"]
        assert (c["state"], c["mode"], c["switch"]) == ("on", "on", "manual") and c["reason"] == "drill [2J" and "operator" in c["by"], c
        assert answer["act_id"].encode() in records(bed)
        bed.role.stop(9)
        bed.role.start()
        c = bed.status()["sites"][0]["continuity"]
        assert (c["state"], c["mode"]) == ("on", "on"), c
        assert bed.ask("ContinuitySet", target="head-office", mode="on", for_ms=300)["ok"]
        wait_for(lambda: bed.status()["sites"][0]["continuity"]["state"] == "off")
        over = next(h for h in bed.history() if h["verb"] == "continuity.set")
        assert over["argument"] == "auto" and "lease" in over["reason"] and over["actor"] == "watch", over
        assert bed.ask("ContinuitySet", target="Example.COM", mode="off", for_ms=400, reason="kept out")["ok"]
        o = bed.status()["continuity_overrides"]
        assert [(x["target"], x["mode"], x["reason"]) for x in o] == [("example.com", "off", "kept out")], o
        assert not bed.status()["overrides"]  # of holds
        wait_for(lambda: not bed.status()["continuity_overrides"])
        for bad in ({"target": "nowhere", "mode": "on"}, {"target": "head-office", "mode": "perhaps"}):
            answer = bed.ask("ContinuitySet", **bad)
            assert not answer["ok"] and answer["text"] and not answer["act_id"], answer
    finally:
        bed.end()


def test_continuity_asks_and_waits_while_our_own_network_is_down():
    bed = Bed()
    try:
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        bed.role.send_config(True, sites=[bed.site(continuity_switch="ask", continuity_after_ms=200)], controls=[f"127.0.0.1:{port}"])
        bed.at("up")
        wait_for(lambda: bed.status()["controls"]["good"] == 1)
        free.close()
        bed.role.send_config(True, sites=[bed.site(continuity_switch="ask", continuity_after_ms=200)], controls=[f"127.0.0.1:{port}"])
        wait_for(lambda: bed.status()["controls"]["own_network_down"])
        bed.primary.close()
        bed.at("down")
        wait_for(lambda: bed.status()["sites"][0]["continuity"]["blocked"])
        assert bed.status()["sites"][0]["continuity"]["state"] == "off"
        back = socket.create_server(("127.0.0.1", port))
        bed.role.send_config(True, sites=[bed.site(continuity_switch="ask", continuity_after_ms=200)], controls=[f"127.0.0.1:{port}"])
        wait_for(lambda: bed.status()["sites"][0]["continuity"]["state"] == "asks")
        assert bed.ask("ContinuitySet", target="head-office", mode="on", reason="yes")["ok"]
        assert bed.status()["sites"][0]["continuity"]["state"] == "on"
        back.close()
        bed.primary.open()
    finally:
        bed.end()


def test_timeline_is_what_the_probes_said():
    bed = Bed()
    try:
        bed.at("up")
        bed.primary.close()
        bed.at("down")
        bed.primary.open()
        bed.at("up")
        bed.evidence(attempt=0, accepted=7, phase=2)
        bed.status()
        line = json.loads(bed.ask("TimelineAsk", site="head-office")["json"])
        assert line["ok"] and line["primaries"] == ["127.0.0.1"], line
        answers = [p["answer"] for p in line["probes"]]
        assert "ok" in answers and "refused" in answers and [p["class"] for p in line["probes"] if p["answer"] == "refused"][0] == "tcp"
        assert line["probes"] == sorted(line["probes"], key=lambda p: p["at_us"])
        assert sum(b["probes"] for b in line["buckets"]) == len(line["probes"])
        assert sum(b["failed"] for b in line["buckets"]) == len([a for a in answers if a != "ok"])
        assert sum(b["accepted"] for b in line["buckets"]) == 7
        marks = [(m["verb"], m["argument"]) for m in line["marks"] if m["verb"] == "site.state"]
        assert [a for _, a in marks][:5] == ["up", "suspect", "down", "probation", "up"], marks
        assert any("failed probes" in m["reason"] for m in line["marks"])
        later = json.loads(bed.ask("TimelineAsk", site="head-office", from_us=line["probes"][-1]["at_us"])["json"])
        assert 1 <= len(later["probes"]) < len(line["probes"])
        wait_for(lambda: json.loads(bed.ask("TimelineAsk", site="head-office")["json"])["probes"][-1]["at_us"] > line["now_us"])
        assert not json.loads(bed.ask("TimelineAsk", site="nowhere")["json"])["ok"]
    finally:
        bed.end()


def test_console_orders_in_an_administrators_name():
    bed = Bed()
    try:
        bed.at("up")
        link = bed.role.link("console")

        def order(kind, account="root@example.com", number=[0], **values):  # noqa: B006 - it counts
            number[0] += 1
            link.send("ConsoleOrder", id=number[0], account=account, source="192.0.2.7", type=STRUCTS[kind].number, body=encode(kind, **values))
            m = wait_for(lambda: [a for a in link.of("ConsoleAnswer") if a["id"] == number[0]])[0]
            return decode(BY_NUMBER[m["type"]].name, m["body"].encode(errors="surrogateescape"))
        status = json.loads(order("StatusAsk")["json"])
        assert status["sites"][0]["state"] == "up"
        answer = order("HoldSet", target="head-office", mode="on", for_ms=60000, reason="disk swap")
        assert answer["ok"] and answer["act_id"].encode() in records(bed), answer
        hold = bed.status()["sites"][0]["hold"]
        assert hold["mode"] == "on" and hold["by"] == "administrator root@example.com (192.0.2.7)", hold
        assert order("HoldSet", target="head-office", mode="auto")["ok"]
        assert order("ContinuitySet", target="head-office", mode="on", reason="x")["ok"]
        assert bed.status()["sites"][0]["continuity"]["by"] == "administrator root@example.com (192.0.2.7)"
        assert order("QueueAct", verb="retry", match="state=held")["ok"]
        assert json.loads(order("TimelineAsk", site="head-office")["json"])["ok"]
        noted = order("AuditNote", verb="trace", object="from=a@x.example", reason="ticket 7")
        assert noted["ok"] and noted["act_id"].encode() in records(bed)
        seen = bed.history(1)[0]
        assert (seen["verb"], seen["actor"], seen["reason"]) == ("mail.trace", "administrator root@example.com (192.0.2.7)", "ticket 7"), seen
        assert not order("AuditNote", verb="hold.set", object="head-office")["ok"]  # notes are not orders

        def supervisor():
            ask = wait_for(lambda: bed.role.channel.of("ReloadRequest"))[0]
            bed.role.channel.send("ReloadResult", id=ask["id"], ok=True, text="loaded")
        threading.Thread(target=supervisor, daemon=True).start()
        assert order("Reload")["text"] == "loaded"
        for bad in ({"account": "a b@example.com"}, {"account": "root"}, {"account": "x@y\nuid 0"}, {"account": ""},
                    {"account": "root@example.com", "source": "x) y"}, {"account": "root@example.com", "source": ""}):
            bad = {"source": "::1", **bad}
            link = bed.role.link("console")  # malformed: the link ends, nothing is done
            link.send("ConsoleOrder", id=1, type=STRUCTS["HoldSet"].number, body=encode("HoldSet", target="head-office", mode="on"), **bad)
            wait_for(lambda: link.sock.recv(1 << 17) == b"")
        link = bed.role.link("console")
        assert bed.status()["sites"][0]["hold"]["mode"] == "auto"
    finally:
        bed.end()


def test_a_status_of_many_sites_reaches_the_console_in_pieces():
    bed = Bed(sites=[])
    try:
        bed.role.send_config(True, sites=[bed.site(name=f"site-{i:04}", probe_every_ms=3600000) for i in range(400)])
        wait_for(lambda: len(bed.status()["sites"]) == 400)
        link = bed.role.link("console")
        link.send("ConsoleOrder", id=1, account="root@example.com", source="::1", type=STRUCTS["StatusAsk"].number, body=encode("StatusAsk"))
        parts = wait_for(lambda: [a for a in link.of("ConsoleAnswer")] if not (link.of("ConsoleAnswer") or [{"more": True}])[-1]["more"] else None)
        assert len(parts) > 1 and all(p["more"] for p in parts[:-1]) and {p["id"] for p in parts} == {1}
        body = b"".join(p["body"].encode(errors="surrogateescape") for p in parts)
        assert len(json.loads(decode("StatusAnswer", body)["json"])["sites"]) == 400
    finally:
        bed.end()


def test_reload_is_relayed_to_the_supervisor():
    bed = Bed()
    try:
        def supervisor():
            ask = wait_for(lambda: bed.role.channel.of("ReloadRequest"))[0]
            bed.role.channel.send("ReloadResult", id=ask["id"], ok=False, text="line 3: unknown key")
        threading.Thread(target=supervisor, daemon=True).start()
        answer = bed.ask("Reload")
        assert not answer["ok"] and answer["text"] == "line 3: unknown key", answer
    finally:
        bed.end()


def test_control_socket_stands_bad_clients():
    bed = Bed()
    try:
        for junk in (b"GET / HTTP/1.1\r\n\r\n" * 3, b"\0" * 4000, HEAD.pack(b"HFip", 1, 0, 102, 0xffffffff, 0),
                     HEAD.pack(b"HFip", 1, 0, 9999, 0, 0), HEAD.pack(b"HFip", 1, 0, 100, 3, 0) + b"abc"):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(bed.control_path)
                s.sendall(junk)
                try:
                    assert s.recv(100) == b""
                except ConnectionResetError:
                    pass
        idle = []
        for _ in range(40):
            s = socket.socket(socket.AF_UNIX)
            s.connect(bed.control_path)
            idle.append(s)
        time.sleep(0.2)
        for s in idle:
            s.close()
        wait_for(lambda: bed.status()["node"] == "mx2.example.net")
        with socket.socket(socket.AF_UNIX) as s:  # byte by byte, two requests on one connection
            s.settimeout(10)
            s.connect(bed.control_path)
            for _ in range(2):
                for b in frame("StatusAsk"):
                    s.sendall(bytes([b]))
                assert json.loads(bed.answer(s)["json"])["sites"]
    finally:
        bed.end()


def test_metrics_port():
    bed = Bed()
    try:
        bed.at("up")
        bed.role.channel.send("RoleMetrics", full_name="edge-0", text="# HELP a_total x\n# TYPE a_total counter\na_total{role=\"edge-0\"} 1\n")
        bed.role.channel.send("RoleMetrics", full_name="edge-1", text="# HELP a_total x\n# TYPE a_total counter\na_total{role=\"edge-1\"} 2\n")
        bed.role.channel.send("Roles", roles=[{"full_name": "edge-0", "pid": 7, "state": 1, "restarts": 2, "condition": "accepting"}])
        bed.status()

        def get():
            c = http.client.HTTPConnection("127.0.0.1", bed.metrics.getsockname()[1], timeout=10)
            c.request("GET", "/metrics")
            r = c.getresponse()
            return r.status, r.read().decode()
        status, text = get()
        assert status == 200
        assert 'holdfast_site_state{site="head-office",state="up"} 1' in text, text
        assert text.count("# TYPE a_total counter") == 1
        assert 'a_total{role="edge-0"} 1\na_total{role="edge-1"} 2' in text, text
        assert 'holdfast_role_restarts_total{role="edge-0"} 2' in text
        assert bed.status()["roles"][0]["condition"] == "accepting"
        for request, code in ((b"GET /x HTTP/1.1\r\n\r\n", b"404"), (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
                              (b"GET /metrics HTTP/1.1\nHost: x\n\n", b"400"), (b"GET /metrics\r\n\r\n", b"400"),
                              (b"x" * 9000, b"400")):
            with socket.create_connection(bed.metrics.getsockname(), timeout=10) as s:
                s.sendall(request)
                assert s.recv(1000).split()[1] == code, request[:40]
    finally:
        bed.end()


def test_n_03_hanging_primary_beside_a_good_one():
    bed = Bed()
    second = Primary()
    try:
        second.mood = "hang"
        hosts = [{"host": "127.0.0.1", "port": p.port, "weight": 1} for p in (bed.primary, second)]
        bed.role.send_config(True, sites=[bed.site(primaries=hosts)])
        bed.at("up")
        time.sleep(5 * EVERY_MS / 1000)
        assert bed.status()["sites"][0]["state"] == "up"
        bed.primary.close()
        bed.role.links["courier"].send("DeliveryEvidence", site="head-office", attempt=3, at_connection=True)
        bed.at("down", seconds=25)
        assert not bed.status()["sites"][0]["primaries"][1]["good"]
        bed.primary.open()
        bed.at("up", seconds=25)
    finally:
        second.close()
        bed.end()


def test_k_11_full_disk_refuses_operators_and_keeps_deciding():
    if os.geteuid() != 0:
        print("skipped: mounting a small disk needs root")
        return
    small = tempfile.mkdtemp(prefix="watch-disk-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", small], stderr=subprocess.DEVNULL).returncode:
        os.rmdir(small)
        print("skipped: no mount here")
        return
    bed = None
    try:
        bed = Bed(below=small)
        bed.at("up")
        filler = os.path.join(bed.folder, "filler")
        with open(filler, "wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass

        def refused():
            answer = bed.ask("QueueAct", verb="retry", match="site=nowhere")
            return None if answer["ok"] else answer
        answer = wait_for(refused, 30, "the lane to be full", every=0)
        assert "nothing was changed" in answer["text"] and not answer["act_id"], answer
        answer = bed.ask("HoldSet", target="head-office", mode="on")
        assert not answer["ok"], answer
        assert bed.status()["sites"][0]["hold"]["mode"] == "auto"
        assert bed.status()["sites"][0]["state"] == "up"
        bed.primary.close()  # decided, and recorded as soon as there is room
        wait_for(lambda: bed.status()["sites"][0]["seen"] == "down")
        assert bed.status()["sites"][0]["state"] == "up" and bed.status()["ledger"]["waiting"] > 0
        os.unlink(filler)
        bed.at("down")
        assert bed.status()["ledger"]["waiting"] == 0
        assert bed.ask("HoldSet", target="head-office", mode="on")["ok"]
        bed.primary.open()
    finally:
        if bed:
            bed.end()
        subprocess.run(["umount", small], check=True)
        os.rmdir(small)


def test_neutral_controls():
    bed = Bed()
    try:
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        bed.role.send_config(True, controls=[f"127.0.0.1:{port}"])
        wait_for(lambda: bed.status()["controls"]["good"] == 1)
        assert not bed.status()["controls"]["own_network_down"]
        free.close()
        bed.role.send_config(True)
        wait_for(lambda: bed.status()["controls"]["own_network_down"])
        bed.primary.close()
        site = bed.at("down")
        assert site["confidence"] <= 30 and "our own network" in site["evidence"], site
        bed.primary.open()
    finally:
        bed.end()


def main():
    """All at once: each has a role process, a primary and a folder of its own."""
    tests = {k: v for k, v in globals().items() if k.startswith("test_")}
    bad = []

    def run(name):
        began = time.monotonic()
        try:
            tests[name]()
            print(f"ok {name} {time.monotonic() - began:.1f} s", flush=True)
        except BaseException:  # noqa: B902 - reported, and the run fails
            bad.append(name)
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(run, sys.argv[2:] or sorted(tests)))
    sys.exit(f"failed: {' '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""holdfast-console alone: fake supervisor, auth and watch around the real process.

What must be seen: nobody without a session of use "admin" gets in; orders carry the administrator's name and address; a long answer comes
in pieces; watch that is away, silent or talks nonsense harms no other request (O1 to O3 of src/role/console/internal.h).
Usage: console_role.py PATH-OF-holdfast-console [test name...]
"""
import concurrent.futures
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from alone import Alone, BY_NUMBER, STRUCTS, decode, encode, wait_for  # noqa: E402

PROGRAM = sys.argv[1]
SESSION = "s" * 43
TOKEN_HEAD = "X-Holdfast-Token"


class Bed:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="console-")
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.is_ending, self.use = False, "admin"
        os.makedirs(os.path.join(self.folder, "views"))
        config = {"node": "mx2.example.net", "data": self.folder, "needs_tls_to_login": False, "log_level": "info",
                  "listen": [{"service": "admin", "address": f"127.0.0.1:{self.port}"}, {"service": "imap", "address": "127.0.0.1:1"}],
                  "portal": {"session_ms": 3600000, "session_most_ms": 7200000}}
        self.role = Alone(PROGRAM, "console", self.folder, config, ("auth", "watch"), (("admin", self.sock),))
        self.role.start()
        self.auth, self.watch = self.role.links["auth"], self.role.links["watch"]
        threading.Thread(target=self.be_auth, daemon=True).start()

    def be_auth(self):
        seen = 0
        while not self.is_ending:
            asks = self.auth.of("SessionAsk")
            for ask in asks[seen:]:
                self.auth.send("SessionAnswer", id=ask["id"], ok=ask["session"] == SESSION, account="root@example.com", person="Root",
                               use=self.use, until_us=int((time.time() + 3600) * 1e6), has_factor=True, is_admin=self.use == "admin")
            seen = len(asks)
            for order in [o for o in self.auth.of("AdminOrder") if o["id"] not in self.auth.__dict__.setdefault("done", set())]:
                self.auth.done.add(order["id"])
                self.auth.send("OrderAnswer", id=order["id"], ok=True, text="done", json='{"accounts":3,"can_log_in":2,"invited":1}')
            time.sleep(0.01)

    def ask(self, method, path, body=None, token="", session=SESSION, timeout=20):
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            s.sendall(self.request(method, path, body, token, session))
            data = b""
            while True:
                more = s.recv(1 << 16)
                data += more
                if not more:
                    break
        head, _, rest = data.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if b"transfer-encoding: chunked" in head.lower():
            out = b""
            while rest:
                n, _, rest = rest.partition(b"\r\n")
                out, rest = out + rest[:int(n, 16)], rest[int(n, 16) + 2:]
            rest = out
        return status, (json.loads(rest) if rest else None)

    def request(self, method, path, body, token, session):
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Cookie: __Host-holdfast-admin={session}", "Connection: close"]
        data = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}", f"Origin: http://127.0.0.1:{self.port}",
                      "Sec-Fetch-Site: same-origin", f"{TOKEN_HEAD}: {token}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data

    def token(self):
        status, me = self.ask("GET", "/api/me")
        assert status == 200, (status, me)
        return me["token"]

    def later(self, *args, **kwargs):
        """The request in a thread; its answer by .result()."""
        return concurrent.futures.ThreadPoolExecutor(1).submit(self.ask, *args, **kwargs)

    def order(self, kind=None, nth=-1):
        """The order that watch got: (id, what it holds, the order)."""
        m = wait_for(lambda: [o for o in self.watch.of("ConsoleOrder") if not kind or o["type"] == STRUCTS[kind].number], 10,
                     lambda: f"{kind}\n{self.role.log()}")[nth]
        return m["id"], decode(BY_NUMBER[m["type"]].name, m["body"].encode(errors="surrogateescape")), m

    def answer(self, number, kind, more=False, raw=None, **values):
        self.watch.send("ConsoleAnswer", id=number, type=STRUCTS[kind].number, body=encode(kind, **values) if raw is None else raw, more=more)

    def end(self):
        self.is_ending = True
        status = self.role.stop()
        log = self.role.log()
        self.sock.close()
        shutil.rmtree(self.folder)
        assert status in (0, None), f"ended with {status}\n{log}"


def test_sessions_of_another_use_are_none():
    bed = Bed()
    try:
        assert bed.ask("GET", "/api/status", session="x" * 43)[0] == 401
        bed.use = "portal"
        assert bed.ask("GET", "/api/people")[0] == 401
        assert not bed.watch.of("ConsoleOrder")
    finally:
        bed.end()


def test_orders_carry_who_and_where_from():
    bed = Bed()
    try:
        token = bed.token()
        a = bed.later("POST", "/api/hold", {"target": "a", "mode": "on", "for_ms": 5000, "reason": "r"}, token)
        number, hold, order = bed.order("HoldSet")
        assert (order["account"], order["source"]) == ("root@example.com", "127.0.0.1"), order
        assert (hold["target"], hold["mode"], hold["for_ms"], hold["reason"]) == ("a", "on", 5000, "r")
        bed.answer(number, "ControlAnswer", ok=False, text="no such site")
        status, told = a.result()
        assert status == 409 and told["title"] == "no such site" and told["ok"] is False
        assert bed.ask("POST", "/api/hold", {"target": "a", "mode": "on", "reason": "r"}, "wrong token")[0] == 403
        for bad in ([], {"mode": "on", "reason": "r"}, {"target": "a", "mode": "yes", "reason": "r"}, {"target": "a", "mode": "on", "reason": "  "},
                    {"target": ["a"], "mode": "on", "reason": "r"}):
            assert bed.ask("POST", "/api/hold", bad, token)[0] == 400, bad
        assert len(bed.watch.of("ConsoleOrder")) == 1
    finally:
        bed.end()


def test_a_long_answer_comes_in_pieces_and_late_ones_are_dropped():
    bed = Bed()
    try:
        text = json.dumps({"ok": True, "fill": "x" * 500_000})
        body = encode("TimelineAnswer", json=text)
        a = bed.later("GET", "/api/timeline?site=head-office&after_us=7")
        number, ask, _ = bed.order("TimelineAsk")
        assert (ask["site"], ask["from_us"]) == ("head-office", 7)
        for at in range(0, len(body), 100_000):
            bed.answer(number, "TimelineAnswer", raw=body[at:at + 100_000], more=at + 100_000 < len(body))
        status, told = a.result()
        assert status == 200 and len(told["fill"]) == 500_000
        bed.answer(number, "TimelineAnswer", json="{}")  # nobody waits
        bed.answer(12345, "TimelineAnswer", json="{}")
        assert bed.ask("GET", "/api/me")[0] == 200
    finally:
        bed.end()


def test_watch_away_silent_or_mad():
    bed = Bed()
    try:
        token = bed.token()
        a = bed.later("POST", "/api/hold", {"target": "a", "mode": "on", "reason": "r"}, token)
        bed.order("HoldSet")
        bed.watch.sock.close()
        status, told = a.result()
        assert status == 503 and "history" in told["title"], told
        assert bed.ask("POST", "/api/hold", {"target": "a", "mode": "on", "reason": "r"}, token)[0] == 503
        assert bed.ask("GET", "/api/trace?to=a")[0] == 503  # O2
        status, told = bed.ask("GET", "/api/status")
        assert status == 200 and not told["ok"] and told["people"]["accounts"] == 3 and len(told["missing"]) == 2, told
        bed.watch = bed.role.link("watch")
        for send in (lambda w: w.send("ConsoleAnswer", id=1, type=9999, body=b"x" * 10), lambda w: w.send("SiteQueue", site="a", waiting=1)):
            send(bed.watch)
        wait_for(lambda: bed.watch.sock.recv(1 << 16) == b"", 10, "the link to end after nonsense")
        bed.watch = bed.role.link("watch")
        a = bed.later("GET", "/api/timeline?site=a")
        number, _, _ = bed.order("TimelineAsk")
        bed.answer(number, "TimelineAnswer", raw=b"\xff\xff\xff\xff")
        assert a.result()[0] == 503
        a = bed.later("GET", "/api/timeline?site=a", timeout=30)  # silent: given up after a while, others are served meanwhile
        bed.order("TimelineAsk", nth=-1)
        began = time.monotonic()
        assert bed.ask("GET", "/api/me")[0] == 200 and time.monotonic() - began < 1
        assert a.result()[0] == 503
    finally:
        bed.end()


def test_who_leaves_changes_nothing_of_the_order():
    bed = Bed()
    try:
        token = bed.token()
        with socket.create_connection(("127.0.0.1", bed.port), timeout=10) as s:
            s.sendall(bed.request("POST", "/api/continuity", {"target": "a", "mode": "auto"}, token, SESSION))
            number, _, _ = bed.order("ContinuitySet")
        time.sleep(0.1)
        bed.answer(number, "ControlAnswer", ok=True, text="done", act_id="0" * 32)
        for _ in range(300):  # more than CONSOLE_ASKS, each left behind
            with socket.create_connection(("127.0.0.1", bed.port), timeout=10) as s:
                s.sendall(bed.request("GET", "/api/timeline?site=a", None, "", SESSION))
        assert bed.ask("GET", "/api/me")[0] == 200
    finally:
        bed.end()


def main():
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
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(run, sys.argv[2:] or sorted(tests)))
    sys.exit(f"failed: {' '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()

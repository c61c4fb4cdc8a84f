"""The portal's door from outside, with bytes of our own: H-06, H-09, H-11, H-13, H-15, H-23."""
import base64
import http.client
import json
import os
import socket
import ssl
import time

import peers
import people
import pytest
from conftest import SOAK
from people import trusting

SLOW = 10000 if SOAK else 400


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    import shutil
    import tempfile
    folder = tempfile.mkdtemp(prefix="holdfast-e2e-", dir=os.environ.get("HOLDFAST_TMP", "/var/tmp"))
    os.chmod(folder, 0o755)
    o = people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx")
    o.start()
    try:
        o.add("anna", "bert")
        yield o
    finally:
        o.stop()
        shutil.rmtree(folder, ignore_errors=True)


def connect(office):
    return trusting().wrap_socket(socket.create_connection(("127.0.0.1", office.ports["https"]), timeout=15))


def exchange(office, data):
    """All bytes that come back until the other side closes; that it does is part of the question."""
    with connect(office) as s:
        s.sendall(data)
        got = b""
        try:
            while more := s.recv(65536):
                got += more
        except (ConnectionError, ssl.SSLEOFError):
            pass
        return got


def head(extra="", method="POST", path="/jmap/api", host="127.0.0.1"):
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n".encode()


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BAD = {
    "CL and TE": head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n" + SMUGGLED,
    "two CL": head("Content-Length: 0\r\nContent-Length: 44\r\n") + SMUGGLED,
    "two equal CL": head("Content-Length: 0\r\nContent-Length: 0\r\n") + SMUGGLED,
    "CL list": head("Content-Length: 0, 0\r\n") + SMUGGLED,
    "CL sign": head("Content-Length: +0\r\n") + SMUGGLED,
    "CL hex": head("Content-Length: 0x0\r\n") + SMUGGLED,
    "CL huge": head("Content-Length: 99999999999999999999999\r\n"),
    "TE obfuscated": head("Transfer-Encoding: xchunked\r\n") + b"0\r\n\r\n" + SMUGGLED,
    "TE twice": head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n" + SMUGGLED,
    "TE identity": head("Transfer-Encoding: identity\r\n") + SMUGGLED,
    "TE tab": head("Transfer-Encoding:\tchunked, identity\r\n") + b"0\r\n\r\n" + SMUGGLED,
    "TE on 1.0": b"POST /jmap/api HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in fields": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    "NUL": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "obs-fold": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "space first": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "host with user": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "bad method": b"G\x80T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad version": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "extra blank": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "target with blank": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "no slash": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "dots": b"GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    "encoded dots": b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    "encoded slash and NUL": b"GET /a%00b%2fc HTTP/1.1\r\nHost: a\r\n\r\n",
    "chunk size overflow": head("Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n") + b"ffffffffffffffff1\r\n",
    "chunk size sign": head("Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n") + b"-1\r\n",
    "chunk bare LF": head("Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n") + b"0\n\n" + SMUGGLED,
    "chunk data too long": head("Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n") + b"1\r\nab\r\n0\r\n\r\n",
    "trailers of a MiB": head("Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n") + b"0\r\n" + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n",
    "a MiB of fields": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 170000 + b"\r\n",
    "a MiB of path": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "not TLS inside": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_h_13_what_two_readers_could_read_differently_is_refused_and_closed(office, name):
    got = exchange(office, BAD[name])
    statuses = [int(line.split()[1]) for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    assert len(statuses) <= 1, got[:400]  # nothing behind it was answered
    assert not statuses or 400 <= statuses[0] < 600, got[:400]
    assert b"root:" not in got


def everything_asked(office):
    """(what, method, path, headers, body) of requests that end in every kind of answer."""
    anna = "Basic " + base64.b64encode(f"anna@example.com:{office.people['anna'].password}".encode()).decode()
    return [
        ("page", "GET", "/", {}, None),
        ("not there", "GET", "/nothing/here", {}, None),
        ("a page of the browser's own", "GET", "/mail/inbox", {}, None),
        ("no login", "GET", "/.well-known/jmap", {}, None),
        ("wrong login", "GET", "/.well-known/jmap", {"Authorization": "Basic eDp5"}, None),
        ("session", "GET", "/.well-known/jmap", {"Authorization": anna}, None),
        ("method", "DELETE", "/jmap/api", {"Authorization": anna}, None),
        ("not JSON", "POST", "/jmap/api", {"Authorization": anna, "Content-Type": "application/json"}, b"{"),
        ("type", "POST", "/jmap/api", {"Authorization": anna, "Content-Type": "text/plain"}, b"{}"),
        ("blob", "GET", "/jmap/download/A1/G1/x?type=text/html", {"Authorization": anna}, None),
        ("portal", "GET", "/api/portal", {}, None),
        ("login", "POST", "/api/login", {"Content-Type": "application/json"}, json.dumps({"account": "anna@example.com", "password": "wrong"}).encode()),
    ]


def ask(office, method, path, headers, body):
    c = http.client.HTTPSConnection("127.0.0.1", office.ports["https"], context=trusting(), timeout=30)
    try:
        c.request(method, path, body, headers)
        answer = c.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        c.close()


def test_h_23_every_answer_has_the_headers_of_a_safe_one(office):
    for what, method, path, headers, body in everything_asked(office):
        status, got, text = ask(office, method, path, headers, body)
        policy = got["Content-Security-Policy"] or ""
        assert "default-src 'none'" in policy or "sandbox" in policy, (what, status, policy)
        assert "frame-ancestors 'none'" in policy or "frame-ancestors 'self'" in policy, (what, policy)
        assert got["X-Content-Type-Options"] == "nosniff", what
        assert "max-age=" in (got["Strict-Transport-Security"] or ""), what
        assert got["Referrer-Policy"] in ("no-referrer", "same-origin"), what
        assert got["Cross-Origin-Resource-Policy"] == "same-origin", what
        assert "Server" not in got or "/" not in got["Server"], what
        if path.startswith(("/jmap", "/api", "/.well-known")):
            assert "no-store" in got["Cache-Control"], what
            assert b"<" not in text or status >= 400, (what, text[:200])
        if what in ("wrong login", "no login"):
            assert status == 401, what


def login(office, name):
    """Cookie and token of a browser's session."""
    status, headers, text = ask(office, "POST", "/api/login", {"Content-Type": "application/json"},
                                json.dumps({"account": f"{name}@example.com", "password": office.people[name].password}).encode())
    assert status == 200 and json.loads(text)["state"] == "in", (status, text)
    cookie = headers["Set-Cookie"]
    assert cookie.startswith("__Host-") and all(w in cookie for w in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/")), cookie
    pair = cookie.split(";")[0]
    status, _, text = ask(office, "GET", "/api/me", {"Cookie": pair}, None)
    assert status == 200, text
    return pair, json.loads(text)["token"]


CORE = json.dumps({"using": ["urn:ietf:params:jmap:core"], "methodCalls": [["Core/echo", {"a": 1}, "0"]]}).encode()


def test_h_06_a_change_that_another_site_asks_for_is_refused(office):
    cookie, token = login(office, "anna")
    origin = f"https://127.0.0.1:{office.ports['https']}"
    good = {"Cookie": cookie, "X-Holdfast-Token": token, "Content-Type": "application/json", "Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert ask(office, "POST", "/jmap/api", good, CORE)[0] == 200
    for spoiled in ({"X-Holdfast-Token": None}, {"X-Holdfast-Token": "x" * len(token)}, {"X-Holdfast-Token": token[:-1]}, {"Origin": "https://evil.example"},
                    {"Origin": "null"}, {"Origin": origin.replace("https", "http")}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                    {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": None}):
        headers = {k: v for k, v in {**good, **spoiled}.items() if v is not None}
        for path in ("/jmap/api", "/api/logout", "/api/me/password"):
            status, _, text = ask(office, "POST", path, headers, CORE)
            assert status == 403, (spoiled, path, status, text[:200])
    bert, token_of_bert = login(office, "bert")
    assert ask(office, "POST", "/jmap/api", {**good, "X-Holdfast-Token": token_of_bert}, CORE)[0] == 403  # somebody else's
    assert ask(office, "GET", "/api/logout", {"Cookie": cookie}, None)[0] in (404, 405)
    assert ask(office, "POST", "/jmap/api", good, CORE)[0] == 200  # and the session is still there


def test_what_a_browser_downloads_it_does_not_keep(office):
    """It may be a borrowed computer. A program may keep it, and asks before it shows it again."""
    cookie, _ = login(office, "anna")
    mine = office.people["anna"].jmap()
    blob = mine.upload(b"secret")
    path = f"/jmap/download/{mine.account}/{blob}/x?type=text/plain"
    status, headers, data = ask(office, "GET", path, {"Cookie": cookie}, None)
    assert (status, data) == (200, b"secret") and "no-store" in headers["Cache-Control"]
    assert "no-cache" in mine.download(blob)[1]["Cache-Control"]
    mine.close()


def test_h_08_an_ended_session_is_dead_everywhere_at_once(office):
    cookie, token = login(office, "bert")
    again, _ = login(office, "bert")
    assert cookie != again  # a new id each time
    headers = {"Cookie": cookie, "X-Holdfast-Token": token, "Content-Type": "application/json"}
    # A session that somebody made up is not taken over.
    made_up = cookie.split("=")[0] + "=" + "A" * 43
    status, got, _ = ask(office, "POST", "/api/login", {"Cookie": made_up, "Content-Type": "application/json"}, json.dumps(
        {"account": "bert@example.com", "password": office.people["bert"].password}).encode())
    assert status == 200 and "A" * 43 not in got["Set-Cookie"]
    assert ask(office, "POST", "/api/logout", headers, b"{}")[0] in (200, 204)
    peers.wait_for(lambda: ask(office, "GET", "/api/me", {"Cookie": cookie}, None)[0] == 401, 1, "the old session to be dead")
    assert ask(office, "GET", "/api/me", {"Cookie": again}, None)[0] == 200
    office.run("user", "passwd", "bert@example.com", "--password-stdin", stdin="another horse battery bert\n")
    office.people["bert"].password = "another horse battery bert"
    peers.wait_for(lambda: ask(office, "GET", "/api/me", {"Cookie": again}, None)[0] == 401, 1, "the password's change to end it")


def jmap(office, body, name="anna"):
    """Status, text and milliseconds of a request that may be no JMAP at all."""
    token = base64.b64encode(f"{name}@example.com:{office.people[name].password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    ask(office, "POST", "/jmap/api", headers, CORE)  # the login is known now
    began = time.monotonic()
    status, _, text = ask(office, "POST", "/jmap/api", headers, body)
    return status, text, (time.monotonic() - began) * 1000


def test_h_11_json_that_is_made_to_hurt(office):
    core = b'"using":["urn:ietf:params:jmap:core"]'
    call = b'["Core/echo",{},"0"]'
    bad = {
        "too many calls": (b"{" + core + b',"methodCalls":[' + b",".join([call] * 1001) + b"]}", "limit"),
        "10 MB": (b"{" + core + b',"methodCalls":[["Core/echo",{"x":"' + b"a" * (11 << 20) + b'"},"0"]]}', None),
        "depth": (b"[" * 100000, "notJSON"),
        "depth inside": (b"{" + core + b',"methodCalls":[["Core/echo",' + b'{"a":' * 100000 + b"1" + b"}" * 100000 + b',"0"]]}', "notJSON"),
        "duplicate keys": (b"{" + core + b"," + core + b',"methodCalls":[]}', "notJSON"),
        "1e309": (b"{" + core + b',"methodCalls":[["Core/echo",{"a":1e309},"0"]]}', "notJSON"),
        "lone surrogate": (b"{" + core + b',"methodCalls":[["Core/echo",{"a":"\\ud800"},"0"]]}', "notJSON"),
        "NUL": (b"{" + core + b',"methodCalls":[["Core/echo",{"a":"\\u0000"},"0"]]}', None),
        "not UTF-8": (b"{" + core + b',"methodCalls":[["Core/echo",{"a":"\xff"},"0"]]}', "notJSON"),
        "empty": (b"", None),
        "not an object": (b"[]", "notRequest"),
        "no using": (b'{"methodCalls":[]}', "notRequest"),
        "unknown capability": (b'{"using":["urn:x:y"],"methodCalls":[]}', "unknownCapability"),
    }
    for name, (body, kind) in bad.items():
        try:
            status, text, ms = jmap(office, body)
        except (ConnectionError, ssl.SSLError, http.client.HTTPException):  # closed while too much was still being sent
            assert name == "10 MB"
            continue
        if name == "NUL" and status == 200:  # allowed by I-JSON; then it comes back as it went
            assert "\\u0000" in text.decode()
            continue
        assert 400 <= status < 500, (name, status, text[:200])
        if kind:
            assert json.loads(text)["type"].endswith(kind), (name, text[:300])
        if name not in ("10 MB", "depth inside"):
            assert ms < 1000, (name, ms)  # 50 ms of the server's own; the rest is this machine's
    assert jmap(office, CORE)[0] == 200


def test_h_15_slow_ones_take_nothing_from_the_others(office):
    slow = []
    try:
        for _ in range(SLOW):
            try:
                s = socket.create_connection(("127.0.0.1", office.ports["https"]), timeout=5)
                s.sendall(b"\x16\x03\x01")
                slow.append(s)
            except OSError:
                break
        assert len(slow) >= min(SLOW, 40)
        cookie, _ = None, None
        began = time.monotonic()
        for _ in range(20):
            status, _, _ = ask(office, "GET", "/api/portal", {}, None)
            assert status == 200
        assert time.monotonic() - began < 20 * 1.0
    finally:
        for s in slow:
            s.close()

"""Files that come and go by JMAP, on the real program: uploads, downloads, their limits and whose they are."""
import json
import os
import random
import shutil
import socket
import tempfile

import peers
import people
import pytest

CORE = "urn:ietf:params:jmap:core"


@pytest.fixture(scope="module")
def office():
    """One for the tests here; they leave each other's accounts alone."""
    folder = tempfile.mkdtemp(prefix="holdfast-e2e-", dir=os.environ.get("HOLDFAST_TMP", "/var/tmp"))
    os.chmod(folder, 0o755)
    o = people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx")
    o.start()
    try:
        o.add("anna", "bert", "carl")
        yield o
    finally:
        o.kill()
        shutil.rmtree(folder, ignore_errors=True)


def test_what_has_been_taken_is_there_and_nobody_elses(office):
    mine, other = office.people["anna"].jmap(), office.people["bert"].jmap()
    content = random.Random(1).randbytes(3 << 20)
    blob = mine.upload(content, "image/png")
    status, headers, data = mine.download(blob, 'Übung "1".png', "image/png")
    assert (status, data) == (200, content)
    assert headers["Content-Type"] == "image/png" and headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in headers["Content-Security-Policy"] and headers["X-Content-Type-Options"] == "nosniff"
    assert mine.download(mine.upload(b""))[::2] == (200, b"")
    missing, stolen = other.download("U" + "0" * 32), other.download(blob)
    assert stolen[0] == 404 and stolen[::2] == missing[::2]
    other.account, account = mine.account, other.account  # the path names the other account
    foreign = other.download(blob)
    other.account = account
    assert foreign[::2] == missing[::2]


def test_a_part_of_it_can_be_had(office):
    mine = office.people["anna"].jmap()
    content = random.Random(2).randbytes(200000)
    blob = mine.upload(content)
    for asked, first, last in (("bytes=10-29", 10, 29), ("bytes=199990-", 199990, 199999), ("bytes=-7", 199993, 199999), ("bytes=150000-999999", 150000, 199999)):
        status, headers, data = mine.download(blob, headers={"Range": asked})
        assert status == 206 and headers["Content-Range"] == f"bytes {first}-{last}/200000", (asked, status, headers)
        assert data == content[first:last + 1]
    status, headers, _ = mine.download(blob, headers={"Range": "bytes=200000-"})
    assert status == 416 and headers["Content-Range"] == "bytes */200000"
    assert mine.download(blob, headers={"Range": "lines=1-2"})[::2] == (200, content)
    status, headers, data = mine.download(blob, headers={"If-None-Match": headers["ETag"]})
    assert (status, data) == (304, b"") and "no-cache" in headers["Cache-Control"] and "immutable" not in headers["Cache-Control"]
    other = office.people["bert"].jmap()  # at the same browser, with what it kept
    assert other.raw("GET", f"/jmap/download/{mine.account}/{blob}/x", headers={"If-None-Match": headers["ETag"]})[0] == 404


def test_uploads_have_limits(office):
    mine = office.people["bert"].jmap()
    most = mine.session["capabilities"][CORE]["maxSizeUpload"]
    with people.trusting().wrap_socket(socket.create_connection(("127.0.0.1", mine.port), timeout=30)) as s:  # said before a byte of it has come
        s.sendall(f"POST /jmap/upload/{mine.account}/ HTTP/1.1\r\nHost: x\r\nAuthorization: {mine.authorization}\r\nContent-Length: {most + 1}\r\n\r\n".encode())
        assert s.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert mine.raw("POST", "/jmap/upload/A999999/", b"x", {"Content-Type": "text/plain"})[0] == 404
    # too many at once: the ones before go on
    folder = os.path.join(office.data, "uploads", mine.account[1:])
    mine.upload(b"x")  # makes it
    waiting = []
    for _ in range(mine.session["capabilities"][CORE]["maxConcurrentUpload"]):
        s = people.trusting().wrap_socket(socket.create_connection(("127.0.0.1", mine.port), timeout=30))
        s.sendall(f"POST /jmap/upload/{mine.account}/ HTTP/1.1\r\nHost: x\r\nAuthorization: {mine.authorization}\r\nContent-Length: 3\r\n\r\na".encode())
        waiting.append(s)
        peers.wait_for(lambda: sum(n.endswith(".part") for n in os.listdir(folder)) == len(waiting), 10, "it to begin")
    status, _, text = mine.raw("POST", f"/jmap/upload/{mine.account}/", b"x", {"Content-Type": "text/plain"})
    assert status == 400 and json.loads(text)["limit"] == "maxConcurrentUpload"
    for s in waiting:
        s.sendall(b"bc")
        assert s.recv(1000).startswith(b"HTTP/1.1 201 ")
        s.close()
    assert mine.upload(b"x")


def test_uploads_at_once_do_not_pass_the_quota_together(folder, started):
    """Each of them fits when it begins; what they come to does not."""
    o = started(people.Office(os.path.join(folder, "narrow"), peers.free_port(), mode="backup-mx", more="portal: { uploads: 2MB }\n"))
    mine, = (p.jmap() for p in o.add("emil"))
    waiting, answers = [], []
    for _ in range(3):
        s = people.trusting().wrap_socket(socket.create_connection(("127.0.0.1", mine.port), timeout=30))
        s.sendall(f"POST /jmap/upload/{mine.account}/ HTTP/1.1\r\nHost: x\r\nAuthorization: {mine.authorization}\r\nContent-Length: 1200000\r\n\r\na".encode())
        waiting.append(s)
        peers.wait_for(lambda: sum(n.endswith(".part") for _, _, all_ in os.walk(os.path.join(o.data, "uploads")) for n in all_) == len(waiting), 10, "it to begin")
    for s in waiting:
        s.sendall(b"b" * 1199999)
        answers.append(s.recv(1000)[:12])
        s.close()
    assert b"HTTP/1.1 507" in answers, answers
    uploads = os.path.join(o.data, "uploads", mine.account[1:])
    peers.wait_for(lambda: not any(n.endswith(".part") for n in os.listdir(uploads)), 10, "what was refused to go")
    assert sum(os.path.getsize(os.path.join(uploads, n)) for n in os.listdir(uploads)) <= 2 << 20


def test_what_never_became_complete_leaves_nothing(office):
    mine = office.people["carl"].jmap()
    folder = os.path.join(office.data, "uploads")
    s = people.trusting().wrap_socket(socket.create_connection(("127.0.0.1", mine.port), timeout=30))
    s.sendall(f"POST /jmap/upload/{mine.account}/ HTTP/1.1\r\nHost: x\r\nAuthorization: {mine.authorization}\r\nContent-Length: 300000\r\n\r\n".encode() + b"x" * 200000)
    mine_is = os.path.join(folder, mine.account[1:])
    peers.wait_for(lambda: os.path.isdir(mine_is) and os.listdir(mine_is), 10, "the part")
    s.close()
    peers.wait_for(lambda: not os.listdir(mine_is), 10, "it to go")

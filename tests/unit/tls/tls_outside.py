#!/usr/bin/python3
"""Our TLS against OpenSSL's own client and Python's, over real sockets: T-06 (renegotiation, KeyUpdates, early data)
and T-13 (half-open handshakes, long random server names). Usage: tls_outside.py SERVER
"""

import os
import random
import re
import resource
import select
import shutil
import socket
import ssl
import string
import subprocess
import sys
import tempfile
import threading
import time

HALF_OPEN = 2000
# Memory of a sanitizer's build is its red zones, shadow and quarantine as well.
RELAXED = 2


def is_sanitized(program):
    with open(program, "rb") as f:
        return bool(re.search(rb"\0__(asan|tsan|msan|hwasan)_init\0", f.read()))


def s_client(port, *options):
    return subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def read_until(process, text, seconds=10):
    """What it printed until text came, or until it ended."""
    out, end = b"", time.monotonic() + seconds
    while text not in out and time.monotonic() < end:
        if select.select([process.stdout], [], [], 0.2)[0]:
            more = os.read(process.stdout.fileno(), 65536)
            if not more:
                break
            out += more
    return out


def t_06_renegotiation_is_refused(port):
    client = s_client(port, "-tls1_2", "-state")
    assert b"Verify return code" in read_until(client, b"Verify return code")
    client.stdin.write(b"R\n")
    client.stdin.flush()
    out = read_until(client, b"no renegotiation")
    assert b"no renegotiation" in out, out
    client.stdin.close()
    client.wait(10)


def t_06_key_updates_are_bounded(port):
    client = s_client(port, "-tls1_3")
    assert b"Verify return code" in read_until(client, b"Verify return code")
    sent = 0
    try:
        for sent in range(10000):
            client.stdin.write(b"K\n")
            client.stdin.flush()
            if client.poll() is not None:
                break
            time.sleep(0.002)
    except BrokenPipeError:
        pass
    assert client.wait(10) is not None and 60 <= sent < 2000, sent


def t_06_there_is_no_early_data(port):
    with tempfile.NamedTemporaryFile() as ticket, tempfile.NamedTemporaryFile() as early:
        early.write(b"MAIL FROM:<a@b>\r\n")
        early.flush()
        client = s_client(port, "-tls1_3", "-sess_out", ticket.name)
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        assert b"hello" in read_until(client, b"hello")
        out = client.communicate()[0]  # it prints the ticket when it ends
        assert b"Max Early Data: 0" in out, out
        client = s_client(port, "-tls1_3", "-sess_in", ticket.name, "-early_data", early.name)
        out = read_until(client, b"Early data was")
        assert b"Early data was accepted" not in out, out
        client.kill()
        client.wait()


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def client_hello():
    """The first flight of Python's client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ssl._create_unverified_context().wrap_bio(incoming, outgoing, server_hostname="mx.example").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def shake_hands(port, name):
    context = ssl._create_unverified_context()
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 10) as raw, context.wrap_socket(raw, server_hostname=name) as s:
        s.sendall(b"hello")
        assert s.recv(100) == b"hello"
    return time.monotonic() - begin


def t_13_half_open_handshakes_cost_little_and_delay_nobody(server, port, slack):
    hello, held = client_hello(), []
    before = resident_kib(server.pid)
    for i in range(HALF_OPEN):
        s = socket.create_connection(("127.0.0.1", port), 10)
        s.sendall(hello if i % 2 else hello[:100])
        held.append(s)
    took = sorted(shake_hands(port, "mx.example") for _ in range(100))
    per_session = (resident_kib(server.pid) - before) / HALF_OPEN
    print(f"{HALF_OPEN} half-open: {per_session:.1f} KiB each, handshake p99 {took[98] * 1000:.1f} ms")
    assert took[98] < 1, took[98]
    assert per_session < 64 * slack, per_session
    for s in held:
        s.close()


def t_13_random_names_leave_nothing_behind(server, port, slack):
    def name():
        labels = ["".join(random.choices(string.ascii_lowercase, k=63)) for _ in range(3)]
        return ".".join(labels) + "." + "".join(random.choices(string.ascii_lowercase, k=61))

    def many():
        for _ in range(250):
            shake_hands(port, name())

    shake_hands(port, name())
    before = resident_kib(server.pid)
    workers = [threading.Thread(target=many) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    grown = resident_kib(server.pid) - before
    print(f"1000 random names: {grown} KiB more")
    assert grown < 8192 * slack, (before, grown)


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = tempfile.mkdtemp(prefix="holdfast-tls-")
    slack = RELAXED if is_sanitized(sys.argv[1]) else 1
    env = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"}
    server = subprocess.Popen([sys.argv[1], folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    try:
        port = int(server.stdout.readline())
        t_06_renegotiation_is_refused(port)
        t_06_key_updates_are_bounded(port)
        t_06_there_is_no_early_data(port)
        t_13_random_names_leave_nothing_behind(server, port, slack)  # first: later there is freed memory for it
        t_13_half_open_handshakes_cost_little_and_delay_nobody(server, port, slack)
        assert server.poll() is None
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

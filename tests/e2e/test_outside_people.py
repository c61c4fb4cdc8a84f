"""Bad input and floods against the ports of people, measured from outside: I-01, I-03, I-05, I-08, I-12, I-14, I-15, I-16,
P-02, P-05, P-07, T-01, S-23, H-16, H-17, N-01."""
import imaplib
import os
import resource
import select
import smtplib
import socket
import statistics
import threading
import time

import peers
import people
import pytest
from conftest import SOAK
from test_outside import cpu_seconds, rss_kib
from test_people import arrive

PARENS = 200 if SOAK else 60
IDLERS = 5000 if SOAK else 400
LOGINS = 6
WRONG = 1000 if SOAK else 30
DELETES = 1000000 if SOAK else 5000
BIG = 50 << 20


@pytest.fixture
def office(folder, started):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    o = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx",
                              more=f"accounts: {{ sessions: {IDLERS + 100} }}\n"))
    o.add("anna", "bert")
    return o


def desk(office):
    return [pid for name, pid in office.roles().items() if name.startswith("desk")][0]


class Line:
    """A bare connection: what a client would never send."""

    def __init__(self, port, tls=False, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        if tls:
            self.sock = people.trusting().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")
        self.greeting = self.line()

    def line(self):
        return self.file.readline()

    def send(self, data):
        self.sock.sendall(data)

    def command(self, text, tag=b"x"):
        """All lines up to the tagged one."""
        self.send(tag + b" " + text + b"\r\n")
        return self.until(tag)

    def until(self, tag=b"x"):
        lines = []
        while True:
            line = self.line()
            if not line:
                return lines
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines

    def rest(self):
        """Everything to the end of the connection."""
        try:
            return self.file.read()
        except (ConnectionError, OSError):
            return b""

    def upgrade(self):
        self.sock = people.trusting().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")

    def close(self):
        self.sock.close()


def works(office, seconds=1.0):
    """A rightful person is served in time."""
    began = time.monotonic()
    m = office.people["bert"].imap()
    m.select("INBOX")
    m.logout()
    assert time.monotonic() - began < seconds + 0.5  # the login's Argon2id among it


def test_i_01_endless_and_deep_commands_before_login(office):
    pid, before, lines = desk(office), rss_kib(desk(office)), []
    for i in range(PARENS):
        c = Line(office.ports["imap"])
        lines.append(c)
        try:
            c.send(b"a NOOP " + (b"(" * (1 << 20), b")" * (1 << 20), b"()" * (1 << 19), b"(" * 500 + b"\r\n")[i % 4])
        except OSError:
            pass  # closed on us
    works(office)
    assert rss_kib(pid) - before < PARENS * 64
    for c in lines:
        answer = c.rest() if len(c.greeting) else b""
        assert b"a OK" not in answer
        c.close()


@pytest.mark.parametrize("size", [b"4294967295", b"18446744073709551616", b"-1", b"99999999999999999999999", b"4097+", b"1000000+"])
def test_i_03_announced_sizes_cost_nothing(office, size):
    pid, before = desk(office), rss_kib(desk(office))
    c = Line(office.ports["imap"])
    c.send(b"a LOGIN {" + size + b"}\r\n")
    answer = c.line()
    assert answer.startswith((b"a BAD", b"a NO", b"* BYE")), answer
    assert rss_kib(pid) - before < 512
    c.close()
    works(office)


def test_i_05_nothing_inside_a_literal_is_executed(office):
    anna = office.people["anna"]
    c = Line(office.ports["imaps"], tls=True)
    c.command(f'LOGIN "{anna.address}" "{anna.password}"'.encode())
    inner = b"b CREATE Evil\r\nc CREATE Evil2\r\n"
    c.send(b"a APPEND INBOX {%d+}\r\n" % len(inner) + inner + b"\r\nd NOOP\r\n")
    lines = c.until(b"d")
    assert not [line for line in lines if line.startswith((b"b ", b"c "))], lines
    assert b"Evil" not in b"".join(c.command(b'LIST "" *'))
    # One byte fewer announced than sent: what is left is a new, bad command.
    c.send(b"e APPEND INBOX {%d+}\r\n" % (len(inner) - 1) + inner + b"\r\nf NOOP\r\n")
    lines = c.until(b"f")
    assert lines[-1].startswith((b"f OK", b"f BAD")) and b"Evil" not in b"".join(c.command(b'LIST "" *'))


INJECTIONS = [("imap", b"a STARTTLS\r\nb NOOP\r\nc CREATE Evil\r\n", b"a OK", b"x NOOP\r\n", b"x OK"),
              ("pop3", b"STLS\r\nCAPA\r\n", b"+OK", b"WHAT\r\n", b"-ERR"),
              ("submission", b"STARTTLS\r\nEHLO evil.example\r\n", b"220", b"WHAT\r\n", b"500")]


@pytest.mark.parametrize("service, bytes_, mark, probe, first", INJECTIONS, ids=[i[0] for i in INJECTIONS])
def test_t_01_nothing_from_before_tls_counts(office, service, bytes_, mark, probe, first):
    """P-07 too: under TLS the first answer is to the first thing said under TLS."""
    c = Line(office.ports[service])
    if service == "submission":
        c.send(b"EHLO client.example\r\n")
        while not c.line().startswith(b"250 "):
            pass
    c.send(bytes_)
    answer = c.line()
    assert answer.startswith(mark), answer
    try:
        c.upgrade()
    except OSError:
        return  # closed: as good
    c.send(probe)
    answer = c.line()
    assert answer.startswith(first), answer


def test_i_08_the_nastiest_messages(office):
    """M-01, M-03, M-05: each at most a second of CPU and 64 MiB, and others are served meanwhile."""
    anna = office.people["anna"]
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(10000))
    rfc822 = b"Content-Type: message/rfc822\r\n\r\n" * 10000
    empty = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 100000 + b"--x--\r\n"
    words = b"Subject: " + b"=?utf-8?q?=41?=\r\n " * 200000 + b"end\r\n\r\nx\r\n"
    params = b"Content-Type: text/plain" + b"".join(b";\r\n name*%d=a" % i for i in range(100000)) + b"\r\n\r\nx\r\n"
    people_ = b"To: " + b"(((" * 10000 + b"a@b.example\r\n\r\nx\r\n"
    nasty = [deep, rfc822, empty, words, params, people_, b"\r\n", b"Subject: only headers\r\n", b"=\r\n" * 100000]
    sent = 0
    for body in nasty:
        with smtplib.SMTP("127.0.0.1", office.port, timeout=30) as s:
            try:
                s.sendmail("sender@example.org", [anna.address], b"X-Nasty: 1\r\n" + body)
                sent += 1
            except smtplib.SMTPDataError as e:
                assert e.smtp_code in (550, 552, 554), e
    assert sent >= 6
    m = anna.imap()
    peers.wait_for(lambda: int(people.ok(m.select("INBOX"))[0]) == sent, 10, "all to be shown")
    for i in range(1, sent + 1):
        for what in ("(BODYSTRUCTURE ENVELOPE)", "(BODY.PEEK[1.1.1.1.1.1.MIME])", "(BODY.PEEK[1.1.1])", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"):
            before, memory, began = cpu_seconds(desk(office)), rss_kib(desk(office)), time.monotonic()
            m.fetch(str(i), what)
            assert cpu_seconds(desk(office)) - before <= 1.0, (i, what)
            assert rss_kib(desk(office)) - memory < 64 << 10, (i, what)
            assert time.monotonic() - began < 5
    works(office)
    m.logout()


def test_i_12_a_search_whose_client_left_ends(office):
    anna = office.people["anna"]
    rng_ids = arrive(office.port, anna.address, 300, size=60000)
    m = anna.imap()
    peers.wait_for(lambda: int(people.ok(m.select("INBOX"))[0]) == len(rng_ids), 20, "all to be shown")
    for _ in range(10):
        c = Line(office.ports["imaps"], tls=True)
        c.command(f'LOGIN "{anna.address}" "{anna.password}"'.encode())
        c.command(b"SELECT INBOX")
        c.send(b'a SEARCH NOT BODY "zz" NOT BODY "yy" NOT TEXT "x1"\r\n')
        c.close()
    works(office)
    pid = desk(office)

    def quiet():
        before = cpu_seconds(pid)
        time.sleep(0.5)
        return cpu_seconds(pid) - before < 0.05
    peers.wait_for(quiet, 5, "desk to be idle again")


def test_i_14_many_idle_sessions(office):
    """A session costs at most 32 KiB; every one of them hears of new mail."""
    anna, pid, sessions = office.people["anna"], desk(office), []
    arrive(office.port, anna.address, 5)
    warm = [anna.imap() for _ in range(3)]
    before = rss_kib(pid)
    for _ in range(IDLERS):
        c = Line(office.ports["imaps"], tls=True)
        c.command(f'LOGIN "{anna.address}" "{anna.password}"'.encode())
        c.command(b"SELECT INBOX")
        c.send(b"i IDLE\r\n")
        assert c.line().startswith(b"+")
        sessions.append(c)
    grown = (rss_kib(pid) - before) / IDLERS
    arrive(office.port, anna.address, 1)
    began, waiting, poll = time.monotonic(), {c.sock.fileno(): c for c in sessions}, select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    while waiting and time.monotonic() - began < 10:
        for fd, _ in poll.poll(1000):
            poll.unregister(fd)
            assert b"EXISTS" in waiting.pop(fd).line()
    took = time.monotonic() - began
    assert not waiting and took < 2.0, f"{len(waiting)} not told after {took} s"
    print(f"{grown:.1f} KiB for each of {IDLERS} idle sessions; all told in {took * 1000:.0f} ms")
    assert grown <= 32, f"{grown} KiB a session"
    for c in sessions + warm:
        (c.close if isinstance(c, Line) else c.shutdown)()


def test_i_15_wrong_logins_do_not_lock_the_owner_out(office):
    """H-16 for one source: many wrong passwords are slowed; the owner, known here, still gets in."""
    anna = office.people["anna"]
    anna.imap().logout()  # known-good from here on
    began, refused = time.monotonic(), 0

    def guess(n):
        nonlocal refused
        for i in range(n):
            m = imaplib.IMAP4_SSL("127.0.0.1", office.ports["imaps"], ssl_context=people.trusting(), timeout=60)
            with pytest.raises((imaplib.IMAP4.error, OSError)):
                m.login(anna.address, f"wrong password {i} {threading.get_ident()}")
            refused += 1
    threads = [threading.Thread(target=guess, args=(WRONG // 3,)) for _ in range(3)]
    for t in threads:
        t.start()
    time.sleep(1)
    anna.imap().logout()  # in the middle of it
    for t in threads:
        t.join()
    assert refused == WRONG // 3 * 3
    assert time.monotonic() - began > 5, "nothing slowed the guesses down"
    anna.imap().logout()


def test_h_17_known_and_unknown_people_take_the_same_time(office):
    times = {"known": [], "unknown": []}
    for i in range(LOGINS):  # few: from some number on the account itself is throttled
        for kind, user in (("known", "anna@example.com"), ("unknown", f"nobody{i}@example.com")):
            s = smtplib.SMTP_SSL("127.0.0.1", office.ports["submissions"], context=people.trusting(), timeout=60,
                                 source_address=(f"127.0.{1 + i % 200}.{2 + (kind == 'known')}", 0))
            s.ehlo()
            began = time.monotonic()
            with pytest.raises(smtplib.SMTPAuthenticationError):
                s.login(user, f"wrong {i} password")
            times[kind].append(time.monotonic() - began)
            s.close()
    a, b = (statistics.median(t) for t in times.values())
    assert abs(a - b) < 0.25 * max(a, b) + 0.01, (times, a, b)


def test_i_16_a_client_that_stops_reading(office):
    anna, pid = office.people["anna"], desk(office)
    with smtplib.SMTP("127.0.0.1", office.port, timeout=60) as s:
        s.sendmail("sender@example.org", [anna.address], b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * (20 << 10))
    m = anna.imap()
    peers.wait_for(lambda: int(people.ok(m.select("INBOX"))[0]) == 1, 20, "the message")
    before = rss_kib(pid)
    slow = []
    for _ in range(10):
        c = Line(office.ports["imaps"], tls=True)
        c.command(f'LOGIN "{anna.address}" "{anna.password}"'.encode())
        c.command(b"SELECT INBOX")
        c.send(b"a FETCH 1 BODY[]\r\n" * 3)
        slow.append(c)
    works(office)
    assert rss_kib(pid) - before < 10 * 2048, f"{rss_kib(pid) - before} KiB for ten clients that do not read"
    cpu = cpu_seconds(pid)
    time.sleep(1)
    assert cpu_seconds(pid) - cpu < 0.2, "it spins"
    for c in slow:
        c.close()


def test_p_02_many_marks_cost_nothing(office):
    anna, pid = office.people["anna"], desk(office)
    arrive(office.port, anna.address, 2)
    peers.wait_for(lambda: anna.pop().stat()[0] == 2, 5, "two messages")
    p = anna.pop()
    for _ in range(10):
        p.dele(1), p.rset()
    before = rss_kib(pid)
    for _ in range(DELETES):
        p.dele(1)
        p.rset()
    assert rss_kib(pid) - before < 256
    assert p.stat()[0] == 2
    p.quit()


def test_p_05_long_and_unknown_commands(office):
    c = Line(office.ports["pop3"])
    try:
        c.send(b"A" * (1 << 20) + b"\r\n")
    except OSError:
        pass
    answer = c.rest()
    assert answer == b"" or answer.startswith(b"-ERR"), answer
    c = Line(office.ports["pop3"])
    try:
        for _ in range(100):
            c.send(b"WHAT\r\n")
    except OSError:
        pass
    lines = c.rest().splitlines()
    assert all(line.startswith(b"-ERR") for line in lines) and len(lines) < 100, lines[-3:]


def test_s_23_logins_in_every_wrong_form(office):
    c = Line(office.ports["submission"])
    c.send(b"EHLO x\r\n")
    while not c.line().startswith(b"250 "):
        pass
    c.send(b"AUTH PLAIN AGFubmEAeA==\r\n")
    assert c.line().startswith((b"530", b"538", b"503", b"502"))  # not before TLS
    c.send(b"MAIL FROM:<anna@example.com>\r\n")
    assert c.line().startswith((b"530", b"550", b"554"))
    c.close()
    c = Line(office.ports["submissions"], tls=True)
    c.send(b"EHLO x\r\n")
    while not c.line().startswith(b"250 "):
        pass
    for line, codes in ((b"AUTH WHAT", (b"504",)), (b"AUTH PLAIN !!!!", (b"501",)), (b"AUTH PLAIN\r\n*", (b"334", b"501"))):
        c.send(line + b"\r\n")
        for code in codes:
            assert c.line().startswith(code), line
    c.send(b"AUTH PLAIN " + b"A" * (1 << 20) + b"\r\n")
    assert c.line().startswith((b"500", b"501", b"521"))
    c.close()
    works(office)


def test_n_01_many_slow_connections_on_the_ports_of_people(office):
    slow = [Line(office.ports["imap"]) for _ in range(300)] + [Line(office.ports["pop3"]) for _ in range(100)]
    for c in slow:
        c.send(b"a")
    works(office)
    for c in slow:
        c.close()


def test_i_01_counts_of_errors_end_a_session(office):
    c = Line(office.ports["imap"])
    try:
        for i in range(200):
            c.send(b"a%d WHAT\r\n" % i)
    except OSError:
        pass
    assert b"* BYE" in c.rest()


def test_append_above_the_limit_is_refused_and_costs_no_memory(office):
    anna, pid = office.people["anna"], desk(office)
    c = Line(office.ports["imaps"], tls=True)
    c.command(f'LOGIN "{anna.address}" "{anna.password}"'.encode())
    before = rss_kib(pid)
    c.send(b"a APPEND INBOX {%d}\r\n" % (BIG * 4))
    assert c.line().startswith((b"a NO", b"a BAD"))
    c.send(b"b APPEND INBOX {%d}\r\n" % (20 << 20))
    assert c.line().startswith(b"+")
    block = b"y" * 65534 + b"\r\n"
    for _ in range((20 << 20) // len(block)):
        c.send(block)
    left = (20 << 20) % len(block)
    c.send(b"y" * left + b"\r\n")
    assert c.until(b"b")[-1].startswith(b"b OK")
    assert rss_kib(pid) - before < 8 << 10

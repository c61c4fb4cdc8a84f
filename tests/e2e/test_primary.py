"""How a site's outage is seen and ended, and what refusals do: health, N-03, N-05, P4, overrides."""
import os
import signal
import ssl
import subprocess
import time

import oracle
import peers
import primaries
import pytest


def send(port, n=1, rcpt="anna@example.com", sender="a@example.org"):
    session = oracle.Session(port)
    for i in range(n):
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{rcpt}>", "DATA"):
            code, text = session.command(line)
            assert code < 400, text
        code, text = session.command(f"Subject: n{i}\r\nFrom: <{sender}>\r\nMessage-ID: <n{i}-{time.time_ns()}@example.org>\r\n\r\nbody {i}\r\n.")
        assert code == 250, text
    session.close()


def test_hold_begins_in_time_and_ends_in_time(folder, started):
    """Within 5 s of the third failed probe; the first held message offered within 2 s of `up`."""
    primary = primaries.Primary().start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    holdfast.wait_state("up")
    primary.stop()
    gone = time.monotonic()
    holdfast.wait_state("down", seconds=3 * 1 + 5)
    assert time.monotonic() - gone < 3 + 5
    send(holdfast.port, 5)
    primary.start()
    holdfast.wait_state("probation", "up")
    first = time.monotonic()
    peers.wait_for(lambda: primary.messages, 2, "the first held message to be offered")
    assert time.monotonic() - first < 2
    peers.wait_for(lambda: len(primary.messages) == 5 and holdfast.site()["held"] == 0, 20, "all five", every=0.1)
    primary.stop()


def test_failed_delivery_declares_hold_at_once(folder, started):
    primary = primaries.Primary().start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="60s"))
    holdfast.wait_state("up")
    primary.stop()
    began = time.monotonic()
    send(holdfast.port)  # its delivery fails; the next probe would be up to 60 s away
    holdfast.wait_state("down", seconds=5)
    assert time.monotonic() - began < 5


BROKEN = {"reset": {"banner": "reset"}, "hang": {"banner": "hang"}, "421": {"banner": b"421 4.3.2 closing\r\n"},
          "4xx at rcpt": {"rcpt": b"451 4.3.0 try later\r\n"}, "4xx at the dot": {"dot": b"451 4.3.0 try later\r\n"},
          "4xx at mail": {"mail": b"452 4.3.1 disk full\r\n"}, "hang at data": {"data": "hang"}}


@pytest.mark.parametrize("kind", BROKEN)
def test_n_03_broken_primary_then_repaired(folder, started, kind):
    primary = primaries.Primary(replies=BROKEN[kind]).start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", more="queue: { retry: [1s, 1s, 2s] }\n"))
    send(holdfast.port, 3)
    time.sleep(3)  # time for it to do something wrong: bounce, drop, deliver
    assert not primary.messages and holdfast.site()["held"] == 3 and holdfast.site()["decide"] == 0
    if kind.startswith("hang"):
        primary.stop()
        primary.start()
    primary.replies = {}
    peers.wait_for(lambda: len(primary.messages) >= 3 and holdfast.site()["held"] == 0, 90, lambda: f"{kind}: delivery after the repair\n" + holdfast.tail(), every=0.2)
    assert len(primary.messages) == 3
    primary.stop()


def test_n_05_repaired_primary_that_refuses_everyone(folder, started):
    """Known-good recipients, a primary that says 5xx to all: nothing bounces, the drain stops, and all arrives after the repair."""
    primary = primaries.Primary().start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", more="queue: { retry: [1s, 1s, 2s] }\n"))
    holdfast.wait_state("up")
    for i in range(30):
        send(holdfast.port, 1, rcpt=f"user{i}@example.com")  # now known good
    peers.wait_for(lambda: len(primary.messages) == 30, 20, "30 messages while all is well")
    primary.stop()
    holdfast.wait_state("down")
    for i in range(30):
        send(holdfast.port, 2, rcpt=f"user{i}@example.com")
    primary.refuse_rcpt = lambda address: None if address.startswith("postmaster@") else b"550 5.1.1 unknown user\r\n"
    primary.start()
    time.sleep(8)  # time for it to do something wrong
    site = holdfast.site()
    assert site["held"] == 60 and len(primary.messages) == 30, site
    primary.refuse_rcpt = None
    holdfast.run("queue", "release", "--match", "site=head-office", "--yes", "--reason", "the primary is repaired", check=False)
    peers.wait_for(lambda: len(primary.messages) >= 90, 60, lambda: "all 60 after the repair:\n" + holdfast.tail(), every=0.2)
    assert len(primary.messages) == 90
    assert not [m for m in primary.messages if b"<>" in m[0]], "a bounce was made"
    primary.stop()


def test_unsure_is_sent_again_once_and_named(folder, started):
    """The reply after the final dot is lost: sent again byte-identical once, and the receipt names it."""
    primary = primaries.Primary(replies={"dot": "take and close"}).start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", more="queue: { retry: [1s, 1s, 2s] }\n"))
    send(holdfast.port, 1)
    peers.wait_for(lambda: len(primary.messages) == 1, 30, "the first offer")
    primary.replies = {}
    peers.wait_for(lambda: holdfast.site()["held"] == 0, 60, "the second offer to be accepted", every=0.2)
    assert len(primary.messages) == 2
    strip = lambda body: body.split(b"\r\nSubject: ", 1)[1]  # noqa: E731
    assert strip(primary.messages[0][2]) == strip(primary.messages[1][2]) and primary.messages[0][2] == primary.messages[1][2]
    rows = holdfast.json("queue", "list", "--unsure")["messages"]
    assert len(rows) == 1
    primary.stop()


def test_probation_does_not_end_while_nobody_can_offer(folder, started):
    """The clerk hangs while mail is held: that no answers come does not mean that nothing waits."""
    primary = primaries.Primary().start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    holdfast.wait_state("up")
    primary.stop()
    holdfast.wait_state("down")
    send(holdfast.port, 3)
    peers.wait_for(lambda: holdfast.site()["held"] == 3, 10, "three held", every=0.1)
    clerk = holdfast.roles()["clerk"]
    os.kill(clerk, signal.SIGSTOP)
    try:
        primary.start()
        holdfast.wait_state("probation")
        time.sleep(7)  # more than twice the quiet that ends probation
        assert holdfast.site()["state"] == "probation" and not primary.messages
    finally:
        os.kill(clerk, signal.SIGCONT)
    peers.wait_for(lambda: len(primary.messages) == 3, 20, lambda: "the held ones:\n" + holdfast.tail(), every=0.1)
    holdfast.wait_state("up")
    primary.stop()


def test_what_the_primary_does_not_take_is_refused_through_an_outage(folder, started):
    """SIZE and SMTPUTF8 as its EHLO said last: offered at most that, also while it is down and after our restart."""
    primary = primaries.Primary(replies={"ehlo": b"250-primary.example.com\r\n250-SIZE 20000\r\n250 8BITMIME\r\n"}).start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    holdfast.wait_state("up")
    send(holdfast.port, 1)
    peers.wait_for(lambda: primary.messages, 20, lambda: "the delivery:\n" + holdfast.tail())

    def offers():
        session = oracle.Session(holdfast.port)
        text = session.command("EHLO client.example.org")[1]
        session.close()
        return text
    peers.wait_for(lambda: "SIZE 18976" in offers() and "SMTPUTF8" not in offers(), 10, lambda: "the limits to be offered: " + offers(), every=0.2)
    primary.stop()
    holdfast.wait_state("down")
    holdfast.stop()
    holdfast.start()
    peers.wait_for(lambda: "SIZE 18976" in offers(), 10, lambda: "the limits after a restart: " + offers(), every=0.2)
    session = oracle.Session(holdfast.port)
    assert session.command("MAIL FROM:<a@example.org> SIZE=25000")[0] == 552
    assert session.command("MAIL FROM:<a@example.org>")[0] == 250
    assert session.command("RCPT TO:<anna@example.com>")[0] == 250
    assert session.command("DATA")[0] == 354
    code, text = session.command("Subject: large\r\n\r\n" + "x" * 70 + ("\r\n" + "x" * 70) * 300 + "\r\n.")
    assert code == 552, text
    session.close()
    send(holdfast.port, 1)
    primary.start()
    peers.wait_for(lambda: len(primary.messages) == 2, 30, lambda: "the small one:\n" + holdfast.tail(), every=0.1)
    primary.stop()


def test_hold_by_hand_with_a_lease(folder, started):
    primary = primaries.Primary().start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s"))
    holdfast.wait_state("up")
    holdfast.run("hold", "head-office", "on", "--for", "4s", "--reason", "maintenance")
    send(holdfast.port, 3)
    peers.wait_for(lambda: holdfast.site()["held"] == 3, 10, "three held", every=0.1)
    assert not primary.messages
    peers.wait_for(lambda: len(primary.messages) == 3, 20, lambda: "the lease to end and the mail to go:\n" + holdfast.tail(), every=0.1)
    text = holdfast.run("history").stdout
    assert "maintenance" in text and "head-office" in text
    assert holdfast.run("hold", "no-such-site", "on", check=False).returncode == 1
    primary.stop()


def test_gated_mode_closes_the_side_door(folder, started):
    """gated: 4xx while the primary is provably up, mail taken when it is down."""
    primary = primaries.Primary().start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", mode="gated"))
    holdfast.wait_state("up")

    def rcpt_code():
        session = oracle.Session(holdfast.port)
        session.command("MAIL FROM:<a@example.org>")
        code, _ = session.command("RCPT TO:<anna@example.com>")
        session.close()
        return code
    peers.wait_for(lambda: 400 <= rcpt_code() < 500, 10, "the door to close", every=0.2)
    primary.stop()
    holdfast.wait_state("down")
    peers.wait_for(lambda: rcpt_code() == 250, 10, "the door to open", every=0.2)
    send(holdfast.port, 1)


@pytest.mark.parametrize("mode", ["backup-mx", "gateway"])
def test_s_18_mail_that_comes_back(folder, started, mode):
    """The primary forwards to us what we gave it: stopped by our own trace, never a bounce storm."""
    primary = primaries.Primary().start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", mode=mode))
    holdfast.wait_state("up")
    send(holdfast.port, 1)
    peers.wait_for(lambda: primary.messages, 20, "the delivery")
    last = None
    for passes in range(1, 6):
        session = oracle.Session(holdfast.port)
        for line in ("MAIL FROM:<a@example.org>", "RCPT TO:<anna@example.com>", "DATA"):
            session.command(line)
        session.sock.sendall(oracle.dot_stuffed(primary.messages[-1][2]) + b".\r\n")
        last = session.reply()
        session.close()
        if last[0] >= 500:
            break
        peers.wait_for(lambda: len(primary.messages) > passes, 20, "the next pass")
    assert last[0] == 554 and "5.4.6" in last[1] and passes <= 2, (passes, last)
    primary.stop()


def self_signed(folder, san):
    """A primary's own certificate: its path and a context for it."""
    certificate, key = os.path.join(folder, "primary.pem"), os.path.join(folder, "primary.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=primary",
                    "-addext", f"subjectAltName={san}", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_tls_required_means_verified(folder, started):
    """A primary with a certificate of its own: opportunistic delivers, required holds and says why, required with its tls_ca delivers."""
    certificate, context = self_signed(folder, "IP:127.0.0.1")
    primary = primaries.Primary(tls=context).start()
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), primary.port, every="1s", site="    tls: opportunistic\n"))
    holdfast.wait_state("up")
    send(holdfast.port)
    peers.wait_for(lambda: len(primary.messages) == 1, 10, "opportunistic delivery", every=0.1)
    assert primary.tls_mails, "it was not encrypted"

    def now(site):
        with open(holdfast.config) as f:
            text = f.read()
        start = text.index("    tls: ")
        with open(holdfast.config, "w") as f:
            f.write(text[:start] + site + text[text.index("domains:"):])
        holdfast.run("check-config")
        holdfast.run("reload")

    now("    tls: required\n")
    holdfast.wait_state("down")
    asked = len(primary.mails)
    send(holdfast.port)
    # Probes every second have failed since, and the message is held with a reason an operator can act upon.
    peers.wait_for(lambda: holdfast.site()["held"] == 1, 10, "one held", every=0.1)
    assert len(primary.messages) == 1
    shown = holdfast.run("status").stdout
    assert "does not verify: self-signed certificate" in " ".join(shown.split()), shown
    found = holdfast.run("doctor", "--json", check=False).stdout
    assert "does not verify: self-signed certificate" in found and "tls_ca" in found, found
    assert len(primary.mails) == asked, "somebody asked an unverified primary"

    now(f"    tls: required\n    tls_ca: {os.path.relpath(certificate, holdfast.folder)}\n")
    holdfast.wait_state("probation", "up")
    peers.wait_for(lambda: len(primary.messages) == 2 and holdfast.site()["held"] == 0, 20, "delivery to the trusted primary:\n" + holdfast.tail(), every=0.1)
    assert primary.tls_mails == len(primary.mails), "something went unencrypted"
    found = holdfast.run("doctor", "--json", check=False).stdout
    assert "certificate verified" in found, found
    primary.stop()


def test_a_site_taken_out_of_the_configuration_is_shown_with_what_it_holds(folder, started):
    holdfast = started(peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port(), every="1s"))
    send(holdfast.port, 2)
    with open(holdfast.config) as f:
        text = f.read()
    with open(holdfast.config, "w") as f:
        f.write(text.replace("head-office", "main-office"))
    holdfast.run("reload")
    peers.wait_for(lambda: holdfast.site()["state"] == "removed" and holdfast.site()["held"] == 2, 10, "the old site to be shown as removed", every=0.1)
    assert "queue redirect" in holdfast.run("status", check=False).stdout

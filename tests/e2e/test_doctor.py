"""holdfast doctor: does the primary take mail from us as a relay, and do the printed lines cure it?"""
import json
import os
import re
import smtplib
import socket
import subprocess
import threading

import console
import peers
import primaries
import pytest

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")


def doctor(holdfast, *words):
    """(exit status, the checks of the site, the whole object)"""
    done = holdfast.run("doctor", "--json", *words, check=False)
    found = json.loads(done.stdout)
    return done.returncode, [c for c in found["checks"] if c["topic"].startswith("head-office, ")], found


def levels(checks, text):
    return [c["level"] for c in checks if text in c["text"]]


def test_a_primary_that_takes_all_is_good(folder):
    primary = primaries.Primary().start()
    holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), primary.port)
    status, checks, found = doctor(holdfast)
    assert status == 0 and found["ok"] and not found["lines_needed"], checks
    assert levels(checks, "SPF -all") == ["good"] and levels(checks, "its own domain") == ["good"]
    assert levels(checks, "cannot tell good from bad") == ["note"]
    assert primary.mails[0] != primary.mails[1] and not primary.messages, "no message may be sent"
    text = holdfast.run("doctor", "--server", "postfix").stdout
    assert "check_client_access" in text and "IN MX 20 mx2.example.net." in text and "Does not cover" in re.sub(r"\s+", " ", text)
    primary.stop()


def test_a_primary_that_checks_spf_on_us_is_bad(folder):
    primary = primaries.Primary(replies={"mail": b"550 5.7.23 SPF validation failed\r\n"}).start()
    holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), primary.port)
    status, checks, found = doctor(holdfast)
    assert status == 1 and not found["ok"] and found["lines_needed"]
    assert levels(checks, "SPF -all") == ["bad"]
    for server in ("postfix", "exim", "exchange", "m365"):
        assert "127.0.0.1" in found["lines"][server], server
    text = holdfast.run("doctor", check=False).stdout
    assert "550 SPF validation failed" in re.sub(r"\s+", " ", text).replace("5.7.23 ", "") and "New-ReceiveConnector" in text
    primary.stop()


def test_greylisting_is_told_from_trouble(folder):
    asked = []

    def grey(address):
        asked.append(address)
        return b"451 4.7.1 greylisted, come back later\r\n" if len(asked) == 1 else None

    primary = primaries.Primary(refuse_rcpt=grey).start()
    holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), primary.port)
    status, checks, _ = doctor(holdfast)
    assert status == 0 and levels(checks, "greylists us") == ["warn"], checks
    primary.refuse_rcpt = lambda address: b"451 4.3.0 try later\r\n"
    status, checks, _ = doctor(holdfast, "--patience", "0s")
    assert status == 0 and levels(checks, "puts us off") == ["warn", "warn"], checks
    primary.stop()


def test_a_primary_that_is_down_is_bad(folder):
    holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), peers.free_port())
    status, checks, _ = doctor(holdfast)
    assert status == 1 and levels(checks, "cannot be used") == ["bad"], checks


@root_only
def test_the_lines_for_postfix_cure_it(folder):
    """A real Postfix that refuses both senders from strangers takes them once the printed lines are in, and still does not relay."""
    refuse = "check_sender_access inline:{ { example.org = REJECT SPF } { example.com = REJECT forged } }"
    primary = peers.Postfix(os.path.join(folder, "primary"), extra=f"smtpd_recipient_restrictions = reject_unauth_destination, {refuse}\nsmtpd_relay_restrictions = reject_unauth_destination\nmynetworks = 192.0.2.1/32\n")
    primary.start()
    try:
        holdfast = peers.Holdfast(os.path.join(folder, "holdfast"), primary.port)
        status, checks, found = doctor(holdfast)
        assert status == 1 and levels(checks, "SPF -all") == ["bad"] and levels(checks, "its own domain") == ["bad"], checks
        lines = [line for line in found["lines"]["postfix"].splitlines() if not line.startswith("#") and "..." not in line]
        with open(os.path.join(primary.config, "main.cf")) as f:
            kept = [line for line in f.read().splitlines() if not line.startswith("smtpd_recipient_restrictions")]
        with open(os.path.join(primary.config, "main.cf"), "w") as f:
            f.write("\n".join(kept + lines + [f"    {refuse}"]) + "\n")
        primary.stop()
        primary.start()
        status, checks, _ = doctor(holdfast)
        assert status == 0 and levels(checks, "SPF -all") == ["good"] and levels(checks, "its own domain") == ["good"], checks
        with smtplib.SMTP("127.0.0.1", primary.port) as s:
            s.ehlo()
            s.mail("anyone@example.org")
            assert s.rcpt("someone@elsewhere.example")[0] // 100 == 5, "the lines opened a relay"
    finally:
        primary.stop()


def about(holdfast, *topics):
    """[(level, text, hint)] of what is said about this machine under these headings."""
    found = json.loads(holdfast.run("doctor", "--json", check=False).stdout)
    return [(c["level"], c["text"], c["hint"]) for c in found["checks"] if c["topic"] in topics]


def is_said(said, level, text):
    return any(lv == level and text in t for lv, t, _ in said)


def test_portal_and_console_are_asked_as_a_browser_does(folder, started):
    """Away, with nobody in it yet, with an administrator; and what somebody else at its port is."""
    primary = primaries.Primary().start()
    hq = console.Headquarters(os.path.join(folder, "holdfast"), primary.port)
    said = about(hq, "portal", "console", "people")
    assert is_said(said, "warn", "does not answer") and is_said(said, "note", "only auth knows") and is_said(said, "note", "whom to ask"), said
    started(hq)
    said = about(hq, "portal", "console", "people")
    assert [lv for lv, t, _ in said if "answers with its page" in t] == ["good", "good"], said
    assert is_said(said, "warn", "nobody can log in yet") and is_said(said, "warn", "nobody is an administrator"), said
    assert is_said(said, "warn", "self-signed") and not is_said(said, "warn", "open to everybody"), said
    hq.add("anna")
    hq.administrator()
    hq.run("user", "add", "dora@example.com", "--no-password")
    said = about(hq, "portal", "console", "people")
    assert is_said(said, "note", "2 of 3 could log in now") and is_said(said, "good", "answers") and not is_said(said, "warn", "administrator"), said
    hq.run("user", "invite", "dora@example.com")
    assert is_said(about(hq, "people"), "note", "1 more has an invitation")
    hq.stop()
    with socket.create_server(("127.0.0.1", hq.ports["https"])) as other:
        threading.Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
        assert is_said(about(hq, "portal"), "bad", "does not answer as it should")
    primary.stop()


def test_a_console_for_all_the_world_and_a_certificate_for_another_name(folder):
    primary = primaries.Primary().start()
    hq = console.Headquarters(os.path.join(folder, "holdfast"), primary.port)
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")

    def certify(names):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "60",
                        "-subj", "/CN=portal", "-addext", "subjectAltName=" + names], check=True, stderr=subprocess.DEVNULL)
        os.chmod(key, 0o400)

    certify("DNS:portal.example.org")
    with open(hq.config) as f:
        text = f.read()
    with open(hq.config, "w") as f:
        f.write(text.replace(f'admin: ["127.0.0.1:{hq.admin}"]', f'admin: ["0.0.0.0:{hq.admin}"]')
                + f"tls: {{ certificate: {cert}, key: {key} }}\nportal: {{ contacts: [{{ name: Help, mail: help@example.com }}] }}\n")
    said = about(hq, "portal", "console")
    assert is_said(said, "warn", "open to everybody") and is_said(said, "note", "telephone"), said
    assert is_said(said, "warn", "is not good for mx2.example.net, only for: portal.example.org"), said
    os.unlink(key)
    certify("DNS:mx2.example.net,DNS:portal.example.org")
    said = about(hq, "portal")
    assert is_said(said, "good", "good for mx2.example.net, portal.example.org") and is_said(said, "warn", "its own issuer"), said
    primary.stop()

"""The primary vouches for people: a real Dovecot, by STARTTLS and TLS whose certificate must verify, up and down (P5)."""
import imaplib
import os

import pytest

import dovecot as dovecot_lib
import peers
import people

WORD = "her word at the primary"
SHAPES = {"starttls": "port: {imap}, tls: starttls", "tls": "port: {imaps}, tls: tls"}


def office(folder, dovecot, shape, trusted):
    """imap: with TLS in place of the tests' usual port in clear; no master user, so that people's own words are needed."""
    o = people.Office(os.path.join(folder, "office"), peers.free_port(), dovecot=dovecot, mode="backup-mx", passthrough=True)
    with open(o.config) as f:
        text = f.read()
    text = text.replace(f"port: {dovecot.imap_port}, tls: none", shape.format(imap=dovecot.imap_port, imaps=dovecot.imaps_port))
    text = "".join(line for line in text.splitlines(True) if "master:" not in line)
    if trusted:
        text = text.replace("    passthrough: true\n", f"    passthrough: true\n    tls_ca: {dovecot.certificate}\n")
    with open(o.config, "w") as f:
        f.write(text)
    return o


def gets_in(o, password):
    m = imaplib.IMAP4_SSL("127.0.0.1", o.ports["imaps"], ssl_context=people.trusting(), timeout=60)
    try:
        m.login("anna@example.com", password)
        m.logout()
        return True
    except imaplib.IMAP4.error:
        return False


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_primary_vouches_under_tls_and_is_then_not_needed(folder, started, shape):
    dovecot = started(dovecot_lib.Dovecot({"anna@example.com": WORD}))
    o = started(office(folder, dovecot, shape, trusted=True))
    assert not gets_in(o, "not her word at all")
    assert gets_in(o, WORD)
    assert "anna@example.com" in o.run("user", "list").stdout
    assert "1 of 1 could log in today" in o.run("status", check=False).stdout
    dovecot.kill()
    assert gets_in(o, WORD)
    assert not gets_in(o, "not her word either")


def test_a_password_goes_to_no_server_that_does_not_verify(folder, started):
    dovecot = started(dovecot_lib.Dovecot({"anna@example.com": WORD}))
    o = started(office(folder, dovecot, SHAPES["tls"], trusted=False))
    assert not gets_in(o, WORD)
    assert "anna" not in dovecot.log(), "the login reached it"

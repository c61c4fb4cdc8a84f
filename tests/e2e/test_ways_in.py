"""Every door for people: TLS with the certificate of the configuration, also after it was renewed, and what needs TLS says so."""
import imaplib
import os
import poplib
import smtplib
import socket
import ssl
import subprocess

import peers
import people
import pytest


def make_pair(folder, name):
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o400)
    with open(certificate) as f:
        return ssl.PEM_cert_to_DER_cert(f.read())


def served(office):
    """{service: certificate} of all seven doors, by TLS from the first byte or STARTTLS."""
    found, context = {}, people.trusting()
    for service in ("imaps", "pop3s", "submissions", "https"):
        with socket.create_connection(("127.0.0.1", office.ports[service]), timeout=20) as s, context.wrap_socket(s) as t:
            found[service] = t.getpeercert(True)
    m = imaplib.IMAP4("127.0.0.1", office.ports["imap"], timeout=20)
    m.starttls(context)
    found["imap"] = m.sock.getpeercert(True)
    m.logout()
    p = poplib.POP3("127.0.0.1", office.ports["pop3"], timeout=20)
    p.stls(context)
    found["pop3"] = p.sock.getpeercert(True)
    p.quit()
    with smtplib.SMTP("127.0.0.1", office.ports["submission"], timeout=20) as s:
        s.starttls(context=context)
        found["submission"] = s.sock.getpeercert(True)
    return found


@pytest.fixture
def office(folder, started):
    os.makedirs(os.path.join(folder, "tls"))
    o = people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx",
                      more=f"tls: {{ certificate: {folder}/tls/certificate.pem, key: {folder}/tls/key.pem }}\n")
    o.first = make_pair(os.path.join(folder, "tls"), "mx2.example.net")
    return started(o)


def test_t_10_a_renewed_certificate_is_served_at_every_door(office, folder):
    assert set(served(office)) == set(people.SERVICES) and set(served(office).values()) == {office.first}
    office.add("anna")
    open_session = office.people["anna"].imap()
    second = make_pair(os.path.join(folder, "tls"), "mx2.example.net")
    assert second != office.first
    assert office.run("reload").returncode == 0
    peers.wait_for(lambda: set(served(office).values()) == {second}, 20, "the new certificate at every door")
    people.ok(open_session.noop())  # nobody was sent away
    # A pair that does not match is refused, and what was served goes on (O-08).
    with open(os.path.join(folder, "tls", "key.pem"), "rb") as f:
        kept = f.read()
    other = os.path.join(folder, "other")
    os.makedirs(other)
    make_pair(other, "mx2.example.net")
    os.replace(os.path.join(other, "key.pem"), os.path.join(folder, "tls", "key.pem"))
    assert office.run("reload", check=False).returncode == 1
    assert set(served(office).values()) == {second}
    with open(os.open(os.path.join(folder, "tls", "key.pem"), os.O_WRONLY | os.O_TRUNC), "wb") as f:
        f.write(kept)


def test_doors_that_are_added_wait_for_a_start_and_the_operator_is_told(office):
    with open(office.config) as f:
        text = f.read()
    with open(office.config, "w") as f:
        f.write(text.replace("listen:\n", f'listen:\n  admin: ["127.0.0.1:{peers.free_port()}"]\n', 1))
    done = office.run("reload", check=False)
    assert "listen" in done.stdout + done.stderr, done


def test_autoconfig_tells_what_is_open(office):
    """What a mail program is told leads it in."""
    [anna] = office.add("anna")
    told = {s["service"]: s for s in office.json("autoconfig", "example.com")["servers"]}
    assert {s: t["port"] for s, t in told.items()} == office.ports
    assert {s for s, t in told.items() if t["tls"] == "first"} == {"imaps", "pop3s", "submissions", "https"}
    m = imaplib.IMAP4_SSL(told["imaps"]["host"], told["imaps"]["port"], ssl_context=people.trusting(), timeout=20)
    people.ok(m.login(anna.address, anna.password))
    m.logout()

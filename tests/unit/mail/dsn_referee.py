#!/usr/bin/python3
"""Reads the sample notifications with parsers that are not ours: Python's email and, where installed, Sisimai."""
import email, email.policy, json, shutil, subprocess, sys, tempfile, pathlib

WANTED = {  # name: action, status, final recipient, original recipient, envelope id, returned part, remote
    "failed_headers": ("failed", "5.1.1", "rfc822; nobody@example.com", None, None, "text/rfc822-headers", "dns; mail.example.com"),
    "failed_full": ("failed", "5.1.1", "rfc822; nobody@example.com", "rfc822; nobody+x@example.com", "QQ314+159", "message/rfc822",
                    "dns; mail.example.com"),
    "delayed": ("delayed", "4.0.0", "rfc822; nobody@example.com", None, None, "text/rfc822-headers", None),
    "relayed": ("relayed", "2.0.0", "rfc822; nobody@example.com", None, None, "text/rfc822-headers", "dns; old.example.com"),
    "hostile": ("failed", "5.0.0", "rfc822; nobody@example.com", "rfc822; a+0D+0AX-Injected:+20yes", "a+0D+0AX-Injected:+20yes",
                "text/rfc822-headers", "dns; evil??X: y"),
    "bad_parameters": ("failed", "5.1.1", "rfc822; nobody@example.com", None, None, "text/rfc822-headers", "dns; mail.example.com"),
    "utf8": ("failed", "5.1.1", r"utf-8; j\x{F6}rg@example.com", None, None, "text/rfc822-headers", "dns; mail.example.com"),
}
FIELDS = {"reporting-mta", "original-envelope-id", "arrival-date", "original-recipient", "final-recipient", "action", "status",
          "remote-mta", "diagnostic-code", "will-retry-until"}


def check_email(name, raw):
    message = email.message_from_bytes(raw, policy=email.policy.default.clone(max_line_length=None))
    everything = [message] + list(message.walk())
    assert not any(part.defects for part in everything), [part.defects for part in everything]
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied"
    people, status, returned = message.get_payload()
    assert people.get_content_type() == "text/plain" and "mx2.example.net" in people.get_content()
    about_message, about_rcpt = status.get_payload()
    keys = [k.lower() for k in about_message.keys() + about_rcpt.keys()]
    assert set(keys) <= FIELDS and len(keys) == len(set(keys)), keys
    got = (about_rcpt["Action"], about_rcpt["Status"], about_rcpt["Final-Recipient"], about_rcpt["Original-Recipient"],
           about_message["Original-Envelope-Id"], returned.get_content_type(), about_rcpt["Remote-MTA"])
    got = tuple(None if v is None else str(v) for v in got)
    assert got == WANTED[name], f"{name}: {got}"
    inner = returned.get_payload(0) if returned.get_content_type() == "message/rfc822" else email.message_from_string(returned.get_content())
    assert inner["Message-ID"] == "<1@sender.example>"


def check_sisimai(folder, name):
    script = 'use Sisimai; my $v = Sisimai->make($ARGV[0], "delivered" => 1); print Sisimai->dump($ARGV[0], "delivered" => 1) // "[]"'
    out = subprocess.run(["perl", "-e", script, str(folder / f"{name}.eml")], capture_output=True, text=True, check=True).stdout
    found = json.loads(out or "[]")
    assert len(found) == 1, f"{name}: Sisimai found {found}"
    assert found[0]["recipient"] == "nobody@example.com" and found[0]["deliverystatus"] == WANTED[name][1], found


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    subprocess.run([sys.argv[1], str(folder)], check=True)
    names = sorted(p.stem for p in folder.glob("*.eml"))
    assert names == sorted(WANTED), names
    for name in names:
        check_email(name, (folder / f"{name}.eml").read_bytes())
    has_sisimai = shutil.which("perl") and subprocess.run(["perl", "-MSisimai", "-e", "1"], capture_output=True).returncode == 0
    if not has_sisimai:
        print("Sisimai is not installed: Python's email alone was asked")
        sys.exit(77)
    for name in ("failed_headers", "failed_full"):
        check_sisimai(folder, name)
    print(f"{len(names)} notifications read")

#!/usr/bin/python3
"""holdfast autoconfig against Python's XML and property list parsers: autoconfig_test.py HOLDFAST"""
import json
import os
import plistlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

HOLDFAST = os.path.abspath(sys.argv.pop(1))
ALL = ('imap: ["0.0.0.0:143"], imaps: ["127.0.0.1:1993", "0.0.0.0:993"], pop3s: ["[::]:995"], '
       'submission: ["0.0.0.0:587"], submissions: ["0.0.0.0:465"]')


class Autoconfig(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="holdfast-autoconfig-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def config(self, listen):
        path = os.path.join(self.folder, "holdfast.yaml")
        with open(path, "w") as f:
            f.write(f'node: mx2.example.net\ndata: {self.folder}/data\nlisten: {{ smtp: ["127.0.0.1:25"], {listen} }}\n'
                    "sites: [{ name: s, primaries: [{ host: mail.example.com }] }]\n"
                    "domains: [{ name: example.com, site: s }, { name: b\u00fccher.example, site: s }]\n")
        return path

    def run_it(self, *args, listen=ALL):
        return subprocess.run([HOLDFAST, "autoconfig", *args, "--config", self.config(listen)], capture_output=True, timeout=30)

    def good(self, *args, **kwargs):
        done = self.run_it(*args, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_thunderbird(self):
        root = ET.fromstring(self.good("Example.com"))
        self.assertEqual((root.tag, root.get("version")), ("clientConfig", "1.1"))
        provider = root.find("emailProvider")
        self.assertEqual((provider.get("id"), provider.findtext("domain")), ("example.com", "example.com"))
        servers = [(s.get("type"), s.findtext("hostname"), s.findtext("port"), s.findtext("socketType"), s.findtext("username"),
                    s.findtext("authentication")) for s in provider if s.tag.endswith("Server")]
        end = ("%EMAILADDRESS%", "password-cleartext")
        self.assertEqual(servers, [("imap", "mx2.example.net", "993", "SSL", *end), ("imap", "mx2.example.net", "143", "STARTTLS", *end),
                                   ("pop3", "mx2.example.net", "995", "SSL", *end),
                                   ("smtp", "mx2.example.net", "465", "SSL", *end), ("smtp", "mx2.example.net", "587", "STARTTLS", *end)])

    def test_outlook(self):
        root = ET.fromstring(self.good("example.com", "--format", "outlook", "--host", "mail2.example.com"))
        ns = {"o": "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"}
        self.assertEqual(root.tag, "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}Autodiscover")
        found = [tuple(p.findtext(f"o:{k}", namespaces=ns) for k in ("Type", "Server", "Port", "SSL", "Encryption"))
                 for p in root.iterfind(".//o:Protocol", ns)]
        self.assertEqual(found, [(t, "mail2.example.com", port, "on", "SSL") for t, port in (("IMAP", "993"), ("POP3", "995"), ("SMTP", "465"))])

    def test_apple(self):
        one, other = (plistlib.loads(self.good("example.com", "--format", "apple", "--user", who)) for who in
                      ("anna@example.com", "\"b<&>\"@example.com"))
        self.assertEqual((one["PayloadType"], one["PayloadVersion"]), ("Configuration", 1))
        mail, = one["PayloadContent"]
        self.assertEqual(mail["PayloadType"], "com.apple.mail.managed")
        self.assertEqual((mail["EmailAccountType"], mail["EmailAddress"], mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"],
                          mail["IncomingMailServerUseSSL"], mail["OutgoingMailServerPortNumber"], mail["OutgoingMailServerUsername"]),
                         ("EmailTypeIMAP", "anna@example.com", "mx2.example.net", 993, True, 465, "anna@example.com"))
        uuids = [p["PayloadUUID"] for p in (one, mail, other, other["PayloadContent"][0])]
        self.assertEqual(len(set(uuids)), 4)
        for uuid in uuids:
            self.assertRegex(uuid, "^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$")
        self.assertIn("<&>", other["PayloadContent"][0]["EmailAddress"])
        again = plistlib.loads(self.good("example.com", "--format", "apple", "--user", "anna@example.com"))
        self.assertEqual(again, one)  # a newer profile takes the older one's place

    def test_dns(self):
        got = self.good("b\u00fccher.example", "--format", "dns").decode().splitlines()
        zone = "xn--bcher-kva.example. 3600 IN SRV"
        self.assertEqual(got, [f"_imaps._tcp.{zone} 0 1 993 mx2.example.net.", f"_imap._tcp.{zone} 10 1 143 mx2.example.net.",
                               f"_pop3s._tcp.{zone} 20 1 995 mx2.example.net.", f"_pop3._tcp.{zone} 0 0 0 .",
                               f"_submissions._tcp.{zone} 0 1 465 mx2.example.net.", f"_submission._tcp.{zone} 10 1 587 mx2.example.net.", f"_jmap._tcp.{zone} 0 0 0 ."])

    def test_only_loopback_counts_by_its_address(self):
        got = json.loads(self.good("example.com", "--json", listen='imap: ["127.0.0.1:10143"], pop3: ["127.0.0.1:10110"]'))
        self.assertEqual(got["servers"], [{"service": "imap", "host": "127.0.0.1", "port": 10143, "tls": "starttls"},
                                          {"service": "pop3", "host": "127.0.0.1", "port": 10110, "tls": "starttls"}])
        ET.fromstring(got["text"])

    def test_doctor_prints_records_and_says_what_modes_cover(self):
        path = self.config(ALL + ', pop3: ["127.0.0.1:110"]')
        with open(path) as f:
            text = f.read()
        text = text.replace("mail.example.com }]", "127.0.0.1, port: 9 }], imap: [{ host: 127.0.0.1, tls: none }], master: { user: boss }")
        text = text.replace("{ name: example.com, site: s }", "{ name: example.com, site: s, mode: gateway }, { name: j.example, site: s, "
                            "mode: journal, journal: { from: [127.0.0.1], to: [r@j.example] } }")
        text = text.replace("master: { user: boss } }]", "master: { user: boss } }, { name: t, primaries: [{ host: 127.0.0.1, port: 8 }], "
                            "imap: [{ host: 127.0.0.1, tls: none }], master: { user: boss } }]").replace("b\u00fccher.example, site: s", "b\u00fccher.example, site: t")
        os.makedirs(f"{self.folder}/data/secrets/auth/sites/t", mode=0o700)
        os.chmod(f"{self.folder}/data", 0o700)
        with open(f"{self.folder}/data/secrets/auth/sites/t/master-password", "w") as f:
            f.write("secret\n")
        with open(path, "w") as f:
            f.write(text + "dns: { server: 127.0.0.1@9, timeout: 50ms }\n")
        done = subprocess.run([HOLDFAST, "doctor", "--json", "--patience", "100ms", "--config", path], capture_output=True, timeout=60)
        got = json.loads(done.stdout)
        front, journal, behind = got["domains"]
        self.assertEqual(front["mx"], "example.com. 3600 IN MX 10 mx2.example.net.\n")
        self.assertIn("_submissions._tcp.example.com. 3600 IN SRV 0 1 465 mx2.example.net.\n", front["programs"])
        self.assertIn("mailboxes or logins are broken", front["covers"].split("Does not cover")[0])
        self.assertTrue(journal["mx"].startswith("; j.example: its MX records stay"))
        self.assertIsNone(journal["programs"])  # reports go there, no people
        self.assertIn("MX 20 mx2.example.net", behind["mx"])
        said = {(c["topic"], c["level"]): c["text"] for c in got["checks"]}
        self.assertIn("self-signed", said["people", "warn"])
        self.assertIn("there is no password of the master user boss", said["s, people", "warn"])
        self.assertIn("goes home as boss", said["t, people", "good"])

    def test_refusals(self):
        for args, status, text in ((("example.org",), 1, "no domain"), (("example.com", "--format", "kmail"), 2, "--format is"),
                                   (("example.com", "--host", "a b"), 2, "--host is"),
                                   (("example.com", "--user", "x@example.org"), 2, "--user is"), ((), 2, "")):
            done = self.run_it(*args)
            self.assertEqual((done.returncode, done.stdout), (status, b""), args)
            self.assertIn(text, done.stderr.decode())
        done = self.run_it("example.com", listen='metrics: ["127.0.0.1:9325"]')
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"listen.imaps", done.stderr)


unittest.main(verbosity=2)

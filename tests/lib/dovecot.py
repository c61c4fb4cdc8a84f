"""A real Dovecot as the primary's mailboxes: IMAP, POP3, LMTP (for Postfix's mailbox_transport), TLS, a master user.

It lives in a folder of its own under /tmp (short socket paths; its user must reach it), runs without root's powers, and
is ended by pid. Users are known by address; their mail lies in maildirs.

    d = Dovecot({"ann@example.com": "ann's password"}).start()
    d.imap("ann@example.com")          # a logged-in imaplib.IMAP4
    d.deliver("ann@example.com", b"Subject: ...")      # by LMTP
    d.state("ann@example.com")         # {folder: [(message-id, flags, date, size, sha256)]}
    d.kill(); d.start(); d.close()
"""
import atexit
import contextlib
import grp
import hashlib
import imaplib
import os
import pwd
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile

import peers

MASTER, MASTER_PASSWORD = "holdfast-home", "master secret"

CONF = """
base_dir = {base}/run
state_dir = {base}/run
log_path = {base}/dovecot.log
auth_verbose = yes
protocols = imap pop3 lmtp
listen = 127.0.0.1
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {user}
mail_gid = {group}
mail_home = {base}/mail/%u
mail_location = {location}
mailbox_list_index = yes
ssl = {ssl}
ssl_cert = <{base}/cert.pem
ssl_key = <{base}/key.pem
disable_plaintext_auth = {needs_tls}
auth_mechanisms = plain login
auth_master_user_separator = *
auth_failure_delay = 1 secs
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  master = yes
  args = scheme=PLAIN username_format=%u {base}/masters
  result_success = continue
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={base}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
  mailbox Drafts {{
    special_use = \\Drafts
    auto = create
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = create
  }}
  mailbox Archive {{
    special_use = \\Archive
    auto = create
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
  client_limit = 4000
}}
service imap-login {{
  chroot =
  service_count = 0
  client_limit = 4000
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
service imap {{
  process_limit = 3000
}}
{more}
"""


def _owner():
    """Dovecot must not run its mail processes as root: nobody then, else whoever we are."""
    if os.geteuid():
        me = pwd.getpwuid(os.geteuid())
        return me.pw_name, grp.getgrgid(me.pw_gid).gr_name, me.pw_uid, me.pw_gid
    nobody = pwd.getpwnam("nobody")
    return "nobody", grp.getgrgid(nobody.pw_gid).gr_name, nobody.pw_uid, nobody.pw_gid


class Dovecot:
    def __init__(self, users, location="maildir:~/Maildir", more="", separator="/", prefix="", needs_tls=False, masters=None):
        self.users, self.masters = dict(users), {MASTER: MASTER_PASSWORD} if masters is None else dict(masters)
        self.user, self.group, self.uid, self.gid = _owner()
        self.base = tempfile.mkdtemp(prefix="hf-dovecot-")
        self.imap_port, self.imaps_port, self.pop3_port, self.lmtp_port = (peers.free_port() for _ in range(4))
        os.mkdir(os.path.join(self.base, "mail"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                        "-keyout", self._path("key.pem"), "-out", self._path("cert.pem"), "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
        self.config = self._path("dovecot.conf")
        with open(self.config, "w") as f:
            f.write(CONF.format(base=self.base, user=self.user, group=self.group, location=location, separator=separator, more=more,
                                prefix=prefix, ssl="required" if needs_tls else "yes", needs_tls="yes" if needs_tls else "no",
                                imap_port=self.imap_port, imaps_port=self.imaps_port, pop3_port=self.pop3_port,
                                lmtp_port=self.lmtp_port))
        self.write_users()
        self._own()
        self.process = None
        atexit.register(self.close)

    def _path(self, name):
        return os.path.join(self.base, name)

    @property
    def certificate(self):
        """PEM file: the site's tls_ca."""
        return self._path("cert.pem")

    def _own(self):
        if os.geteuid():
            return
        for top, folders, names in os.walk(self.base):
            for name in [top] + [os.path.join(top, n) for n in folders + names]:
                os.lchown(name, self.uid, self.gid)

    def write_users(self):
        for name, people in (("users", self.users), ("masters", self.masters)):
            with open(self._path(name), "w") as f:
                f.writelines(f"{who}:{{PLAIN}}{password}::::::\n" for who, password in people.items())

    def start(self):
        who = {} if os.geteuid() else {"user": self.uid, "group": self.gid, "extra_groups": []}
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.config], start_new_session=True, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, cwd=self.base, **who)
        peers.wait_for(self.answers, 20, lambda: "Dovecot: " + self.log())
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("Dovecot ended: " + self.log())
        try:
            imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=5).logout()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def log(self):
        with contextlib.suppress(OSError), open(self._path("dovecot.log"), errors="replace") as f:
            return f.read()[-4000:]
        return ""

    def _end(self, how):
        if not self.process:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)  # its session: master and children
        self.process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process = None
        with contextlib.suppress(OSError):
            os.unlink(self._path("run/master.pid"))

    def stop(self):
        self._end(signal.SIGTERM)

    def kill(self):
        """kill -9 of everything at once: the outage."""
        self._end(signal.SIGKILL)

    def close(self):
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    # ---- use ----

    def imap(self, address, password=None):
        m = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20)
        m.login(address, password or self.users[address])
        return m

    def deliver(self, address, message, sender="outside@example.net"):
        with smtplib.LMTP("127.0.0.1", self.lmtp_port) as s:
            refused = s.sendmail(sender, [address], message)
        assert not refused, refused

    def append(self, address, folder, message, flags="", date_s=None):
        m = self.imap(address)
        ok, answer = m.append(folder, flags, imaplib.Time2Internaldate(date_s) if date_s else None, message)
        assert ok == "OK", answer
        m.logout()

    def folders(self, address):
        m = self.imap(address)
        _, lines = m.list()
        m.logout()
        found = (re.match(rb'\((.*?)\) (?:"."|NIL) "?(.*?)"?$', line) for line in lines if line)
        return sorted(f.group(2).decode() for f in found if b"noselect" not in f.group(1).lower())

    def state(self, address, folders=None):
        """{folder: [(message-id, flags, INTERNALDATE text, size, SHA-256 of the bytes)]}, sorted; empty folders are left out."""
        m, found = self.imap(address), {}
        for folder in folders or self.folders(address):
            ok, count = m.select(f'"{folder}"', readonly=True)
            assert ok == "OK", (folder, count)
            if count[0] != b"0":
                found[folder] = sorted(self._messages(m))
        m.logout()
        return found

    @staticmethod
    def _messages(m):
        ok, data = m.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        assert ok == "OK", data
        data = [(d + (b"",) if isinstance(d, tuple) else d) for d in data]
        for at, part in enumerate(data):
            if not isinstance(part, tuple):
                continue
            behind = data[at + 1] if at + 1 < len(data) and isinstance(data[at + 1], bytes) else b""
            about, body = part[0] + b" " + behind, part[1]
            flags = re.search(rb"FLAGS \((.*?)\)", about).group(1).decode().split()
            date = re.search(rb'INTERNALDATE "(.*?)"', about).group(1).decode()
            name = re.search(rb"(?im)^message-id:\s*(\S+)", body.split(b"\r\n\r\n", 1)[0])
            yield (name.group(1).decode() if name else "", tuple(sorted(f for f in flags if f != "\\Recent")), date, len(body),
                   hashlib.sha256(body).hexdigest())

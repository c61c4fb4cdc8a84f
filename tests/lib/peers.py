"""Real programs the tests run beside Holdfast: Postfix, smtp-sink, and Holdfast itself.

Each lives in a folder of the test's own, listens on a free loopback port, and is ended by pid. Nothing here sleeps
where a condition can be awaited: see wait_for.
"""
import glob
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("HOLDFAST_BUILD", os.path.join(TOP, "build"))
os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"  # where Postfix is; users have not got it


class Timeout(AssertionError):
    pass


def wait_for(condition, seconds, what, every=0.02):
    """Returns the first true value of condition(); raises when it does not come in time. what: text, or a function that gives it then."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"waited {seconds} s for {what() if callable(what) else what}")
        time.sleep(every)


_given = set()
# Below the ports that the kernel gives to clients; each parallel worker of pytest has a range of its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").lstrip("gw") or 0) % 4
_PORTS = range(20000 + 3000 * _WORKER, 20000 + 3000 * (_WORKER + 1))


def free_port():
    """A port that was free a moment ago and that this process gave to nobody else."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        if port in _given and len(_given) < len(_PORTS) // 2:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def port_answers(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=2) as s:
            s.settimeout(5)
            return s.recv(4).startswith(b"220")
    except OSError:
        return False


class Postfix:
    """A private Postfix that delivers to Maildirs below its folder. Needs root (its master does)."""

    def __init__(self, folder, port=None, domains=("example.com",), users=None, extra="", processes=100):
        self.folder, self.port = os.path.realpath(folder), port or free_port()
        self.config = os.path.join(self.folder, "config")
        self.queue = os.path.join(self.folder, "queue")
        self.data = os.path.join(self.folder, "data")
        self.mail = os.path.join(self.folder, "mail")
        self.log = os.path.join(self.folder, "log")
        self.users = users  # None: everyone in the domains exists
        self.domains = domains
        for d in (self.config, self.queue, self.data, self.mail):
            os.makedirs(d, exist_ok=True)
        shutil.chown(self.data, "postfix", "root")
        shutil.chown(self.mail, "nobody", "nogroup")
        for d in self._parents(self.folder):
            os.chmod(d, os.stat(d).st_mode | 0o011)
        self._write("main.cf", self._main(extra))
        self._write("master.cf", self._master(processes))
        if users is None:
            self._write("mailboxes", "/^.+@/ example/all/\n")  # Postfix allows no $1 here: one Maildir for all
        else:
            self._write("mailboxes", "".join(f"/^{u.replace('.', '[.]').replace('+', '[+]')}$/ {u.split('@')[1]}/{u.split('@')[0]}/\n"
                                             for u in users))

    def _parents(self, path):
        while path not in ("/", "/tmp"):
            yield path
            path = os.path.dirname(path)

    def _write(self, name, text):
        with open(os.path.join(self.config, name), "w") as f:
            f.write(text)

    def _main(self, extra):
        return f"""compatibility_level = 3.6
queue_directory = {self.queue}
data_directory = {self.data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {self.log}/mail.log
maillog_file_prefixes = {self.folder}
myhostname = primary.example.com
mydestination =
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_relay_restrictions = reject_unauth_destination
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = {' '.join(self.domains)}
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = regexp:{self.config}/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_mailbox_limit = 0
message_size_limit = 0
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtputf8_enable = yes
smtpd_peername_lookup = no
disable_dns_lookups = yes
default_transport = discard:
biff = no
local_header_rewrite_clients =
{extra}
"""

    def _master(self, processes):
        rows = [f"127.0.0.1:{self.port} inet n - n - {processes} smtpd"]
        for row in ("pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
                    "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
                    "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
                    "smtp unix - - n - - smtp", "lmtp unix - - n - - lmtp", "relay unix - - n - - smtp", "showq unix n - n - - showq",
                    "error unix - - n - - error", "retry unix - - n - - error", "discard unix - - n - - discard",
                    "virtual unix - n n - 20 virtual", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache",
                    "tlsmgr unix - - n 1000? 1 tlsmgr", "proxymap unix - - n - - proxymap", "postlog unix-dgram n - n - 1 postlogd"):
            rows.append(row)
        return "\n".join(rows) + "\n"

    def _run(self, verb):
        os.makedirs(self.log, exist_ok=True)
        log = os.path.join(self.log, "mail.log")
        with open(log, "a"):
            os.chmod(log, 0o666)  # after a kill, postsuper as postfix writes to it itself
        return subprocess.run(["postfix", "-c", self.config, verb], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def start(self):
        done = self._run("start")
        assert done.returncode == 0, f"postfix start failed: {done.stdout}"
        wait_for(lambda: port_answers(self.port), 20, f"Postfix on port {self.port}")
        return self

    def stop(self):
        self._run("stop")
        wait_for(lambda: self.master() is None, 20, "Postfix to stop")

    def master(self):
        try:
            with open(os.path.join(self.queue, "pid", "master.pid")) as f:
                pid = int(f.read())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def kill(self):
        """As a crash does: master and all its children at once."""
        pid = self.master()
        if pid is None:
            return
        children = _children(pid)
        for p in [pid] + children:
            try:
                os.kill(p, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: self.master() is None and not any(_alive(p) for p in children), 10, "Postfix to be gone")

    def messages(self):
        """Paths of all delivered messages."""
        return glob.glob(os.path.join(self.mail, "*", "*", "new", "*"))

    def queued(self):
        """Messages accepted and not delivered yet. A file that a killed cleanup(8) left half written has mode 0600."""
        files = [f for q in ("incoming", "active", "deferred", "maildrop") for f in glob.glob(os.path.join(self.queue, q, "**"), recursive=True)]
        return sum(1 for f in files if _is_complete(f))


def _is_complete(path):
    try:
        st = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(st.st_mode) and bool(st.st_mode & 0o100)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            direct = [int(p) for p in f.read().split()]
    except OSError:
        return []
    return direct + [q for p in direct for q in _children(p)]


class Sink:
    """smtp-sink: takes everything and stores nothing; options make it refuse, delay or hang up."""

    def __init__(self, port=None, options=(), backlog=1000):
        self.port, self.options, self.backlog, self.process = port or free_port(), list(options), backlog, None

    def start(self):
        self.process = subprocess.Popen(["smtp-sink", *self.options, f"127.0.0.1:{self.port}", str(self.backlog)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user="nobody" if os.geteuid() == 0 else None)
        wait_for(lambda: port_answers(self.port), 10, "smtp-sink")
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


CONFIG = """node: mx2.example.net
data: {data}
listen:
  smtp: ["127.0.0.1:{port}"]
sites:
  - name: head-office
    primaries: [{{ host: 127.0.0.1, port: {primary} }}]
    probe: {{ every: {every}, fail: 3, recover: 3, recipient: postmaster@example.com }}
{site}domains:
  - {{ name: example.com, site: head-office, mode: {mode}, recipients: [learn] }}
limits: {{ {limits} }}
{more}"""

LIMITS = {"sessions": "2000", "sessions_per_source": "2000", "messages_per_minute_per_source": "1000000",
          "connections_per_minute_per_source": "1000000", "message": "50MiB", "reserve": "64MiB"}


class Holdfast:
    """The real program on a data directory of the test's own."""

    def __init__(self, folder, primary_port, port=None, mode="backup-mx", every="5s", site="", more="", limits=None, config=None):
        self.folder, self.port = os.path.realpath(folder), port or free_port()
        self.data = os.path.join(self.folder, "data")
        self.config = os.path.join(self.folder, "holdfast.yaml")
        self.log = os.path.join(self.folder, "holdfast.log")
        self.process = None
        os.makedirs(self.folder, exist_ok=True)
        all_limits = ", ".join(f"{k}: {v}" for k, v in {**LIMITS, **(limits or {})}.items())
        with open(self.config, "w") as f:
            f.write(config or CONFIG.format(data=self.data, port=self.port, primary=primary_port, every=every, site=site,
                                            mode=mode, more=more, limits=all_limits))

    def start(self, wait=True, env=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([os.path.join(BUILD, "holdfast"), "run", "--config", self.config],
                                            stdout=log, stderr=log, env={**os.environ, "HOLDFAST_SECCOMP": "kill", **(env or {})})
        if wait:
            self.wait_accepting()
        return self

    def wait_accepting(self, seconds=20):
        def ready():
            assert self.process.poll() is None, "holdfast ended at its start:\n" + self.tail()
            return port_answers(self.port)
        wait_for(ready, seconds, lambda: f"Holdfast on port {self.port}:\n" + self.tail())

    def tail(self, lines=40):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""

    def stop(self, seconds=40):
        """In order, by SIGTERM. Returns the exit status."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Timeout("holdfast did not end after SIGTERM:\n" + self.tail())
        finally:
            self.process = None

    def kill(self):
        """All processes at once, as a crash of the machine's user space does."""
        if not self.process:
            return
        pids = [self.process.pid] + _children(self.process.pid)
        for p in pids:
            try:
                os.kill(p, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None
        wait_for(lambda: not any(_alive(p) for p in pids), 10, "Holdfast's roles to be gone")

    def roles(self):
        """{full name: pid} of the role processes, from their command lines."""
        found = {}
        for pid in _children(self.process.pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if len(words) > 1 and b"holdfast-" in words[0]:
                found[words[1].decode()] = pid
        return found

    def run(self, *words, check=True, timeout=60, stdin=None):
        done = subprocess.run([os.path.join(BUILD, "holdfast"), *words, "--config", self.config], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, input=stdin)
        assert not check or done.returncode == 0, f"holdfast {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.tail()}"
        return done

    def json(self, *words, check=True):
        return json.loads(self.run(*words, "--json", check=check).stdout)

    def status(self):
        return self.json("status", check=False)

    def site(self, name="head-office"):
        return next(s for s in self.status()["sites"] if s["name"] == name)

    def wait_state(self, *states, seconds=30, name="head-office"):
        def reached():
            try:
                return self.site(name)["state"] in states
            except (AssertionError, StopIteration, KeyError, ValueError):
                return False
        wait_for(reached, seconds, lambda: f"site {name} to be {'/'.join(states)}:\n" + self.tail(15), every=0.1)

#!/usr/bin/python3
"""The real supervisor with test roles (role_main.c): start, links, death and restart, reload, stop, bad starts, sandbox.

process_test.py SUPER ROLE [TEST-NAME-PART]
"""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SUPER, ROLE = (os.path.abspath(p) for p in sys.argv[1:3])
POSTINST = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "..", "packaging", "debian", "postinst"))
ROLES = ["edge", "scout", "sequencer", "clerk", "courier", "watch", "desk", "auth", "submission", "indexer", "console"]
ALL = ["edge-0", "edge-1", "scout", "sequencer", "clerk", "courier-0", "courier-1", "watch"]
CONFIG = """node: {node}
data: {data}
listen:
  smtp: ["127.0.0.1:{port}"]
sites:
  - name: head-office
    primaries: [{{ host: 127.0.0.1, port: 9 }}]
domains:
  - {{ name: example.com, site: head-office, mode: backup-mx, recipients: [learn] }}
roles: {{ edges: 2, couriers: 2, desks: 2 }}
"""
PEOPLE = ["desk-0", "desk-1", "auth", "submission", "indexer"]  # with listeners for them


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


class Case(unittest.TestCase):
    node = "mx2.example.net"

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="holdfast-super-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.roles_dir = os.path.join(self.folder, "roles")
        os.mkdir(self.roles_dir)
        for role in ROLES:
            shutil.copy(ROLE, os.path.join(self.roles_dir, "holdfast-" + role))
        self.data = os.path.join(self.folder, "data")
        self.config = os.path.join(self.folder, "holdfast.yaml")
        self.log = os.path.join(self.folder, "log")
        self.port = free_port()
        self.process = None
        self.write_config()

    def tearDown(self):
        if self.process and self.process.poll() is None:
            pids = [self.process.pid] + [p for p in self.pids().values()]
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_config(self, node=None, extra="", people=None):
        """people: (imap port, submission port)."""
        text = CONFIG.format(node=node or self.node, data=self.data, port=self.port) + extra
        if people:
            text = text.replace("\nsites:", '\n  imap: ["127.0.0.1:%d"]\n  submission: ["127.0.0.1:%d"]\nsites:' % people)
        with open(self.config, "w") as f:
            f.write(text)

    def start(self, env=None, wait=True, **kwargs):
        with open(self.log, "ab") as log:
            kwargs = {"stdout": log, "stderr": log, **kwargs}
            self.process = subprocess.Popen([SUPER, self.config, self.roles_dir], start_new_session=True,
                                            env={**os.environ, "HOLDFAST_SECCOMP": "deny", **(env or {})}, **kwargs)
        if wait:
            self.until(lambda: all(f"role.started role={r} " in self.text() for r in ALL), "all roles to start")

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def until(self, claim, what, seconds=15):
        end = time.monotonic() + seconds
        while not claim():
            if time.monotonic() > end:
                self.fail(f"no {what} within {seconds} s:\n" + self.text()[-6000:])
            time.sleep(0.01)

    def wait_for(self, pattern, seconds=15):
        self.until(lambda: re.search(pattern, self.text(), re.M), repr(pattern), seconds)

    def pids(self):
        """Of the processes that run now, by full name."""
        found = {}
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            for pid in f.read().split():
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as c:
                        found[c.read().split(b"\0")[1].decode()] = int(pid)
                except (OSError, IndexError):
                    pass
        return found

    def order(self, words, to=None):
        """To an edge (port) or to watch (control socket); the answer without the greeting."""
        where = socket.socket(socket.AF_UNIX) if to == "watch" else socket.socket()
        with where as s:
            s.settimeout(10)
            s.connect(os.path.join(self.data, "run/control.sock") if to == "watch" else ("127.0.0.1", self.port))
            s.sendall(words.encode() + b"\n")
            got = b""
            while True:
                try:
                    more = s.recv(4096)
                except ConnectionResetError:
                    break
                if not more:
                    break
                got += more
        name, _, answer = got.decode().partition("\n")
        return name, answer.strip()

    def stop(self, seconds=15):
        self.process.terminate()
        return self.process.wait(seconds)

    def refused(self):
        """A start that must fail: its status and what it said."""
        done = subprocess.run([SUPER, self.config, self.roles_dir], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stderr


class Life(Case):
    def test_all_roles_start_and_linked_ones_hear_each_other(self):
        self.start()
        text = self.text()
        for a, b in [("edge", "sequencer"), ("edge", "scout"), ("sequencer", "clerk"), ("clerk", "courier"), ("courier", "scout"),
                     ("courier", "sequencer"), ("courier", "watch"), ("watch", "scout"), ("watch", "sequencer")]:
            for here, there in ((a, b), (b, a)):
                self.wait_for(rf" {here}(-\d)? notice event=test.heard from={there} ")
        self.assertNotIn("edge-0 notice event=test.heard from=clerk", text)
        self.assertIn(self.order("hello")[0], ("edge-0", "edge-1"))
        self.wait_for(r"watch notice event=test.role name=courier-1 state=1 restarts=0 condition=testing")
        self.wait_for(r"watch notice event=test.metrics of=clerk bytes=\d{2}")
        pids = list(self.pids().values())
        self.assertEqual(self.stop(), 0)
        self.assertTrue(all(gone(p) for p in pids))

    def test_k_06_stop_in_two_stages(self):
        self.start()
        self.assertEqual(self.stop(), 0)
        text = self.text()
        first = max(text.index(f" {r} notice event=test.stop") for r in ("edge-0", "edge-1", "courier-0", "courier-1"))
        rest = min(text.index(f" {r} notice event=test.stop") for r in ("sequencer", "clerk", "scout", "watch"))
        self.assertLess(first, rest)

    def test_k_06_a_second_signal_ends_even_stubborn_roles(self):
        self.node = "stubborn.example.net"
        self.write_config()
        self.start()
        self.process.terminate()
        self.wait_for("edge-0 notice event=test.stop")
        time.sleep(0.2)
        self.assertIsNone(self.process.poll())
        self.assertEqual(self.stop(5), 0)

    def test_roles_end_when_the_supervisor_is_killed(self):
        self.start()
        pids = list(self.pids().values())
        self.assertEqual(len(pids), len(ALL))
        self.process.kill()
        self.process.wait()
        self.until(lambda: all(gone(p) for p in pids), "end of all roles")

    def test_k_01_a_killed_supervisor_is_followed_at_once(self):
        self.start()
        old = list(self.pids().values())
        self.process.kill()
        self.process.wait()
        os.unlink(self.log)
        self.start()
        self.assertIn(self.order("hello")[0], ("edge-0", "edge-1"))
        self.until(lambda: all(gone(p) for p in old), "end of the old roles")
        self.assertEqual(self.stop(), 0)

    def test_roles_do_not_inherit_what_the_environment_holds(self):
        self.start(env={"SMARTHOST_PASSWORD": "hunter2", "TZ": "UTC"})
        for role, pid in self.pids().items():
            with open(f"/proc/{pid}/environ", "rb") as f:
                names = [e.split(b"=")[0] for e in f.read().split(b"\0")]
            self.assertNotIn(b"SMARTHOST_PASSWORD", names, role)
            self.assertIn(b"TZ", names, role)

    def test_systemd_is_told(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            s.settimeout(10)
            self.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
            seen = [s.recv(200).decode() for _ in range(3)]
            self.assertIn("READY=1", seen)
            self.assertIn("WATCHDOG=1", seen)
            self.process.send_signal(signal.SIGHUP)
            while "RELOADING=1" not in seen[-1]:
                seen.append(s.recv(200).decode())
            self.process.terminate()
            while seen[-1] != "STOPPING=1":
                seen.append(s.recv(200).decode())
        self.process.wait(15)


class Death(Case):
    def test_k_01_a_killed_role_is_back_with_new_links(self):
        self.start()
        old = self.pids()["clerk"]
        os.kill(old, signal.SIGKILL)
        self.until(lambda: self.pids().get("clerk", old) != old, "new clerk")
        self.until(lambda: len(re.findall("courier-0 notice event=test.heard from=clerk", self.text())) == 2, "second link")
        self.wait_for(r'test.role name=clerk state=1 restarts=1 condition=testing words="killed by signal 9')
        self.assertRegex(self.text(), r"event=role.ended role=clerk .*again_in_ms=100")
        self.assertEqual(self.stop(), 0)

    def test_k_01_the_new_links_of_a_killed_role_stay(self):
        """The peers' notice of the old link's end must not replace the new one a second later."""
        self.start()
        old = self.pids()["clerk"]
        os.kill(old, signal.SIGKILL)
        self.until(lambda: len(re.findall("courier-0 notice event=test.heard from=clerk", self.text())) == 2, "second link")
        time.sleep(1.5)  # past the pause after a lost link
        self.assertEqual(len(re.findall("courier-0 notice event=test.heard from=clerk", self.text())), 2)

    def test_k_01_all_roles_killed_at_once(self):
        self.start()
        for pid in self.pids().values():
            os.kill(pid, signal.SIGKILL)
        self.until(lambda: all(len(re.findall(f"role.started role={r} ", self.text())) == 2 for r in ALL), "all roles again")
        self.assertIn(self.order("hello")[0], ("edge-0", "edge-1"))
        self.assertEqual(self.stop(), 0)

    def test_a_failed_must_is_kept_as_last_words(self):
        self.start()
        self.order("must")
        self.wait_for(r'test.role name=edge-\d state=[0-2] .*words="killed by signal 6.*peers_n == 12345')

    def test_a_role_that_fails_at_start_does_not_spin(self):
        self.node = "fail-clerk"
        self.write_config()
        self.start(wait=False)
        self.wait_for(r"role.ended role=clerk .*again_in_ms=2000", 20)
        pauses = re.findall(r"role.ended role=clerk .*again_in_ms=(\d+)", self.text())
        self.assertEqual(pauses[:3], ["100", "1000", "2000"])
        self.assertIn('why="told to fail"', self.text())
        self.assertIn(self.order("hello")[0], ("edge-0", "edge-1"))  # P2: the edges do not mind
        with open(f"/proc/{self.process.pid}/stat") as f:
            ticks = sum(int(t) for t in f.read().rsplit(")", 1)[1].split()[11:13])
        self.assertLess(ticks / os.sysconf("SC_CLK_TCK"), 1.0)

    def test_k_01_edge_is_back_within_a_second_however_often_it_dies(self):
        self.start()
        for _ in range(4):
            old = self.pids()["edge-0"]
            os.kill(old, signal.SIGKILL)
            self.until(lambda: self.pids().get("edge-0", old) != old, "new edge-0")
        self.assertEqual(re.findall(r"role.ended role=edge-0 .*again_in_ms=(\d+)", self.text()), ["100", "1000", "1000", "1000"])

    def test_two_roles_that_lost_their_link_get_a_new_one(self):
        self.start()
        self.order("malformed")
        self.wait_for(r"notice event=test.unlinked from=sequencer")
        self.until(lambda: len(re.findall(r"edge-\d notice event=test.heard from=sequencer", self.text())) >= 3, "third link")
        self.assertEqual(len(self.pids()), len(ALL))

    def test_what_a_role_writes_cannot_pass_for_another(self):
        self.start()
        self.order("shout")
        self.wait_for(r'event=role.said role=edge-\d text="no log line  ?\[31m at all"')
        self.wait_for(r'event=role.said role=edge-\d text="2026-11-21T21:10:22.123456Z super notice event=forged"')
        self.assertNotRegex(self.text(), r"(?m)^2026-11-21T21:10:22.123456Z super")

    def test_k_11_a_log_that_is_not_read_stops_nothing(self):
        out, into = os.pipe()
        self.start(wait=False, stderr=into)
        os.close(into)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.order("hello")
                break
            except OSError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
        for _ in range(1000):  # 100 KiB and more of words into a pipe of 64 KiB
            self.order("shout")
        old = self.pids()["clerk"]
        os.kill(old, signal.SIGKILL)
        self.until(lambda: self.pids().get("clerk", old) != old, "new clerk")
        self.assertIn(self.order("hello")[0], ("edge-0", "edge-1"))
        self.assertEqual(self.stop(), 0)
        os.close(out)


    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_k_11_no_process_to_be_had(self):
        os.chmod(self.folder, 0o777)
        self.start(user="nobody", group="nogroup")
        self.limit_processes("1")
        old = self.pids()["clerk"]
        os.kill(old, signal.SIGKILL)
        self.wait_for('role=clerk last_words="could not be started: Resource temporarily unavailable" again_in_ms=1000')
        self.assertIn(self.order("hello")[0], ("edge-0", "edge-1"))
        self.limit_processes(resource.getrlimit(resource.RLIMIT_NPROC)[1])
        self.until(lambda: "clerk" in self.pids(), "new clerk")
        self.assertEqual(self.stop(), 0)


    def limit_processes(self, number):
        number = "unlimited" if number == resource.RLIM_INFINITY else number
        subprocess.run(["prlimit", "--pid", str(self.process.pid), f"--nproc={number}:"], user="nobody", group="nogroup", check=True)


class Settings(Case):
    def test_reload_by_signal_and_by_request(self):
        self.start()
        self.write_config(node="mx3.example.net")
        self.process.send_signal(signal.SIGHUP)
        for role in ALL:
            self.wait_for(f"{role} notice event=test.reloaded was=1 now=2")
        self.assertEqual(self.order("reload", "watch")[1], "asked")
        self.wait_for("watch notice event=test.reload_result id=7 ok=1")
        self.wait_for("edge-0 notice event=test.reloaded was=2 now=3")

    def test_a_bad_configuration_changes_nothing(self):
        self.start()
        self.write_config(extra="nonsense: 1\n")
        self.order("reload", "watch")
        self.wait_for(r'test.reload_result id=7 ok=0 text="the old configuration stays: .*nonsense')
        self.write_config(extra="tls: { certificate: /var/tmp/nowhere.pem, key: /var/tmp/nowhere.key }\n")
        self.order("reload", "watch")
        self.until(lambda: self.text().count("event=config.refused") == 2, "second refusal")
        self.assertNotIn("test.reloaded", self.text())
        self.write_config()
        self.order("reload", "watch")
        self.wait_for("edge-0 notice event=test.reloaded was=1 now=2")

    def test_what_waits_for_the_next_start_is_named(self):
        self.start()
        self.port = free_port()
        self.write_config()
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(r"config.reloaded .*changes of listen wait for the next start")


    def test_k_12_reloads_leave_nothing_behind(self):
        self.start()
        watched = [self.process.pid] + [self.pids()[r] for r in ("edge-0", "watch")]

        def count():
            return [len(os.listdir(f"/proc/{p}/fd")) for p in watched], [self.maps(p) for p in watched]

        def reload(n):
            for _ in range(n):
                done = self.text().count("event=config.reloaded")
                self.process.send_signal(signal.SIGHUP)
                self.until(lambda: self.text().count("event=config.reloaded") > done, "reload")

        def settled():
            return self.text().count("edge-0 notice event=test.reloaded") == self.text().count("event=config.reloaded")

        reload(3)
        self.until(settled, "edge to have reloaded")
        before = count()
        reload(40)
        self.until(settled, "edge to have reloaded")
        self.assertEqual(count(), before)

    @staticmethod
    def maps(pid):
        with open(f"/proc/{pid}/maps") as f:
            return sum("holdfast-config" in line for line in f)


class BadStart(Case):
    def test_a_taken_port_is_named_with_a_way_out(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", self.port))
            s.listen(1)
            status, said = self.refused()
        self.assertEqual(status, 1)
        self.assertRegex(said, rf"listen.smtp: port {self.port} of .* is taken by another program; `ss -ltnp sport = :{self.port}`")

    def test_a_second_supervisor_on_the_same_data_is_refused(self):
        self.start()
        self.port = free_port()
        self.write_config()
        status, said = self.refused()
        self.assertEqual(status, 1)
        self.assertIn(f"already (process {self.process.pid})", said)

    def test_a_bad_configuration_starts_nothing(self):
        self.write_config(extra="nonsense: 1\n")
        status, said = self.refused()
        self.assertEqual(status, 1)
        self.assertIn("unknown key", said)
        self.assertFalse(os.path.exists(self.data))

    def test_a_missing_program_starts_nothing(self):
        os.unlink(os.path.join(self.roles_dir, "holdfast-clerk"))
        status, said = self.refused()
        self.assertEqual(status, 1)
        self.assertIn("holdfast-clerk is missing", said)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_an_ordinary_user_runs_it_and_hears_about_privileged_ports(self):
        os.chmod(self.folder, 0o777)
        self.start(user="nobody", group="nogroup")
        self.assertEqual(self.order("user")[1].split()[0], subprocess.check_output(["id", "-u", "nobody"], text=True).strip())
        self.assertEqual(self.stop(), 0)
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f:
            if int(f.read()) <= 25:
                return
        self.port = 25
        self.write_config()
        done = subprocess.run([SUPER, self.config, self.roles_dir], capture_output=True, text=True, timeout=20, user="nobody",
                              group="nogroup")
        self.assertEqual(done.returncode, 1)
        self.assertIn("port 25 needs privileges", done.stderr)


class Closed(Case):
    """What is left to a role. An edge answers on its port, watch on the control socket."""

    @unittest.skipUnless(os.geteuid() == 0, "only root can change users")
    def test_roles_of_root_run_as_another_user(self):
        self.start()
        uid, gid = self.order("user")[1].split()
        self.assertNotEqual(uid, "0")
        self.assertNotEqual(gid, "0")

    @unittest.skipUnless(os.geteuid() == 0, "only root can change users")
    def test_secrets_are_auths_alone_whoever_put_them_there(self):
        self.start()
        uid = int(self.order("user")[1].split()[0])
        self.assertEqual(self.stop(), 0)
        for folder in ("secrets/auth", "secrets/dkim"):
            st = os.stat(os.path.join(self.data, folder))
            self.assertEqual((st.st_uid, st.st_mode & 0o777), (uid, 0o700), folder)
        site = os.path.join(self.data, "secrets/auth/sites/head")  # by an operator, as root
        os.makedirs(site, mode=0o700)
        password, link = os.path.join(site, "master-password"), os.path.join(site, "link")
        with open(password, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write("a word")
        outside = os.path.join(self.folder, "outside")
        with open(outside, "w") as f:
            f.write("not ours")
        os.symlink(outside, link)
        os.link(outside, os.path.join(site, "hard"))
        os.unlink(self.log)
        self.start()
        self.assertEqual(int(self.order("user")[1].split()[0]), uid)
        self.assertEqual(self.stop(), 0)
        self.assertEqual((os.stat(password).st_uid, os.stat(password).st_mode & 0o777), (uid, 0o600))
        self.assertEqual(os.stat(site).st_uid, uid)
        self.assertEqual(os.stat(outside).st_uid, 0, "root followed a link")

    @unittest.skipUnless(os.geteuid() == 0, "only root can change users")
    def test_a_role_cannot_lead_root_elsewhere(self):
        self.start()
        self.assertEqual(self.stop(), 0)
        for folder in ("", "run", "secrets", "tls", "tls/use"):  # nobody but root puts anything there
            self.assertEqual(os.stat(os.path.join(self.data, folder)).st_uid, 0, folder)
        victim = os.path.join(self.folder, "victim")
        os.mkdir(victim, 0o700)
        for folder in ("publish", "run", "tls", "tls/use", "views"):
            path = os.path.join(self.data, folder)
            os.rename(path, path + ".old")
            os.symlink(victim, path)
            os.lchown(path, 65534, 65534)
            status, said = self.refused()
            self.assertEqual(status, 1)
            self.assertIn(path + ": a link that root did not make", said)
            self.assertEqual((os.stat(victim).st_uid, os.listdir(victim)), (0, []))
            os.unlink(path)
            os.rename(path + ".old", path)
        self.start()

    @unittest.skipUnless(os.geteuid() == 0, "only root can change users")
    def start_installed(self, roles):
        """With /etc/passwd and /etc/group of a system where the package made users for these roles."""
        for name, line in (("passwd", "holdfast-{}:x:{}:64200::/nonexistent:/usr/sbin/nologin\n"), ("group", "")):
            with open("/etc/" + name) as f, open(os.path.join(self.folder, name), "w") as out:
                out.write(f.read() + "".join(line.format(r, 64210 + i) for i, r in enumerate(roles)))
                out.write("" if line else "holdfast:x:64200:\n")
        mounts = "".join(f"mount --bind {self.folder}/{name} /etc/{name}; " for name in ("passwd", "group"))
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", f"{mounts} exec {SUPER} {self.config} {self.roles_dir}"],
                                            stdout=log, stderr=log, start_new_session=True)

    @unittest.skipUnless(os.geteuid() == 0, "root only")
    def test_an_installed_system_has_a_user_for_each_role(self):
        self.write_config(people=(free_port(), free_port()))
        self.start()  # under one user first: what it leaves behind is handed over
        self.assertEqual(self.stop(), 0)
        lane = os.path.join(self.data, "ledger/lane-courier-0")
        os.mkdir(lane)
        with open(os.path.join(lane, "0000000001.seg"), "w"):
            pass
        self.start_installed(ROLES)
        self.until(lambda: all(f"role.started role={r} " in self.text() for r in ALL + PEOPLE), "all roles to start")
        self.assertEqual(self.order("user")[1], "64210 64200")
        for role, pid in self.pids().items():
            self.assertEqual(self.uid(pid), 64210 + ROLES.index(role.split("-")[0]), role)
        self.assertEqual(os.stat(lane).st_uid, 64210 + ROLES.index("courier"))
        self.assertEqual(os.stat(os.path.join(lane, "0000000001.seg")).st_uid, 64210 + ROLES.index("courier"))
        for role, name in (("edge", "key.pem"), ("desk", "key-desk.pem"), ("submission", "key-submission.pem")):
            key = os.stat(os.path.join(self.data, "tls/use", name))
            self.assertEqual((key.st_uid, key.st_mode & 0o777), (64210 + ROLES.index(role), 0o400), role)
        for who, can in (("clerk", "EACCES"), ("auth", "EACCES"), ("edge-0", "readable"), ("desk-1", "readable"), ("submission", "readable")):
            self.assertIn(f"{who} notice event=test.started generation=1 data={self.data} key={can}", self.text())
        self.assertEqual(self.stop(), 0)

    @unittest.skipUnless(os.geteuid() == 0, "root only")
    def test_the_package_makes_a_user_for_each_role_also_on_an_upgrade(self):
        """On a copy of /etc, where 0.1.0 had made its users."""
        etc = os.path.join(self.folder, "etc")
        shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
        script = (f"mount --bind {etc} /etc && addgroup --quiet --system holdfast && "
                  "for r in edge scout sequencer clerk courier watch; do adduser --quiet --system --no-create-home --home /nonexistent "
                  f"--ingroup holdfast holdfast-$r; done && sh {POSTINST} configure 0.1.0 && sh {POSTINST} configure 0.2.0")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(etc, "passwd")) as f:
            made = {line.split(":")[0]: line.split(":")[3] for line in f if line.startswith("holdfast-")}
        self.assertEqual(set(made), {"holdfast-" + r for r in ROLES})
        self.assertEqual(len(set(made.values())), 1)

    @unittest.skipUnless(os.geteuid() == 0, "root only")
    def test_a_user_that_an_upgrade_did_not_make_is_named(self):
        """Else everything would change hands to nobody, silently."""
        self.start_installed([r for r in ROLES if r != "indexer"])
        self.assertEqual(self.process.wait(20), 1)
        self.assertIn("the user holdfast-indexer is missing", self.text())
        self.assertFalse(os.path.exists(self.data))

    @staticmethod
    def uid(pid):
        with open(f"/proc/{pid}/status") as f:
            return int(re.search(r"Uid:\t(\d+)", f.read()).group(1))

    @unittest.skipUnless(os.geteuid() == 0, "root only")
    def test_programs_and_data_below_a_closed_folder(self):
        os.chmod(self.folder, 0o700)
        self.start()
        self.assertIn("data=. key=readable", self.text())
        os.chmod(self.folder, 0o755)

    def trials(self, to, wanted):
        got = {name: self.order(name, to)[1] for name in wanted}
        self.assertEqual(got, wanted)

    def sandboxed(self):
        if "event=sandbox.off" in self.text():
            self.skipTest("sanitizer build")
        match = re.search(r"role.started role=edge-0 .*landlock=(\d+) seccomp=(yes|no)", self.text())
        self.assertEqual(match.group(2), "yes")
        return int(match.group(1))

    def test_an_edge_can_do_what_it_must_and_no_more(self):
        self.start()
        abi = self.sandboxed()
        self.trials(None, {"execve": "EPERM", "inet": "EPERM", "inet-udp": "EPERM", "unix": "EPERM", "raw": "EPERM",
                           "fork": "EPERM", "exec-memory": "EPERM", "ptrace": "EPERM", "kill-parent": "EPERM", "io-uring": "EPERM",
                           "thread": "yes", "write-data": "yes"})
        if abi:
            self.trials(None, {"open": "EACCES", "open-outside": "EACCES", "write-elsewhere": "EACCES"})

    def test_a_role_that_connects_may_make_inet_sockets_alone(self):
        self.start()
        abi = self.sandboxed()
        self.trials("watch", {"execve": "EPERM", "inet": "yes", "inet-udp": "yes", "unix": "EPERM", "raw": "EPERM", "fork": "EPERM",
                              "thread": "yes", "exec-memory": "EPERM", "io-uring": "EPERM"})
        if abi:
            self.trials("watch", {"open": "EACCES", "write-data": "EACCES"})

    def test_who_has_no_lane_makes_no_threads(self):
        self.start()
        self.sandboxed()
        self.order("thread-by-others")  # edge passes it on over its link to the sequencer
        self.wait_for(r"sequencer notice event=test.thread result=EPERM")

    def test_a_forbidden_call_kills_where_tests_ask_for_it(self):
        self.start(env={"HOLDFAST_SECCOMP": "kill"})
        self.sandboxed()
        self.order("execve")
        self.wait_for(r'event=role.ended role=edge-\d last_words="killed by signal 31')

    def test_no_core_dumps_no_new_privileges(self):
        self.start()
        self.sandboxed()
        for name, pid in self.pids().items():
            with open(f"/proc/{pid}/status") as f:
                status = f.read()
            self.assertIn("NoNewPrivs:\t1", status, name)
            self.assertIn("Seccomp:\t2", status, name)
            with open(f"/proc/{pid}/limits") as f:
                self.assertRegex(f.read(), r"Max core file size +0 +0 ")
            self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0, "dumpable")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *(["-k", sys.argv[3]] if len(sys.argv) > 3 else [])])

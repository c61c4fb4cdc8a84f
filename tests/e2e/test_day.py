"""The whole day: a normal morning in gateway mode, the server dies, ten people go on working, the server returns, and
every mailbox on it is as if it had been there all the time."""
import imaplib
import os
import random
import re
import shutil
import signal
import threading
import time

import dovecot
import peers
import people
import pytest
from conftest import SOAK
from test_people import arrive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")
NAMES = ("anna", "bert", "carl", "dora", "emil", "fritz", "gerda", "hans", "ida", "jonas")
SEED = int(os.environ.get("HOLDFAST_SEED", "5"))
KILL_ROUNDS = 60 if SOAK else 8


class Model:
    """What the script of the day says each mailbox holds: {name: {folder: {Message-ID: flags}}}."""

    def __init__(self):
        self.boxes = {n: {} for n in NAMES}
        self.world = {}

    def put(self, name, folder, mid, flags=()):
        self.boxes[name].setdefault(folder, {})[mid] = set(flags)

    def mark(self, name, folder, mid, *flags):
        self.boxes[name][folder][mid] |= set(flags)

    def move(self, name, mid, folder, to):
        self.boxes[name].setdefault(to, {})[mid] = self.boxes[name][folder].pop(mid)

    def of(self, name):
        return {f: {m: frozenset(flags) for m, flags in c.items()} for f, c in self.boxes[name].items() if c}


class Day:
    def __init__(self, folder, started):
        self.model, self.rng = Model(), random.Random(11)
        self.world = started(peers.Postfix(os.path.join(folder, "world"), domains=("world.example.net",)))
        self.dovecot = dovecot.Dovecot({f"{n}@example.com": f"primary {n}" for n in NAMES})
        started(self.dovecot)
        self.postfix = started(peers.Postfix(os.path.join(folder, "postfix"),
                                             extra=f"virtual_transport = lmtp:inet:127.0.0.1:{self.dovecot.lmtp_port}\n"
                                             "queue_run_delay = 2s\nminimal_backoff_time = 2s\nmaximal_backoff_time = 4s\n"))
        self.office = people.Office(os.path.join(folder, "office"), self.postfix.port, self.dovecot, world_port=self.world.port)
        started(self.office)
        self.office.set_master_password(dovecot.MASTER_PASSWORD)
        self.office.add(*NAMES)
        self.office.wait_state("up")

    def person(self, name):
        return self.office.people[name]

    def morning(self):
        """Mail passes us to the primary, and is kept."""
        for name in NAMES:
            for mid in arrive(self.office.port, self.person(name).address, 3, "Morning"):
                self.model.put(name, "INBOX", mid)
        self.wait_primary("the morning's mail at the primary")

    def outage(self):
        self.postfix.kill()
        self.dovecot.kill()
        for name in NAMES:
            for mid in arrive(self.office.port, self.person(name).address, 4, "During"):
                self.model.put(name, "INBOX", mid)
        for name in NAMES:
            m = self.person(name).imap()
            peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 7, 10, f"all mail at {name}'s")
            m.logout()

    def write(self, name, to, subject, own_copy, reply_to=None):
        person = self.person(name)
        message = person.write(to, subject, reply_to=reply_to)
        mid = person.send(message)
        if own_copy:  # as Thunderbird does
            m = person.imap()
            people.ok(m.append("Sent", "(\\Seen)", None, message.as_bytes().replace(b"\n", b"\r\n")))
            m.logout()
        self.model.put(name, "Sent", mid, ["\\Seen"])
        for address in to:
            local, domain = address.split("@")
            if domain == "example.com":
                self.model.put(local, "INBOX", mid)
            else:
                self.model.world[mid] = self.model.world.get(mid, 0) + 1
        return mid

    def work(self, i, name):
        """What one person does: reads, answers, flags, files, deletes, drafts."""
        model, person = self.model, self.person(name)
        mids = [mid for mid in self.model.boxes[name]["INBOX"]][:7]
        colleague = NAMES[(i + 1) % len(NAMES)]
        m = person.imap()

        def store(mid, *flags):
            people.ok(m.uid("STORE", people.find_uid(m, "INBOX", mid), "+FLAGS", f"({' '.join(flags)})"))
            model.mark(name, "INBOX", mid, *flags)
        store(mids[0], "\\Seen")  # from the morning: the primary has it already
        store(mids[3], "\\Seen", "\\Answered")
        self.write(name, [f"{colleague}@example.com"], "Re: During", own_copy=i % 2 == 0, reply_to=mids[3])
        self.write(name, ["partner@world.example.net"], "To the world", own_copy=i % 3 == 0)
        store(mids[4], "\\Flagged")
        people.ok(m.uid("MOVE", people.find_uid(m, "INBOX", mids[5]), "Archive"))
        model.move(name, mids[5], "INBOX", "Archive")
        people.ok(m.create("Projects"))
        people.ok(m.uid("MOVE", people.find_uid(m, "INBOX", mids[1]), "Projects"))
        model.move(name, mids[1], "INBOX", "Projects")
        people.ok(m.uid("MOVE", people.find_uid(m, "INBOX", mids[6]), "Trash"))
        model.move(name, mids[6], "INBOX", "Trash")
        draft = person.write(["partner@world.example.net"], "A draft")
        people.ok(m.append("Drafts", "(\\Draft \\Seen)", None, draft.as_bytes().replace(b"\n", b"\r\n")))
        model.put(name, "Drafts", draft["Message-ID"], ["\\Draft", "\\Seen"])
        m.logout()

    def recovery(self):
        self.dovecot.start()
        self.postfix.start()

    def at_primary(self, name):
        m = self.dovecot.imap(f"{name}@example.com")
        try:
            found = {f: people.contents(m, f) for f in people.folders(m)}
        finally:
            m.logout()
        twice = {f: c for f, c in found.items() if len({x[0] for x in c}) != len(c)}
        assert not twice, f"doubled at {name}'s: {twice}"
        return {f: {mid: flags for mid, flags, _ in c} for f, c in found.items() if c}

    def here(self, name):
        """All that L7 speaks of: {folder: (UIDVALIDITY, [(Message-ID, flags, UID)])}."""
        m = peers.wait_for(lambda: self.try_imap(name), 30, f"{name} to be let in", every=0.3)
        found = {}
        for f in people.folders(m):
            _, answer = m.status(people.quoted(f), "(UIDVALIDITY)")
            found[f] = (int(re.search(rb"UIDVALIDITY (\d+)", answer[0]).group(1)), people.contents(m, f))
        m.logout()
        return found

    def try_imap(self, name):
        try:
            return self.person(name).imap()
        except (OSError, imaplib.IMAP4.error):
            return None

    def wait_primary(self, what, seconds=120):
        for name in NAMES:
            peers.wait_for(lambda: self.at_primary(name) == self.model.of(name), seconds,
                           lambda: f"{what}; {name}:\n" + difference(self.model.of(name), self.at_primary(name)) + self.office.tail(15), every=0.5)

    def check_world(self):
        """Each once."""
        import collections

        def seen():
            found = collections.Counter()
            for path in self.world.messages():
                with open(path, "rb") as f:
                    found[people.MESSAGE_ID.search(f.read()).group(1).decode()] += 1
            return found
        peers.wait_for(lambda: seen() == self.model.world, 60, lambda: f"the world: {self.model.world}\nbut {seen()}", every=0.5)


def difference(expected, found):
    lines = []
    for f in sorted(set(expected) | set(found)):
        a, b = expected.get(f, {}), found.get(f, {})
        lines += [f"  {f}: missing {m}" for m in a if m not in b] + [f"  {f}: not expected {m}" for m in b if m not in a]
        lines += [f"  {f}: {m} is {sorted(b[m])}, should be {sorted(a[m])}" for m in a if m in b and a[m] != b[m]]
    return "\n".join(lines) + "\n"


def settle(day, seconds=120):
    peers.wait_for(lambda: day.office.site()["held"] == 0, seconds, lambda: "nothing held any more" + day.office.tail(), every=0.5)
    day.wait_primary("everything at home", seconds)
    day.check_world()
    # Nothing comes after: what is there stays as it is.
    assert day.postfix.queued() == 0
    day.wait_primary("everything still at home", 5)


def test_the_whole_day(folder, started):
    """I-18, P6"""
    day = Day(folder, started)
    day.morning()
    day.outage()
    for i, name in enumerate(NAMES):
        day.work(i, name)
    day.check_world()  # the world does not wait for our primary
    day.recovery()
    settle(day)
    day.office.run("log", "verify", timeout=120)


class Trouble(threading.Thread):
    """Kills and stops roles at random; with primary, ends its Postfix and Dovecot too. Join it: what it met is in `done`."""

    def __init__(self, day, rounds, pauses, primary=False):
        super().__init__()
        self.day, self.rounds, self.pauses, self.primary, self.done, self.failed = day, rounds, pauses, primary, [], None
        self.rng = random.Random(SEED)

    def run(self):
        try:
            for i in range(self.rounds):
                time.sleep(self.rng.uniform(*self.pauses))
                if self.primary and self.rng.random() < 0.12:
                    self.end_primary()
                else:
                    self.end_role()
        except BaseException as e:  # told by the test that joins
            self.failed = e

    def end_role(self):
        roles = self.day.office.roles()
        if not roles:
            return
        name, how = self.rng.choice(sorted(roles)), self.rng.choice(["kill"] * 5 + ["stop"])
        self.done.append(f"{how} {name}")
        try:
            if how == "kill":
                os.kill(roles[name], signal.SIGKILL)
                return
            os.kill(roles[name], signal.SIGSTOP)
            time.sleep(3)
            os.kill(roles[name], signal.SIGCONT)
        except ProcessLookupError:
            pass

    def end_primary(self):
        server = self.rng.choice(("dovecot", "postfix"))
        self.done.append(f"kill {server}")
        getattr(self.day, server).kill()
        time.sleep(self.rng.uniform(0, 2))
        getattr(self.day, server).start()


def working_day(folder, started):
    day = Day(folder, started)
    day.morning()
    day.outage()
    for i, name in enumerate(NAMES):
        day.work(i, name)
    return day


def test_the_whole_day_with_roles_killed_at_the_end(folder, started):
    """I-18 with kill -9 of each role at random while everything goes home."""
    day = working_day(folder, started)
    here = {n: day.here(n) for n in NAMES}
    day.recovery()
    trouble = Trouble(day, KILL_ROUNDS, (0.1, 0.8) if SOAK else (0.3, 1.5), primary=SOAK)
    trouble.start()
    trouble.join()
    print("trouble:", trouble.done)
    if trouble.failed:
        raise trouble.failed
    settle(day, 240)
    for n in NAMES:
        assert day.here(n) == here[n], f"{n}'s mailboxes at ours have changed"  # L7


def test_the_views_are_deleted_in_the_middle_of_the_day(folder, started):
    """P9, L7, H2: same UIDs and flags before and after, and everything goes home from the new ones."""
    day = working_day(folder, started)
    here = {n: day.here(n) for n in NAMES}
    day.office.stop()
    shutil.rmtree(os.path.join(day.office.folder, "data", "views"))
    day.office.start()
    for n in NAMES:
        assert day.here(n) == here[n], f"{n}'s mailboxes have changed"
    day.check_world()
    day.recovery()
    # Once more while everything goes home: what is done already follows from the records.
    peers.wait_for(lambda: sum(len(c) for n in NAMES[:3] for c in day.at_primary(n).values()) > 25, 60, "the way home to begin")
    day.office.kill()
    shutil.rmtree(os.path.join(day.office.folder, "data", "views"))
    day.office.start()
    settle(day)
    for n in NAMES:
        assert day.here(n) == here[n], f"{n}'s mailboxes have changed"


class Busy(threading.Thread):
    """A person who goes on working here while everything goes home: marks and takes back, files, sends, drafts and throws away."""

    def __init__(self, day, name, rounds, seed):
        super().__init__()
        self.day, self.name, self.rounds, self.rng, self.failed = day, name, rounds, random.Random(seed), None

    def run(self):
        try:
            m = self.day.person(self.name).imap()
            for _ in range(self.rounds):
                self.rng.choice((self.mark, self.mark, self.unmark, self.file, self.send, self.draft))(m)
                time.sleep(self.rng.uniform(0, 0.4))
            m.logout()
        except BaseException as e:  # told by the test that joins
            self.failed = e

    def any_of(self, folders):
        box = self.day.model.boxes[self.name]
        found = [(f, mid) for f in folders for mid in box.get(f, {})]
        return self.rng.choice(found) if found else (None, None)

    def mark(self, m, how="+FLAGS"):
        folder, mid = self.any_of(("INBOX", "Archive", "Projects", "Sent"))
        flag = self.rng.choice(("\\Seen", "\\Flagged", "$Forwarded"))
        if not mid:
            return
        people.ok(m.uid("STORE", people.find_uid(m, folder, mid), how, f"({flag})"))
        flags = self.day.model.boxes[self.name][folder][mid]
        (flags.add if how == "+FLAGS" else flags.discard)(flag)

    def unmark(self, m):
        self.mark(m, "-FLAGS")

    def file(self, m):
        folder, mid = self.any_of(("INBOX", "Archive", "Projects", "Trash", "Drafts"))
        to = self.rng.choice(("INBOX", "Archive", "Projects", "Trash"))
        if not mid or folder == to or mid in self.day.model.boxes[self.name].get(to, {}):
            return
        people.ok(m.uid("MOVE", people.find_uid(m, folder, mid), to))
        self.day.model.move(self.name, mid, folder, to)

    def send(self, m):
        self.day.write(self.name, ["partner@world.example.net"], "Meanwhile", own_copy=self.rng.random() < 0.5)

    def draft(self, m):
        draft = self.day.person(self.name).write(["partner@world.example.net"], "Another draft")
        people.ok(m.append("Drafts", "(\\Draft)", None, draft.as_bytes().replace(b"\n", b"\r\n")))
        self.day.model.put(self.name, "Drafts", draft["Message-ID"], ["\\Draft"])


def at_work(day, rounds, seed):
    busy = [Busy(day, n, rounds, seed * 100 + i) for i, n in enumerate(NAMES)]
    for b in busy:
        b.start()
    return busy


def leave_work(busy):
    for b in busy:
        b.join()
    for b in busy:
        if b.failed:
            raise b.failed


def test_people_go_on_working_while_everything_goes_home(folder, started):
    """I-18: steps home and new changes race; then the site fails again in the middle, and people still go on."""
    day = working_day(folder, started)
    day.recovery()
    busy = at_work(day, 15, SEED)
    time.sleep(6)  # some of it is at home, some is on its way
    day.dovecot.kill()
    day.postfix.kill()
    leave_work(busy)
    for name in NAMES:
        for mid in arrive(day.office.port, day.person(name).address, 1, "Second"):
            day.model.put(name, "INBOX", mid)
    busy = at_work(day, 5, SEED + 1)
    day.recovery()
    leave_work(busy)
    settle(day, 240)

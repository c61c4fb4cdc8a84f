"""make bench: Holdfast beside Postfix and smtp-sink, in one run on one machine; medians of five, as ratios.

    bench.py [accept] [handback] [start] [imap]       (default: all)

Absolute figures of a machine mean little; the ratios to peers measured minutes apart mean something. The table goes to
standard output, all figures to bench.json.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
sys.dont_write_bytecode = True
import oracle  # noqa: E402
import mailboxes  # noqa: E402
import pages  # noqa: E402
import peers  # noqa: E402

RUNS = int(os.environ.get("HOLDFAST_BENCH_RUNS", "5"))
KEPT, FRESH = (1, 10, 100, 500), (1, 10, 100)
SIZES = (4096, 51200)
HELD = 5000
MANY = 1_000_000
TARGET_SECONDS = 1.2  # length of one measurement


def source(port, sessions, messages, size, kept, recipient="anna@example.com"):
    """Messages per second of one smtp-source run."""
    words = ["smtp-source", "-s", str(sessions), "-m", str(messages), "-l", str(size), "-f", "bench@example.org", "-t", recipient]
    if kept:
        words.append("-d")
    began = time.monotonic()
    done = subprocess.run([*words, f"127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    took = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout[-400:]}")
    return messages / took


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class HoldingPostfix(peers.Postfix):
    """Accepts and stores; delivers nothing, as Holdfast during an outage: its fastest way to a durable 250."""

    def __init__(self, folder):
        super().__init__(folder, extra="smtpd_data_restrictions = check_client_access static:HOLD\ndefault_process_limit = 600\n", processes=600)

    def clean(self):
        for d in ("hold", "incoming", "active", "deferred", "defer"):
            shutil.rmtree(os.path.join(self.queue, d), ignore_errors=True)
        self.stop()
        shutil.rmtree(self.queue)
        os.makedirs(self.queue)
        self.start()


class LagWatch:
    """The views' worst lag while mail pours in, and how long they took to catch up."""

    def __init__(self, holdfast):
        self.holdfast, self.worst_s, self.worst_records, self.stopping = holdfast, 0.0, 0, False
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def _loop(self):
        while not self.stopping:
            try:
                views = self.holdfast.status()["views"]
                self.worst_s = max(self.worst_s, views.get("lag_s", 0))
                self.worst_records = max(self.worst_records, views.get("lag_records", 0))
            except (AssertionError, KeyError, ValueError, subprocess.TimeoutExpired):
                pass
            time.sleep(0.25)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()


def accept(folder, rows):
    postfix = HoldingPostfix(os.path.join(folder, "postfix")).start()
    sink = peers.Sink().start()
    holdfast = peers.Holdfast(os.path.join(folder, "accept"), peers.free_port()).start()
    targets = {"holdfast": holdfast.port, "postfix": postfix.port, "smtp-sink": sink.port}
    try:
        for size in SIZES:
            for kept, counts in ((True, KEPT), (False, FRESH)):
                for sessions in counts:
                    rates = {t: [] for t in targets}
                    batch = {t: max(sessions, int(TARGET_SECONDS * source(p, sessions, max(50, sessions), size, kept)))
                             for t, p in targets.items()}
                    for run in range(RUNS):
                        for t, port in targets.items():
                            progress(f"accept {size} B, {sessions} {'kept' if kept else 'fresh'} sessions, run {run + 1}/{RUNS}: {t}")
                            rates[t].append(source(port, sessions, batch[t], size, kept))
                    postfix.clean()
                    median = {t: statistics.median(r) for t, r in rates.items()}
                    rows.append({"work": "accept", "bytes": size, "sessions": sessions, "kept": kept, "per_second": median, "runs": rates,
                                 "to_postfix": median["holdfast"] / median["postfix"], "to_sink": median["holdfast"] / median["smtp-sink"]})
        with LagWatch(holdfast) as lag:
            began = time.monotonic()
            rate = source(holdfast.port, 100, batch["holdfast"] * 8, 4096, True)
            length = time.monotonic() - began
        began = time.monotonic()
        peers.wait_for(lambda: holdfast.status()["views"].get("lag_records", 0) == 0, 300, "the views to catch up", every=0.1)
        rows.append({"work": "views lag", "per_second": rate, "worst_s": lag.worst_s, "worst_records": lag.worst_records,
                     "length_s": length, "caught_up_s": time.monotonic() - began})
    finally:
        holdfast.kill()
        sink.stop()
        postfix.kill()


def handback(folder, rows):
    sink = peers.Sink(backlog=1000).start()
    ours, straight = [], []
    try:
        for run in range(RUNS):
            progress(f"hand-back run {run + 1}/{RUNS}")
            straight.append(source(sink.port, 20, HELD, 10240, True))
            holdfast = peers.Holdfast(os.path.join(folder, f"handback-{run}"), sink.port, every="1s").start()
            holdfast.wait_state("up")
            holdfast.run("hold", "head-office", "on", "--for", "1h")
            source(holdfast.port, 20, HELD, 10240, True)
            peers.wait_for(lambda: holdfast.site()["held"] == HELD, 60, "all to be held", every=0.05)
            holdfast.run("hold", "head-office", "off", "--for", "1h")
            began = time.monotonic()
            peers.wait_for(lambda: holdfast.site()["held"] == 0, 120, "the hand-back", every=0.02)
            ours.append(HELD / (time.monotonic() - began))
            holdfast.stop()
            shutil.rmtree(holdfast.folder)
        rows.append({"work": "hand-back", "bytes": 10240, "messages": HELD, "per_second": statistics.median(ours), "runs": ours,
                     "smtp_source_straight": statistics.median(straight),
                     "to_source": statistics.median(ours) / statistics.median(straight)})
    finally:
        sink.stop()


def start(folder, rows):
    progress(f"writing {MANY} held messages")
    holdfast = peers.Holdfast(os.path.join(folder, "start"), peers.free_port()).start()  # makes the folders, as the roles want them
    holdfast.stop()
    subprocess.run([os.path.join(peers.BUILD, "tests", "bench", "lanegen"), os.path.join(holdfast.data, "ledger"), "edge-9", str(MANY), "1024"],
                   check=True, stdout=subprocess.DEVNULL)
    model, made = (os.path.join(holdfast.data, "ledger", lane) for lane in ("lane-edge-0", "lane-edge-9"))
    for path in [made] + [os.path.join(made, name) for name in os.listdir(made)]:
        like = os.stat(model if path == made else os.path.join(model, sorted(os.listdir(model))[0]))
        os.chown(path, like.st_uid, like.st_gid)
        os.chmod(path, like.st_mode & 0o777)
    took = []
    for run in range(RUNS):
        progress(f"start with {MANY} held messages, run {run + 1}/{RUNS}")
        began = time.monotonic()
        holdfast.start(wait=False)
        peers.wait_for(lambda: peers.port_answers(holdfast.port), 120, "the port", every=0.005)
        session = oracle.Session(holdfast.port)
        for line in ("MAIL FROM:<bench@example.org>", "RCPT TO:<anna@example.com>", "DATA"):
            session.command(line)
        assert session.command("Subject: start\r\n\r\nx\r\n.")[0] == 250
        took.append(time.monotonic() - began)
        session.close()
        if run == 0:
            peers.wait_for(lambda: holdfast.status()["views"].get("lag_records", 1) == 0, 900, "the views to be built", every=1)
        holdfast.stop()
    rows.append({"work": "start", "held": MANY, "accepting_after_s": statistics.median(took), "runs": took})


def imap(folder, rows):
    mailboxes.mailboxes(folder, rows, RUNS, progress)


def the_portal(folder, rows):
    pages.pages(folder, rows, RUNS, progress)


def table(rows):
    print(f"{'work':34} {'ours':>9} {'postfix':>9} {'smtp-sink':>9} {'/postfix':>9} {'/sink':>7}")
    for r in rows:
        if r["work"] == "accept":
            name = f"accept {r['bytes'] // 1024} KiB, {r['sessions']} {'kept' if r['kept'] else 'fresh'}"
            p = r["per_second"]
            print(f"{name:34} {p['holdfast']:9.0f} {p['postfix']:9.0f} {p['smtp-sink']:9.0f} {r['to_postfix']:9.2f} {r['to_sink']:7.2f}")
        elif r["work"] == "views lag":
            print(f"views: worst lag {r['worst_s']:.2f} s ({r['worst_records']} records) in {r['length_s']:.1f} s at {r['per_second']:.0f}/s; "
                  f"caught up {r['caught_up_s']:.1f} s after the end")
        elif r["work"] == "hand-back":
            print(f"hand-back of {r['messages']} x 10 KiB: {r['per_second']:.0f}/s, {r['to_source']:.2f} of smtp-source straight into smtp-sink")
        elif r["work"] == "start":
            print(f"start with {r['held']} held messages: first 250 after {r['accepting_after_s']:.2f} s")
        elif r["work"].startswith("portal"):
            pages.show(r)
        else:
            mailboxes.show(r)


def main():
    works = sys.argv[1:] or ["accept", "handback", "start", "imap", "portal"]
    if os.geteuid() != 0:
        sys.exit("make bench needs root: Postfix's master runs as root")
    folder, rows = tempfile.mkdtemp(prefix="holdfast-bench-", dir="/var/tmp"), []
    os.chmod(folder, 0o755)
    try:
        for work in works:
            {"accept": accept, "handback": handback, "start": start, "imap": imap, "portal": the_portal}[work](folder, rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        progress("")
        table(rows)
        with open(os.path.join(TOP, "bench.json"), "w") as f:
            json.dump({"runs": RUNS, "rows": rows}, f, indent=1)


main()

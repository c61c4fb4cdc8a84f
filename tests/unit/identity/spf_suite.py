#!/usr/bin/python3
"""Referee: the openspf test suite of RFC 7208, as python3-spf ships it, against our SPF machine.

Every test must give the result the suite wants, or one of those it allows. A deviation would have to be
listed in DEVIATIONS with its reason; a listed one that no longer deviates is an error too.
"""

import gzip
import socket
import subprocess
import sys

import yaml

SUITE = "/usr/share/doc/python3-spf/rfc7208-tests.yml.gz"
DEVIATIONS = {}
TESTS_AT_LEAST = 150

TYPES = {1: "A", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA"}
OK, MORE, REFUSED, LATER = 0, 1, 3, 4


def zone_of(data):
    """Name -> list of (type, value) or "TIMEOUT"; records of type SPF stand for TXT where there is none."""
    zone = {}
    for name, records in data["zonedata"].items():
        out, spf, has_txt = [], [], False
        for record in records:
            if record == "TIMEOUT":
                out.append("TIMEOUT")
                continue
            for kind, value in record.items():
                if kind in ("TXT", "SPF") and isinstance(value, str):
                    value = [value]
                if kind == "TXT":
                    has_txt = True
                if kind == "SPF":
                    spf.append(("TXT", value))
                elif value != ["NONE"]:
                    out.append((kind, value))
        if not has_txt:
            # The suite's driver looks at the records in order, so that a TIMEOUT hits what comes after it.
            out = spf + out if "TIMEOUT" in out else out + spf
        zone[name.lower()] = out
    return zone


def wire(kind, value):
    if kind == "A":
        return socket.inet_pton(socket.AF_INET, value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "MX":
        return value[1].encode()
    if kind == "TXT":
        return b"".join(s.encode() for s in value)
    return value.encode()


def look_up(zone, name, kind):
    """What a resolver would say: (rc, list of data)."""
    for _ in range(8):
        records = zone.get(name.lower().rstrip("."))
        if records is None:
            return (LATER if name.startswith("error.") else REFUSED), []
        found = [wire(k, v) for k, v in (r for r in records if r != "TIMEOUT") if k == kind]
        if found:
            return OK, found
        if "TIMEOUT" in records:
            return LATER, []
        aliases = [v for k, v in records if k == "CNAME"]
        if not aliases:
            return MORE, []
        name = aliases[0]
    return LATER, []


class Answerer:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.questions = 0

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def check(self, zone, host, helo, sender):
        def hexed(text):
            return text.encode().hex() or "-"

        self.questions = 0
        self.say(f"check {host} {hexed(helo)} {hexed(sender)}")
        while True:
            word, *rest = self.process.stdout.readline().split()
            if word == "result":
                return rest[0], *(("" if t == "-" else bytes.fromhex(t).decode()) for t in rest[1:])
            self.questions += 1
            name = bytes.fromhex(rest[1].strip("-")).decode("utf-8", "surrogateescape")
            rc, found = look_up(zone, name, TYPES[int(rest[0])])
            self.say(f"reply {rc} {len(found)}")
            for data in found:
                self.say(data.hex() or "-")


def main():
    answerer = Answerer(sys.argv[1])
    bad, count = [], 0
    with gzip.open(SUITE) as f:
        scenarios = [s for s in yaml.safe_load_all(f) if s]
    for scenario in scenarios:
        zone = zone_of(scenario)
        for name, test in scenario["tests"].items():
            count += 1
            wanted = test["result"] if isinstance(test["result"], list) else [test["result"]]
            result, explanation, why = answerer.check(zone, test["host"], test["helo"], test["mailfrom"])
            is_good = result in wanted and answerer.questions <= 122
            if "explanation" in test and (explanation or "DEFAULT") != test["explanation"]:
                is_good = False
            if is_good == (name in DEVIATIONS):
                bad.append(f"{name}: wanted {wanted} {test.get('explanation', '')!r}, "
                           f"got {result} {explanation!r} ({why})")
    answerer.process.stdin.close()
    answerer.process.wait()
    print("\n".join(bad))
    print(f"{count} tests, {len(bad)} wrong, {len(DEVIATIONS)} deviations")
    return 1 if bad or count < TESTS_AT_LEAST or answerer.process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())

"""Our MIME parser beside three others: Dovecot's ENVELOPE and BODYSTRUCTURE, Python's email, postal-mime.

Messages: the fuzz corpus, and what HOLDFAST_CORPUS names. Every difference belongs to a class that doc/mime-differences.md explains;
each class is a predicate here over the message and the two answers, and a difference that no class takes fails the test.
"""
import contextlib
import email
import email.policy
import json
import os
import re
import shutil
import socket
import subprocess

import dovecot
import peers
import people
import pytest

CORPUS = os.environ.get("HOLDFAST_CORPUS", "")
DUMP = os.path.join(peers.BUILD, "tests", "unit", "mail", "mime_dump")
NODE = os.path.join(peers.TOP, "tests", "e2e", "node")


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """[(name, path, bytes, what our parser says)], with CRLF line ends."""
    folder = tmp_path_factory.mktemp("messages")
    found = []
    tops = [os.path.join(peers.TOP, "tests", "fuzz", "corpus", "mime")] + ([CORPUS] if os.path.isdir(CORPUS) else [])
    for top in tops:
        for where, _, names in sorted(os.walk(top)):
            for name in sorted(n for n in names if not n.startswith("README")):
                with open(os.path.join(where, name), "rb") as f:
                    raw = f.read()
                raw = raw[1:] if top == tops[0] else raw  # the first byte of a fuzz input is the size of pieces
                raw = re.sub(rb"\r(?!\n)", b"", raw).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"")
                path = os.path.join(folder, f"{len(found):04}")
                with open(path, "wb") as f:
                    f.write(raw)
                found.append((os.path.join(os.path.basename(where), name), path, raw))
    lines = subprocess.run([DUMP, *(m[1] for m in found)], stdout=subprocess.PIPE, check=True).stdout.splitlines()
    assert len(lines) == len(found)
    return [(name, path, raw, json.loads(line)) for (name, path, raw), line in zip(found, lines)]


def latin(text):
    return None if text is None else text.encode("latin-1")


# ---- what is known of a message, for the classes ----

FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+[ \t]*:|[ \t]|>?From )")


def cut_header(raw, ours):
    """A header section that ends without an empty line: at a line that is no field."""
    for p in ours["parts"]:
        if p["body_at"] >= 2 and p["body_at"] > p["header_at"] and not raw[:p["body_at"]].endswith((b"\r\n\r\n", b"\n\n")):
            return True
        if p["body_at"] == p["header_at"] and p["end"] > p["body_at"]:
            return True
        header = raw[p["header_at"]:p["body_at"]]
        if header.startswith((b" ", b"\t")) or any(b":" not in n for n in header.split(b"\r\n") if n and n[:1] not in b" \t"):
            return True
    return False


def unclosed(raw, ours):
    """A multipart whose closing delimiter does not come."""
    return any(p["kind"] == "multipart" and boundary(raw, p) and b"\n--" + boundary(raw, p) + b"--" not in raw[p["body_at"] - 1:p["end"]]
               for p in ours["parts"])


def content_type(raw, p):
    header = re.sub(rb"\r\n([ \t])", rb"\1", raw[p["header_at"]:p["body_at"]])
    found = re.search(rb"(?im)^content-type[ \t]*:(.*)$", header)
    return found.group(1).strip() if found else b""


def boundary(raw, p):
    found = re.search(rb'(?i)boundary\s*=\s*(?:"([^"]*)"|([^;\s]+))', content_type(raw, p))
    return (found.group(1) or found.group(2) or b"").strip() if found else b""


def has_equals_in_boundary(raw, ours):
    return any(re.search(rb"(?i)boundary=[^\";]*=", content_type(raw, p)) for p in ours["parts"])


def same_boundary_inside(raw, ours):
    seen = [boundary(raw, p) for p in ours["parts"] if p["kind"] == "multipart"]
    return len(set(seen)) < len(seen)


def almost_delimiter(raw, ours):
    """A line that begins like a delimiter and goes on."""
    return any(re.search(rb"(?m)^--" + re.escape(boundary(raw, p)) + rb"(?!(--)?[ \t]*\r?$)", raw)
               for p in ours["parts"] if p["kind"] == "multipart" and boundary(raw, p))


def bad_type(raw, ours):
    """A Content-Type that says nothing usable."""
    token = rb"[^\s()<>@,;:\\\"/\[\]?=]+"
    return any(content_type(raw, p) and not re.match(rb"(?:\([^)]*\)|\s)*" + token + rb"\s*/\s*" + token + rb"\s*(;|\(|$)", content_type(raw, p))
               or (re.search(rb"(?im)^content-type[ \t]*:\s*$", raw[p["header_at"]:p["body_at"]])) for p in ours["parts"])


def no_boundary(raw, ours):
    return any(p["type"] == "multipart" and not boundary(raw, p) for p in ours["parts"])


def empty_multipart(raw, ours):
    return any(p["kind"] == "multipart" and not any(c["parent"] == p["i"] for c in ours["parts"]) for p in ours["parts"])


def encoded_message(raw, ours):
    return any(p["kind"] == "leaf" and (p["type"], p["subtype"]) in (("message", "rfc822"), ("message", "global")) for p in ours["parts"])


def repeated_fields(raw, ours):
    """A field that may stand once stands twice in a header section."""
    for p in ours["parts"]:
        names = [n.strip().lower() for n in re.findall(rb"(?m)^([\x21-\x39\x3b-\x7e]+)[ \t]*:", raw[p["header_at"]:p["body_at"]])]
        once = [n for n in names if n.startswith(b"content-") or n in (b"subject", b"from", b"sender", b"date", b"message-id", b"in-reply-to",
                                                                       b"to", b"cc", b"bcc", b"reply-to")]
        if len(set(once)) < len(once):
            return True
    return False


def message_fields(raw, ours):
    return b"\r\n".join(raw[p["header_at"]:p["body_at"]] for p in ours["parts"])


# ---- Dovecot ----

def parsed(data):
    """IMAP text as lists of bytes, numbers and None."""
    stack, at = [[]], 0
    while at < len(data):
        c = data[at:at + 1]
        if c == b"(":
            stack.append([])
        elif c == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif c == b'"':
            end = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S).match(data, at)
            stack[-1].append(re.sub(rb"(?s)\\(.)", rb"\1", end.group(1)))
            at = end.end()
            continue
        elif c == b"{":
            head = re.compile(rb"\{(\d+)\}\r\n").match(data, at)
            at = head.end() + int(head.group(1))
            stack[-1].append(data[head.end():at])
            continue
        elif c not in b" \r\n":
            atom = re.compile(rb'[^\s()"{]+').match(data, at).group(0)
            stack[-1].append(None if atom == b"NIL" else int(atom) if atom.isdigit() else atom)
            at += len(atom)
            continue
        at += 1
    assert len(stack) == 1, data
    return stack[0]


def ask(port, user, password, questions, context=None):
    """For each question its untagged lines with their literals."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        with (context.wrap_socket(plain) if context else plain) as s, s.makefile("rwb") as f:
            f.readline()
            return [exchange(f, command) for command in (f'LOGIN {user} "{password}"', "SELECT INBOX", *questions)][2:]


def exchange(f, command):
    f.write(f"x {command}\r\n".encode())
    f.flush()
    answers = []
    while not answers or not answers[-1].startswith(b"x "):
        line = f.readline()
        assert line, answers
        while (literal := re.search(rb"\{(\d+)\}\r\n$", line)):
            line += f.read(int(literal.group(1))) + f.readline()
        answers.append(line)
    assert answers[-1].startswith(b"x OK"), (command, answers[-1])
    return answers[:-1]


@pytest.fixture(scope="module")
def dovecots(messages):
    """[(ENVELOPE, BODYSTRUCTURE)]"""
    with served_by_dovecot(messages) as d:
        answers = {}
        for line in ask(d.imap_port, "anna@example.com", "secret", ["FETCH 1:* (ENVELOPE BODYSTRUCTURE)"])[0]:
            if re.match(rb"\* \d+ FETCH", line):
                _, number, _, items = parsed(line)
                answers[number] = (items[1], items[3])
        assert sorted(answers) == list(range(1, len(messages) + 1))
        return [answers[i + 1] for i in range(len(messages))]


@contextlib.contextmanager
def served_by_dovecot(messages):
    """All of them in INBOX, in their order."""
    d = dovecot.Dovecot({"anna@example.com": "secret"})
    try:
        box = os.path.join(d.base, "mail", "anna@example.com", "Maildir")
        for name in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(box, name))
        for i, (_, path, _, _) in enumerate(messages):
            shutil.copyfile(path, os.path.join(box, "cur", f"{1000000 + i}.M{i}P1.host:2,"))
        d._own()
        d.start()
        yield d
    finally:
        d.close()


def squeezed(x):
    """Without what white space does to strings, and in lower case."""
    if isinstance(x, list):
        return [squeezed(y) for y in x]
    return b" ".join(x.split()) if isinstance(x, bytes) else x


def lowered(x):
    if isinstance(x, list):
        return [lowered(y) for y in x]
    return x.lower() if isinstance(x, bytes) else x


ADDRESS_FIELDS = range(2, 8)


def envelope_class(i, ours, theirs, raw, o):
    if squeezed(ours) == squeezed(theirs):
        return "white space"
    if cut_header(raw, o):
        return "header section"
    if repeated_fields(raw, o):
        return "repeated fields"
    if i in ADDRESS_FIELDS and (b"_ERROR" in repr(theirs).encode() or b"MISSING_" in repr(theirs).encode() or b"MISSING_" in repr(ours).encode()):
        return "addresses that are none"
    if i in ADDRESS_FIELDS and re.search(rb"(?im)^(from|to|cc|sender|reply-to|bcc)\s*:.*@[^<]*<", raw):
        return "an address as a name"
    if i in ADDRESS_FIELDS and re.search(rb"(?ims)^(from|to|cc|sender|reply-to|bcc)\s*:[^\r]*[\\();:]", raw):
        return "addresses that are none"
    return None


def structure_class(ours, theirs, raw, o):
    fields = message_fields(raw, o)
    if squeezed(lowered(ours)) == squeezed(lowered(theirs)):
        return "white space"
    for name, applies in (("header section", cut_header), ("delimiters are whole lines", almost_delimiter),
                          ("no boundary", no_boundary), ("a type that is none", bad_type), ("encoded message", encoded_message),
                          ("repeated fields", repeated_fields)):
        if applies(raw, o):
            return name
    if has_equals_in_boundary(raw, o):
        return "parameters"
    if re.search(rb"(?i)[a-z]\*(\d+\*?)?\s*=", fields):
        return "RFC 2231"
    if re.search(rb"(?i)name\s*=\s*[^\";\r]*[ ()=]", fields) or re.search(rb"\(", fields):
        return "parameters"
    if re.search(rb"(?im)^content-transfer-encoding:[^\r]*[;/ ][^\r]*\S", fields):
        return "an encoding that is none"
    return None


def report(unexplained, classes):
    print({name: len(rows) for name, rows in sorted(classes.items())})
    with open(os.path.join(peers.TOP, "doc", "mime-differences.md"), encoding="utf-8") as f:
        text = f.read()
    for name in classes:
        assert f"**{name}**" in text, f"doc/mime-differences.md does not explain: {name} {classes[name][:3]}"
    assert not unexplained, "\n".join(str(row)[:1500] for row in unexplained[:10])


def test_dovecot_says_the_same(messages, dovecots):
    unexplained, classes = [], {}
    for (name, _, raw, o), (envelope, structure) in zip(messages, dovecots):
        ours = parsed(latin(o["envelope"]))[0]
        assert len(ours) == len(envelope) == 10
        for i, (a, b) in enumerate(zip(ours, envelope)):
            if a != b:
                why = envelope_class(i, a, b, raw, o)
                classes.setdefault(why, []).append(name) if why else unexplained.append((name, i, a, b))
        ours = parsed(latin(o["bodystructure"]))[0]
        if lowered(ours) != lowered(structure):
            why = structure_class(ours, structure, raw, o)
            classes.setdefault(why, []).append(name) if why else unexplained.append((name, ours, structure))
    report(unexplained, classes)


# ---- Python's email ----

def tree_of_python(m):
    kind = m.get_content_type()
    if kind.startswith("message/") and kind not in ("message/rfc822", "message/global"):
        return (kind, None)
    if m.is_multipart():
        return (kind, [tree_of_python(p) for p in m.get_payload()])
    payload = m._payload  # as it stands there: get_payload would decode it
    return (kind, payload.encode("ascii", "surrogateescape") if isinstance(payload, str) else b"")


def tree_of_ours(o, raw, i=0):
    p = o["parts"][i]
    kind = f"{p['type']}/{p['subtype']}"
    if kind.startswith("message/") and kind not in ("message/rfc822", "message/global"):
        return (kind, None)
    if p["kind"] != "leaf":
        return (kind, [tree_of_ours(o, raw, c["i"]) for c in o["parts"] if c["parent"] == i])
    return (kind, raw[p["body_at"]:p["end"]])


def python_class(ours, theirs, raw, o):
    for name, applies in (("repeated boundary", same_boundary_inside), ("encoded message", encoded_message), ("no parts", empty_multipart),
                          ("no boundary", no_boundary), ("the end of what is not closed", unclosed), ("header section", cut_header),
                          ("a type that is none", bad_type)):
        if applies(raw, o):
            return name
    if re.search(rb"(?m)^--[^\r]+\r\n(\r\n)*--", raw):
        return "empty parts"
    return None


def test_pythons_email_says_the_same(messages):
    unexplained, classes = [], {}
    for name, _, raw, o in messages:
        theirs = tree_of_python(email.message_from_bytes(raw, policy=email.policy.compat32))
        ours = tree_of_ours(o, raw)
        if ours != theirs:
            why = python_class(ours, theirs, raw, o)
            classes.setdefault(why, []).append(name) if why else unexplained.append((name, ours, theirs))
    report(unexplained, classes)


# ---- postal-mime ----

def our_attachments(o):
    """What postal-mime calls attachments: leaves that are no text to be shown."""
    rows = []
    for p in o["parts"]:
        kind = f"{p['type']}/{p['subtype']}"
        is_attached = (latin(p["disposition"]) or b"").lower().startswith(b"attachment")
        if p["kind"] == "leaf" and (kind not in ("text/plain", "text/html") or is_attached):
            name = latin(p["filename"])
            rows.append({"type": kind, "filename": name.decode() if name else None, "bytes": p["decoded"]})
    return rows


def has_gap(raw, ours):
    """A parameter in sections that do not count 0, 1, 2 ..."""
    numbers = sorted({int(n) for n in re.findall(rb"(?i)name\*(\d+)", message_fields(raw, ours))})
    return numbers != list(range(len(numbers)))


def plain(attachment):
    return bytes.fromhex(attachment["bytes"]).replace(b"\r\n", b"\n").rstrip(b"\n")


def postal_class(ours, theirs, raw, o):
    if theirs.get("error"):
        return "postal-mime gives up"
    for name, applies in (("header section", cut_header), ("no boundary", no_boundary), ("no parts", empty_multipart),
                          ("repeated boundary", same_boundary_inside), ("repeated fields", repeated_fields), ("a type that is none", bad_type),
                          ("encoded message", encoded_message), ("delimiters are whole lines", almost_delimiter)):
        if applies(raw, o):
            return name
    if any(p["kind"] == "message" for p in o["parts"]):
        return "nested messages"
    a, b = our_attachments(o), theirs["attachments"]
    if [x["type"] for x in a] == [x["type"] for x in b]:
        pairs = [(plain(x), plain(y)) for x, y in zip(a, b)]
        if all(x == y for x, y in pairs):
            return "line ends"
        if all(y.startswith(x) and len(y) < len(x) + 4 for x, y in pairs) and b"base64" in raw.lower():
            return "base64 that ends early"
    if unclosed(raw, o):
        return "the end of what is not closed"
    return None


@pytest.mark.skipif(not os.path.isdir(os.path.join(NODE, "node_modules", "postal-mime")), reason="npm ci has not been run in tests/e2e/node")
def test_postal_mime_says_the_same(messages):
    lines = subprocess.run([shutil.which("node"), "postal.mjs"], input="\n".join(m[1] for m in messages).encode(), cwd=NODE,
                           stdout=subprocess.PIPE, check=True).stdout.splitlines()
    assert len(lines) == len(messages)
    unexplained, classes, equal = [], {}, 0
    for (name, _, raw, o), line in zip(messages, lines):
        theirs = json.loads(line)
        same_subject = " ".join((latin(o["subject_text"]) or b"").decode().split()) == " ".join((theirs.get("subject") or "").split())
        if not theirs.get("error") and same_subject and our_attachments(o) == [
                {"type": a["type"], "filename": a["filename"] or None, "bytes": a["bytes"]} for a in theirs["attachments"]]:
            equal += 1
            continue
        same_names = [a["filename"] for a in our_attachments(o)] == [a["filename"] or None for a in theirs.get("attachments", [])]
        why = postal_class(our_attachments(o), theirs, raw, o)
        if why in ("line ends", "base64 that ends early") and not (same_subject and same_names):
            why = "a gap in RFC 2231" if has_gap(raw, o) else None
        classes.setdefault(why, []).append(name) if why else unexplained.append((name, our_attachments(o), theirs))
    assert equal > len(messages) // 2
    report(unexplained, classes)


# ---- sections, through the whole program ----

def sections(structure, path=""):
    """Names of all sections that a BODYSTRUCTURE promises."""
    if isinstance(structure[0], list):
        for i, part in enumerate(p for p in structure if isinstance(p, list) and p and isinstance(p[0], (bytes, list))):
            if not is_part(part):
                break
            yield from sections(part, f"{path}{i + 1}.")
        return
    here = path[:-1] or "1"
    yield here
    if path:
        yield f"{here}.MIME"
    if [structure[0].lower(), structure[1].lower()] == [b"message", b"rfc822"]:
        yield from (f"{here}.HEADER", f"{here}.TEXT", f"{here}.HEADER.FIELDS (Subject To)")
        inner = structure[8]
        yield from sections(inner, f"{here}." if isinstance(inner[0], list) else f"{here}.1.")


def is_part(x):
    return isinstance(x[0], list) or len(x) >= 7


def wanted(structure):
    return ["HEADER", "TEXT", "HEADER.FIELDS.NOT (Received X-Mailer)", *sections(structure)]


def bodies(lines):
    """{section: bytes} of a FETCH answer."""
    found = {}
    for line in lines:
        if re.match(rb"\* \d+ FETCH", line):
            for m in re.finditer(rb"BODY\[([^\]]*)\] (NIL|\"|\{(\d+)\}\r\n)", line):
                name = m.group(1).upper().replace(b'"', b"")
                if name not in found:
                    found[name] = line[m.end():m.end() + int(m.group(3))] if m.group(3) else \
                        b"" if m.group(2) == b"NIL" else re.match(rb'((?:[^"\\]|\\.)*)"', line[m.end():]).group(1).replace(b"\\", b"")
    return found


def test_sections_are_dovecots(messages, dovecots, folder, started):
    """M-07: what IMAP gives of a message is what another server gives, byte for byte, where both see the same structure."""
    alike = []
    for m, (_, structure) in zip(messages, dovecots):
        if m[2].endswith(b"\r\n") and lowered(parsed(latin(m[3]["bodystructure"]))[0]) == lowered(structure):
            alike.append((m, structure))
    alike = alike[::max(1, len(alike) // 150)]
    office = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    [anna] = office.add("anna")
    m = anna.imap()
    for (name, _, raw, _), _ in alike:
        assert m.append("INBOX", None, None, raw)[0] == "OK", name
    m.logout()
    questions = [f"FETCH {i + 1} ({' '.join(f'BODY.PEEK[{s}]' for s in wanted(structure))})" for i, (_, structure) in enumerate(alike)]
    ours = ask(office.ports["imaps"], anna.address, anna.password, questions, people.trusting())
    with served_by_dovecot([a[0] for a in alike]) as d:
        theirs = ask(d.imap_port, "anna@example.com", "secret", questions)
    compared = 0
    for ((name, _, _, _), structure), a, b in zip(alike, ours, theirs):
        a, b = bodies(a), bodies(b)
        assert len(a) >= len(wanted(structure)) - 1 and sorted(a) == sorted(b), (name, sorted(a), sorted(b))
        for section in a:
            if a[section] != b[section] and a[section] == b[section] + b"\r\n" and section.endswith((b"MIME", b"HEADER")):
                if a[section.replace(b".MIME", b"").replace(b"HEADER", b"TEXT")] == b"":
                    continue  # doc/mime-differences.md: the empty line of an empty part
            assert a[section] == b[section], (name, section, a[section][:300], b[section][:300])
            compared += 1
    assert compared > 5 * len(alike)

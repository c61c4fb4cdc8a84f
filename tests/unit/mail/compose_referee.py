"""Messages that mail/compose writes, read by Python's email: what was given is what is found, and nothing besides (W1-W3).

Chosen cases, and some hundred made up from pieces that are awkward. Argument: the program compose_maker.
"""
import datetime
import email
import email.header
import email.policy
import email.utils
import random
import subprocess
import sys

MULTI, TEXT, BLOB = 0, 1, 2
WORDS = ["a", "plain", "Grüße", "日本語", "=?utf-8?Q?fake?=", "it's", "\"quoted\"", "a,b;c:d", "<x@y>", "(comment", "back\\slash", "tab\there",
         "ß" * 40, "x" * 70, "😀", "\r\nBcc: evil@example.org", "\x00", "é", "=?", "?=", "_", "2+2=4", "..", "%41", "Müller-Lüdenscheidt"]
FILES = ["a.txt", "Übersicht 2026.pdf", "日本語の長い名前のファイルです.docx", "quote\"d.bin", "back\\slash", "a b c.png", "x" * 150, "semi;colon=.doc",
         "' apos.txt", "new\r\nline.exe", "%41.txt", "utf-8''x.txt", "é.txt"]


def hexed(value):
    return "x" + (value.encode("utf-8") if isinstance(value, str) else value).hex()


def plain(text):
    """As fields keep it: control characters are blanks, none at the ends."""
    return "".join(" " if ord(c) < 32 or ord(c) == 127 else c for c in text).strip(" ")


class Message:
    def __init__(self):
        self.lines, self.fields, self.parts = [], [], []

    def field(self, how, name, given, *words):
        self.lines.append(" ".join([how, name, *words]))
        self.fields.append((how, name, given))

    def text(self, name, value):
        self.field("text", name, plain(value), hexed(value))

    def addresses(self, name, pairs):
        words, given = [], []
        for who, address in pairs:
            words += [hexed(who), address if address in ("group", "over") else hexed(address)]
            if address not in ("group", "over"):
                given.append((plain(who), address))
        self.field("addresses", name, given, *words)

    def part(self, parent, what, kind, content=b"", charset="", name="", disposition="", cid=""):
        self.lines.append(" ".join(["part", str(parent), str(what), hexed(kind), hexed(charset), hexed(name), hexed(disposition), hexed(cid), hexed(content)]))
        self.parts.append((parent, what, kind, content, name, disposition, cid))

    def order(self, piece):
        return "".join(line + "\n" for line in self.lines) + f"end {piece}\n"


def decoded(value):
    """A text field's value as RFC 2047 decodes it; Python's own default policy has bugs with blanks between words."""
    return "".join(piece.decode(charset or "ascii") if isinstance(piece, bytes) else piece
                   for piece, charset in email.header.decode_header(value.replace("\r\n", "")))


def check_fields(message, m):
    names = [n.lower() for n in message.keys()]
    expected = [name.lower() for _, name, _ in m.fields]
    assert names[:len(expected)] == expected, (names, expected)
    assert all(n.startswith(("content-", "mime-version")) for n in names[len(expected):]), names
    for how, name, given in m.fields:
        raw = message[name]
        if how == "text":
            assert decoded(raw).strip(" ") == given, (raw, decoded(raw), given)
        elif how == "addresses":
            flat = raw.replace("\r\n", "")
            found = [(decoded(n), a) for n, a in email.utils.getaddresses([flat]) if a]
            assert found == given, (raw, found, given)
        elif how == "date":
            assert email.utils.parsedate_to_datetime(raw) == given, (raw, given)
        elif how == "ids":
            assert raw.replace("\r\n", "").split() == [f"<{i}>" for i in given], raw
        elif how == "raw":
            assert raw.strip() == given.strip(), raw


def check_part(found, part):
    _, what, kind, content, name, disposition, cid = part
    if what == BLOB and kind == "message/rfc822" and found.get_content_type() == kind:
        inner = found.get_payload(0).as_bytes(policy=email.policy.SMTP)
        assert inner.rstrip() == content.rstrip(), (inner, content)
    else:
        if not (what == BLOB and kind == "message/rfc822"):
            assert found.get_content_type() == kind.lower(), (found.get_content_type(), kind)
        if what == MULTI:
            assert found.is_multipart()
        else:
            payload = found.get_payload(decode=True)
            if what == TEXT:
                given = content.replace("\r\n", "\n").replace("\r", "\n")
                got = payload.decode(found.get_content_charset()).replace("\r\n", "\n")
                assert got in (given, given + "\n"), (got, given)
            else:
                assert payload == content, (len(payload), len(content))
    if name:
        assert found.get_filename() == plain(name), (found.get_filename(), name)
    if disposition:
        assert found.get_content_disposition() == disposition
    if cid:
        assert found["Content-ID"] == f"<{cid}>"


def in_preorder(message):
    yield message
    if message.get_content_maintype() == "multipart":
        for child in message.get_payload():
            yield from in_preorder(child)


def check(raw, m):
    assert b"\0" not in raw and raw.endswith(b"\r\n") and raw.replace(b"\r\n", b"").count(b"\n") == 0 and raw.replace(b"\r\n", b"").count(b"\r") == 0
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    message = email.message_from_bytes(raw, policy=email.policy.compat32.clone(linesep="\r\n"))
    assert not message.defects, message.defects
    check_fields(message, m)
    found = list(in_preorder(message))
    assert len(found) == len(m.parts), (len(found), len(m.parts))
    for one, part in zip(found, m.parts):
        assert not one.defects, one.defects
        check_part(one, part)


def chosen():
    simple = Message()
    simple.field("date", "Date", datetime.datetime(2026, 2, 28, 23, 30, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))),
                 str(int(datetime.datetime(2026, 3, 1, 3, 0, 5, tzinfo=datetime.timezone.utc).timestamp())), "-210")
    simple.addresses("From", [("Jörg Müller", "joerg@example.org")])
    simple.addresses("To", [("", "a@example.org"), ("Doe, John", "john@example.com"), ("O'Neil \"Q\"", "q@example.com"), ("日本 太郎", "taro@example.jp")])
    simple.text("Subject", "Grüße aus   München,  heute")
    simple.field("ids", "Message-ID", ["abc@example.org"], hexed("abc@example.org"))
    simple.field("ids", "References", [f"{'r' * 60}{i}@example.org" for i in range(20)], *[hexed(f"{'r' * 60}{i}@example.org") for i in range(20)])
    simple.field("raw", "X-Raw", " as it\r\n stands", hexed(" as it\r\n stands"))
    simple.part(-1, TEXT, "text/plain", "Hallo,\n\nFrom here on äöü\n.\n-- \nme   \n\ttabs\t\n" + "long " * 400 + "\nend")
    yield simple

    groups = Message()
    groups.addresses("To", [("", "first@example.org"), ("Team A", "group"), ("", "a1@example.org"), ("x", "a2@example.org"), ("", "over"),
                            ("", "z@example.org"), ("Büro", "group"), ("", "b@example.org")])
    groups.addresses("Cc", [("Nobody", "group")])
    groups.part(-1, TEXT, "text/plain", "short ASCII\n")
    yield groups

    full = Message()
    full.addresses("From", [("", "a@example.org")])
    full.part(-1, MULTI, "multipart/mixed")
    full.part(0, MULTI, "multipart/alternative")
    full.part(1, TEXT, "text/plain", "plain")
    full.part(1, MULTI, "multipart/related")
    full.part(3, TEXT, "text/html", "<p>ä</p>")
    full.part(3, BLOB, "image/png", bytes(range(256)) * 30, name="Bild ü.png", disposition="inline", cid="pic@x")
    full.part(0, BLOB, "application/pdf", b"", name="empty.pdf", disposition="attachment")
    full.part(0, BLOB, "message/rfc822", b"Subject: inner\r\n\r\nbody\r\n", name="m.eml", disposition="attachment")
    full.part(0, BLOB, "message/rfc822", b"Subject: bare\n\nbody\n", disposition="attachment")
    full.part(0, BLOB, "text/calendar", "ü".encode("latin-1") * 57, charset="iso-8859-1", name="x.ics")
    yield full

    asian = Message()
    asian.text("Subject", "日本語" * 60)
    asian.part(-1, TEXT, "text/plain", "日本語のテキスト。\n" * 3000)
    yield asian


def made_up(rng):
    m = Message()
    for i in range(rng.randrange(6)):
        m.text(f"X-Text-{i}", rng.choice([" ", "", "  "]).join(rng.choice(WORDS) for _ in range(rng.randrange(12))))
    for i in range(rng.randrange(4)):
        m.addresses(f"X-To-{i}", [(" ".join(rng.choice(WORDS) for _ in range(rng.randrange(4))), f"p{j}@example.org") for j in range(1 + rng.randrange(9))])
    parents, count = [], 1 + rng.randrange(12)
    for i in range(count):
        if i and not parents:
            break
        parent = parents[-1] if i else -1
        if i and i + 1 < count and len(parents) > 1 and m.parts[i - 1][0] == parents[-1] and rng.random() < 0.3:
            parents.pop()
            parent = parents[-1]
        if i + 1 < count and rng.random() < 0.5:
            m.part(parent, MULTI, rng.choice(["multipart/mixed", "multipart/related", "multipart/alternative"]))
            parents.append(i)
        elif rng.random() < 0.5:
            text = "".join(rng.choice(WORDS + ["\n", "\r\n", " \n", "\t\n", " ", "\n\n", "From me\n", "=\n", "--=_0_deadbeef"]) for _ in range(rng.randrange(300)))
            m.part(parent, TEXT, "text/plain", text.replace("\x00", ""), name=rng.choice(["", *FILES]), disposition=rng.choice(["", "inline"]))
        else:
            m.part(parent, BLOB, "application/octet-stream", rng.randbytes(rng.choice([0, 1, 56, 57, 58, 5000, 40000])), name=rng.choice(["", *FILES]),
                   disposition=rng.choice(["", "attachment"]), cid=rng.choice(["", "cid@example.org"]))
    return m


def run(maker, messages, piece):
    out = subprocess.run([maker], input="".join(m.order(piece) for m in messages).encode(), stdout=subprocess.PIPE, check=True).stdout
    found = []
    for _ in messages:
        line, _, out = out.partition(b"\n")
        assert not line.startswith(b"refused"), line
        found.append(out[:int(line)])
        out = out[int(line):]
    assert out == b""
    return found


def main(maker):
    rng = random.Random(2046)
    messages = list(chosen()) + [made_up(rng) for _ in range(400)]
    messages = [m for m in messages if all(what != MULTI or any(p[0] == i for p in m.parts) for i, (_, what, *_) in enumerate(m.parts))]
    assert len(messages) > 200
    raws = run(maker, messages, 100000)
    assert run(maker, messages, 7) == raws  # W3
    for i, (raw, m) in enumerate(zip(raws, messages)):
        try:
            check(raw, m)
        except Exception:
            sys.stderr.write(f"message {i}:\n{raw[:6000].decode('utf-8', 'replace')}\n")
            raise
    refused = [("raw X", "a\r\nBcc: x"), ("raw X", "a\r\n"), ("raw X", "a\rb"), ("raw X", " \r\n \r\n x"), ("raw X", "ä"), ("raw X", "a" * 1200), ("raw X:Y", "a"),
               ("text Föö", "a"), ("ids X", "a b"), ("ids X", "a>b"), ("urls X", "http://x\r\n")]
    for head, value in refused:
        out = subprocess.run([maker], input=f"{head} {hexed(value)}\npart -1 1 text/plain x x x x x\nend 9\n".encode(), stdout=subprocess.PIPE, check=True).stdout
        assert out.startswith(b"refused"), (head, value, out)
    print(f"{len(messages)} messages, {len(refused)} refusals")


main(sys.argv[1])

#!/usr/bin/python3
"""Makes ipc/msg.h and msg.c from the *.msg files: structs, encoders, decoders, and one table of all messages.

The language and the bytes are described in messages/README.md and doc/formats/ipc.md. Usage:
schema.py OUT.h OUT.c FILE.msg...
"""

import re
import sys

# type -> (C type, least bytes on the wire)
PLAIN = {"u8": ("uint8_t", 1), "u16": ("uint16_t", 2), "u32": ("uint32_t", 4), "u64": ("uint64_t", 8),
         "i64": ("int64_t", 8), "bool": ("bool", 1), "span": ("struct span", 4)}
NO_LIST = {"u8", "bool"}
STRUCT_BYTES = 4
NAME = re.compile(r"[A-Z][A-Za-z0-9]*$")
FIELD = re.compile(r"[a-z][a-z0-9_]*$")
C_WORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
bool true false errno""".split())


class Wrong(Exception):
    pass


class Field:
    def __init__(self, name, kind, is_list, note):
        self.name, self.kind, self.is_list, self.note = name, kind, is_list, note


class Struct:
    def __init__(self, name, number, note, where):
        self.name, self.number, self.note, self.where = name, number, note, where
        self.fields = []

    @property
    def c(self):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name).lower()


def parse_head(words, note, where):
    if len(words) != (2 if words[0] == "struct" else 3) or not NAME.match(words[1]):
        raise Wrong("expected `struct Name` or `message Name NUMBER`")
    number = None
    if words[0] == "message":
        if not re.match(r"[1-9][0-9]*$", words[2]) or int(words[2]) > 65535:
            raise Wrong("a message number is 1 to 65535")
        number = int(words[2])
    return Struct(words[1], number, note, where)


def parse_field(words, note):
    is_list = words[0] == "list"
    words = words[1:] if is_list else words
    if len(words) != 2:
        raise Wrong("expected `TYPE name` or `list TYPE name`")
    kind, name = words
    if kind not in PLAIN and not NAME.match(kind):
        raise Wrong(f"unknown type {kind}")
    if is_list and kind in NO_LIST:
        raise Wrong(f"no lists of {kind}")
    if not FIELD.match(name) or name in C_WORDS:
        raise Wrong(f"{name} cannot be a field's name")
    return Field(name, kind, is_list, note)


def parse(path):
    structs = []
    for at, line in enumerate(open(path, encoding="utf-8"), 1):
        code, _, note = line.rstrip("\n").partition("#")
        words, note = code.split(), note.strip()
        try:
            if not words:
                continue
            if words[0] in ("struct", "message"):
                structs.append(parse_head(words, note, f"{path}:{at}"))
            elif not line[0].isspace() or not structs:
                raise Wrong("a field stands indented under its struct")
            else:
                structs[-1].fields.append(parse_field(words, note))
        except Wrong as wrong:
            sys.exit(f"{path}:{at}: {wrong}")
    return structs


def check(structs):
    """Names and numbers are unique, types exist, nothing contains itself, no part is idle. Parts before users."""
    by_name, by_c, by_number = {}, {}, {}
    for s in structs:
        for table, key in ((by_name, s.name), (by_c, s.c), (by_number, s.number)):
            if key is not None and key in table:
                sys.exit(f"{s.where}: {s.name} collides with {table[key].name} ({table[key].where})")
            table[key] = s
        c_names = [n for f in s.fields for n in ([f.name, f.name + "_n"] if f.is_list else [f.name])]
        if not s.fields and s.number is None or len(c_names) != len(set(c_names)):
            sys.exit(f"{s.where}: {s.name} has no field, or two of one name")
    ordered, open_now, used = [], [], set()

    def visit(s):
        if s in open_now:
            sys.exit(f"{s.where}: {s.name} contains itself")
        if s in ordered:
            return
        open_now.append(s)
        for f in s.fields:
            if f.kind in PLAIN:
                continue
            part = by_name.get(f.kind)
            if part is None or part.number is not None:
                sys.exit(f"{s.where}: {s.name}.{f.name}: there is no struct {f.kind}")
            used.add(part)
            visit(part)
        open_now.pop()
        ordered.append(s)

    for s in structs:
        visit(s)
    for s in structs:
        if s.number is None and s not in used:
            sys.exit(f"{s.where}: struct {s.name} is used by nothing")
    return ordered, by_name


def emit_struct(s, by_name):
    out = [f"/* {s.note} */"] if s.note else []
    out.append(f"struct msg_{s.c} {{")
    for f in s.fields:
        c_type = PLAIN[f.kind][0] if f.kind in PLAIN else f"struct msg_{by_name[f.kind].c}"
        note = f" /* {f.note} */" if f.note else ""
        if f.is_list:
            out.append(f"\t{c_type} *{f.name};{note}")
            out.append(f"\tsize_t {f.name}_n;")
        else:
            out.append(f"\t{c_type} {f.name};{note}")
    if not s.fields:
        out.append("\tchar nothing; /* no field yet */")
    return out + ["};", ""]


def emit_header(ordered, by_name):
    out = ["/* Made by src/ipc/schema.py from src/ipc/messages/ — do not edit. */", "#pragma once", "",
           '#include "base/arena.h"', '#include "base/buf.h"', "",
           "/* Type numbers. */", "enum {"]
    messages = sorted((s for s in ordered if s.number is not None), key=lambda s: s.number)
    out += [f"\tMSG_{s.c.upper()} = {s.number}," for s in messages] + ["};", ""]
    for s in ordered:
        out += emit_struct(s, by_name)
    out += ["/*", " * Encoding appends to a buffer without limit. Decoding: false when malformed or beyond the arena's",
            " * limit, and *out is as before; lists lie in the arena, spans are borrowed from the body.", " */"]
    for s in messages:
        out.append(f"void msg_{s.c}_encode(struct buf *out, const struct msg_{s.c} *m);")
        out.append(f"bool msg_{s.c}_decode(struct arena *a, struct span body, struct msg_{s.c} *out) MUST_USE;")
    out += ["", "/* All messages, ascending by type. recode decodes and encodes again. */",
            "struct msg_kind {", "\tunsigned type;", "\tconst char *name;",
            "\tbool (*recode)(struct arena *a, struct span body, struct buf *out);", "};",
            f"#define MSG_KINDS_N {len(messages)}u", "extern const struct msg_kind msg_kinds[MSG_KINDS_N];",
            "/* NULL: no message has this number. */", "const struct msg_kind *msg_kind_of(unsigned type);", ""]
    return out


def emit_put(s, by_name):
    out = [f"static void put_{s.c}(struct buf *out, const struct msg_{s.c} *m)", "{"]
    if any(f.kind not in PLAIN for f in s.fields):
        out += ["\tsize_t at;", ""]
    for f in s.fields:
        tabs, value = "\t", f"m->{f.name}"
        if f.is_list:
            out += [f"\twire_put_count(out, m->{f.name}_n);",
                    f"\tfor (size_t i = 0; i < m->{f.name}_n; i++) {{"]
            tabs, value = "\t\t", f"m->{f.name}[i]"
        if f.kind in PLAIN:
            out.append(f"{tabs}wire_put_{f.kind}(out, {value});")
        else:
            out += [f"{tabs}at = wire_begin_struct(out);", f"{tabs}put_{by_name[f.kind].c}(out, &{value});",
                    f"{tabs}wire_end_struct(out, at);"]
        if f.is_list:
            out.append("\t}")
    if not s.fields:
        out += ["\t(void)out;", "\t(void)m;"]
    return out + ["}", ""]


def emit_get(s, by_name):
    out = [f"static bool get_{s.c}(struct arena *a, struct span body, struct msg_{s.c} *out)", "{",
           f"\tstruct msg_{s.c} m = {{0}};", "\tstruct wire in = wire_over(body);", "", "\t(void)a;"]
    for f in s.fields:
        tabs, value = "\t", f"m.{f.name}"
        if f.is_list:
            least = PLAIN[f.kind][1] if f.kind in PLAIN else STRUCT_BYTES
            out += [f"\tm.{f.name} = wire_begin_list(&in, a, sizeof *m.{f.name}, {least}, &m.{f.name}_n);",
                    f"\tfor (size_t i = 0; i < m.{f.name}_n && !in.bad; i++) {{"]
            tabs, value = "\t\t", f"m.{f.name}[i]"
        if f.kind in PLAIN:
            out.append(f"{tabs}{value} = wire_get_{f.kind}(&in);")
        else:
            out += [f"{tabs}if (!get_{by_name[f.kind].c}(a, wire_get_span(&in), &{value}))", f"{tabs}\treturn false;"]
        if f.is_list:
            out += ["\t}", "\twire_end_list(&in);"]
    return out + ["\tif (in.bad)", "\t\treturn false;", "\t*out = m;", "\treturn true;", "}", ""]


def emit_public(s):
    return [f"void msg_{s.c}_encode(struct buf *out, const struct msg_{s.c} *m)", "{", f"\tput_{s.c}(out, m);", "}", "",
            f"bool msg_{s.c}_decode(struct arena *a, struct span body, struct msg_{s.c} *out)", "{",
            f"\treturn get_{s.c}(a, body, out);", "}", "",
            f"static bool recode_{s.c}(struct arena *a, struct span body, struct buf *out)", "{",
            f"\tstruct msg_{s.c} m;", "", f"\tif (!get_{s.c}(a, body, &m))", "\t\treturn false;",
            f"\tput_{s.c}(out, &m);", "\treturn true;", "}", ""]


def emit_source(ordered, by_name):
    out = ["/* Made by src/ipc/schema.py from src/ipc/messages/ — do not edit. */", '#include "ipc/msg.h"', "",
           '#include "ipc/wire.h"', ""]
    for s in ordered:
        out += emit_put(s, by_name) + emit_get(s, by_name)
        if s.number is not None:
            out += emit_public(s)
    messages = sorted((s for s in ordered if s.number is not None), key=lambda s: s.number)
    out.append("const struct msg_kind msg_kinds[MSG_KINDS_N] = {")
    out += [f'\t{{MSG_{s.c.upper()}, "{s.name}", recode_{s.c}}},' for s in messages] + ["};", ""]
    out += ["const struct msg_kind *msg_kind_of(unsigned type)", "{",
            "\tfor (size_t i = 0; i < MSG_KINDS_N; i++) {", "\t\tif (msg_kinds[i].type == type)",
            "\t\t\treturn &msg_kinds[i];", "\t}", "\treturn NULL;", "}", ""]
    return out


def main():
    if len(sys.argv) < 4:
        sys.exit("usage: schema.py OUT.h OUT.c FILE.msg...")
    ordered, by_name = check([s for path in sys.argv[3:] for s in parse(path)])
    for path, lines in ((sys.argv[1], emit_header(ordered, by_name)), (sys.argv[2], emit_source(ordered, by_name))):
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(lines))


if __name__ == "__main__":
    main()

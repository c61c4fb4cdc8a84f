#!/usr/bin/python3
"""schema.py refuses what would make a wrong codec: schema_test.py SCHEMA.PY"""
import os
import subprocess
import sys
import tempfile

GOOD = "struct Part\n\tu32 n\nmessage Whole 7\n\tlist Part parts\n\tspan name # a note\n\tPart one\n"
ROWS = [
    ("good", GOOD, None),
    ("contains itself", "struct A\n\tlist B bs\nstruct B\n\tA a\nmessage M 1\n\tA a\n", "contains itself"),
    ("number twice", "message A 1\n\tu8 x\nmessage B 1\n\tu8 x\n", "collides"),
    ("name twice in C", "message AbC 1\n\tu8 x\nmessage AbC 2\n\tu8 x\n", "collides"),
    ("unknown type", "message A 1\n\tfloat x\n", "unknown type"),
    ("unknown struct", "message A 1\n\tNone x\n", "there is no struct None"),
    ("a message as a part", "message A 1\n\tu8 x\nmessage B 2\n\tA a\n", "there is no struct A"),
    ("list of bytes", "message A 1\n\tlist u8 x\n", "no lists of u8"),
    ("field twice", "message A 1\n\tu8 x\n\tu8 x\n", "two of one name"),
    ("count collides", "message A 1\n\tlist u32 x\n\tu32 x_n\n", "two of one name"),
    ("a word of C", "message A 1\n\tu8 default\n", "cannot be a field's name"),
    ("idle struct", "struct A\n\tu8 x\n", "used by nothing"),
    ("field before struct", "\tu8 x\n", "indented under its struct"),
    ("not indented", "message A 1\nu8 x\n", "indented under its struct"),
    ("number zero", "message A 0\n\tu8 x\n", "1 to 65535"),
    ("number too large", "message A 65536\n\tu8 x\n", "1 to 65535"),
    ("no number", "message A\n\tu8 x\n", "expected"),
]


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.msg")
        for name, text, wanted in ROWS:
            with open(path, "w") as f:
                f.write(text)
            done = subprocess.run([sys.executable, "-B", sys.argv[1], folder + "/m.h", folder + "/m.c", path],
                                  capture_output=True, text=True)
            if wanted is None:
                ok = done.returncode == 0 and "struct msg_whole" in open(folder + "/m.h").read()
            else:
                ok = done.returncode != 0 and wanted in done.stderr and path in done.stderr
            if not ok:
                failed += 1
                print(f"{name}: status {done.returncode}, said {done.stderr!r}, wanted {wanted!r}")
    print(f"{len(ROWS) - failed} of {len(ROWS)} rows")
    sys.exit(failed > 0)


main()

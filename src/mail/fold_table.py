#!/usr/bin/python3
"""Writes Unicode's full case folding as a table of C: fold_table.py OUTPUT. ASCII is not in it."""
import sys

rows = []
for code in range(0x80, 0x110000):
    if 0xD800 <= code < 0xE000:
        continue
    folded = chr(code).casefold()
    if folded != chr(code):
        to = [ord(c) for c in folded] + [0, 0]
        rows.append(f"\t{{0x{code:x}, {{0x{to[0]:x}, 0x{to[1]:x}, 0x{to[2]:x}}}}},\n")
with open(sys.argv[1], "w") as out:
    out.write('#include "mail/fold.h"\n\nconst struct fold_row fold_rows[] = {\n' + "".join(rows) + "};\n")
    out.write(f"const size_t fold_rows_n = {len(rows)};\n")

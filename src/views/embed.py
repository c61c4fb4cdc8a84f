#!/usr/bin/python3
"""Makes a C string of a schema, without comments: embed.py OUT.c IN.sql [NAME HEADER]"""
import sys

name, header = sys.argv[3:5] if len(sys.argv) > 3 else ("views_schema_sql", "views/internal.h")
lines = []
for line in open(sys.argv[2], encoding="utf-8"):
    code = line.split("--")[0].rstrip()
    if code:
        lines.append(code)
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write(f"/* Made by src/views/embed.py from {sys.argv[2].split('/')[-1]}; do not edit. */\n")
    out.write(f'#include "{header}"\n\nconst char {name}[] =\n')
    for line in lines:
        out.write('\t"%s\\n"\n' % line.strip().replace("\\", "\\\\").replace('"', '\\"'))
    out.write("\t;\n")

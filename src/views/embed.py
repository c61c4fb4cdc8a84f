#!/usr/bin/python3
"""Makes a C string of schema.sql, without comments: embed.py OUT.c IN.sql"""
import sys

lines = []
for line in open(sys.argv[2], encoding="utf-8"):
    code = line.split("--")[0].rstrip()
    if code:
        lines.append(code)
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("/* Made by src/views/embed.py from schema.sql; do not edit. */\n")
    out.write('#include "views/internal.h"\n\nconst char views_schema_sql[] =\n')
    for line in lines:
        out.write('\t"%s\\n"\n' % line.strip().replace("\\", "\\\\").replace('"', '\\"'))
    out.write("\t;\n")

#!/usr/bin/python3
"""Reads the includes of src/ and the symbols of the role programs, and fails on a wrong arrow.

The order of the folders is that of ARCHITECTURE.md ("Arrows"): a folder includes only itself and folders before it.
arrows.py includes SOURCE-ROOT | symbols PROGRAM... | headers SOURCE-ROOT BUILD-ROOT COMPILER...
"""
import concurrent.futures
import os
import re
import subprocess
import sys

PURE = {"smtp", "imap", "pop3", "http", "jmap", "auth", "queue", "health", "mail", "identity"}
# No sockets, clocks, threads, files: time and bytes are passed in.
IMPURE = re.compile(r"(sys/(socket|un|epoll|eventfd|time|timerfd|stat|file|mman|wait|uio)|netinet/.*|netdb|time|pthread|threads"
                    r"|unistd|fcntl|poll|signal|event2/.*|sqlite3|openssl/.*|unbound)\.h$")
# header -> the only folder that may know it
ONLY = {r"event2/|event\.h": {"loop"}, r"openssl/(ssl|tls)": {"tls"}, r"openssl/": {"tls", "ledger", "identity"}, r"unbound\.h": {"dns"},
        r"sqlite3\.h": {"views"}, r"(cyaml|yaml)": {"config"}, r"seccomp\.h|linux/landlock\.h": {"role/common"},
        r"jansson\.h": {"role/watch", "role/auth", "role/common", "role/console", "role/desk", "report", "cli", "jmap"}}
# Types and a calendar, no calls to the outside.
# identity: digests and keys of DKIM are calculations.
ADMITTED = {("src/identity/dkim_internal.h", "openssl/evp.h"), ("src/identity/dkim_key.c", "openssl/pem.h"),
            ("src/identity/dkim_key.c", "openssl/x509.h"), ("src/identity/dkim_verify.c", "openssl/x509.h"), ("src/smtp/proxy.h", "sys/socket.h"), ("src/smtp/proxy.h", "netinet/in.h"), ("src/mail/received.c", "time.h")}

SQL, YAML, DNS, TLS, JSON = r"sqlite3_", r"c?yaml_", r"ub_", r"SSL_", r"json_"
RUN = r"(execv?|execvp|execve|execl|execlp|fexecve|fork|vfork|system|popen|posix_spawnp?|dlopen|ptrace)$"
FORBIDDEN = {"edge": [SQL, YAML, DNS, JSON, RUN], "submission": [SQL, YAML, DNS, JSON, RUN], "scout": [SQL, YAML, JSON, RUN], "sequencer": [SQL, YAML, DNS, JSON, RUN, TLS],
             "clerk": [YAML, DNS, JSON, RUN, TLS], "courier": [SQL, YAML, DNS, JSON, RUN], "watch": [SQL, YAML, DNS, RUN],
             "desk": [YAML, DNS, RUN, r"crypto_pwhash"], "auth": [SQL, YAML, RUN],
             "console": [YAML, DNS, RUN, r"crypto_pwhash"],
             "indexer": [YAML, DNS, JSON, RUN, TLS, r"crypto_pwhash"]}
LIBRARIES = {SQL: "libsqlite3", YAML: "yaml", DNS: "libunbound", JSON: "libjansson"}


def order_of(root):
    with open(os.path.join(root, "ARCHITECTURE.md")) as f:
        text = f.read().split("## Arrows", 1)[1]
    line = next(n for n in text.splitlines() if n.startswith("`base`"))
    return [name for part in re.findall(r"`([^`]*)`", line) for name in part.split()]


def sources(root):
    for folder, _, names in os.walk(os.path.join(root, "src")):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(folder, name), root)


def wrong(path, included, order):
    """Why this include is not allowed, or None. path: src/dir/...; included: what stands between quotes or brackets."""
    parts = path.split("/")
    here = parts[1] if parts[1] != "role" else "/".join(parts[1:3])
    for pattern, who in ONLY.items():
        if re.match(pattern, included) and here not in who:
            return f"only {' and '.join(sorted(who))} may know {included}"
    if here in PURE and IMPURE.match(included) and (path, included) not in ADMITTED:
        return f"{here} is pure"
    there = included.split("/")[0]
    if "/" not in included or there not in order:
        return None
    if there == "role":
        target = "/".join(included.split("/")[:2])
        if (here, target) == ("role/submission", "role/edge"):  # the same process with other ways
            return None
        if here == target or target == "role/common" and (here.startswith("role/") or here in ("super", "cli")):
            return None
        return f"{here} may not look into {target}"
    mine = here.split("/")[0]
    if order.index(there) > order.index(mine):
        return f"{there} stands after {mine} in ARCHITECTURE.md"
    if "internal" in included and there != mine:
        return f"{included} is the inside of {there}"
    return None


def includes(root):
    order, bad, seen = order_of(root), [], 0
    for path in sources(root):
        parts = path.split("/")
        if len(parts) < 3 or parts[1] not in order:
            bad.append(f"{path}: src/{parts[1]} is not in ARCHITECTURE.md")
            continue
        with open(os.path.join(root, path), encoding="utf-8") as f:
            for at, line in enumerate(f, 1):
                match = re.match(r'\s*#\s*include\s*[<"]([^">]+)[">]', line)
                why = match and wrong(path, match.group(1), order)
                seen += bool(match)
                if why:
                    bad.append(f"{path}:{at}: {match.group(1)}: {why}")
    assert seen > 100, "no includes were found: the test looks in the wrong place"
    # The check itself: it must see what is wrong.
    assert wrong("src/base/x.c", "ledger/ledger.h", order) and wrong("src/smtp/x.c", "loop/loop.h", order)
    assert wrong("src/role/edge/x.c", "sqlite3.h", order) and wrong("src/role/edge/x.c", "role/clerk/x.h", order)
    assert wrong("src/health/x.c", "time.h", order) and not wrong("src/super/x.c", "role/common/role.h", order)
    return bad


def is_sanitized(names):
    """With a sanitizer's runtime, which has fork, exec, dlopen and ptrace in it, for its own use and to look into ours."""
    return any(re.match(r"__(asan|tsan|msan|ubsan|hwasan)_", n) for n in names)


def symbols(programs):
    bad = []
    assert is_sanitized({"__asan_init", "main"}) and not is_sanitized({"main", "__stack_chk_fail"})
    for program in programs:
        role = os.path.basename(program).removeprefix("holdfast-")
        needed = subprocess.run(["objdump", "-p", program], capture_output=True, text=True, check=True).stdout
        table = subprocess.run(["nm", "--format=posix", program], capture_output=True, text=True, check=True).stdout
        names = {line.split()[0].split("@")[0] for line in table.splitlines() if line.strip()}
        assert "main" in names, f"{program}: nm gave no symbols"
        for pattern in FORBIDDEN[role]:
            if pattern == RUN and is_sanitized(names):
                print(f"holdfast-{role}: a sanitizer's runtime is linked in: calls that run programs are not looked for in this build")
                continue
            found = sorted(n for n in names if re.match(pattern, n))
            if found:
                bad.append(f"holdfast-{role} has {', '.join(found[:5])}")
            library = LIBRARIES.get(pattern)
            if library and re.search(rf"NEEDED\s+\S*{library}", needed):
                bad.append(f"holdfast-{role} is linked with {library}")
    return bad


def headers(root, build, compiler):
    """Every header compiles alone."""
    def alone(path):
        done = subprocess.run([*compiler, "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I",
                               os.path.join(root, "src"), "-I", os.path.join(build, "src"), "-x", "c", "-"],
                              input=f'#include "{path}"\n#include "{path}"\n', capture_output=True, text=True)
        return "" if done.returncode == 0 else f"{path} does not compile alone:\n{done.stderr}"

    paths = [p.removeprefix("src/") for p in sources(root) if p.endswith(".h")] + ["ipc/msg.h"]
    assert len(paths) > 20
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [text for text in pool.map(alone, paths) if text]


def main():
    what, args = sys.argv[1], sys.argv[2:]
    bad = {"includes": lambda: includes(*args), "symbols": lambda: symbols(args),
           "headers": lambda: headers(args[0], args[1], args[2:])}[what]()
    for line in bad:
        print(line)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()

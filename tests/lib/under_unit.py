#!/usr/bin/python3
"""Starts a program with what packaging/systemd/holdfast.service leaves to it, where no systemd runs: the capabilities, no new
privileges, the system calls. As systemd does it: groups of calls are expanded by systemd-analyze of this machine.

    under_unit.py [--root FOLDER] PROGRAM [ARGUMENT ...]        (as root; --root: chroot there first)
"""
import ctypes
import errno
import os
import re
import subprocess
import sys

UNIT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "packaging", "systemd", "holdfast.service")
ALLOW, DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
EQUAL, MASKED = 4, 7  # of libseccomp's comparisons
CAPABILITIES = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST "
                "NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
                "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
                "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()


def settings(name):
    with open(UNIT) as f:
        return [line.split("=", 1)[1].split() for line in f.read().splitlines() if line.startswith(name + "=")]


def groups():
    """{"@group": [names of calls and groups]} as this machine's systemd knows them."""
    text = subprocess.run(["systemd-analyze", "syscall-filter"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    found, at = {}, None
    for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines():
        if line.startswith("@"):
            at = found.setdefault(line.strip(), [])
        elif at is not None and line.startswith("    ") and not line.lstrip().startswith("#"):
            at.append(line.strip())
    return found


def expand(word, known):
    if not word.startswith("@"):
        return {word}
    if word not in known:
        raise SystemExit(f"the unit names {word}, which this systemd does not know and leaves out")
    return {call for inner in known[word] for call in expand(inner, known)}


def allowed_calls():
    """Names of the system calls that are left, from the lines in their order. What is always allowed is @default."""
    known, calls = groups(), expand("@default", groups())
    for words in settings("SystemCallFilter"):
        is_denied = words[0].startswith("~")
        for word in [words[0].lstrip("~")] + words[1:]:
            calls = calls - expand(word, known) if is_denied else calls | expand(word, known)
    return calls


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


# RestrictAddressFamilies, and MemoryDenyWriteExecute: what can be written is not code, what is there does not become code.
RULES = {"socket": [Comparison(0, EQUAL, family, 0) for family in (1, 2, 10)],
         "mmap": [Comparison(2, MASKED, 6, bits) for bits in (0, 2, 4)],
         "mprotect": [Comparison(2, MASKED, 4, 0)]}


def filter_of(lib, calls):
    lib.seccomp_init.restype = ctypes.c_void_p
    f = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(DENY)))
    for name in sorted(calls):
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # not of this machine's kind
            continue
        for rule in RULES.get(name, [None]):
            done = lib.seccomp_rule_add_array(f, ALLOW, number, 1 if rule else 0, (Comparison * 1)(rule) if rule else None)
            assert done == 0, name
    return f


def close_in(root=None):
    """This process and all it starts have from now on what the unit leaves."""
    libc, lib = ctypes.CDLL(None, use_errno=True), ctypes.CDLL("libseccomp.so.2")
    f = filter_of(lib, allowed_calls())
    umask = int(settings("UMask")[-1][0], 8)
    kept = {word[len("CAP_"):] for words in settings("CapabilityBoundingSet") for word in words}
    assert kept and kept <= set(CAPABILITIES), kept
    if root:
        os.chroot(root)
        os.chdir("/")
    for number, name in enumerate(CAPABILITIES):
        if name not in kept:
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    os.umask(umask)
    assert lib.seccomp_load(f) == 0


if __name__ == "__main__":
    words = sys.argv[1:]
    folder = words[1] if words[:1] == ["--root"] else None
    words = words[2:] if folder else words
    close_in(folder)
    os.execv(words[0], words)

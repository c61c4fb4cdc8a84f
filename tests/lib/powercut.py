"""True power cuts: Holdfast inside user-mode-linux on a disk image, the kernel killed, the image read from outside.

The guest's root is this machine's file system (hostfs), the data directory is an ext4 in the image, and the sender's journal
lies on hostfs, so that it survives. Only what the guest kernel wrote to its disk is in the image afterwards: what was not
synced is gone, as after a real cut.
"""
import os
import signal
import subprocess
import sys

import peers

LINUX = "/usr/bin/linux.uml"

GUEST = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
ip link set lo up
mount -t ext4 {options} /dev/ubda {disk} || exit 1
cd {folder}
{body}
sync
umount {disk}
echo o > /proc/sysrq-trigger
sleep 5
"""


class Machine:
    def __init__(self, folder, megabytes=512):
        self.folder = os.path.realpath(folder)
        self.disk = os.path.join(self.folder, "disk")
        self.image = os.path.join(self.folder, "disk.img")
        self.console = os.path.join(self.folder, "console")
        self.process = None
        os.makedirs(self.disk, exist_ok=True)
        with open(self.image, "wb") as f:
            f.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)

    def boot(self, body, options=""):
        script = os.path.join(self.folder, "init")
        with open(script, "w") as f:
            f.write(GUEST.format(disk=self.disk, folder=self.folder, body=body, options=options))
        os.chmod(script, 0o755)
        with open(self.console, "ab") as console:
            self.process = subprocess.Popen(
                [LINUX, f"ubd0={self.image}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", "mem=768M",
                 f"init={script}", "con=null", "con0=null,fd:1", "quiet", "panic=1", "random.trust_cpu=on"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True, cwd=self.folder)

    def cut_power(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_off(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.cut_power()
            raise peers.Timeout("the guest did not end:\n" + self.tail())

    def tail(self):
        with open(self.console, errors="replace") as f:
            return "".join(f.readlines()[-40:])

    def run_holdfast_under_load(self, holdfast, journal, seed, count=100000):
        """holdfast.data must lie below self.disk."""
        sender = f"{sys.executable} -B {os.path.join(peers.TOP, 'tests/lib/oracle.py')} send {holdfast.port} {journal} {count} {seed}"
        self.boot(f"""
{peers.BUILD}/holdfast run --config {holdfast.config} >> {holdfast.log} 2>&1 &
{sender} >> {self.folder}/sender.log 2>&1
""")

    def copy_out(self, target):
        """Boots once more (the journal of ext4 is replayed) and copies the disk's content to the host."""
        os.makedirs(target, exist_ok=True)
        self.boot(f"cp -a {self.disk}/. {target}/ && echo done > {target}/.copied")
        self.wait_off(120)
        assert os.path.exists(os.path.join(target, ".copied")), "copying out failed:\n" + self.tail()

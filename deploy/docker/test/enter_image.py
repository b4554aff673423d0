"""Runs a shell command inside a root file system as a container would run it: as the image's user, with a network and
processes of its own, everything read-only except /tmp and the data folder.

usage: enter_image.py ROOT COMMAND     (as root)
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../test/runbook"))
from private_network import loopback_up  # noqa: E402

USER = 10001
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "WALLABY_DATA_DIR": "/var/lib/wallaby"}
UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def main():
    if os.environ.get("WALLABY_ENTERED") != "1":
        os.environ["WALLABY_ENTERED"] = "1"
        os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, __file__, *sys.argv[1:]])
    root, command = sys.argv[1:]
    loopback_up()
    mount("--bind", root, root)
    mount("-o", "remount,bind,ro", root)
    mount("-t", "tmpfs", "tmpfs", f"{root}/tmp")
    mount("-t", "tmpfs", "-o", f"uid={USER},gid={USER},mode=750", "tmpfs", f"{root}/var/lib/wallaby")
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "/dev", f"{root}/dev")
    os.chroot(root)
    os.chdir("/var/lib/wallaby")
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    os.execve("/bin/sh", ["sh", "-c", command], ENVIRONMENT)


if __name__ == "__main__":
    main()

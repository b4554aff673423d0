"""Runs a command in a network of its own, so that the ports of a page can be taken as printed.

usage: private_network.py COMMAND [ARGUMENT]...

Where the machine allows no network namespaces, the command runs in the machine's network.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def main():
    if os.environ.get("WALLABY_PRIVATE_NETWORK"):
        loopback_up()
        os.execvp(sys.argv[1], sys.argv[1:])
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
        os.environ["WALLABY_PRIVATE_NETWORK"] = "1"
        os.execvp(unshare[0], [*unshare, sys.executable, __file__, *sys.argv[1:]])
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()

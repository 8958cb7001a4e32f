# SPDX-License-Identifier: MIT
"""What systemd would hear."""

import os
import socket

import lab


class ServiceManager:
    """The socket that $NOTIFY_SOCKET names."""

    def __init__(self, test):
        self.name = f"@qatime-test-{os.getpid()}-{next(lab.NUMBER)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0", 1))
        self.socket.settimeout(60)
        test.addCleanup(self.socket.close)

    def receive(self):
        return self.socket.recv(4096).decode()

    def receive_until(self, message):
        """All messages up to this one."""
        received = [self.receive()]
        while received[-1] != message:
            received.append(self.receive())
        return received

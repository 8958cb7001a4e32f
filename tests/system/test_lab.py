# SPDX-License-Identifier: MIT
"""What the tests themselves rely on."""

import socket
import struct
import unittest

import lab

IP_LOCAL_PORT_RANGE = 51  # of Linux 6.3


def only(port):
    """A socket for which the kernel can choose this port alone, or nothing."""
    made = socket.socket()
    try:
        made.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", port | port << 16))
    except OSError:
        made.close()
        raise unittest.SkipTest("this kernel cannot be told which ports to choose from")
    return made


class OwnPort(unittest.TestCase):
    def test_nobody_else_gets_it(self):
        port = lab.own_port()
        for share in (0, 1):
            for address in ("127.0.0.1", "0.0.0.0"):
                with only(port) as other, self.assertRaises(OSError):
                    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, share)
                    other.bind((address, 0))
        with only(port) as other, socket.create_server(("127.0.0.1", 0)) as server, self.assertRaises(OSError):
            other.connect(server.getsockname())

    def test_a_server_comes_and_goes_on_it(self):
        port = lab.own_port()
        for _ in range(3):
            self.assertFalse(lab.accepts(port))
            with socket.create_server(("127.0.0.1", port)):
                self.assertTrue(lab.accepts(port))

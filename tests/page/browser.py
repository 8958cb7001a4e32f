# SPDX-License-Identifier: MIT
"""A headless Chromium, driven over the DevTools protocol (https://chromedevtools.github.io/devtools-protocol)."""

import base64
import http.client
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

import lab

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
           --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars
           --remote-debugging-port=0""".split()


class WebSocket:
    """As much of a client of RFC 6455 as a peer on this machine asks for: text, unfragmented when we send it."""

    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.stream = self.socket.makefile("rb")
        assert b" 101 " in self.stream.readline()
        while self.stream.readline() != b"\r\n":
            pass

    def send(self, text):
        payload, mask = text.encode(), os.urandom(4)
        length = (bytes([0x80 | len(payload)]) if len(payload) < 126
                  else bytes([0x80 | 126]) + struct.pack(">H", len(payload)) if len(payload) < 1 << 16
                  else bytes([0x80 | 127]) + struct.pack(">Q", len(payload)))
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.socket.sendall(b"\x81" + length + mask + masked)

    def receive(self):
        text, is_last = b"", False
        while not is_last:
            first, length = self.stream.read(2)
            if length == 126:
                length, = struct.unpack(">H", self.stream.read(2))
            elif length == 127:
                length, = struct.unpack(">Q", self.stream.read(8))
            text += self.stream.read(length)
            is_last = bool(first & 0x80)
        return text.decode()

    def close(self):
        self.stream.close()
        self.socket.close()


class Browser:
    """One page. What its console says, which exceptions nobody catches and what it asks for is in `complaints` and
    `requests`."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="qatime-browser-"))
        self.process = subprocess.Popen(["chromium", *FLAGS, f"--user-data-dir={self.directory}", "about:blank"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        active = self.directory / "DevToolsActivePort"
        lab.wait_until(lambda: active.exists() and active.read_text().count("\n") == 1, "chromium to start")
        port = int(active.read_text().splitlines()[0])
        self.complaints, self.requests, self.number = [], [], 0
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/json/list")
        page, = [target for target in json.load(connection.getresponse()) if target["type"] == "page"]
        connection.close()
        self.socket = WebSocket(port, "/" + page["webSocketDebuggerUrl"].split("/", 3)[3])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.receive())
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message):
        what, about = message["method"], message["params"]
        if what == "Runtime.consoleAPICalled" or what == "Runtime.exceptionThrown":
            self.complaints.append(about)
        elif what == "Log.entryAdded":
            self.complaints.append(about["entry"])
        elif what == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])

    def open(self, url):
        self.complaints.clear()
        self.requests.clear()
        self.do("Page.navigate", url=url)

    def evaluate(self, expression):
        result = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def look(self, width=1100, height=900, dark=False):
        """Sets the size of the window and the preferred colours."""
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.do("Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, file):
        """The whole page."""
        image = self.do("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        pathlib.Path(file).write_bytes(base64.b64decode(image))

    def close(self):
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.directory, ignore_errors=True)

# SPDX-License-Identifier: MIT
"""The page behind nginx, by the lines of conf/README.md."""

import base64
import contextlib
import http.client
import pathlib
import re
import socket
import ssl
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import lab
from case import Case
from certificates import Authority

NAME = "qatime.example.com"
README = (ROOT / "conf" / "README.md").read_text()
LINES = re.search(r"^```\n(server \{\n.*?^\})\n```$", README, re.DOTALL | re.MULTILINE)
MAIN = """
    daemon off;
    pid nginx.pid;
    error_log stderr;
    events {{ }}
    http {{
      access_log off;
      client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
      {server}
    }}
"""


class BehindNginx(Case):
    def proxy(self, daemon):
        """An nginx in front of the daemon; returns its port and what a client trusts."""
        directory = daemon.directory / "nginx"
        directory.mkdir()
        authority = Authority(directory)
        identity = authority.issue(NAME)
        (directory / "users").write_text("admin:{PLAIN}secret\n")
        port = lab.own_port()
        server = LINES[1]
        for old, new in {"listen 443": f"listen 127.0.0.1:{port}", "/etc/nginx/qatime.pem": identity.certificate,
                         "/etc/nginx/qatime.key": identity.key, "/etc/nginx/qatime.users": directory / "users",
                         "127.0.0.1:9514": f"127.0.0.1:{daemon.admin}"}.items():
            self.assertIn(old, server)
            server = server.replace(old, str(new))
        (directory / "nginx.conf").write_text(MAIN.format(server=server))
        nginx = lab.start(["nginx", "-p", directory, "-c", "nginx.conf"], directory / "log")
        self.addCleanup(lab.stop, nginx)
        lab.wait_until(lambda: nginx.poll() is not None or lab.accepts(port), "nginx to listen")
        self.assertIsNone(nginx.poll(), (directory / "log").read_text())
        return port, ssl.create_default_context(cafile=authority.certificate)

    @staticmethod
    def ask(port, context, password=None):
        headers = {"Host": NAME}
        if password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
        connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=NAME)
        with contextlib.closing(connection):
            connection.request("GET", "/readyz", headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    def test_the_page_has_tls_and_a_password(self):
        port, context = self.proxy(self.daemon(admin__hosts=[NAME]))
        self.assertEqual(self.ask(port, context)[0], 401)
        self.assertEqual(self.ask(port, context, "wrong")[0], 401)
        self.assertEqual(self.ask(port, context, "secret")[0], 200)

    def test_a_name_that_is_not_configured_is_refused_with_the_key(self):
        port, context = self.proxy(self.daemon())
        status, text = self.ask(port, context, "secret")
        self.assertEqual(status, 421)
        self.assertIn(b"admin.hosts", text)


if __name__ == "__main__":
    unittest.main()

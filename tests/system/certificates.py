# SPDX-License-Identifier: MIT
"""Certificates made for one test, with the program openssl."""

import itertools
import subprocess

CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Identity:
    """The files of a certificate and its key. Everybody may read them: who tests as root does not run qatime as root."""

    def __init__(self, stem, *arguments):
        self.certificate, self.key = stem.with_suffix(".pem"), stem.with_suffix(".key")
        command = ["openssl", "req", "-x509", "-config", "-", *NEW_KEY, "-days", "2", *arguments,
                   "-out", self.certificate, "-keyout", self.key]
        subprocess.run(command, input=CONFIGURATION, text=True, check=True, capture_output=True)
        self.key.chmod(0o644)

    def replace_with(self, other):
        """Puts what `other` has into our files, as who renews a certificate does."""
        for mine, new in ((self.certificate, other.certificate), (self.key, other.key)):
            mine.write_bytes(new.read_bytes())


class Authority(Identity):
    def __init__(self, directory, name="authority"):
        self.directory, self.numbers = directory, itertools.count()
        super().__init__(directory / name, "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, name, *addresses):
        """For a host of this name, and these addresses."""
        names = ",".join([f"DNS:{name}", *(f"IP:{address}" for address in addresses)])
        return Identity(self.directory / f"{self.certificate.stem}-{next(self.numbers)}", "-subj", "/CN=somebody",
                        "-addext", f"subjectAltName={names}", "-CA", self.certificate, "-CAkey", self.key)

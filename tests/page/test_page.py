# SPDX-License-Identifier: MIT
"""The page of the daemon in a real browser.

    QATIME=BUILD/src/qatime QATIME_NFS_FILES=BUILD/tests/nfs_files python3 -m unittest discover -s tests/page

QATIME_SCREENSHOTS=DIRECTORY has it leave pictures there, to be looked at. Debian package: chromium.
"""

import json
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "system"), str(pathlib.Path(__file__).parent)]

import lab
from browser import Browser
from case import Case, now
from lab import record, send_tcp, wait_until

HOSTILE = ["</script><script>hacked=1</script>", "<img src=x onerror=hacked=1>", '"quoted" &amp; {{hacked}}',
           "\x1b[2J\x1b]0;hacked\x07", "\u202eoverride", "back\\slash"]
RULE_17 = {f"qatime_{name}" for name in """received_messages_total accepted_total moves_total removals_total ignored_total
           malformed_total applied_total unchanged_total coalesced_total cancelled_total failed_total dropped_total
           pending_entries recovered_total""".split()}
NUMBERS = """Object.fromEntries([...document.querySelectorAll('[data-metric]')].map(
    (place) => [place.dataset.metric, Number(place.textContent.replaceAll(',', ''))]))"""


class Page(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def open(self, daemon):
        """Opens the page and waits for the first answer of the daemon."""
        self.browser.look()
        self.browser.open(f"http://127.0.0.1:{daemon.admin}/")
        wait_until(lambda: self.text("#version"), "the page to be filled")

    def text(self, selector):
        return self.browser.evaluate(f"(document.querySelector({json.dumps(selector)}) || {{}}).textContent")

    def expect_quiet(self, daemon):
        """Nothing was complained of, and nobody else was asked for anything."""
        self.assertEqual(self.browser.complaints, [])
        here = f"http://127.0.0.1:{daemon.admin}/"
        self.assertEqual({url for url in self.browser.requests if not url.startswith("data:")},
                         {here, f"{here}status.json"})

    def take_pictures(self, name):
        directory = os.environ.get("QATIME_SCREENSHOTS")
        for kind, look in (("light", {}), ("dark", {"dark": True}), ("narrow", {"width": 375, "height": 800}),
                           ("narrow-dark", {"width": 375, "height": 800, "dark": True})):
            self.browser.look(**look)
            width = self.browser.evaluate("document.documentElement.scrollWidth")
            self.assertLessEqual(width, look.get("width", 1100), f"{kind} is wider than its window")
            if directory:
                self.browser.screenshot(pathlib.Path(directory) / f"{name}-{kind}.png")

    def send_something(self, daemon):
        paths = self.make_files(*(f"file-{index}" for index in range(30)))
        when = now()
        records = [record(path, when + index, host=f"qumulo-{index % 5}") for index, path in enumerate(paths)]
        records += [record(f"{self.root}/none-{index}", when) for index in range(3)]
        records += [record(paths[0], when, operation="fs_open"), b"no record",
                    record(f"{self.root}/a", when, "fs_rename", target=f"{self.root}/b")]
        send_tcp(daemon.port, records)
        wait_until(lambda: daemon.metrics()("pending_entries") == 0, "all to have an outcome")

    def test_its_numbers_are_those_of_the_metrics(self):
        daemon = self.daemon()
        self.send_something(daemon)
        self.open(daemon)
        counters = daemon.metrics()
        shown = self.browser.evaluate(NUMBERS)
        self.assertLessEqual(RULE_17, set(shown))
        self.assertEqual(shown, {name: counters(name.removeprefix("qatime_")) for name in shown})
        self.assertEqual(self.text("#servers-figure"), "1 of 1")
        hosts = self.browser.evaluate("[...document.querySelectorAll('#nodes tr')].map((row) => "
                                      "[row.cells[0].textContent, row.cells[3].textContent])")
        self.assertEqual({host: int(count) for host, count in hosts},
                         {f"qumulo-{n}": sum(value for (name, labels), value in counters.values.items()
                                             if name == "qatime_node_records_total" and labels[0] == f"qumulo-{n}")
                          for n in range(5)})
        self.assertEqual(self.text("#verdict"), "access times are true")
        self.assertIn("noent 3", self.text("#became"))
        self.take_pictures("quiet")
        self.expect_quiet(daemon)

    def test_it_follows_what_happens_and_shows_what_was_before(self):
        daemon = self.daemon()
        path, = self.make_files("file")
        wait_until(lambda: len(json.loads(daemon.get("/status.json")[2])["history"]["time"]) > 1, "two samples")
        self.open(daemon)
        curve = "document.querySelector('#pending-chart .curve').getAttribute('d').split('L').length"
        self.assertGreater(self.browser.evaluate(curve), 2)  # those of the daemon, and now
        send_tcp(daemon.port, [record(path, now())])
        wait_until(lambda: self.browser.evaluate(NUMBERS)["qatime_applied_total"] == 1, "the page to show it")
        daemon.stop()
        wait_until(lambda: self.text("#verdict") == "the daemon does not answer", "the page to miss it")

    def test_it_says_what_is_wrong_and_what_to_do(self):
        daemon = self.daemon(nfs__port=lab.own_port(), nfs__mount_port=lab.own_port())
        send_tcp(daemon.port, [record(f"{self.root}/{index}", now(), host=f"qumulo-{index % 20}") for index in range(500)])
        wait_until(lambda: daemon.metrics()("degraded", "unreachable") == 1, "the server to be missed")
        self.open(daemon)
        self.assertEqual(self.text("#verdict"), "access times are not all true now")
        self.assertRegex(self.text("#troubles"), "no server answers.*Connection refused")
        self.assertEqual(self.text("#servers-figure"), "0 of 1")
        self.assertEqual(self.browser.evaluate(NUMBERS)["qatime_pending_entries"], 500)
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('#nodes tr').length"), 12)
        self.browser.evaluate("document.querySelector('#more-nodes').click()")
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('#nodes tr').length"), 20)
        self.take_pictures("degraded")
        self.expect_quiet(daemon)

    def test_no_name_can_alter_it(self):
        daemon = self.daemon()
        elements = "document.querySelectorAll('body *:not(tr, td, th, br, span, path, svg)').length"
        self.open(daemon)
        before = self.browser.evaluate(elements)
        when = now()
        send_tcp(daemon.port, [record(f"{self.root}/{name.replace('/', '')}", when, host=f"{index}{name}".replace(" ", ""))
                               for index, name in enumerate(HOSTILE)])
        send_tcp(daemon.port, [name.encode() for name in HOSTILE if "\n" not in name])
        wait_until(lambda: daemon.metrics()("failed", "noent") == len(HOSTILE), "the failures")
        self.open(daemon)
        wait_until(lambda: self.browser.evaluate("document.querySelectorAll('#failures tr').length") > len(HOSTILE),
                   "the page to show them")
        self.assertEqual(self.browser.evaluate("typeof hacked"), "undefined")
        self.assertEqual(self.browser.evaluate("document.images.length + document.scripts.length"), 1)
        self.assertEqual(self.browser.evaluate(elements), before)
        failures = self.text("#failures")
        self.assertIn("<img src=x onerror=hacked=1>", failures)
        self.assertIn("\\x1b[2J\\x1b]0;hacked\\x07", failures)
        self.assertNotIn("\x1b", failures)
        self.take_pictures("hostile")
        self.expect_quiet(daemon)

    def test_a_browser_runs_nothing_else_in_it(self):
        daemon = self.daemon()
        self.open(daemon)
        self.browser.evaluate("const made = document.createElement('script'); made.textContent = 'hacked = 1';"
                              "document.body.append(made)")
        self.assertEqual(self.browser.evaluate("typeof hacked"), "undefined")
        self.assertRegex(str(self.browser.complaints), "Content Security Policy")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: MIT
"""Alerts, dashboard and README.md of conf/: they are valid, fire when they should, and name metrics that exist."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import yaml
from case import Case, now
from lab import record, send_tcp, wait_until
from redis_lab import Redis

RULES = ROOT / "conf" / "prometheus-rules.yaml"
DASHBOARD = ROOT / "conf" / "grafana-dashboard.json"
README = ROOT / "conf" / "README.md"
CASES = pathlib.Path(__file__).with_name("prometheus_rules.yaml")
README_ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]*\| .*\|$", re.MULTILINE)  # of the table of metrics
NAME = re.compile(r"\b(?:qatime|process)_\w+")


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def queries():
    """{where: expression} of the dashboard, with Grafana's variables filled in."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return {f"{panel['title']} {target['refId']}":
            target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            for panel in panels for target in panel["targets"]}


class Monitoring(Case):
    def promtool(self, *arguments):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def write(self, name, text):
        file = self.scratch.path / name
        file.write_text(text)
        return file

    def test_the_rules_are_valid_and_fire_when_they_should(self):
        self.promtool("check", "rules", RULES)
        cases = CASES.read_text()
        self.promtool("test", "rules", self.write("cases.yaml", cases.replace("RULES", str(RULES))))
        self.assertEqual({rule["alert"] for rule in alerts()}, set(re.findall(r"alertname: (\w+)$", cases, re.MULTILINE)))

    def test_the_queries_of_the_dashboard_are_valid(self):
        rules = [{"record": "a:b", "expr": expression} for expression in queries().values()]
        file = self.write("queries.yaml", yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
        self.promtool("check", "rules", file, "--lint=none")

    def exposed(self):
        """What a daemon exposes that has set a time, with a local and with a shared backlog."""
        redis = Redis(self.scratch)
        self.addCleanup(redis.stop)
        path, = self.make_files("file")
        texts = []
        for settings in ({}, {"backlog__kind": "redis", "redis__url": redis.url}):
            daemon = self.daemon(**settings)
            send_tcp(daemon.port, [record(path, now())])
            wait_until(lambda: daemon.metrics()("applied") == 1, "an access time")
            texts.append(daemon.get("/metrics")[2].decode())
        return "".join(texts)

    def test_rules_and_dashboard_speak_of_metrics_and_labels_that_there_are(self):
        exposed = self.exposed()
        names = set(re.findall(r"^(\w+)(?:\{| )", exposed, re.MULTILINE))
        labels = set(re.findall(r'(\w+)="', exposed)) | {"instance", "job"}
        expressions = {**queries(), **{rule["alert"]: rule["expr"] for rule in alerts()}}
        for where, expression in expressions.items():
            with self.subTest(where):
                used = set(NAME.findall(expression))
                self.assertTrue(used or expression.startswith("up{"), expression)
                self.assertLessEqual(used, names)
                grouped = ",".join(re.findall(r"\b(?:by|on) \(([^)]*)\)", expression))
                matched = re.findall(r'(\w+)(?:=|!=|=~|!~)"', expression)
                self.assertLessEqual({*re.findall(r"\w+", grouped), *matched}, labels)

    def test_the_dashboard_and_the_readme_show_every_family(self):
        told = set(NAME.findall(" ".join([*queries().values(), *(rule["expr"] for rule in alerts())])))
        shown = {re.sub("_(bucket|sum|count)$", "", name) for name in told}
        families = set(re.findall(r"^# TYPE (qatime_\w+)", self.exposed(), re.MULTILINE))
        self.assertEqual(families - shown, {"qatime_received_bytes_total", "qatime_handle_cache_hits_total",
                                            "qatime_handle_cache_misses_total", "qatime_reloads_total"})
        self.assertEqual(families, {f"qatime_{name}" for row in README_ROW.findall(README.read_text())
                                    for name in re.findall(r"`(\w+)`", row)})


if __name__ == "__main__":
    unittest.main()

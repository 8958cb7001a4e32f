# SPDX-License-Identifier: MIT
"""The commands of conf/README.md for a cluster: Qumulo's command-line tool would take them."""

import argparse
import unittest

import readme

# Options by their names: FLAG has no value, ONE has one, MANY have at least one. One of each of `needed` must be there.
FLAG, ONE, MANY = {"action": "store_true"}, {}, {"nargs": "+"}
AUDIT = {"--csv": FLAG, "--json": FLAG, "--enable": FLAG, "--disable": FLAG, "--server-address": ONE,
         "--server-port": {"type": int}}
EXPORT = {"--export-id": {"type": int}, "--export-path": ONE, "--tenant-id": {"type": int}, "--json": FLAG}
# From the pages of https://docs.qumulo.com/qq-cli-command-guide/ (github.com/Qumulo/docs): audit/audit_set_syslog_config
# at 2fa0809766c2, audit/audit_create_destination at 1e3b751447f7, nfs/nfs_get_export and nfs_mod_export_host_access at
# 0765db6d8df7; the options of add_entry are those of the tool itself (qumulo_api, commands/nfs.py).
COMMANDS = {
    "audit_set_syslog_config": (AUDIT | {"--local-enable": FLAG, "--local-disable": FLAG}, []),
    "audit_create_destination": (
        AUDIT | {"--name": ONE, "--type": {"choices": ["SYSLOG", "CLOUDWATCH", "LOCAL"]}, "--log-group-name": ONE,
                 "--region": ONE},
        [{"--name"}, {"--enable", "--disable"}]),
    "nfs_get_export": (EXPORT, [{"--export-id", "--export-path"}]),
    "nfs_mod_export_host_access": (EXPORT, [{"--export-id", "--export-path"}, {"add_entry"}]),
    "add_entry": (
        {"--hosts": MANY, "--insert-after": {"type": int}, "--insecure": FLAG, "--secure": FLAG, "--rw": FLAG,
         "--ro": FLAG, "--no-root-squash": FLAG, "--root-squash": FLAG, "--all-squash": FLAG}, []),
}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise AssertionError(message)


def check(name, words):
    """Raises AssertionError for words that do not belong to this command, or where one is missing."""
    options, needed = COMMANDS[name]
    if "add_entry" in words:
        at = words.index("add_entry")
        check("add_entry", words[at + 1:])
        given, words = {"add_entry"}, words[:at]
    else:
        given = set()
    parser = Parser(allow_abbrev=False)
    for option, details in options.items():
        parser.add_argument(option, **details)
    parser.parse_args(words)
    for alternatives in needed:
        assert len(alternatives & (given | set(words))) == 1, f"{name} needs one of {alternatives}"


class Commands(unittest.TestCase):
    def test_each_has_the_arguments_that_it_needs_and_no_unknown_one(self):
        commands = readme.commands_of("qq")
        for command in commands:
            with self.subTest(" ".join(command)):
                check(command[1], command[2:])
        self.assertEqual({command[1] for command in commands} | {"add_entry"}, set(COMMANDS))

    def test_the_rule_of_the_export_is_what_qatime_needs(self):
        (rule,) = (command for command in readme.commands_of("qq") if "add_entry" in command)
        self.assertLessEqual({"--rw", "--insecure", "--no-root-squash"}, set(rule))
        self.assertIn("--insert-after 0", " ".join(rule))  # above all others


if __name__ == "__main__":
    unittest.main()

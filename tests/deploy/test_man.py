# SPDX-License-Identifier: MIT
"""The manual pages: mandoc accepts them, and they agree with the program, its sample file and the list of reloadable
keys.
"""

import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import lab
import tomllib

PROGRAM_PAGE = ROOT / "conf" / "man" / "qatime.1"
KEYS_PAGE = ROOT / "conf" / "man" / "qatime.toml.5"
SAMPLE = ROOT / "conf" / "qatime.toml"
MANUAL = ROOT / "conf" / "README.md"

# A key of the sample file, which can be commented out; a sentence does not look like this.
SAMPLE_KEY = re.compile(r"^(?:# ?)?([a-z]\w*) = (.*?)( +# reload)?$")
SAMPLE_SECTION = re.compile(r"^(?:# ?)?\[{1,2}([\w.]+)\]{1,2}$")


def qatime(*arguments):
    """What the program prints, on both outputs, and its exit status."""
    done = subprocess.run([lab.binary("QATIME"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True)
    return done.stdout, done.returncode


def source(page):
    """A page without escapes for characters."""
    return page.read_text().replace(r"\(dq", '"').replace(r"\-", "-").replace(r"\e", "\\").replace(r"\&", "")


def part(text, macro, name):
    """What follows this heading until the next one of the same kind or above."""
    above = "Sh" if macro == "Sh" else "S[hs]"
    found = re.search(rf"^\.{macro} {re.escape(name)}\n(.*?)(?=^\.{above} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f".{macro} {name} is missing"
    return found[1]


def literals(text):
    return re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)


# --- keys ------------------------------------------------------------------------------------------------------------


def sample():
    """{key: (its default, whether it is marked)} of the sample file, also of lines that are commented out."""
    found, section = {}, ""
    for line in SAMPLE.read_text().splitlines():
        if head := SAMPLE_SECTION.match(line):
            section = head[1]
        elif key := SAMPLE_KEY.match(line):
            found[f"{section}.{key[1]}"] = (tomllib.loads(f"x = {key[2]}")["x"], bool(key[3]))
    return found


def entries():
    """[(key, its default as the page has it, the text of its entry)] of the page."""
    return re.findall(r"^\.It Cm (\S+) No = ([^\n]*)\n(.*?)(?=^\.It |^\.El$)", source(KEYS_PAGE),
                      re.MULTILINE | re.DOTALL)


def option_of(key):
    """The key that --set takes; those in a table of nfs.exports go together."""
    return "nfs.exports" if key.startswith("nfs.exports.") else key


def allowed(key):
    """What the program allows for a key, as it answers to a value of no allowed type."""
    said, status = qatime("check", "--set", f"{key}=1979-05-27")
    found = re.search(rf": {re.escape(key)} must be (.*)\n\Z", said)
    assert status == 2 and found, said
    return found[1]


def bounds(text):
    """The numbers with their units in it, without those of examples."""
    return set(re.findall(r"\b\d+(?: ?(?:ns|us|ms|s|m|h|d|B|KiB|MiB|GiB|TiB)\b)?", re.sub(r"(?:, )?like .*", "", text)))


class Pages(unittest.TestCase):
    def test_mandoc_has_nothing_to_say_about_them(self):
        for page in (PROGRAM_PAGE, KEYS_PAGE):
            with self.subTest(page.name):
                done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual((done.stdout, done.returncode), ("", 0))


    def test_an_installation_has_them_beside_the_program_the_unit_and_the_sample(self):
        scratch = lab.Scratch()
        self.addCleanup(scratch.remove)
        build = pathlib.Path(lab.binary("QATIME")).parents[1]
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", scratch.path], check=True,
                       stdout=subprocess.DEVNULL)
        there = {str(path.relative_to(scratch.path)) for path in scratch.path.rglob("*") if path.is_file()}
        self.assertEqual(there, {"usr/local/" + name for name in (
            "bin/qatime", "lib/systemd/system/qatime.service", "share/doc/qatime/qatime.toml",
            "share/man/man1/qatime.1", "share/man/man5/qatime.toml.5")})


class Keys(unittest.TestCase):
    def test_each_key_of_the_sample_has_one_entry_with_the_same_default(self):
        names = [key for key, _, _ in entries()]
        self.assertEqual(sorted(names), sorted(set(names)))
        self.assertEqual({key: tomllib.loads(f"x = {default}")["x"] for key, default, _ in entries()},
                         {key: default for key, (default, _) in sample().items()})

    def test_an_entry_is_in_the_section_of_its_key(self):
        for section in re.findall(r"^\.Ss \[+([\w.]+)\]+$", source(KEYS_PAGE), re.MULTILINE):
            brackets = "[[{}]]" if section == "nfs.exports" else "[{}]"
            keys = re.findall(r"^\.It Cm (\S+)", part(source(KEYS_PAGE), "Ss", brackets.format(section)), re.MULTILINE)
            self.assertTrue(keys, section)
            self.assertEqual({key.rpartition(".")[0] for key in keys}, {section})

    def test_the_program_has_each_key_that_the_pages_name(self):
        sections = "|".join({key.split(".")[0] for key in sample()})
        for page in (PROGRAM_PAGE, KEYS_PAGE):
            named = set(re.findall(rf"(?:\bCm |--set '?)((?:{sections})\.[\w.]*\w)", source(page)))
            self.assertTrue(named)
            for key in sorted(named):
                with self.subTest(key):
                    self.assertIn(key, sample())
                    allowed(option_of(key))

    def test_an_entry_names_the_bounds_that_the_program_has(self):
        for key, _, text in entries():
            with self.subTest(key):
                self.assertLessEqual(bounds(allowed(option_of(key))), bounds(text))

    def test_a_mark_of_the_page_is_that_of_the_sample(self):
        for key, _, text in entries():
            with self.subTest(key):
                marks = re.findall(r"^Takes effect on (reload|restart)\.$", text, re.MULTILINE)
                self.assertEqual(marks, ["reload" if sample()[key][1] else "restart"])

    def test_a_mark_of_the_page_is_that_of_the_list_of_reloadable_keys(self):
        section = re.search(r"^### Reload\n(.*?)(?=^#|\Z)", MANUAL.read_text(), re.MULTILINE | re.DOTALL)[1]
        listed = set(re.findall(r"`([a-z]\w*(?:\.\w+)*(?:\.\*)?)`", section))
        self.assertTrue(listed)
        for key, _, text in entries():
            with self.subTest(key):
                is_listed = bool({key, option_of(key), f"{key.rpartition('.')[0]}.*"} & listed)
                self.assertEqual("Takes effect on reload." in text, is_listed)

    def test_the_program_accepts_the_example(self):
        scratch = lab.Scratch()
        self.addCleanup(scratch.remove)
        (example,) = literals(part(source(KEYS_PAGE), "Sh", "EXAMPLES"))
        file = scratch.path / "qatime.toml"
        file.write_text(example)
        said, status = qatime("check", "-c", str(file), "--set", f"backlog.directory={scratch.path}/none")
        self.assertEqual((said, status), ("the configuration is right\n", 0))


# --- commands and options --------------------------------------------------------------------------------------------


def help_of(*command):
    """Of a command, or of the program: {option: (its other name or "", whether it has a value)}, and its commands."""
    text, status = qatime(*command, "--help")
    assert status == 0, text
    options = {}
    for line in text.partition("\nOptions:\n")[2].partition("\n\n")[0].splitlines():
        if named := re.match(r"  (?:(-\w),)?(--[\w-]+)(.*)", line):
            rest = re.sub(r"Excludes: .*", "", named[3].split("  ")[0])
            options[named[2]] = (named[1] or "", bool(rest.strip()))
    commands = re.findall(r"^  (\w+) ", text.partition("\nSubcommands:\n")[2], re.MULTILINE)
    return options, commands


def in_page(text):
    """[(option, whether it has a value)] of the options in a piece of the page, in the order there."""
    found = re.findall(r"(?:^\.(?:It |Op )?|[|,] )Fl (-?[\w-]+)(?: (Ar)\b)?", text, re.MULTILINE)
    # With several names the value is behind the last one.
    return [("-" + name, bool(value)) for name, value in found]


def synopses():
    """{command: the text of its synopsis}."""
    text = part(source(PROGRAM_PAGE), "Sh", "SYNOPSIS")
    return {found[0]: found[1] for found in re.findall(r"^\.Nm\n\.Cm (\w+)\n(.*?)(?=^\.Nm$|\Z)", text,
                                                        re.MULTILINE | re.DOTALL)}


def described(text):
    """{option: (its other name or "", whether it has a value)} of the entries in a piece of the page."""
    found = {}
    for line in re.findall(r"^\.It Fl .*$", text, re.MULTILINE):
        named = in_page(line)
        found[named[-1][0]] = (named[0][0] if len(named) > 1 else "", named[-1][1])
    return found


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.general, cls.commands = help_of()
        cls.options = {command: help_of(command)[0] for command in cls.commands}
        cls.page = source(PROGRAM_PAGE)
        cls.common = described(part(cls.page, "Sh", "OPTIONS"))

    def own(self, command):
        return described(part(self.page, "Ss", command))

    def test_the_page_has_the_commands_of_the_program(self):
        self.assertGreater(len(self.commands), 1)
        self.assertEqual(sorted(synopses()), sorted(self.commands))
        sections = re.findall(r"^\.Ss (.*)$", part(self.page, "Sh", "COMMANDS"), re.MULTILINE)
        self.assertEqual(sorted(sections), sorted(self.commands))

    def test_a_synopsis_has_the_options_of_its_command(self):
        for command, text in synopses().items():
            with self.subTest(command):
                self.assertEqual(dict(in_page(text)), {short or name: has_value for name, (short, has_value)
                                                       in self.options[command].items() if name != "--help"})

    def test_each_option_is_described_once_and_no_other_one(self):
        for command, options in self.options.items():
            with self.subTest(command):
                own = self.own(command)
                self.assertEqual({name: form for name, form in (self.common | own).items()
                                  if name in own or name in options}, options)
                self.assertEqual(set(own) & set(self.common), set())
        self.assertEqual(self.general, {name: form for name, form in self.common.items() if name in self.general})
        self.assertLessEqual(set(self.common), {name for options in self.options.values() for name in options})

    def test_each_option_that_the_text_mentions_belongs_to_a_command(self):
        known = {name for options in self.options.values() for long, (short, _) in options.items()
                 for name in (long, short)}
        for page in (PROGRAM_PAGE, KEYS_PAGE):
            mentioned = {"-" + name for name in re.findall(r"\bFl (-?[\w-]+)", source(page))}
            self.assertTrue(mentioned)
            self.assertLessEqual(mentioned, known)

    def test_the_examples_have_options_of_their_commands(self):
        lines = "".join(literals(part(self.page, "Sh", "EXAMPLES"))).splitlines()
        self.assertTrue(lines)
        for line in lines:
            with self.subTest(line):
                program, command, *rest = line.split()
                self.assertEqual(program, "qatime")
                self.assertLessEqual({word for word in rest if word.startswith("--")}, set(self.options[command]))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Breaks the parsers and the policy in one small place at a time, to see that a test fails each time.

    mutate.py --all [FILE...]                   runs every mutant of these files, else of all in FILES below
    mutate.py --sample N [--seed S] [FILE...]   runs N of them, the same ones for the same S
    mutate.py --list [FILE...]                  prints them and runs nothing
    mutate.py --self-test                       shows that the operators change what they should, and that each entry
                                                of mutants.txt names a mutant

A mutant is the source with one change, as OPERATORS says. It is killed if it makes a test program fail or hang. One
that does not compile counts for nothing. One that survives needs a test, or simpler code. Where no test can tell it
from the source, tests/mutants.txt names it with the reason. The exit status is 1 if one survives that is not named
there, or if a named one was killed.

Sources and tests are copied to build/mutants, and compiled there without optimization: the checkout is not touched. A
mutant is compiled alone and linked with the objects of all other files, which takes seconds. The tests of its own room
run first. Debian packages: those of tests/packages.sh.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build/mutants"
TREE, BUILD = WORK / "tree", WORK / "build"
NAMED = ROOT / "tests/mutants.txt"

# The files to mutate, each with the programs that test it: those of its own room first.
FILES = {
    "src/ingest/parse/*.cc": ["parse", "ingest", "listen"],
    "src/ingest/policy.cc": ["ingest"],
    "src/ingest/cluster.cc": ["ingest"],
    "src/ingest/explain.cc": ["ingest"],
    "src/ingest/intake.cc": ["ingest", "listen"],
    "src/ingest/message_stream.cc": ["ingest", "listen"],
    "src/ingest/names.cc": ["ingest"],
    "src/ingest/self_addresses.cc": ["ingest"],
    "src/base/timestamp.cc": ["base", "parse", "ingest"],
    "src/base/address.cc": ["base", "ingest", "listen"],
    "src/base/timezone.cc": ["base"],
    "src/base/posix_zone.cc": ["base"],
    "src/base/path.cc": ["base", "ingest"],
    "src/base/url.cc": ["base"],
}
PROGRAMS = ["base", "parse", "ingest", "listen"]
# The rooms that these programs are made of.
ROOMS = ("src/base", "src/config", "src/telemetry", "src/ingest", "src/listen", "src/libraries")

OPERATORS = {
    "relation": {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="], "!=": ["=="]},
    "logic": {"&&": ["||"], "||": ["&&"]},
    "arithmetic": {"+": ["-"], "-": ["+"], "+=": ["-="], "-=": ["+="], "++": ["--"], "--": ["++"]},
    "word": {"true": ["false"], "false": ["true"], "starts_with": ["ends_with"], "ends_with": ["starts_with"],
             "min": ["max"], "max": ["min"]},
}
# Besides: `constant` adds one, `not` drops a `!`, `condition` and `result` negate, `deletion` drops a call, an
# assignment, a break or a continue, `early return` drops a return or a throw that is not the last of its function.

JOBS = int(os.environ.get("JOBS", "2"))  # mutants at once
MEMORY = 4 << 30  # bytes that a program may take
LEAST_CPU = 3  # seconds that it may run, at least; more than the tests of any one file take

# --- reading C++ -----------------------------------------------------------------------------------------------------

TOKEN = re.compile(r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<text>R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')
  | (?P<number>\d[\w'.]*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<sign><=>|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||::|[-+*/%&|^]=|[^\s])
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

Token = collections.namedtuple("Token", "kind text begin end")
CLOSING = {"(": ")", "[": "]", "{": "}"}
RELATIONS = OPERATORS["relation"].keys()
DECLARING = {"const", "constexpr", "auto", "static", "using", "typedef", "struct", "class", "thread_local", "unsigned",
             "int", "char", "bool"}


@dataclasses.dataclass(frozen=True)
class Change:
    """A piece of a source, from `begin` to `end`, and what stands there instead."""
    operator: str
    begin: int
    end: int
    after: str


class Source:
    """The tokens of a C++ source of our style, and the changes that the operators make."""

    def __init__(self, text):
        self.text = text
        self.tokens = [Token(m.lastgroup if m.lastgroup != "mark" else "text", m.group(), m.start(), m.end())
                       for m in TOKEN.finditer(text) if m.lastgroup not in {"comment", "directive"}]
        self.partner = self._partners()
        self.changes = []
        self._read_scope(0, len(self.tokens))
        self._mutate_tokens()
        self.changes.sort(key=lambda c: (c.begin, c.end, c.operator, c.after))

    def _partners(self):
        """Where the bracket ends that opens at an index."""
        partner, open_ones = {}, []
        for i, token in enumerate(self.tokens):
            if token.kind == "sign" and token.text in CLOSING:
                open_ones.append(i)
            elif token.kind == "sign" and token.text in CLOSING.values():
                partner[open_ones.pop()] = i
        return partner

    def _is(self, i, *texts):
        return i < len(self.tokens) and self.tokens[i].kind != "text" and self.tokens[i].text in texts

    def _change(self, operator, first, last, after):
        """Puts `after` in the place of the tokens from `first` to `last`."""
        self.changes.append(Change(operator, self.tokens[first].begin, self.tokens[last].end, after))

    def _written(self, first, last):
        return self.text[self.tokens[first].begin:self.tokens[last].end]

    def _top(self, first, last):
        """The indexes from `first` to `last` that stand in no bracket."""
        while first <= last:
            yield first
            first = self.partner.get(first, first) + 1

    # Namespaces and classes, down to their functions.
    def _read_scope(self, i, end):
        head = i
        while i < end:
            if self._is(i, ";"):
                head = i = i + 1
            elif self._is(i, "{"):
                close = self.partner[i]
                words = [t.text for t in self.tokens[head:i]]
                is_function = words and "(" in words and (
                    words[-1] in {")", "const", "noexcept", "override"} or words[-1] == "}" and ":" in words)
                if is_function:
                    self._read_block(i, "bool" in words[:words.index("(")])
                elif {"namespace", "class", "struct"} & set(words):
                    self._read_scope(i + 1, close)
                else:
                    i = close + 1  # enumerators, or the value of a variable
                    continue
                head = i = close + 1
            else:
                i = self.partner.get(i, i) + 1

    def _read_block(self, i, is_bool):
        end, i = self.partner[i], i + 1
        while i < end:
            i = self._read_statement(i, is_bool, is_last=lambda after: after == end)

    def _read_statement(self, i, is_bool, is_last=lambda after: False):
        """Returns the index behind the statement at `i`."""
        if self._is(i, "{"):
            end = self.partner[i]
            i += 1
            while i < end:
                i = self._read_statement(i, is_bool)
            return end + 1
        if self._is(i, "if", "while", "for", "switch"):
            head = i + 1 if self._is(i + 1, "(") else i + 2  # if constexpr
            self._negate_condition(i, head + 1, self.partner[head] - 1)
            i = self._read_statement(self.partner[head] + 1, is_bool)
            return self._read_statement(i + 1, is_bool) if self._is(i, "else") else i
        if self._is(i, "do"):
            i = self._read_statement(i + 1, is_bool)
            return self._read_statement(i, is_bool)
        if self._is(i, "case", "default"):
            return next(k for k in range(i, len(self.tokens)) if self._is(k, ":")) + 1
        end = next(k for k in self._top(i, len(self.tokens) - 1) if self._is(k, ";"))
        self._read_lambdas(i, end)
        if self._is(i, "return", "throw"):
            if self._is(i, "return") and is_bool and end > i + 1:
                self._negate("result", i + 1, end - 1)
            if not is_last(end + 1):
                self._change("early return", i, end, ";")
        elif end > i and not self._declares(i) and not self._is(i, "assert"):
            self._change("deletion", i, end, ";")
        return end + 1

    def _read_lambdas(self, i, end):
        while i < end:
            if self._is(i, "{") and self._opens_lambda(i):
                self._read_block(i, True)
                i = self.partner[i]
            i += 1

    def _opens_lambda(self, brace):
        before = brace - 1
        while self._is(before, "noexcept", "mutable"):
            before -= 1
        if self._is(before, ")"):
            before = next(k for k, close in self.partner.items() if close == before) - 1
        return self._is(before, "]")

    def _declares(self, i):
        if self.tokens[i].text in DECLARING:
            return True
        while self.tokens[i].kind == "word" and self._is(i + 1, "::"):
            i += 2
        if self.tokens[i].kind != "word" or i + 1 >= len(self.tokens):
            return False
        i += 1
        if self._is(i, "<"):
            depth = 0
            for k in range(i, len(self.tokens)):
                depth += self._is(k, "<") - self._is(k, ">") - 2 * self._is(k, ">>")
                if depth <= 0:
                    i = k + 1
                    break
        while self._is(i, "&", "*", "const"):
            i += 1
        return self.tokens[i].kind == "word"

    def _negate_condition(self, keyword, first, last):
        """`for` has its condition between two semicolons; one that declares something has none to negate."""
        if self._is(keyword, "switch"):
            return
        semicolons = [k for k in self._top(first, last) if self._is(k, ";")]
        if self._is(keyword, "for"):
            if len(semicolons) != 2:
                return
            first, last = semicolons[0] + 1, semicolons[1] - 1
        elif semicolons:
            first = semicolons[-1] + 1
        if first <= last and not any(self._is(k, "=") for k in self._top(first, last)):
            self._negate("condition", first, last)

    def _negate(self, operator, first, last):
        """Not a single comparison or a constant: other operators negate those. Not what looks like no bool."""
        top = [self.tokens[k].text for k in self._top(first, last) if self.tokens[k].kind != "text"]
        if first == last and self._is(first, "true", "false") or self._is(first, "{"):
            return
        logic = {"&&", "||", "?"} & set(top)
        relations = [k for k in self._top(first, last) if self._is(k, *RELATIONS) and self._is_spaced(k)]
        if logic or not relations:
            self._change(operator, first, last, f"!({self._written(first, last)})")

    def _is_spaced(self, k):
        return self.text[self.tokens[k].begin - 1].isspace() and self.text[self.tokens[k].end].isspace()

    def _mutate_tokens(self):
        i = 0
        while i < len(self.tokens):
            token = self.tokens[i]
            if self._is(i, "assert", "static_assert"):
                i = self.partner[i + 1] + 1
                continue
            for operator, table in OPERATORS.items():
                # In our style a binary operator has blanks around it, and the bracket of a template has none.
                if token.kind == "text" or token.kind == "sign" and token.text not in {"++", "--"} and (
                        not self._is_spaced(i)):
                    continue
                for after in table.get(token.text, []):
                    self._change(operator, i, i, after)
            if token.kind == "number" and (number := re.fullmatch(r"(0[xX][\da-fA-F']+|\d[\d']*)(\w*)", token.text)):
                value = int(number[1].replace("'", ""), 0 if number[1][:2].lower() == "0x" else 10) + 1
                self._change("constant", i, i, (hex(value) if number[1][:2].lower() == "0x" else str(value)) + number[2])
            if self._is(i, "!") and not any(c.operator in {"condition", "result"} and c.begin == token.begin and not
                                            re.search(r"&&|\|\||\?", self.text[c.begin:c.end]) for c in self.changes):
                self._change("not", i, i, "")
            if self._is(i, "?"):
                self._negate_choice(i)
            i += 1

    def _negate_choice(self, i):
        """The condition in front of a `?`."""
        opening = {close: begin for begin, close in self.partner.items()}
        first = i
        while first > 0 and not (self.tokens[first - 1].kind != "text" and self.tokens[first - 1].text in
                                 {"(", "[", "{", "=", "return", ",", ";", ":", "?", "+=", "<<"}):
            first = opening.get(first - 1, first - 1)
        if first < i:
            self._negate("condition", first, i - 1)


@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str
    place: str  # its line and column
    operator: str
    before: str  # the changed lines, each run of blanks as one
    after: str
    piece: str  # the change alone
    text: str  # of the whole mutated file

    def __str__(self):
        return f"{self.file}:{self.place} {self.operator}: {self.piece}"


def squeezed(text):
    return " ".join(text.split())


def shortened(text):
    text = squeezed(text)
    return text if len(text) <= 60 else text[:57] + "..."


def mutants_of(file, text):
    for change in Source(text).changes:
        first = text.rfind("\n", 0, change.begin) + 1
        last = text.find("\n", change.end)
        before, after = text[first:last], text[first:change.begin] + change.after + text[change.end:last]
        place = f"{text.count(chr(10), 0, change.begin) + 1}:{change.begin - first + 1}"
        yield Mutant(file, place, change.operator, squeezed(before), squeezed(after),
                     f"{shortened(text[change.begin:change.end])} -> {shortened(change.after) or 'nothing'}",
                     text[:change.begin] + change.after + text[change.end:])


# --- those that are named --------------------------------------------------------------------------------------------


def read_named(text):
    """The reasons of mutants.txt, by (file, before, after)."""
    named, file, pairs = {}, None, []
    for line in text.splitlines():
        mark, rest = line[:2], squeezed(line[2:])
        if line.startswith("#") or not line:
            continue
        if line.startswith("src/"):
            file = line
        elif mark == "- ":
            if pairs and pairs[-1] in named:
                pairs = []
            pairs.append((file, rest, None))
        elif mark == "+ ":
            pairs.append((file, pairs[-1][1], rest))
            if pairs[-2][2] is None:
                del pairs[-2]
        elif mark == "  ":
            for pair in pairs:
                named[pair] = squeezed(named.get(pair, "") + " " + rest)
        else:
            raise SystemExit(f"{NAMED}: not understood: {line}")
    return named


def strangers(named, mutants):
    """Entries that name no mutant."""
    there = {(m.file, m.before, m.after) for m in mutants}
    return [entry for entry in named if entry not in there]


# --- compiling and running -------------------------------------------------------------------------------------------


def copy_tree():
    """Brings the copy up to date, and leaves alone what has not changed, for ninja's sake."""
    names = ["src", "tests", "conf", "subprojects", "meson.build", "meson_options.txt"]
    wanted = set()
    for path in (p for name in names for p in [ROOT / name, *(ROOT / name).rglob("*")]):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        copy = TREE / path.relative_to(ROOT)
        wanted.add(copy)
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    for copy in TREE.rglob("*"):
        if copy.is_file() and copy not in wanted:
            copy.unlink()


class Builder:
    """The objects of the copy, and the mutants linked with them."""

    def __init__(self):
        copy_tree()
        if not (BUILD / "build.ninja").exists():
            subprocess.run(["meson", "setup", BUILD, TREE, "--wrap-mode=nodownload", "-Dbuildtype=plain",
                            "-Db_ndebug=false", "--unity=off", "-Db_pch=false",
                            "-Dcpp_args=-O0 -D_GLIBCXX_ASSERTIONS"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ninja", "-C", BUILD, "build.ninja"], check=True, stdout=subprocess.DEVNULL)
        self.commands = {}
        self.objects = collections.defaultdict(list)  # of each program, and of "core"
        for entry in json.loads((BUILD / "compile_commands.json").read_text()):
            file = os.path.relpath(os.path.join(BUILD, entry["file"]), TREE)
            program = re.match(r"tests/(\w+)_test\.p/", entry["output"])
            if program and program[1] in PROGRAMS:
                self.objects[program[1]].append(entry["output"])
            elif file.startswith(ROOMS):
                self.objects["core"].append(entry["output"])
                self.commands[file] = shlex.split(entry["command"])
        subprocess.run(["ninja", "-C", BUILD, "-j", str(JOBS), *sum(self.objects.values(), [])], check=True,
                       stdout=subprocess.DEVNULL)
        self.core = WORK / "core.a"
        self.core.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", self.core, *self.objects["core"]], check=True, cwd=BUILD)
        self.link_arguments = self._link_arguments()
        self.cpu = {}
        self._expect_green()

    def _link_arguments(self):
        """Those that meson has for a test, without our libraries."""
        rule = re.search(r"^build tests/parse_test: .*\n(?: .*\n)*? LINK_ARGS = (.*)$",
                         (BUILD / "build.ninja").read_text(), re.MULTILINE)[1]
        linker = next((name for name in ("lld", "gold") if shutil.which(f"ld.{name}")), "bfd")
        return [f"-fuse-ld={linker}"] + [a for a in shlex.split(rule) if not re.match(r"src/lib\w+\.a$", a)]

    def _expect_green(self):
        """The programs pass without a mutant. How long that takes bounds what a mutant may take."""
        for program in PROGRAMS:
            begin = resource.getrusage(resource.RUSAGE_CHILDREN)
            if not self.link(program, [], WORK / program) or not self._passes(WORK / program, 600):
                raise SystemExit(f"{program}_test does not pass as it is")
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            took = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
            self.cpu[program] = int(LEAST_CPU + 5 * took)

    def units(self, file):
        """The sources to compile again if `file` changes."""
        if file.endswith(".cc"):
            return [file]
        include = f'#include "{file.removeprefix("src/")}"'
        return [unit for unit in self.commands if include in (TREE / unit).read_text()]

    def prepare(self, file):
        """Compiles what the units of `file` include, but for itself, for all its mutants."""
        for unit in self.units(file):
            includes = [line for line in (TREE / unit).read_text().splitlines()
                        if line.startswith("#include") and f'"{file.removeprefix("src/")}"' not in line]
            prefix, text = self._prefix(unit), "\n".join(includes) + "\n"
            compiled, needed = pathlib.Path(f"{prefix}.gch"), pathlib.Path(f"{prefix}.d")
            if compiled.exists() and prefix.read_text() == text and all(
                    (BUILD / name).stat().st_mtime < compiled.stat().st_mtime
                    for name in needed.read_text().split()[1:] if name != "\\"):
                continue
            prefix.parent.mkdir(parents=True, exist_ok=True)
            prefix.write_text(text)
            subprocess.run([*self._compiler(unit), "-MD", "-MF", needed, "-x", "c++-header", prefix, "-o", compiled],
                           check=True, cwd=BUILD)

    def _prefix(self, unit):
        return WORK / "prefix" / f"{unit.replace('/', '_')}.h"

    def _compiler(self, unit):
        """The command that compiles `unit`, without what says from where and to where."""
        command = [a for a in self.commands[unit] if a != "ccache"]
        return [*command[:command.index("-MD")], "-Werror=return-type"]

    def compile(self, mutant, directory):
        """The objects of the mutant; None if there are none."""
        path = directory / mutant.file
        path.parent.mkdir(parents=True)
        path.write_text(mutant.text)
        objects = []
        for i, unit in enumerate(self.units(mutant.file)):
            source = path if unit == mutant.file else TREE / unit
            objects.append(directory / f"{i}.o")
            compiler, *arguments = self._compiler(unit)
            done = subprocess.run([compiler, f"-I{directory}/src", *arguments, "-include", self._prefix(unit), "-c",
                                   source, "-o", objects[-1]], cwd=BUILD, stderr=subprocess.DEVNULL)
            if done.returncode != 0:
                return None
        return objects

    def link(self, program, objects, output):
        """The objects in front stand for those of the library, which the linker then does not want."""
        done = subprocess.run(["c++", *objects, *self.objects[program], self.core, *self.link_arguments, "-o", output],
                              cwd=BUILD, stderr=None if not objects else subprocess.DEVNULL)
        return done.returncode == 0

    def _passes(self, path, cpu, *options):
        def limit():
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        running = subprocess.Popen([path, "--abort", *options], cwd=WORK, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, preexec_fn=limit, start_new_session=True)
        try:
            return running.wait(timeout=60 + 10 * cpu) == 0
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            return False

    def killer(self, mutant, programs):
        """The program that kills the mutant, "" if it survives; None if it does not compile. Runs the tests of the
        file itself first, because they kill most and take least."""
        own = f"{pathlib.Path(mutant.file).stem}_test"
        with tempfile.TemporaryDirectory(dir=WORK, prefix="mutant-") as name:
            directory = pathlib.Path(name)
            objects = self.compile(mutant, directory)
            if objects is None or not self.link(programs[0], objects, directory / programs[0]):
                return None
            if any(ROOT.glob(f"tests/**/{own}.cc")) and not self._passes(
                    directory / programs[0], LEAST_CPU, "--filenames-as-tags", f"[#{own}]"):
                return programs[0]
            for program in programs:
                if program != programs[0] and not self.link(program, objects, directory / program):
                    return None
                if not self._passes(directory / program, self.cpu[program]):
                    return program
        return ""


# --- the command -----------------------------------------------------------------------------------------------------


def chosen_files(names):
    """Files with their programs, in the order of FILES."""
    files = {str(path.relative_to(ROOT)): programs
             for pattern, programs in FILES.items() for path in sorted(ROOT.glob(pattern))}
    for name in names:
        if name not in files:
            raise SystemExit(f"{name}: not a file that is mutated")
    return {file: programs for file, programs in files.items() if not names or file in names}


def run(mutants, files, named):
    """Prints each mutant and what became of it, and the sums; returns how many are not as they should be."""
    builder = Builder()
    sums = collections.defaultdict(collections.Counter)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(builder.prepare, sorted({mutant.file for mutant in mutants})))
        for mutant, killer in zip(mutants, pool.map(lambda m: builder.killer(m, files[m.file]), mutants)):
            is_named = (mutant.file, mutant.before, mutant.after) in named
            if killer is None:
                outcome = "does not compile"
            elif killer:
                outcome = "killed, but named" if is_named else "killed"
            else:
                outcome = "equivalent" if is_named else "survived"
            sums[mutant.file][outcome] += 1
            print(f"{mutant}: {outcome}{f' by {killer}' if killer else ''}", flush=True)
    for file, counts in sums.items():
        print(f"{file}: {sum(counts.values()) - counts['does not compile']} mutants: " +
              ", ".join(f"{counts[outcome]} {outcome}" for outcome in sorted(counts)))
    return sum(counts["survived"] + counts["killed, but named"] for counts in sums.values())


SELF_TEST = r'''
// a < b
bool f(int a) {
  if (a < 3 && !g(a)) return true;
  h(a);
  const std::vector<int> x{1};
  for (int i = 0; i < a; ++i) k += i;
  return x.contains("a == b") || [](int c) { return c == 1; }(a);
}
'''
EXPECTED = {
    "relation: < -> <=", "relation: < -> >=", "relation: == -> !=", "logic: && -> ||", "logic: || -> &&",
    "not: ! -> nothing", "condition: a < 3 && !g(a) -> !(a < 3 && !g(a))", "constant: 3 -> 4", "constant: 1 -> 2",
    "constant: 0 -> 1", "word: true -> false", "early return: return true; -> ;", "deletion: h(a); -> ;",
    "deletion: k += i; -> ;", "arithmetic: ++ -> --", "arithmetic: += -> -=",
    "result: x.contains(\"a == b\") || [](int c) { return c == 1; }(a) -> !(x.contains(\"a == b\") || [](int c) { "
    "return c == 1; }(a))",
}


def self_test():
    mutants = list(mutants_of("f.cc", SELF_TEST))
    found = {f"{m.operator}: {m.piece}" for m in mutants}
    expected = {": ".join([o, " -> ".join(map(shortened, piece.split(" -> ")))])
                for o, piece in (entry.split(": ", 1) for entry in EXPECTED)}
    assert found == expected, found ^ expected
    named = read_named("src/f.cc\n- h(a);\n+ ;\n  It does  nothing,\n  ever.\n"
                       "- h(a);\n+ i(a);\n  There is none.\n")
    assert named == {("src/f.cc", "h(a);", ";"): "It does nothing, ever.", ("src/f.cc", "h(a);", "i(a);"): "There is none."}
    assert strangers(named, mutants_of("src/f.cc", SELF_TEST)) == [("src/f.cc", "h(a);", "i(a);")]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    every = [m for file in chosen_files([]) for m in mutants_of(file, (ROOT / file).read_text())]
    named = read_named(NAMED.read_text())
    unknown = strangers(named, every)
    for file, before, after in unknown:
        print(f"tests/mutants.txt names no mutant of {file}:\n- {before}\n+ {after}")
    if options.self_test:
        self_test()
        return bool(unknown)
    files = chosen_files(options.files)
    mutants = [mutant for mutant in every if mutant.file in files]
    if options.sample is not None:
        picked = set(random.Random(options.seed).sample(range(len(mutants)), min(options.sample, len(mutants))))
        mutants = [mutant for i, mutant in enumerate(mutants) if i in picked]
    elif not options.all and not options.list:
        parser.error("--all, --sample or --list")
    if options.list:
        print(*mutants, sep="\n")
        return 0
    return bool(run(mutants, files, named) or unknown)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""README.md and conf/README.md, for tests that type what they say."""

import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRONT = (ROOT / "README.md").read_text()
MANUAL = (ROOT / "conf" / "README.md").read_text()


def commands(text, heading):
    """The commands in the first block of this section of a document, each as its words."""
    section = text.partition(f"\n{heading}\n")[2]
    block = re.search(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1]
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]


def commands_of(program):
    """All commands of it in the manual, in blocks and within lines, each as its words."""
    return [shlex.split(command) for command in re.findall(rf"(?:^|`)({program} \w[^`\n]*)", MANUAL, re.MULTILINE)]

# SPDX-License-Identifier: MIT
"""`embed.py PAGE.html OUT.cc`: the page as a constant of C++, and the policy that lets a browser run what is in it.

The policy names the style and the script by their hashes (Content Security Policy Level 3, section 6.7): nothing that
finds its way into the page can run.
"""

import base64
import hashlib
import pathlib
import re
import sys

CODE = '''// SPDX-License-Identifier: MIT
#include "admin/page.h"

namespace qatime::admin {{

const std::string_view kPage = R"page({page})page";

const std::string_view kPagePolicy =
    "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

}}  // namespace qatime::admin
'''


def digest(page, tag):
    contents, = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return "'sha256-" + base64.b64encode(hashlib.sha256(contents.encode()).digest()).decode() + "'"


source, target = map(pathlib.Path, sys.argv[1:])
page = source.read_text(encoding="utf-8")
assert ')page"' not in page
target.write_text(CODE.format(page=page, script=digest(page, "script"), style=digest(page, "style")), encoding="utf-8")

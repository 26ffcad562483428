# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""The commands that a document prints."""

import re
import types

# How a command in running text begins; others are names of files, options, words.
INLINE = re.compile(
    r"scripts/(?!lib)[\w-]+(?: |$)|"
    r"(?:apt-get|modprobe|meson|ninja|echo|ls|dmesg|eglinfo|vulkaninfo|systemctl|man|dpkg-\w+|"
    r"systemd-[\w-]+|virsh|qemu-\S+|vhost-device-gpu|vhost-device-gpuctl) \S")


def joined(text):
    """Lines of a shell, without comments and with those that go on in one."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        line = re.sub(r"\s+#.*|^#.*", "", line).strip()
        if line:
            yield line


def of_markdown(text):
    text = re.sub(r"<!--.*?-->", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    for m in re.finditer(r"^```(\w*)\n(.*?)^```$|`([^`\n]+)`", text, re.M | re.S):
        line = text.count("\n", 0, m.start()) + 1
        if m[3] is not None:
            if INLINE.match(m[3]):
                yield line, m[3]
        elif m[1] == "sh":
            for command in joined(m[2]):
                yield line, command


def of_scdoc(text):
    for m in re.finditer(r"^```\n(.*?)^```$|\*([^*\n]+)\*", text, re.M | re.S):
        line = text.count("\n", 0, m.start()) + 1
        if m[2] is not None:
            if INLINE.match(m[2]) and not m[2].startswith("vhost-device-gpu"):
                yield line, m[2]
        elif not m[1].startswith("<"):      # XML
            # Escaped as scdoc wants it.
            for command in joined(m[1].replace("\\\\\n", "\\\n")):
                yield line, command


def commands(path, name):
    """Of one document, in order."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    find = of_scdoc if ".scd" in name else of_markdown
    return [types.SimpleNamespace(file=name, line=line, text=command)
            for line, command in find(text)]

#!/usr/bin/env python3
"""Prints the licence of lockgate and of all that is linked into its binary, each text once, in an order that does not change.

    licences.py TARGET ...

Reads what Cargo knows of the packages for the targets; the C libraries that some of them bring have theirs in subfolders.
"""

import json
import pathlib
import re
import subprocess
import sys

NAME = re.compile(r"^(UN)?LICEN[CS]E|^COPYING|^COPYRIGHT|^NOTICE", re.IGNORECASE)
# How deep below a package its texts are looked for: `libgit2/deps/llhttp/LICENSE-MIT`.
DEPTH = 4
# Folders of what is not linked in.
UNUSED = {"tests", "test", "fuzz", "benches", "examples", "target", "doc", "docs", "demos", "winhttp"}


def metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def linked(graph):
    """The packages that the program depends on when it runs: no tools of builds, no helpers of tests. What ends with
    `-src` brings the source of a C library to the build, and that is linked in."""
    names = {package["id"]: package["name"] for package in graph["packages"]}
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    pending = [package["id"] for package in graph["packages"] if package["name"] == "lockgate"]
    found = set()
    while pending:
        key = pending.pop()
        if key in found:
            continue
        found.add(key)
        for dependency in nodes[key]["deps"]:
            is_source = names[dependency["pkg"]].endswith("-src")
            if any(kind["kind"] is None or (kind["kind"] == "build" and is_source) for kind in dependency["dep_kinds"]):
                pending.append(dependency["pkg"])
    return [package for package in graph["packages"] if package["id"] in found]


def texts(folder):
    """The licence files of a package: `path -> text`."""
    found = {}
    pending = [(folder, 0)]
    while pending:
        here, depth = pending.pop()
        for path in sorted(here.iterdir()):
            if path.is_dir() and not path.is_symlink():
                if depth < DEPTH and path.name.lower() not in UNUSED:
                    pending.append((path, depth + 1))
            elif NAME.match(path.name) and path.suffix not in {".rs", ".c", ".h", ".py", ".pl", ".in"}:
                found[str(path.relative_to(folder))] = path.read_text(errors="replace").strip()
    return found


def main():
    if len(sys.argv) < 2:
        sys.exit("licences: name at least one target")
    packages = {}
    for target in sys.argv[1:]:
        for package in linked(metadata(target)):
            packages[f"{package['name']} {package['version']}"] = package
    by_text = {}
    for name, package in sorted(packages.items()):
        folder = pathlib.Path(package["manifest_path"]).parent
        # The workspace's own packages have the one at its root.
        found = texts(folder) if package["source"] else {"LICENSE": pathlib.Path("LICENSE").read_text().strip()}
        for path, text in sorted(found.items()):
            by_text.setdefault(text, []).append(f"{name} ({path})")
        if not found:
            by_text.setdefault(f"No text is shipped with it; its licence is {package['license']}.", []).append(name)
    ordered = sorted(by_text.items(), key=lambda item: (not item[1][0].startswith("lockgate"), item[1]))
    print("lockgate, and what is linked into it, with the licences of each.\n")
    for text, names in ordered:
        print("=" * 100 + "\n" + "\n".join(names) + "\n" + "-" * 100 + "\n\n" + text + "\n")


main()

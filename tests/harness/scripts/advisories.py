#!/usr/bin/env python3
"""Checks lock files against a copy of the RustSec advisory database (https://github.com/rustsec/advisory-db).

    advisories.py --database FOLDER [LOCKFILE ...]

Ends with 1 where a locked package has an advisory that is not withdrawn and no version of it is patched or unaffected,
and with 2 where the database is not one. Notices (unmaintained, unsound) are printed and do not fail.
"""

import argparse
import pathlib
import re
import sys
import tomllib

FRONT = re.compile(r"^```toml\n(.*?)^```", re.DOTALL | re.MULTILINE)
VERSION = re.compile(r"^(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$")


def version(text):
    """A version as a key to compare by, and how many of its numbers were written."""
    match = VERSION.match(text.strip())
    if not match:
        raise ValueError(f"'{text}' is no version")
    numbers = [match.group(at) for at in (1, 2, 3)]
    written = sum(number is not None for number in numbers)
    before = match.group(4)
    # A version with a tag comes before the one without; numbers come before words.
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")] if before else []
    return (tuple(int(number or 0) for number in numbers), before is None, parts), written


def bound(numbers):
    """The first version with these numbers, tags included."""
    return (tuple(numbers), False, [])


def above(key, place):
    """The first version beyond all those that agree with `key` up to a number."""
    numbers = list(key[0][: place + 1])
    numbers[place] += 1
    return bound(numbers + [0] * (2 - place))


def meets(found, requirement):
    """Whether a version meets one requirement as Cargo writes it, such as `>= 1.2, < 2`."""
    for part in requirement.split(","):
        sign, text = re.match(r"\s*(>=|<=|>|<|=|\^|~)?\s*(.*)", part).groups()
        if text.strip() == "*":
            continue
        key, written = version(text)
        if sign in (None, "^"):
            first = next((at for at in range(written) if key[0][at] != 0), written - 1)
            fits = key <= found < above(key, first)
        elif sign == "~":
            fits = key <= found < above(key, min(written - 1, 1))
        elif sign == "=":
            fits = key <= found < above(key, written - 1) if written < 3 else found == key
        else:
            fits = {">=": found >= key, "<=": found <= key, ">": found > key, "<": found < key}[sign]
        if not fits:
            return False
    return True


def advisories(database, name):
    """The advisories of a package: what stands at the top of each file."""
    for path in sorted((database / "crates" / name).glob("RUSTSEC-*.md")):
        match = FRONT.search(path.read_text(encoding="utf-8"))
        if match:
            yield tomllib.loads(match.group(1))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--database", type=pathlib.Path, required=True, metavar="FOLDER")
    arguments.add_argument("locks", nargs="*", default=["Cargo.lock"], metavar="LOCKFILE")
    given = arguments.parse_args()
    if not (given.database / "crates").is_dir():
        print(f"{given.database}: no folder 'crates'; is it a copy of the advisory database?", file=sys.stderr)
        return 2
    failed = False
    for lock in given.locks:
        packages = tomllib.loads(pathlib.Path(lock).read_text(encoding="utf-8")).get("package", [])
        for package in packages:
            if not package.get("source", "").startswith("registry+"):
                continue
            found, _ = version(package["version"])
            for said in advisories(given.database, package["name"]):
                about, versions = said["advisory"], said.get("versions", {})
                fine = versions.get("patched", []) + versions.get("unaffected", [])
                if "withdrawn" in about or any(meets(found, requirement) for requirement in fine):
                    continue
                notice = about.get("informational")
                failed |= notice is None
                patched = ", ".join(versions.get("patched", [])) or "none"
                print(f"{lock}: {package['name']} {package['version']}: {about['id']}"
                      f" ({notice or 'vulnerability'}), patched: {patched}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

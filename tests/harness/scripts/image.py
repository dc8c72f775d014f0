#!/usr/bin/env python3
"""Assembles the container image as an OCI archive, and pushes it. Needs nothing but Python.

    image.py build --output FILE --name NAME --version V --revision COMMIT --created SECONDS --licences FILE
        [--program NAME] [--with-libraries] ARCH=BINARY ...
    image.py push FILE REFERENCE [--plain-http]
    image.py digest FILE

The same input gives the same archive, to the byte. The archive is an OCI layout with one index of all architectures, which
`docker load`, `ctr images import` and `skopeo copy oci-archive:FILE` take as well. The login for a push is the one of
~/.docker/config.json, or of the file that REGISTRY_AUTH_FILE names.
"""

import argparse
import base64
import gzip
import hashlib
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SOURCE = "https://github.com/lockgate/lockgate"
# The numbers of ELF for the machines that an image is made for.
MACHINES = {"amd64": 62, "arm64": 183}
# Nobody. The image has no /etc/passwd, so the numbers stand for themselves.
USER = "65534:65534"


class Refused(Exception):
    """What keeps the image from being made or pushed."""


def check_binary(arch, path):
    """One static, stripped executable for the architecture, or the reason why it is none."""
    data = pathlib.Path(path).read_bytes()
    if arch not in MACHINES:
        raise Refused(f"{arch} is none of {', '.join(MACHINES)}")
    if data[:6] != b"\x7fELF\x02\x01":
        raise Refused(f"{path} is no 64-bit little-endian ELF file")
    (machine,) = struct.unpack_from("<H", data, 18)
    if machine != MACHINES[arch]:
        raise Refused(f"{path} is not for {arch}: its ELF machine is {machine}, not {MACHINES[arch]}")
    programs, sections = struct.unpack_from("<QQ", data, 32)
    program_size, program_count, section_size, section_count = struct.unpack_from("<HHHH", data, 54)
    for at in range(program_count):
        if struct.unpack_from("<I", data, programs + at * program_size)[0] == 3:
            raise Refused(f"{path} is not static: it names an interpreter, which the image does not have")
    for at in range(section_count):
        if struct.unpack_from("<I", data, sections + at * section_size + 4)[0] == 2:
            raise Refused(f"{path} is not stripped: it has a table of symbols")
    return data


def libraries(path):
    """What a binary that is not static loads from this machine: `path in the image -> (mode, bytes)`."""
    listed = subprocess.run(["ldd", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    places = [word for line in listed.splitlines() for word in line.split() if word.startswith("/")]
    return {place.lstrip("/"): (0o755, pathlib.Path(place).read_bytes()) for place in places}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def packed(files, created):
    """A tar file of `path -> (mode, bytes)`; folders have the mode 0755, and everything belongs to root."""
    out = io.BytesIO()
    folders = sorted({str(parent) for path in files for parent in pathlib.PurePosixPath(path).parents} - {"."})
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted([*folders, *files]):
            entry = tarfile.TarInfo(name)
            entry.mtime = created
            if name in files:
                entry.mode, data = files[name]
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
            else:
                entry.mode, entry.type = 0o755, tarfile.DIRTYPE
                archive.addfile(entry)
    return out.getvalue()


def described(media_type, data, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def build(args):
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(args.created))
    labels = {
        "org.opencontainers.image.title": "lockgate",
        "org.opencontainers.image.description": "A GitOps agent for Kubernetes that speaks the Flux API",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.version": args.version,
        "org.opencontainers.image.revision": args.revision,
        "org.opencontainers.image.created": created,
    }
    licences = pathlib.Path(args.licences).read_bytes()
    blobs, manifests = {}, []

    def keep(media_type, data, **more):
        blobs[digest(data)] = data
        return described(media_type, data, **more)

    for spec in sorted(args.binaries):
        arch, _, path = spec.partition("=")
        with_libraries = args.with_libraries and arch == "amd64"
        data = pathlib.Path(path).read_bytes() if with_libraries else check_binary(arch, path)
        files = {args.program: (0o755, data), "licenses/lockgate.txt": (0o644, licences)}
        if with_libraries:
            files |= libraries(path)
        layer = packed(files, args.created)
        config = {
            "architecture": arch,
            "os": "linux",
            "created": created,
            "config": {"User": USER, "Entrypoint": [f"/{args.program}"], "Cmd": ["agent"], "WorkingDir": "/", "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
            "history": [{"created": created, "created_by": "lockgate"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": keep(CONFIG, canonical(config)),
            "layers": [keep(LAYER, gzip.compress(layer, 9, mtime=0))],
            "annotations": labels,
        }
        manifests.append(keep(MANIFEST, canonical(manifest), platform={"architecture": arch, "os": "linux"}))
    if not manifests:
        raise Refused("name at least one ARCH=BINARY")
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": labels}
    names = {"io.containerd.image.name": args.name, "org.opencontainers.image.ref.name": args.name}
    root = keep(INDEX, canonical(index), annotations=names)
    top = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [root]}
    files = {f"blobs/sha256/{key.partition(':')[2]}": (0o644, data) for key, data in blobs.items()}
    files["index.json"] = (0o644, canonical(top))
    files["oci-layout"] = (0o644, canonical({"imageLayoutVersion": "1.0.0"}))
    pathlib.Path(args.output).write_bytes(packed(files, args.created))
    print(root["digest"])


class Layout:
    """An OCI archive that is read."""

    def __init__(self, path):
        with tarfile.open(path) as archive:
            self.files = {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}

    def blob(self, key):
        data = self.files["blobs/sha256/" + key.partition(":")[2]]
        if digest(data) != key:
            raise Refused(f"the archive is damaged: {key} has another content")
        return data

    def root(self):
        return json.loads(self.files["index.json"])["manifests"][0]


class Registry:
    """The part of a registry that has one repository."""

    def __init__(self, host, repository, plain):
        self.base = f"{'http' if plain else 'https'}://{host}/v2/{repository}"
        self.host, self.repository, self.token = host, repository, None

    def send(self, method, url, data=None, headers=None, retry=True):
        request = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
        if self.token:
            request.add_header("Authorization", self.token)
        try:
            return urllib.request.urlopen(request, timeout=120)
        except urllib.error.HTTPError as error:
            if error.code == 401 and retry:
                self.log_in(error.headers.get("WWW-Authenticate", ""))
                return self.send(method, url, data, headers, retry=False)
            if error.code == 404 and method == "HEAD":
                return None
            detail = error.read().decode(errors="replace").strip()
            raise Refused(f"{method} {url}: {error.code} {error.reason}: {detail}") from error
        except urllib.error.URLError as error:
            raise Refused(f"{method} {url}: {error.reason}") from error

    def login(self):
        """The `user:password` for the host in base64, where there is one."""
        path = os.environ.get("REGISTRY_AUTH_FILE") or pathlib.Path.home() / ".docker/config.json"
        try:
            hosts = json.loads(pathlib.Path(path).read_text()).get("auths", {})
        except FileNotFoundError:
            return None
        return hosts.get(self.host, {}).get("auth")

    def log_in(self, challenge):
        login = self.login()
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            if not login:
                raise Refused(f"{self.host} wants a login: docker login {self.host}")
            self.token = f"Basic {login}"
            return
        fields = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
        fields = {key: value.strip('"') for key, value in fields.items()}
        if "realm" not in fields:
            raise Refused(f"{self.host} wants a login of a kind that is not known: {challenge!r}")
        query = {"service": fields.get("service", ""), "scope": f"repository:{self.repository}:pull,push"}
        request = urllib.request.Request(fields["realm"] + "?" + urllib.parse.urlencode(query))
        if login:
            request.add_header("Authorization", f"Basic {login}")
        try:
            answer = json.load(urllib.request.urlopen(request, timeout=60))
        except urllib.error.HTTPError as error:
            raise Refused(f"{self.host} refuses the login: {error.code} {error.reason}") from error
        self.token = "Bearer " + (answer.get("token") or answer.get("access_token") or "")

    def blob(self, key, data):
        if self.send("HEAD", f"{self.base}/blobs/{key}"):
            return
        place = self.send("POST", f"{self.base}/blobs/uploads/", b"").headers["Location"]
        place = urllib.parse.urljoin(self.base, place)
        place += ("&" if "?" in place else "?") + urllib.parse.urlencode({"digest": key})
        self.send("PUT", place, data, {"Content-Type": "application/octet-stream"})

    def digest(self, tag):
        """The digest that a tag names; None where there is no such tag, or the registry does not say."""
        try:
            answer = self.send("HEAD", f"{self.base}/manifests/{tag}", headers={"Accept": f"{INDEX}, {MANIFEST}"})
        except Refused:
            return None
        return answer and answer.headers.get("Docker-Content-Digest")

    def manifest(self, name, media_type, data):
        self.send("PUT", f"{self.base}/manifests/{name}", data, {"Content-Type": media_type})


def push(args):
    host, _, rest = args.reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    if not repository:
        raise Refused(f"'{args.reference}' is no reference: write REGISTRY/NAME:TAG")
    layout, registry = Layout(args.archive), Registry(host, repository, args.plain_http)
    root = layout.root()
    before = registry.digest(tag)
    if before not in (None, root["digest"]):
        print(f"image: {args.reference} was {before}: nodes that have pulled it keep that one; give each build a tag of its own",
              file=sys.stderr)
    for entry in json.loads(layout.blob(root["digest"]))["manifests"]:
        data = layout.blob(entry["digest"])
        manifest = json.loads(data)
        for part in [manifest["config"], *manifest["layers"]]:
            registry.blob(part["digest"], layout.blob(part["digest"]))
        registry.manifest(entry["digest"], MANIFEST, data)
    registry.manifest(tag, INDEX, layout.blob(root["digest"]))
    print(f"{host}/{repository}:{tag}@{root['digest']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("build")
    for flag in ("--output", "--name", "--version", "--revision", "--licences"):
        command.add_argument(flag, required=True)
    command.add_argument("--program", default="lockgate", help="what the binary is called in the image")
    command.add_argument("--with-libraries", action="store_true", help="for tests: take this machine's libraries along")
    command.add_argument("--created", type=int, required=True, help="seconds since 1970")
    command.add_argument("binaries", nargs="+", metavar="ARCH=BINARY")
    command.set_defaults(run=build)
    command = commands.add_parser("push")
    command.add_argument("archive")
    command.add_argument("reference")
    command.add_argument("--plain-http", action="store_true")
    command.set_defaults(run=push)
    command = commands.add_parser("digest")
    command.add_argument("archive")
    command.set_defaults(run=lambda args: print(Layout(args.archive).root()["digest"]))
    args = parser.parse_args()
    try:
        args.run(args)
    except (Refused, OSError) as error:
        sys.exit(f"image: {error}")


main()

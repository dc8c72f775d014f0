"""What happens to an installation on a real node, from the first command to the removal, each step with what must hold after
it. Run by run.sh, which makes the namespaces and names the programs."""

import argparse
import collections
import contextlib
import glob
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

from cluster import GIT, LOCKED, PASSWORD, REGISTRY, Cluster, wait

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SYSTEM = "flux-system"
PODS = f"/api/v1/namespaces/{SYSTEM}/pods"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/lockgate"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/lockgate-leader"
KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations"
# To reach, in seconds and MiB.
READY, LEADERLESS, MEMORY = 15, 2.0, 10

Ended = collections.namedtuple("Ended", "code text seconds")


class Scenario:
    def __init__(self, cluster, args):
        self.cluster, self.api, self.args, self.figures = cluster, cluster.api, args, []

    def figure(self, name, value, limit=None, unit="s"):
        verdict = "" if limit is None else f"   (at most {limit} {unit}{'' if value <= limit else ': MISSED'})"
        self.figures.append(f"{name:<58}{value:8.2f} {unit}{verdict}")
        print(f"node: {self.figures[-1]}", flush=True)

    def lockgate(self, *arguments):
        environment = {**os.environ, "KUBECONFIG": self.cluster.path("admin.kubeconfig"), "GITHUB_TOKEN": "node-token"}
        began = time.monotonic()
        done = subprocess.run([self.args.lockgate, *arguments], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400)
        return Ended(done.returncode, done.stdout, time.monotonic() - began)

    def bootstrap(self, tag, *more):
        return self.lockgate("bootstrap", "github", "acme/platform", "--path", "kubernetes/production/eu-west9/flux-system",
                             "--api-url", "http://127.0.0.1:8088", "--ssh-host", f"{GIT}:2222",
                             *(() if "--image" in more else ("--image", f"{REGISTRY}/lockgate:{tag}")), *more)

    def pods(self):
        return [pod for pod in self.api.items(PODS) if "deletionTimestamp" not in pod["metadata"]]

    def one_pod(self):
        """The agent's pods, where there is one and it is ready."""
        pods = self.pods()
        return pods if len(pods) == 1 and all(c["ready"] for c in pods[0]["status"].get("containerStatuses", [{"ready": False}])) else None

    def leader(self):
        """The identity that holds the lease, and when it was renewed last."""
        spec = (self.api.get(LEASE) or {}).get("spec", {})
        return spec.get("holderIdentity") or "", spec.get("renewTime", "")

    def not_ready(self):
        found = {}
        for one in self.api.items(KUSTOMIZATIONS):
            ready = [c for c in one.get("status", {}).get("conditions", []) if c["type"] == "Ready"]
            if not ready or ready[0]["status"] != "True":
                found[one["metadata"]["name"]] = ready[0]["message"] if ready else "no condition"
        return found

    def all_ready(self):
        return len(self.api.items(KUSTOMIZATIONS)) == 5 and not self.not_ready()

    @contextlib.contextmanager
    def leaderless(self, name, limit=LEADERLESS):
        """How long nobody leads while something happens: from when the lease is let go, or its holder is gone, until another
        has it."""
        before, _ = self.leader()
        moments = {}

        def follow():
            while "stop" not in moments:
                holder, _ = self.leader()
                if holder != before and "free" not in moments:
                    moments["free"] = time.monotonic()
                if holder and holder != before:
                    moments["taken"] = time.monotonic()
                    return
                time.sleep(0.02)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        yield moments
        thread.join(60)
        moments["stop"] = True
        assert "taken" in moments, f"{name}: nobody leads after a minute; {before} did"
        self.figure(f"without leader: {name}", moments["taken"] - moments.get("lost", moments["free"]), limit)

    def expect(self, ended, code, *texts):
        for text in texts:
            assert re.search(text, ended.text), f"'{text}' is not in:\n{ended.text}"
        assert ended.code == code, f"exit code {ended.code}, not {code}:\n{ended.text}"

    @contextlib.contextmanager
    def blocked(self):
        """A firewall that lets no pod reach the Git host."""
        rule = "INPUT -i lg0 -p tcp --dport 2222 -j REJECT --reject-with tcp-reset".split()
        self.cluster.call("iptables", "-I", *rule)
        try:
            yield
        finally:
            self.cluster.call("iptables", "-D", *rule)

    # The steps.

    def begins(self):
        ended = self.bootstrap("a")
        # Where the time goes.
        print(ended.text, flush=True)
        self.expect(ended, 0)
        assert self.all_ready(), self.not_ready()
        self.figure("the sample platform Ready, from the command on", ended.seconds, READY)
        self.figure("memory of the container", self.memory(), MEMORY, "MiB")
        again = self.bootstrap("a")
        self.expect(again, 0, "nothing was changed")

    def memory(self):
        (pod,) = self.pods()
        places = glob.glob(f"/sys/fs/cgroup/**/pod{pod['metadata']['uid']}/*/memory.stat", recursive=True)
        used = []
        for place in places:
            stat = dict(line.split() for line in pathlib.Path(place).read_text().splitlines())
            used.append(int(stat.get("total_rss", stat.get("anon", 0))))
        assert used, "the container's memory is not found"
        return max(used) / 2**20

    def is_deleted(self):
        (pod,) = self.pods()
        with self.leaderless("kubectl delete pod"):
            self.api.delete(f"{PODS}/{pod['metadata']['name']}")

    def is_killed(self):
        (pod,) = wait(30, "one pod that is ready", self.one_pod)
        with self.leaderless("kill -9 of the container") as moments:
            self.cluster.kill_container(pod)
            moments["lost"] = time.monotonic()
        wait(30, "Kustomizations", self.all_ready)

    def is_upgraded(self):
        before, _ = self.leader()
        bad = self.bootstrap("nope", "--timeout", "12s")
        self.expect(bad, 1, "ErrImagePull|ImagePullBackOff", "with --image")
        assert self.leader()[0] == before, "the agent that ran leads no more"
        good = {}
        with self.leaderless("upgrade"):
            good["ended"] = self.bootstrap("b")
        self.expect(good["ended"], 0)
        self.figure("upgrade, from the command on", good["ended"].seconds)
        assert self.all_ready(), self.not_ready()

    def is_rebooted(self, images):
        began = time.monotonic()
        self.cluster.power_off()
        self.cluster.node(images)
        before = self.leader()[1]
        wait(60, "a leader", lambda: self.leader()[1] > before)
        wait(90, "pods and Kustomizations", lambda: self.all_ready() and self.api.get(DEPLOYMENT)["status"].get("readyReplicas"))
        self.figure("all well after a reboot", time.monotonic() - began)

    def git_host_is_away(self):
        """The agent starts again without the Git host: it goes on with what it has."""
        (pod,) = wait(30, "one pod that is ready", self.one_pod)
        with self.blocked():
            before = self.leader()[0]
            self.cluster.kill_container(pod)
            wait(60, "the next leader", lambda: self.leader()[0] not in ("", before))
            path = "/apis/apps/v1/namespaces/foobar/deployments/api"
            old = self.api.get(path)["metadata"]["uid"]
            began = time.monotonic()
            self.api.delete(path)
            wait(30, "the deleted Deployment", lambda: (self.api.get(path) or {"metadata": {"uid": old}})["metadata"]["uid"] != old)
            self.figure("drift put back without the Git host, after a restart", time.monotonic() - began)
            wait(60, "Kustomizations", self.all_ready)

    def bad_input(self):
        """What a pod that does not start says of itself, with the flag that cures it."""
        before, _ = self.leader()
        node = "/api/v1/nodes/n1"
        for tag, more, texts in (
            ("arm64", (), ("no match for platform", "another architecture")),
            ("ends", (), ("exit code 3", "no configuration found")),
            ("b", ("--memory-request", "1Ti", "--memory-limit", "1Ti"), ("Insufficient memory", "--memory-request")),
        ):
            self.expect(self.bootstrap(tag, "--timeout", "10s", *more), 1, *texts)
        quota = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"},
                 "spec": {"limits": [{"type": "Container", "max": {"memory": "300Mi"}}]}}
        self.api.create(f"/api/v1/namespaces/{SYSTEM}/limitranges", quota)
        flags = ("--memory-request", "32Mi", "--memory-limit", "1Gi")
        self.expect(self.bootstrap("b", "--timeout", "10s", *flags), 1, "maximum memory usage", "--memory-limit")
        self.api.delete(f"/api/v1/namespaces/{SYSTEM}/limitranges/small")
        taint = {"spec": {"taints": [{"key": "kept", "value": "free", "effect": "NoSchedule"}]}}
        self.api.merge(node, taint)
        flags = ("--memory-limit", "256Mi", "--env", "A=b")
        self.expect(self.bootstrap("b", "--timeout", "10s", *flags), 1, "untolerated taint", "--toleration")
        self.api.merge(DEPLOYMENT, {"spec": {"template": {"spec": {"hostPID": True}}}})
        self.expect(self.bootstrap("b", "--timeout", "10s"), 1, "violates PodSecurity", "pod-security labels")
        self.api.merge(DEPLOYMENT, {"spec": {"template": {"spec": {"hostPID": None}}}})
        assert self.leader()[0] == before, "the agent that ran leads no more"
        self.expect(self.bootstrap("b", "--toleration", "kept=free:NoSchedule"), 0)
        self.api.merge(node, {"spec": {"taints": None}})

    def wants_a_login(self):
        """A registry that wants a login: none, a wrong one, no file of one, and the right one."""
        image = ("--image", f"{LOCKED}/lockgate:b", "--timeout", "10s")
        self.expect(self.bootstrap("b", *image), 1, "ErrImagePull|ImagePullBackOff", "--image-pull-secret")
        wrong = ("--image-pull-secret", f"pull={self.cluster.login('wrong')}")
        self.expect(self.bootstrap("b", *image, *wrong), 1, "ErrImagePull|ImagePullBackOff", "--image-pull-secret")
        self.expect(self.bootstrap("b", *image, "--image-pull-secret", "gone"), 1, "flux-system/gone .*does not exist")
        right = ("--image-pull-secret", f"pull={self.cluster.login(PASSWORD)}")
        self.expect(self.bootstrap("b", "--image", f"{LOCKED}/lockgate:b", *right), 0)

    def is_removed(self):
        self.expect(self.lockgate("uninstall", "--purge"), 0)
        assert not self.api.get(DEPLOYMENT), "the Deployment is still there"
        left = [secret["metadata"]["name"] for secret in self.api.items(f"/api/v1/namespaces/{SYSTEM}/secrets")]
        assert not left, f"Secrets are left: {left}"

    def first_fetch_fails(self):
        """A firewall in the way of SSH is named, and what cures it need not wait for the interval."""
        with self.blocked():
            self.expect(self.bootstrap("a", "--timeout", "12s"), 1, f"cannot reach {GIT}")
        ended = self.bootstrap("a")
        self.expect(ended, 0)
        assert self.all_ready(), self.not_ready()
        self.figure("Ready after the cause is cured, from the command on", ended.seconds)


def image(args, folder, name, program, tag, arch="amd64", version="1"):
    """An OCI archive of one program."""
    path = folder / (re.sub(r"[^a-z0-9]+", "-", f"{name}-{tag}") + ".tar")
    licence = str(ROOT / "LICENSE")
    # The tests' own binary will do too, which is neither static nor stripped.
    libraries = ["--with-libraries"] if "statically" not in described(program.path) else []
    subprocess.run(
        [sys.executable, str(ROOT / "tests/harness/scripts/image.py"), "build", "--output", str(path), "--name", f"{name}:{tag}",
         "--version", version, "--revision", "none", "--created", "0", "--licences", licence, *libraries,
         "--program", program.name, f"{arch}={program.path}"],
        check=True, stdout=subprocess.DEVNULL)
    return path


def described(path):
    """What `ldd` says of a program: that it is statically linked, or what it loads."""
    done = subprocess.run(["ldd", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return "statically" if done.returncode or "statically" in done.stdout else done.stdout


Program = collections.namedtuple("Program", "name path")


def platform_images(args, folder):
    """The images that the sample platform names, each of the program that stands in for it."""
    names = set()
    for path in glob.glob(str(ROOT / "kubernetes/base/*/kustomization.yaml")):
        text = pathlib.Path(path).read_text()
        names |= set(re.findall(r"newName: (\S+)\s+newTag: (\S+)", text))
    app = Program("podinfo", args.app)
    return [image(args, folder, name, app, tag) for name, tag in sorted(names)]


def push(folder, args, cluster):
    """The agent's images: two tags of the same program, one of another architecture, one that ends."""
    for tag, program, arch, version in (
        ("a", Program("lockgate", args.lockgate), "amd64", "1"),
        ("b", Program("lockgate", args.lockgate), "amd64", "2"),
        ("arm64", Program("lockgate", args.app_arm64), "arm64", "1"),
        ("ends", Program("lockgate", args.app_ends), "amd64", "1"),
    ):
        path = image(args, folder, f"{REGISTRY}/lockgate", program, tag, arch, version)
        environment = {**os.environ, "REGISTRY_AUTH_FILE": str(cluster.login(PASSWORD))}
        for host in (REGISTRY, LOCKED) if tag == "b" else (REGISTRY,):
            subprocess.run([sys.executable, str(ROOT / "tests/harness/scripts/image.py"), "push", str(path),
                            f"{host}/lockgate:{tag}", "--plain-http"], check=True, stdout=subprocess.DEVNULL, env=environment)


def main():
    parser = argparse.ArgumentParser()
    for flag in ("--folder", "--controlplane", "--node", "--registry", "--standin", "--lockgate"):
        parser.add_argument(flag, type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--only", help="names of steps, separated by commas")
    args = parser.parse_args()
    args.app, args.app_arm64, args.app_ends = (args.node / name for name in ("app", "app-arm64", "app-ends"))
    bins = {name: str(args.controlplane / name)
            for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")}
    bins |= {name: str(args.node / name) for name in ("kubelet", "kube-proxy", "coredns")}
    bins["registry"] = str(args.registry / "registry")
    began = time.monotonic()
    cluster = Cluster(args.folder, bins)
    cluster.apart()
    cluster.network()
    cluster.keys()
    cluster.run("standin", str(args.standin), cluster.path("git"), f"http://{GIT}:8089")
    cluster.registries()
    cluster.control_plane()
    cluster.names()
    cluster.cloud()
    images = [image(args, args.folder, "localhost/pause", Program("pause", args.app), "1"), *platform_images(args, args.folder)]
    push(args.folder, args, cluster)
    cluster.node(images)
    cluster.settle()
    print(f"node: the node is ready after {time.monotonic() - began:.1f} s", flush=True)
    scenario = Scenario(cluster, args)
    steps = {
        "begins": scenario.begins,
        "is_deleted": scenario.is_deleted,
        "is_killed": scenario.is_killed,
        "is_upgraded": scenario.is_upgraded,
        "git_host_is_away": scenario.git_host_is_away,
        "bad_input": scenario.bad_input,
        "wants_a_login": scenario.wants_a_login,
        "is_rebooted": lambda: scenario.is_rebooted(images),
        "is_removed": scenario.is_removed,
        "first_fetch_fails": scenario.first_fetch_fails,
    }
    chosen = args.only.split(",") if args.only else list(steps)
    failed = 0
    for name in chosen:
        started = time.monotonic()
        try:
            steps[name]()
            print(f"node: {name} passed after {time.monotonic() - started:.1f} s", flush=True)
        except Exception as error:  # The steps that follow tell more of what is wrong.
            failed += 1
            print(f"node: {name} FAILED after {time.monotonic() - started:.1f} s: {error}", flush=True)
    print("\n".join(["", *scenario.figures]))
    print(f"{len(chosen) - failed} passed, {failed} failed")
    if failed:
        for name in ("kubelet", "containerd", "apiserver", "standin"):
            print(f"--- {name}\n{cluster.tail(name, 12)}")
        for log in glob.glob(f"/var/log/pods/{SYSTEM}_*/agent/*.log"):
            print(f"--- {log}\n" + "\n".join(pathlib.Path(log).read_text(errors="replace").splitlines()[-30:]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

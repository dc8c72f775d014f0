"""A cluster of one real node, inside the network, mount and process namespaces that run.sh has made: etcd, the control plane,
CoreDNS, a registry, containerd, kubelet and kube-proxy. All of it ends with these namespaces."""

import base64
import glob
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

GATEWAY = "10.244.0.1"
REGISTRY = f"{GATEWAY}:5000"
# The registry that wants a login, who may in, and the password as htpasswd keeps it.
LOCKED = f"{GATEWAY}:5001"
USER, PASSWORD = "puller", "hunter2-canary"
HASH = "$2a$04$XYgQ4/F0FJU1E4BQGlLvGeYJyrqEroX8Ajp9or/t80i4RN39ioUrC"
DNS = "10.0.0.10"
# The longest period of a probe, in seconds: the one that Kubernetes takes where none is given.
PROBE_PERIOD = 10
GIT = "git.lab.test"


def wait(seconds, what, look, pause=0.05):
    """The first answer of `look` that is true."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not so after {seconds} s")
        time.sleep(pause)


def answers(address):
    """Whether a registry answers, be it that it wants a login."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://{address}/v2/", timeout=5)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


class Api:
    """The API server, as its administrator."""

    def __init__(self, folder):
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        self.opener = urllib.request.build_opener(*handlers)

    def send(self, method, path, body=None, kind="application/json"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://{GATEWAY}:6443{path}", data=data, method=method)
        request.add_header("Content-Type", kind)
        try:
            with self.opener.open(request, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404 and method in ("GET", "DELETE"):
                return None
            raise AssertionError(f"{method} {path}: {error.code}: {error.read().decode(errors='replace')}") from error
        return json.loads(text) if text.startswith(b"{") else text

    def get(self, path):
        return self.send("GET", path)

    def items(self, path):
        return (self.get(path) or {"items": []})["items"]

    def create(self, path, body):
        return self.send("POST", path, body)

    def merge(self, path, patch):
        return self.send("PATCH", path, patch, "application/merge-patch+json")

    def delete(self, path):
        return self.send("DELETE", path)


class Cluster:
    """The machinery. `folder` is for its files; `bins` says where each program is."""

    def __init__(self, folder, bins):
        self.folder, self.bins, self.running, self.api = folder, bins, {}, None
        self.socket = folder / "containerd.sock"

    def path(self, name):
        return str(self.folder / name)

    def run(self, name, *command):
        log = open(self.path(f"{name}.log"), "ab")
        self.running[name] = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)

    def stop(self, *names):
        for name in names:
            process = self.running.pop(name)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def tail(self, name, lines=30):
        try:
            return "\n".join(pathlib.Path(self.path(f"{name}.log")).read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def call(self, *command, **more):
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
        if done.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}: {done.stdout}")
        return done.stdout

    def apart(self):
        """Folders of its own for what a node's programs keep at fixed places."""
        for place in ("/run", "/var/lib", "/var/log"):
            self.call("mount", "-t", "tmpfs", "tmpfs", place)
        # sshd wants it.
        os.mkdir("/run/sshd", 0o755)

    def network(self):
        """A bridge for the pods, from which they reach this machine and one another."""
        for command in (
            "ip link set lo up",
            "ip link add lg0 type bridge",
            f"ip addr add {GATEWAY}/24 dev lg0",
            "ip link set lg0 up",
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1",
            # sshd listens on loopback alone.
            f"iptables -t nat -A PREROUTING -i lg0 -d {GATEWAY} -p tcp --dport 2222 -j DNAT --to-destination 127.0.0.1:2222",
            f"iptables -t nat -A PREROUTING -i lg0 -d {GATEWAY} -p tcp --dport 8089 -j DNAT --to-destination 127.0.0.1:8089",
        ):
            self.call(*command.split())
        cni = self.folder / "cni"
        cni.mkdir()
        ranges = [[{"subnet": "10.244.0.0/24", "rangeStart": "10.244.0.10", "gateway": GATEWAY}]]
        ipam = {"type": "host-local", "dataDir": self.path("cni-state"), "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
        bridge = {"type": "bridge", "bridge": "lg0", "isGateway": True, "ipam": ipam}
        (cni / "10-lg.conflist").write_text(json.dumps({"cniVersion": "0.4.0", "name": "lg", "plugins": [bridge]}))
        hosts = self.folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {GIT}\n")
        self.call("mount", "--bind", str(hosts), "/etc/hosts")
        (self.folder / "resolv.conf").write_text(f"nameserver {GATEWAY}\n")

    def keys(self):
        run = self.call
        run(*"openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=node-ca".split())
        names = "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
        server = f"subjectAltName={names},IP:127.0.0.1,IP:10.0.0.1,IP:{GATEWAY}"
        for name, subject, extension in (
            ("apiserver", "/CN=kube-apiserver", server),
            ("admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth"),
            ("node", "/O=system:nodes/CN=system:node:n1", "extendedKeyUsage=clientAuth"),
        ):
            (self.folder / "extensions").write_text(extension)
            run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", "csr", "-subj", subject)
            run(*f"openssl x509 -req -in csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out {name}.crt".split(),
                "-extfile", "extensions")
            user = {"client-certificate": self.path(f"{name}.crt"), "client-key": self.path(f"{name}.key")}
            cluster = {"server": f"https://{GATEWAY}:6443", "certificate-authority": self.path("ca.crt")}
            config = {
                "apiVersion": "v1", "kind": "Config", "current-context": "node",
                "clusters": [{"name": "node", "cluster": cluster}],
                "users": [{"name": name, "user": user}],
                "contexts": [{"name": "node", "context": {"cluster": "node", "user": name}}],
            }
            (self.folder / f"{name}.kubeconfig").write_text(json.dumps(config))
        run(*"openssl genrsa -out sa.key 2048".split())
        run(*"openssl rsa -in sa.key -pubout -out sa.pub".split())

    def control_plane(self):
        self.run(
            "etcd", self.bins["etcd"], f"--data-dir={self.path('etcd')}", "--unsafe-no-fsync", "--log-level=warn",
            "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
        )
        self.run(
            "apiserver", self.bins["kube-apiserver"], "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443",
            f"--bind-address={GATEWAY}", f"--advertise-address={GATEWAY}", "--client-ca-file=ca.crt",
            "--tls-cert-file=apiserver.crt", "--tls-private-key-file=apiserver.key",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-account-signing-key-file=sa.key",
            "--service-account-key-file=sa.pub", "--service-cluster-ip-range=10.0.0.0/24", "--allow-privileged=true",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            "--kubelet-client-certificate=admin.crt", "--kubelet-client-key=admin.key",
            "--kubelet-preferred-address-types=InternalIP",
        )
        self.api = Api(self.folder)
        wait(60, "the API server", self.is_up, 0.2)
        common = ("--kubeconfig=admin.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1",
                  "--authentication-kubeconfig=admin.kubeconfig", "--authorization-kubeconfig=admin.kubeconfig")
        self.run("controllers", self.bins["kube-controller-manager"], *common, "--root-ca-file=ca.crt",
                 "--service-account-private-key-file=sa.key", "--use-service-account-credentials=true")
        self.run("scheduler", self.bins["kube-scheduler"], *common)

    def is_up(self):
        try:
            return self.api.get("/readyz") == b"ok"
        except (OSError, AssertionError):
            return False

    def names(self):
        """CoreDNS on the gateway, and the Service behind which pods look for it."""
        (self.folder / "Corefile").write_text(
            f". {{\n bind {GATEWAY}\n errors\n hosts {{\n {GATEWAY} {GIT}\n fallthrough\n }}\n"
            f" kubernetes cluster.local in-addr.arpa {{\n kubeconfig {self.path('admin.kubeconfig')} node\n }}\n}}\n"
        )
        self.run("coredns", self.bins["coredns"], "-conf", "Corefile", "-quiet")
        ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
        meta = {"name": "kube-dns", "namespace": "kube-system"}
        wait(20, "the namespace kube-system", lambda: self.api.get("/api/v1/namespaces/kube-system"))
        self.api.create("/api/v1/namespaces/kube-system/services", {
            "apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"clusterIP": DNS, "ports": ports}})
        labels = {"kubernetes.io/service-name": "kube-dns"}
        self.api.create("/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices", {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {**meta, "labels": labels},
            "addressType": "IPv4", "endpoints": [{"addresses": [GATEWAY]}], "ports": ports})

    def registries(self):
        """One that lets everybody in, and one that wants a login."""
        (self.folder / "htpasswd").write_text(f"{USER}:{HASH}\n")
        auth = f"auth: {{htpasswd: {{realm: node, path: {self.path('htpasswd')}}}}}\n"
        for name, address, login in (("registry", REGISTRY, ""), ("locked", LOCKED, auth)):
            config = f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {self.path(name)}}}}}\n"
            (self.folder / f"{name}.yaml").write_text(f'{config}{login}http: {{addr: "{address}"}}\n')
            self.run(f"{name}-server", "env", "OTEL_TRACES_EXPORTER=none", self.bins["registry"], "serve", f"{name}.yaml")
            wait(20, name, lambda: answers(address), 0.1)

    def login(self, password):
        """A file as `docker login` writes it for the registry that wants a login."""
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        path = self.folder / f"login-{password}.json"
        path.write_text(json.dumps({"auths": {LOCKED: {"auth": auth}}}))
        return path

    def node(self, images):
        """Starts what a node runs; after a reboot once more, with what is on its disk."""
        (self.folder / "containerd.toml").write_text(
            f'version = 2\nroot = "{self.path("containerd")}"\nstate = "{self.path("containerd-state")}"\n'
            f'[grpc]\n  address = "{self.socket}"\n[plugins."io.containerd.grpc.v1.cri"]\n'
            '  sandbox_image = "localhost/pause:1"\n  disable_apparmor = true\n  restrict_oom_score_adj = true\n'
            '  stream_server_address = "127.0.0.1"\n'
            f'[plugins."io.containerd.grpc.v1.cri".cni]\n  bin_dir = "/usr/lib/cni"\n  conf_dir = "{self.path("cni")}"\n'
            '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
            + "".join(
                f'[plugins."io.containerd.grpc.v1.cri".registry.mirrors."{host}"]\n  endpoint = ["http://{host}"]\n'
                for host in (REGISTRY, LOCKED))
        )
        (self.folder / "kubelet.yaml").write_text(json.dumps({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "address": GATEWAY,
            "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": self.path("ca.crt")}},
            "cgroupDriver": "cgroupfs", "failCgroupV1": False, "failSwapOn": False, "makeIPTablesUtilChains": False,
            "clusterDNS": [DNS], "clusterDomain": "cluster.local", "resolvConf": self.path("resolv.conf"),
            "containerRuntimeEndpoint": f"unix://{self.socket}", "healthzBindAddress": "127.0.0.1",
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        }))
        (self.folder / "kube-proxy.yaml").write_text(json.dumps({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables",
            "clusterCIDR": "10.244.0.0/24", "hostnameOverride": "n1", "conntrack": {"maxPerCore": 0, "min": 0},
            "clientConnection": {"kubeconfig": self.path("admin.kubeconfig")},
        }))
        self.run("containerd", "containerd", "--config", "containerd.toml")
        wait(20, "containerd", lambda: subprocess.run(self.ctr("version"), capture_output=True).returncode == 0, 0.1)
        for image in images:
            self.call(*self.ctr("images", "import", str(image)))
        self.kubelet_started = time.monotonic()
        self.run("kubelet", self.bins["kubelet"], "--config=kubelet.yaml", "--kubeconfig=node.kubeconfig",
                 "--hostname-override=n1", f"--node-ip={GATEWAY}", f"--root-dir={self.path('kubelet')}")
        self.run("kube-proxy", self.bins["kube-proxy"], "--config=kube-proxy.yaml")
        wait(60, "the node", self.is_ready, 0.2)

    def settle(self):
        """Waits until the kubelet is older than any probe's period: until then it puts off first probes by up to a period, so
        that those of many pods do not come at once."""
        time.sleep(max(0, self.kubelet_started + PROBE_PERIOD - time.monotonic()))

    def is_ready(self):
        node = self.api.get("/api/v1/nodes/n1") or {}
        conditions = node.get("status", {}).get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def ctr(self, *arguments):
        return ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments]

    def kill_container(self, pod):
        """`kill -9` of a pod's first container."""
        name = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        self.call(*self.ctr("tasks", "kill", "--signal", "KILL", name))

    def power_off(self):
        """The node loses all that runs on it."""
        self.stop("kubelet", "kube-proxy", "containerd")
        for status in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                line = pathlib.Path(status).read_bytes()
                if b"containerd-shim" in line.split(b"\0")[0] and str(self.socket).encode() in line:
                    shim = int(status.split("/")[2])
                    for child in pathlib.Path(f"/proc/{shim}/task/{shim}/children").read_text().split():
                        os.kill(int(child), signal.SIGKILL)
                    os.kill(shim, signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue
        shutil.rmtree(self.folder / "containerd-state", ignore_errors=True)

    def cloud(self):
        """What a cloud does: addresses for load balancers, volumes for claims."""
        def loop():
            while True:
                try:
                    for service in self.api.items("/api/v1/services"):
                        if service["spec"]["type"] == "LoadBalancer" and not service["status"]["loadBalancer"]:
                            meta = service["metadata"]
                            path = f"/api/v1/namespaces/{meta['namespace']}/services/{meta['name']}/status"
                            self.api.merge(path, {"status": {"loadBalancer": {"ingress": [{"ip": "10.244.0.250"}]}}})
                    for claim in self.api.items("/api/v1/persistentvolumeclaims"):
                        if claim["status"]["phase"] == "Pending" and "volumeName" not in claim["spec"]:
                            self.provide(claim)
                except (OSError, AssertionError):
                    pass
                time.sleep(0.5)

        threading.Thread(target=loop, daemon=True).start()

    def provide(self, claim):
        meta, spec = claim["metadata"], claim["spec"]
        place = self.folder / "volumes" / meta["uid"]
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)
        reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": meta["uid"],
                     "name": meta["name"], "namespace": meta["namespace"]}
        self.api.create("/api/v1/persistentvolumes", {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"pvc-{meta['uid']}"},
            "spec": {"accessModes": spec["accessModes"], "capacity": spec["resources"]["requests"], "claimRef": reference,
                     "storageClassName": spec.get("storageClassName", ""), "hostPath": {"path": str(place)}}})

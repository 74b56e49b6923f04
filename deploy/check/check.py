"""What must hold of the compose file, the manifests and the dashboards, beyond that they can be read.

Run by deploy/check/run. Every finding is printed; the exit code is 1 if there is any.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
# The oldest that is meant, and the newest that there is a schema of.
KUBERNETES = ["1.31", "1.37"]
LISTENER = ROOT / "shared/runtime/src/listener.rs"
FAMILIES = ["frontend", "logic", "sessions", "carts", "catalogue", "orders", "payments"]
INNER = {"edge", "logic", "services", "observability"}
findings: list[str] = []


def expect(holds: object, finding: str) -> None:
    """Notes the finding unless it holds."""
    if not holds:
        findings.append(finding)


def compose() -> None:
    """Who reaches whom, and what no container may do."""
    text = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services, networks = text["services"], text["networks"]
    balancer = (ROOT / "deploy/docker/haproxy.cfg").read_text()
    inter_ms, fall = map(int, re.search(r"check inter (\d+)ms fall (\d+)", balancer).groups())
    noticed_ms = inter_ms * (fall + 1)
    # DR-3: or the balancer would use a connection at the moment it closes.
    kept_s = int(re.search(r"pool-purge-delay (\d+)s", balancer)[1])
    public = re.search(r"const PUBLIC.*?header_timeout: Duration::from_secs\((\d+)\)", LISTENER.read_text(), re.DOTALL)
    expect(kept_s < int(public[1]), f"compose: the balancer keeps connections for {kept_s} s, frontends for {public[1]} s")
    for name in INNER:
        expect(networks[name].get("internal"), f"compose: network {name} leads out")
    for name, service in services.items():
        nets = set(service.get("networks", ["default"]))
        family = name.removesuffix("-london")
        published = service.get("ports", [])
        if published and family != "balancer":
            outside = [port for port in published if not port.startswith("127.0.0.1:")]
            expect(not outside, f"compose: {name} publishes {outside}; only the balancer may")
        if family in FAMILIES:
            expect(service["deploy"]["replicas"] >= 2, f"compose: {name} has no second node")
            expect(service.get("read_only"), f"compose: {name} can write its image")
            expect(service.get("healthcheck"), f"compose: {name} has no health check")
            delay_s, drain_s = (int(service["environment"][f"TRESTLE_{key}"]) for key in ("DRAIN_DELAY_S", "DRAIN_S"))
            stop_s = int(service["stop_grace_period"].removesuffix("s"))
            expect(stop_s > delay_s + drain_s, f"compose: {name} is killed after {stop_s} s, while it ends for {delay_s + drain_s} s")
            expect(delay_s * 1000 > noticed_ms, f"compose: {name} closes after {delay_s} s; the balancer needs {noticed_ms} ms")
            allowed = {"frontend": {"edge", "logic"}, "logic": {"logic", "services"}}.get(family, {"services"})
            expect(nets == allowed, f"compose: {name} is in {sorted(nets)}, not {sorted(allowed)}")
        if family in FAMILIES + ["balancer", "provider"]:
            expect(service.get("cap_drop") == ["ALL"], f"compose: {name} keeps capabilities")
            expect(service.get("restart") == "unless-stopped", f"compose: {name} is not restarted")
        if name.startswith(("postgres", "redis")):
            expect(nets == {"services"}, f"compose: {name} is in {sorted(nets)}")
        if "network_mode" not in service:
            expect("mem_limit" in service, f"compose: {name} has no bound of memory")
        keys = {str(volume).split(":")[0] for volume in service.get("volumes", []) if str(volume).startswith("key-")}
        if family in FAMILIES:
            mounts = {str(volume).split(":")[0]: str(volume).split(":")[1] for volume in service.get("volumes", [])}
            tls = {volume: path for volume, path in mounts.items() if volume.startswith(("key-tls-", "key-ca"))}
            expect(tls == {f"key-tls-{family}": "/keys/node"}, f"compose: {name} has the certificates {tls}")
            folder = service["environment"].get("TRESTLE_TLS_DIR")
            expect(folder == "/keys/node", f"compose: {name} speaks in clear between tiers")
        if family in ("frontend", "logic", "balancer"):
            expect(not keys & {"key-postgres", "key-redis"}, f"compose: {name} sees passwords of databases")
    print(f"compose: {len(services)} services looked at")


def documents() -> list[tuple[str, dict]]:
    """Every document of the manifests, with the name of its file."""
    files = sorted((ROOT / "deploy/k8s").glob("*.yaml"))
    return [
        (file.name, document)
        for file in files
        if file.name != "kustomization.yaml"
        for document in yaml.safe_load_all(file.read_text())
    ]


def kubernetes() -> None:
    """Schemas first, then what they do not know."""
    every = documents()
    for file, document in every:
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except Exception as error:  # noqa: BLE001 - whatever the validator says is the finding
                findings.append(f"k8s: {file}: {document.get('kind')} in {version}: {str(error).splitlines()[0]}")
    listed = set(yaml.safe_load((ROOT / "deploy/k8s/kustomization.yaml").read_text())["resources"])
    # The adapter lives in the namespace of the monitoring.
    files = {file for file, _ in every} - {"prometheus-adapter.yaml"}
    expect(listed == files, f"k8s: kustomization.yaml and the folder differ by {sorted(listed ^ files)}")

    settings = next(doc["data"] for _, doc in every if doc["kind"] == "ConfigMap" and doc["metadata"]["name"] == "trestle")
    of = lambda kind: {doc["metadata"]["name"]: doc["spec"] for _, doc in every if doc["kind"] == kind}  # noqa: E731
    deployments, budgets, policies = of("Deployment"), of("PodDisruptionBudget"), of("NetworkPolicy")
    services, scalers, sets = of("Service"), of("HorizontalPodAutoscaler"), of("StatefulSet")
    labels = [spec["template"]["metadata"]["labels"] for spec in [*deployments.values(), *sets.values()]]
    for family in FAMILIES:
        expect(family in deployments, f"k8s: no Deployment of {family}")
        expect(family in services, f"k8s: no Service of {family}")
        expect(family in budgets, f"k8s: no PodDisruptionBudget of {family}")
        expect(family in scalers or deployments[family].get("replicas", 1) >= 2, f"k8s: {family} has no second node")
    for name, spec in {**deployments, **sets}.items():
        pod = spec["template"]["spec"]
        expect(pod["securityContext"].get("runAsNonRoot"), f"k8s: {name} may be root")
        expect(spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items(),
               f"k8s: {name} does not select its own pods")
        for container in pod["containers"]:
            expect("memory" in container["resources"]["limits"], f"k8s: {name} has no bound of memory")
            expect("readinessProbe" in container, f"k8s: {name} has no readiness probe")
            if name in FAMILIES:
                mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
                tls = {secret for secret in mounted if secret.startswith("trestle-tls-")}
                expect(tls == {f"trestle-tls-{name}"}, f"k8s: {name} has the certificates {sorted(tls)}")
                expect(container["securityContext"]["readOnlyRootFilesystem"], f"k8s: {name} can write its image")
                expect("livenessProbe" in container, f"k8s: {name} has no liveness probe")
                delay_s, drain_s = (int(settings[f"TRESTLE_{key}"]) for key in ("DRAIN_DELAY_S", "DRAIN_S"))
                stop_s, probe = pod["terminationGracePeriodSeconds"], container["readinessProbe"]
                expect(stop_s > delay_s + drain_s, f"k8s: {name} is killed after {stop_s} s, while it ends for {delay_s + drain_s} s")
                noticed_s = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
                expect(delay_s > noticed_s, f"k8s: {name} closes after {delay_s} s, which probes notice within {noticed_s} s")
    for name, spec in scalers.items():
        expect(spec["scaleTargetRef"]["name"] in deployments, f"k8s: {name} scales what is not there")
        expect("replicas" not in deployments[name], f"k8s: {name}: replicas and autoscaler contradict each other")
    for name, spec in services.items():
        expect(any(spec["selector"].items() <= pod.items() for pod in labels), f"k8s: service {name} selects nothing")
    for name, spec in policies.items():
        for selector in selectors(spec):
            expect(any(selects(selector, pod) for pod in labels), f"k8s: policy {name} selects nothing: {selector}")
    expect(any(not spec["podSelector"] for spec in policies.values()), "k8s: nothing is refused by default")
    for pod in labels:
        inbound = [spec for spec in policies.values() if selects(spec["podSelector"], pod) and spec.get("ingress")]
        expect(inbound, f"k8s: nobody may call {pod}")
    print(f"kubernetes: {len(every)} documents fit the schemas of {' and '.join(KUBERNETES)} or are named below")


def selectors(policy: dict) -> list[dict]:
    """The selectors of pods in a network policy."""
    peers = [peer for rule in policy.get("ingress", []) for peer in rule.get("from", [])]
    peers += [peer for rule in policy.get("egress", []) for peer in rule.get("to", [])]
    return [policy["podSelector"], *(peer["podSelector"] for peer in peers if "podSelector" in peer)]


def selects(selector: dict, labels: dict) -> bool:
    """Whether a label selector takes a pod with these labels."""
    within = all(
        rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
    )
    return within and selector.get("matchLabels", {}).items() <= labels.items()


def dashboards() -> None:
    """A panel or an alert of a metric that no node has would be empty for ever, and nobody would know why."""
    sources = subprocess.run(["git", "ls-files", "*.rs"], cwd=ROOT, check=True, capture_output=True, text=True)
    code = "\n".join((ROOT / file).read_text() for file in sources.stdout.split())
    known = set(re.findall(r'"(trestle_[a-z_]+)"', code))
    texts = [(ROOT / "deploy/observability/rules.yml").read_text()]
    boards = sorted((ROOT / "deploy/observability/grafana/dashboards").glob("*.json"))
    for board in boards:
        panels = json.loads(board.read_text())["panels"]
        expect(len({panel["id"] for panel in panels}) == len(panels), f"{board.name}: two panels have one id")
        expect(all(panel["targets"] for panel in panels), f"{board.name}: a panel asks nothing")
        texts += [target["expr"] for panel in panels for target in panel["targets"]]
    recorded = set(re.findall(r"record: (\S+)", texts[0]))
    used = {name for text in texts for name in re.findall(r"\btrestle[_:][a-z_0-9:]+", text)}
    for name in used - recorded:
        stem = re.sub(r"_(bucket|count|sum)$", "", name)
        stems = {stem, stem.removesuffix("_seconds"), stem.removesuffix("_total")}
        expect(stems & known, f"observability: no node has the metric {name}")
    for file in [*(ROOT / "deploy/observability").rglob("*.y*ml")]:
        expect(yaml.safe_load(file.read_text()), f"{file.name} is empty")
    print(f"observability: {len(used)} metrics are used, {len(boards)} dashboard")


compose()
kubernetes()
dashboards()
for finding in findings:
    print(f"  {finding}")
print(f"{len(findings)} findings")
sys.exit(bool(findings))

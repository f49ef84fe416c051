#!/usr/bin/env python3
"""The chart by Helm itself, and the manifests by kustomize: each ci/*-values.yaml lints, renders, and fits Kubernetes' own schemas of three versions; what comes out
is restricted, probed and pinned; every value does something; what is wrong is refused by name.

usage: charts.py PODVISOR_BINARY
"""

import copy
import os
import pathlib
import subprocess
import sys
import tempfile

import yaml

TOP = pathlib.Path(__file__).resolve().parents[3]
CHART = TOP / "charts" / "podvisor"
PEERS = pathlib.Path(os.environ.get("PODVISOR_PEERS", pathlib.Path.home() / ".cache" / "podvisor-peers"))
HELM = str(PEERS / "bin" / "helm")
VALIDATE = str(PEERS / "venv-charts" / "bin" / "kubernetes-validate")
VERSIONS = ("1.29", "1.33", "1.37")
KIND = "Deployment StatefulSet DaemonSet".split()


def run(*command, stdin=None):
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)


def render(*values, kube="1.33.0", chart=CHART):
    files = [word for value in values for word in ("-f", str(value))]
    done = run(HELM, "template", "shop", str(chart), "--namespace", "shop", "--kube-version", kube, *files)
    return done.stdout if done.returncode == 0 else None, done.stderr


def check(condition, message):
    if not condition:
        sys.exit(f"FAIL: {message}")


def pod_of(objects):
    return next(each for each in objects if each["kind"] in KIND)["spec"]["template"]


def restricted(pod, place):
    """The restricted Pod Security Standard, as its page has it."""
    spec = pod["spec"]
    of_pod = spec["securityContext"]
    check(of_pod["runAsNonRoot"] is True and of_pod["seccompProfile"]["type"] == "RuntimeDefault", f"{place}: the pod")
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container["securityContext"]
        where = f"{place}: {container['name']}"
        check(own["allowPrivilegeEscalation"] is False and own["capabilities"]["drop"] == ["ALL"], where)
        check(own["readOnlyRootFilesystem"] is True, where)
        image = container["image"]
        check(":" in image and not image.endswith(":latest"), f"{where}: {image}")
    kinds = {key for volume in spec["volumes"] for key in volume if key != "name"}
    check(kinds <= {"configMap", "emptyDir", "image", "persistentVolumeClaim", "secret", "projected"}, f"{place}: {kinds}")


def one_file(path, podvisor, work):
    text, errors = render(path)
    check(text, f"{path.name}: {errors}")
    lint = run(HELM, "lint", "--strict", str(CHART), "-f", str(path))
    check(lint.returncode == 0, f"{path.name}: {lint.stdout}{lint.stderr}")
    objects = [each for each in yaml.safe_load_all(text) if each]
    known = [each for each in objects if "monitoring.coreos.com" not in each["apiVersion"]]
    for version in VERSIONS:
        if "image-volume" in path.name and version == "1.29":
            continue
        rendered = work / "rendered.yaml"
        rendered.write_text(yaml.safe_dump_all(known))
        done = run(VALIDATE, "-k", version, "--strict", str(rendered))
        check(done.returncode == 0, f"{path.name} on {version}: {done.stdout}{done.stderr}")
    pod = pod_of(objects)
    restricted(pod, path.name)
    containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
    ours = next(each for each in containers if "startupProbe" in each)
    paths = [ours[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    check(paths == ["/startupz", "/readyz", "/livez"], f"{path.name}: {paths}")
    check({"name": "podvisor", "containerPort": 4747} in ours["ports"], f"{path.name}: {ours['ports']}")
    for each in objects:
        if each["kind"] not in ("ConfigMap",) or "-extra" not in each["metadata"]["name"]:
            labels = each["metadata"]["labels"]
            check(labels["app.kubernetes.io/instance"] == "shop", f"{path.name}: {each['kind']}: {labels}")
    config = next(each for each in objects if "podvisor.yaml" in each.get("data", {}))["data"]["podvisor.yaml"]
    (work / "podvisor.yaml").write_text(config)
    done = run(podvisor, "validate", "-c", str(work / "podvisor.yaml"))
    check(done.returncode == 0, f"{path.name}: {done.stdout}{done.stderr}")
    deadline = 90 if "everything" in path.name else 25
    check(pod["spec"]["terminationGracePeriodSeconds"] >= deadline + 2, f"{path.name}: the grace period")


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, path + (key,))
    else:
        yield path, value


def another(path, value):
    """A value that is not the default's, and valid."""
    special = {
        "mode": "inject", "kind": "DaemonSet", "image.digest": "sha256:" + "0" * 64, "spool.type": "pvc",
        "podvisor.image.digest": "sha256:" + "0" * 64, "terminationGracePeriodSeconds": 99, "shutdown.deadline": "50s",
        "logs": {"console": {"format": "json"}}, "telemetry": {"otlp": {"endpoint": "http://c:4318"}}, "ports": {"x": 81},
        "services": {"other": {"command": ["x"]}}, "service.type": "NodePort", "image.pullPolicy": "Always",
        "podvisor.image.pullPolicy": "Always", "env": {"A": "b"}, "envFrom": [{"secretRef": {"name": "x"}}],
        "imagePullSecrets": [{"name": "x"}], "spool.size": "1Gi", "spool.storageClass": "fast",
        "extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}],
        "tolerations": [{"operator": "Exists"}], "affinity": {"nodeAffinity": {}}, "resources": {"limits": {"cpu": "1"}},
        "topologySpreadConstraints": [{"maxSkew": 1}], "extraVolumes": [{"name": "x", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "x", "mountPath": "/x"}], "extraContainers": [{"name": "x", "image": "x:1"}],
        "extraInitContainers": [{"name": "x", "image": "x:1"}], "networkPolicy.metricsFrom": [{"podSelector": {}}],
        "networkPolicy.egress": [{"ports": [{"port": 1}]}], "podSecurityContext.seccompProfile.type": "Localhost",
        "securityContext.capabilities.drop": ["NET_RAW"],
    }
    if ".".join(path) in special:
        return special[".".join(path)]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 7
    if isinstance(value, dict):
        return {"example.org/x": "hi"}
    return (value or "") + "x" if not str(value).endswith("s") else "7s"


def every_value_counts(work):
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    base = yaml.safe_load((CHART / "ci" / "baked-values.yaml").read_text())
    # All that is optional is on, so that what it is made of shows.
    for name in ("podMonitor", "prometheusRule", "dashboards", "networkPolicy", "pdb", "spool"):
        base[name] = {"enabled": True}
    silent, tried = [], 0
    for path, value in leaves(defaults):
        key = ".".join(path)
        values = copy.deepcopy(base)
        if path[0] == "podvisor" and path[1:2] == ("image",) or key == "podvisor.image":
            values["mode"] = "inject"
        if path[0] == "autoscaling" and path[1] != "enabled":
            values["autoscaling"] = {"enabled": True}
        if key in ("spool.type", "spool.storageClass"):
            values["kind"], values["spool"] = "StatefulSet", {"enabled": True}
            if key == "spool.storageClass":
                values["spool"]["type"] = "pvc"
        if key == "serviceAccount.name":
            values["serviceAccount"] = {"create": True}
        before = copy.deepcopy(values)
        at = values
        for step in path[:-1]:
            at = at.setdefault(step, {})
        if isinstance(at.get(path[-1]), bool) and isinstance(value, bool):
            at[path[-1]] = not at[path[-1]]
        else:
            at[path[-1]] = another(path, value)
        files = []
        for number, content in enumerate((before, values)):
            files.append(work / f"leaf-{number}.yaml")
            files[-1].write_text(yaml.safe_dump(content))
        (old, problem), (new, wrong) = render(files[0]), render(files[1])
        check(old and new, f"{key}: {problem}{wrong}")
        tried += 1
        if old == new:
            silent.append(key)
    check(not silent, f"values that change nothing: {silent}")
    return tried


def what_is_wrong_is_refused(work):
    def refused(values, words, kube="1.33.0", base="baked"):
        path = work / "wrong.yaml"
        path.write_text(yaml.safe_dump(values))
        text, errors = render(CHART / "ci" / f"{base}-values.yaml", path, kube=kube)
        check(text is None, f"{values} was taken")
        for word in words:
            check(word in errors, f"{values}: no word of `{word}`:\n{errors}")

    refused({"services": {"web": {"comand": ["x"]}}}, ["comand"])
    refused({"services": {"web": {"readinessProbe": {"periodSecond": 1}}}}, ["periodSecond"])
    refused({"replica": 2}, ["replica"])
    refused({"terminationGracePeriodSeconds": 20}, ["too short for shutdown.deadline", "27"])
    refused({"shutdown": {"deadline": "soon"}}, ["deadline"])
    refused({"image": {"tag": ""}}, ["image.tag is missing"])
    refused({"image": {"tag": "latest"}}, ["tag"])
    refused({"services": None}, ["services"])
    refused({"mode": "sidecar"}, ["extraContainers"])
    refused({"mode": "imageVolume"}, ["1.33"], kube="1.31.0")
    refused({"spool": {"enabled": True, "type": "pvc"}}, ["StatefulSet"])
    refused({"ports": {"podvisor": 80}}, ["podvisor"])


def as_a_subchart(work):
    parent = work / "parent"
    (parent / "charts").mkdir(parents=True)
    (parent / "Chart.yaml").write_text(yaml.safe_dump({
        "apiVersion": "v2", "name": "parent", "version": "1.0.0",
        "dependencies": [{"name": "podvisor", "version": "0.1.0", "condition": "podvisor.enabled"}]}))
    (parent / "charts" / "podvisor").symlink_to(CHART)
    values = yaml.safe_load((CHART / "ci" / "baked-values.yaml").read_text())
    path = work / "parent.yaml"
    path.write_text(yaml.safe_dump({"global": {"x": 1}, "podvisor": values | {"enabled": True}}))
    text, errors = render(path, chart=parent)
    check(text and "kind: Deployment" in text, f"as a subchart: {errors}")
    path.write_text(yaml.safe_dump({"podvisor": values | {"enabled": False}}))
    text, errors = render(path, chart=parent)
    check(text is not None and "kind: Deployment" not in text, f"as a subchart that is off: {errors}")


def the_library(work):
    """The example of the library's README, as a chart."""
    text = (TOP / "charts" / "podvisor-lib" / "README.md").read_text()
    pod = text.split("```yaml\n")[1].split("```")[0]
    chart = work / "own"
    (chart / "templates").mkdir(parents=True)
    (chart / "charts").mkdir()
    (chart / "charts" / "podvisor-lib").symlink_to(TOP / "charts" / "podvisor-lib")
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "own", "version": "1.0.0"}))
    head = "apiVersion: v1\nkind: Pod\nmetadata: { name: own }\n"
    (chart / "templates" / "pod.yaml").write_text(head + pod)
    rendered, errors = render(chart=chart)
    check(rendered, f"the library: {errors}")
    (work / "own.yaml").write_text(rendered)
    done = run(VALIDATE, "-k", VERSIONS[-1], "--strict", str(work / "own.yaml"))
    check(done.returncode == 0, f"the library: {done.stdout}{done.stderr}")
    spec = yaml.safe_load(rendered)["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    mounts = {mount["name"] for container in spec["containers"] for mount in container["volumeMounts"]}
    check(mounts == volumes, f"the library: {mounts} of {volumes}")


def manifests(podvisor, work):
    """Each example builds, fits the schemas, is restricted, and its config is one that podvisor takes."""
    examples = sorted(path for path in (TOP / "manifests" / "examples").iterdir())
    check(len(examples) >= 3, "where are the examples?")
    for example in [*examples, TOP / "manifests" / "quickstart.yaml"]:
        place, built = example.name, work / "built.yaml"
        if example.is_dir():
            done = run(str(PEERS / "bin" / "kustomize"), "build", str(example))
            check(done.returncode == 0, f"{place}: {done.stderr}")
            text = done.stdout
        else:
            text = example.read_text()
        objects = list(yaml.safe_load_all(text))
        built.write_text(yaml.safe_dump_all(each for each in objects if "monitoring" not in each["apiVersion"]))
        for version in VERSIONS[1:]:
            done = run(VALIDATE, "-k", version, "--strict", str(built))
            check(done.returncode == 0, f"{place} on {version}: {done.stdout}{done.stderr}")
        restricted(pod_of(objects), place)
        folder = work / f"config-{place}"
        folder.mkdir()
        for name, content in next(each for each in objects if each["kind"] == "ConfigMap")["data"].items():
            (folder / name).write_text(content)
        done = run(podvisor, "validate", "-c", str(folder))
        check(done.returncode == 0, f"{place}: {done.stdout}{done.stderr}")
    collector = TOP / "manifests" / "companions" / "otel-collector.yaml"
    done = run(str(PEERS / "bin" / "otelcol"), "validate", "--config", str(collector))
    check(done.returncode == 0, f"{collector.name}: {done.stderr}")
    return len(examples) + 1


def main():
    podvisor = str(pathlib.Path(sys.argv[1]).resolve())
    done = run(sys.executable, str(CHART / "generate.py"), podvisor, "--check")
    check(done.returncode == 0, done.stderr)
    files = sorted((CHART / "ci").glob("*-values.yaml"))
    check(len(files) >= 8, "where are the values?")
    with tempfile.TemporaryDirectory(prefix="podvisor-charts-") as folder:
        work = pathlib.Path(folder)
        for path in files:
            one_file(path, podvisor, work)
        what_is_wrong_is_refused(work)
        as_a_subchart(work)
        the_library(work)
        tried = every_value_counts(work)
        built = manifests(podvisor, work)
    done = run(str(PEERS / "venv-charts" / "bin" / "hadolint"), str(TOP / "Dockerfile"))
    check(done.returncode == 0, done.stdout)
    workflows = sorted(str(path) for path in (TOP / ".github" / "workflows").glob("*.yml"))
    done = run(str(PEERS / "venv-charts" / "bin" / "actionlint"), *workflows)
    check(done.returncode == 0, done.stdout)
    print(f"ok   charts: {len(files)} sets of values on Kubernetes {', '.join(VERSIONS)}; {tried} values each change something; "
          f"{built} manifests")


if __name__ == "__main__":
    main()

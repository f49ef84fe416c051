#!/usr/bin/env python3
"""Writes what the chart takes from elsewhere: values.schema.json (podvisor's own schema of services, logs, shutdown and telemetry
inside it), README.md (from the comments of values.yaml), and files/ (alerts and dashboards).

usage: generate.py PODVISOR_BINARY [--check]
"""

import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
DASHBOARDS = HERE.parent.parent / "dashboards"

TEXT, NUMBER, FLAG, MAP, LIST = ({"type": kind} for kind in ("string", "integer", "boolean", "object", "array"))
DIGEST = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
TAG = {"type": "string", "not": {"const": "latest"}}
PULL = {"enum": ["Always", "IfNotPresent", "Never"]}
STRINGS = {"type": "object", "additionalProperties": TEXT}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}


def closed(**properties):
    """An object with these properties and no others: a typo is an error."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def probe():
    positive = {"type": "integer", "minimum": 1}
    return closed(enabled=FLAG, periodSeconds=positive, timeoutSeconds=positive, failureThreshold=positive)


def schema(own):
    own = json.loads(json.dumps(own))
    parts = {name: own["properties"][name] for name in ("services", "logs", "shutdown", "telemetry")}
    image = closed(repository=TEXT, tag=TAG, digest=DIGEST, pullPolicy=PULL)
    values = closed(
        mode={"enum": ["baked", "inject", "imageVolume", "sidecar"]},
        kind={"enum": ["Deployment", "StatefulSet", "DaemonSet"]}, replicas={"type": "integer", "minimum": 0},
        image=image, podvisor=closed(path=TEXT, image=image, port=PORT), imagePullSecrets=LIST, **parts,
        terminationGracePeriodSeconds={"type": ["integer", "null"], "minimum": 1},
        probes=closed(startup=probe(), readiness=probe(), liveness=probe()),
        ports={"type": "object", "additionalProperties": PORT,
               "propertyNames": {"pattern": "^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$", "not": {"const": "podvisor"}}},
        service=closed(enabled=FLAG, type={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}, annotations=STRINGS),
        resources=MAP,
        spool=closed(enabled=FLAG, mountPath=TEXT, size=TEXT, type={"enum": ["emptyDir", "pvc"]},
                     storageClass={"type": ["string", "null"]}),
        env={"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "object"]}},
        envFrom=LIST, podSecurityContext=MAP, securityContext=MAP,
        serviceAccount=closed(create=FLAG, name=TEXT, annotations=STRINGS, automount=FLAG),
        podMonitor=closed(enabled=FLAG, interval=TEXT, scrapeTimeout=TEXT, labels=STRINGS),
        prometheusRule=closed(enabled=FLAG, labels=STRINGS), dashboards=closed(enabled=FLAG, labels=STRINGS),
        networkPolicy=closed(enabled=FLAG, metricsFrom=LIST, egress=LIST),
        pdb=closed(enabled=FLAG, maxUnavailable={"type": ["integer", "string"]}),
        autoscaling=closed(enabled=FLAG, minReplicas=NUMBER, maxReplicas=NUMBER, targetCPU=NUMBER),
        labels=STRINGS, podLabels=STRINGS, podAnnotations=STRINGS, nodeSelector=STRINGS, tolerations=LIST, affinity=MAP,
        topologySpreadConstraints=LIST, priorityClassName=TEXT, extraVolumes=LIST, extraVolumeMounts=LIST,
        extraContainers=LIST, extraInitContainers=LIST, extraObjects=LIST, fullnameOverride=TEXT,
    )
    # What Helm itself puts in when the chart is another's dependency.
    values["properties"] |= {"global": MAP, "enabled": FLAG}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "podvisor chart values", **values,
            "$defs": own["$defs"]}


def readme():
    rows, path, comment = [], [], None
    for line in (HERE / "values.yaml").read_text().splitlines():
        found = re.match(r"^( *)# (-- )?(.*)$", line)
        if found:
            comment = found[3] if found[2] else f"{comment} {found[3]}" if comment else None
            continue
        key = re.match(r"^( *)([A-Za-z0-9_]+):(.*)$", line)
        if not key:
            continue
        path = path[: len(key[1]) // 2] + [key[2]]
        if comment:
            default = key[3].strip() or "see values.yaml"
            rows.append(f"| `{'.'.join(path)}` | `{default}` | {comment} |" if key[3].strip()
                        else f"| `{'.'.join(path)}` | {default} | {comment} |")
        comment = None
    table = "\n".join(rows)
    return f"""# The podvisor chart

An application whose processes podvisor runs. `services`, `logs`, `shutdown` and `telemetry` are podvisor's own config, verbatim,
and checked by its own schema: a typo is refused before anything reaches the cluster.

```console
$ helm install shop charts/podvisor -f values.yaml
```

```yaml
mode: inject            # any image: an init container brings podvisor in
image: {{ repository: nginx, tag: "1.29.1" }}
services:
  web: {{ command: [nginx, -g, daemon off;], readinessProbe: {{ httpGet: {{ path: /, port: 8080 }} }} }}
ports: {{ http: 8080 }}
```

The pod meets the restricted Pod Security Standard as it is. The grace period follows `shutdown.deadline`. More examples are in
[ci/](ci), one for each mode and feature.

## Values

| key | default | |
|---|---|---|
{table}
"""


def main():
    own = json.loads(subprocess.run([sys.argv[1], "schema"], capture_output=True, text=True, check=True).stdout)
    wanted = {HERE / "values.schema.json": json.dumps(schema(own), indent=2) + "\n", HERE / "README.md": readme()}
    sources = [*DASHBOARDS.glob("*.json"), DASHBOARDS / "alerts" / "podvisor.rules.yaml"]
    wanted |= {HERE / "files" / source.name: source.read_text() for source in sources}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        if stale:
            sys.exit("out of date: " + ", ".join(path.name for path in stale) + "; run charts/podvisor/generate.py")
        return
    for path in stale:
        path.write_text(wanted[path])


if __name__ == "__main__":
    main()

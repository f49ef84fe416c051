//! Who speaks: the host, the pod and this run of podvisor, found out once at the start.

use std::hash::{BuildHasher, RandomState};

/// What every record carries, whichever service it is of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The kernel's host name: in Kubernetes the pod's.
    pub host: String,
    /// Random per start, never 0. With service and sequence number it names a record once and for
    /// all, so that a receiver can drop what it was sent twice.
    pub source_id: u64,
    /// `POD_NAME`, else `k8s.pod.name`.
    pub pod_name: Option<String>,
    /// `POD_NAMESPACE`, else `k8s.namespace.name`.
    pub pod_namespace: Option<String>,
    /// `POD_UID`, else `k8s.pod.uid`.
    pub pod_uid: Option<String>,
    /// `NODE_NAME`, else `k8s.node.name`.
    pub node_name: Option<String>,
    /// `CONTAINER_NAME`, else `k8s.container.name`.
    pub container_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`, decoded, each name once.
    pub resource: Vec<(String, String)>,
    /// `OTEL_SERVICE_NAME`.
    pub otel_service_name: Option<String>,
}

/// `OTEL_RESOURCE_ATTRIBUTES` can't be read, so all of it is ignored, as OpenTelemetry wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("OTEL_RESOURCE_ATTRIBUTES is ignored: {reason} in its entry {entry}")]
pub struct BadAttributes {
    /// Which, counted from 1.
    pub entry: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Identity {
    /// Of this process: its environment, the kernel's host name (`HOSTNAME` if /proc is missing) and
    /// a random number. The second part is worth a warning.
    #[must_use]
    pub fn find() -> (Identity, Option<BadAttributes>) {
        let env = |name: &str| std::env::var(name).ok();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| env("HOSTNAME"))
            .unwrap_or_default();
        // The standard library seeds its hasher from the kernel's random numbers.
        let random = RandomState::new().hash_one(std::process::id());
        Identity::from_env(host.trim(), random, env)
    }

    /// The same, of what is given. A variable that is empty counts as not set.
    #[must_use]
    pub fn from_env(
        host: &str,
        source_id: u64,
        env: impl Fn(&str) -> Option<String>,
    ) -> (Identity, Option<BadAttributes>) {
        let var = |name: &str| env(name).filter(|value| !value.is_empty());
        let given = var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let (resource, bad) = match attributes(&given) {
            Ok(resource) => (resource, None),
            Err(bad) => (Vec::new(), Some(bad)),
        };
        let either = |name: &str, key: &str| var(name).or_else(|| lookup(&resource, key));
        let identity = Identity {
            host: host.to_owned(),
            source_id: source_id.max(1),
            pod_name: either("POD_NAME", "k8s.pod.name"),
            pod_namespace: either("POD_NAMESPACE", "k8s.namespace.name"),
            pod_uid: either("POD_UID", "k8s.pod.uid"),
            node_name: either("NODE_NAME", "k8s.node.name"),
            container_name: either("CONTAINER_NAME", "k8s.container.name"),
            otel_service_name: var("OTEL_SERVICE_NAME"),
            resource,
        };
        (identity, bad)
    }

    /// [`Identity::source_id`] as 16 hex digits.
    #[must_use]
    pub fn source_hex(&self) -> String {
        format!("{:016x}", self.source_id)
    }

    /// OpenTelemetry's `service.name` for one service: several processes of one pod are several
    /// services, so it is `<base>-<service>`, where the base is `OTEL_SERVICE_NAME` or else the
    /// `service.name` of `OTEL_RESOURCE_ATTRIBUTES`; without either it is the service's own name.
    #[must_use]
    pub fn service_name(&self, service: &str) -> String {
        let base = self.otel_service_name.clone();
        match base.or_else(|| lookup(&self.resource, "service.name")) {
            Some(base) => format!("{base}-{service}"),
            None => service.to_owned(),
        }
    }

    /// OpenTelemetry's `service.instance.id`: what tells apart instances of the same `service.name`.
    ///
    /// As given in `OTEL_RESOURCE_ATTRIBUTES`; else `<namespace>.<pod>.<container>` (what of these is
    /// known), the rule that the conventions have for Kubernetes (`non-normative/k8s-attributes.md`);
    /// else the host. The service is not part of it, as it is in the name; nor is anything that
    /// changes with a restart, as every new value begins new streams in stores such as Loki.
    #[must_use]
    pub fn instance_id(&self) -> String {
        if let Some(id) = lookup(&self.resource, "service.instance.id") {
            return id;
        }
        let Some(pod) = &self.pod_name else {
            return self.host.clone();
        };
        let parts = [
            &self.pod_namespace,
            &Some(pod.clone()),
            &self.container_name,
        ];
        let known: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        known.join(".")
    }
}

fn lookup(attributes: &[(String, String)], key: &str) -> Option<String> {
    let (_, value) = attributes.iter().find(|(known, _)| known == key)?;
    (!value.is_empty()).then(|| value.clone())
}

/// `key=value,key=value`, percent-encoded as W3C's baggage header is, without its properties
/// (OpenTelemetry, "Specifying resource information via an environment variable"). Of a name given
/// twice the last counts.
fn attributes(list: &str) -> Result<Vec<(String, String)>, BadAttributes> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (i, entry) in list.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        let bad = |reason| BadAttributes {
            entry: i + 1,
            reason,
        };
        let (key, value) = entry.split_once('=').ok_or(bad("no \"=\""))?;
        let key = percent_decode(key.trim()).map_err(bad)?;
        let value = percent_decode(value.trim()).map_err(bad)?;
        if key.is_empty() {
            return Err(bad("no name"));
        }
        found.retain(|(known, _)| *known != key);
        found.push((key, value));
    }
    Ok(found)
}

pub(super) fn percent_decode(text: &str) -> Result<String, &'static str> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part
            .get(..2)
            .filter(|c| c.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = code.and_then(|c| u8::from_str_radix(c, 16).ok());
        bytes.push(byte.ok_or("\"%\" without two hex digits")?);
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| "bytes that are not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(vars: &[(&str, &str)]) -> (Identity, Option<BadAttributes>) {
        Identity::from_env("box", 0xAB, |name| {
            let (_, value) = vars.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        })
    }

    #[test]
    fn nothing_known_but_the_host() {
        let (id, bad) = identity(&[("POD_NAME", ""), ("OTEL_RESOURCE_ATTRIBUTES", "")]);
        assert_eq!((id.pod_name.as_ref(), bad), (None, None));
        assert_eq!(id.service_name("web"), "web");
        assert_eq!(id.instance_id(), "box");
        assert_eq!(id.source_hex(), "00000000000000ab");
    }

    #[test]
    fn the_downward_api_beats_otel() {
        let (id, bad) = identity(&[
            ("POD_NAME", "web-1"),
            ("CONTAINER_NAME", "app"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "k8s.pod.name=other, k8s.namespace.name=shop ,k8s.node.name=n%201,service.name=s",
            ),
        ]);
        assert_eq!(bad, None);
        assert_eq!(id.pod_name.as_deref(), Some("web-1"));
        assert_eq!(id.pod_namespace.as_deref(), Some("shop"));
        assert_eq!(id.node_name.as_deref(), Some("n 1"));
        assert_eq!(id.instance_id(), "shop.web-1.app");
        assert_eq!(id.service_name("db"), "s-db");
    }

    #[test]
    fn otel_service_name_beats_the_attribute() {
        let (id, _) = identity(&[
            ("OTEL_SERVICE_NAME", "shop"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=x,service.instance.id=i",
            ),
        ]);
        assert_eq!(id.service_name("db"), "shop-db");
        assert_eq!(id.instance_id(), "i");
    }

    #[test]
    fn one_bad_entry_discards_all() {
        for (list, entry, reason) in [
            ("a=b,c", 2, "no \"=\""),
            ("a=%2", 1, "\"%\" without two hex digits"),
            ("a=b,,c=%+1", 3, "\"%\" without two hex digits"),
            ("a=%\u{e9}x", 1, "\"%\" without two hex digits"),
            ("a=%ff", 1, "bytes that are not UTF-8"),
            ("=b", 1, "no name"),
        ] {
            let (id, bad) = identity(&[("OTEL_RESOURCE_ATTRIBUTES", list)]);
            assert_eq!(bad, Some(BadAttributes { entry, reason }), "{list}");
            assert!(id.resource.is_empty());
        }
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let (id, _) = identity(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1,b=2=3,a=%2C%3D,")]);
        let want = [("b", "2=3"), ("a", ",=")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(id.resource, want);
    }

    #[test]
    fn this_process_has_one_too() {
        let (a, _) = Identity::find();
        let (b, _) = Identity::find();
        assert!(!a.host.contains('\n'));
        assert_ne!(a.source_id, b.source_id);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(pairs in prop::collection::btree_map("\\PC{1,9}", "\\PC{0,9}", 0..5)) {
            let encode = |s: &str| s.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
            let list: Vec<_> = pairs.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
            let got = attributes(&list.join(","));
            prop_assert_eq!(got, Ok(pairs.into_iter().collect()));
        }

        #[test]
        fn any_text_is_decoded_or_refused(list in "\\PC{0,60}") {
            let _ = attributes(&list);
        }
    }
}

//! Whose records these are: one OTLP resource for each service, and requests put together from them.
//!
//! Attribute names: OpenTelemetry's semantic conventions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::encode::str_attribute;
use super::wire::{bytes_tag, close, open, put_bytes, put_varint, varint_len};
use crate::logs::ServiceId;
use crate::ship::identity::Identity;
use crate::ship::table::Table;

/// The instrumentation scope: who took the records in.
const SCOPE: (&str, &str) = ("podvisor", env!("CARGO_PKG_VERSION"));

/// What a record of a service that was never set is said to be of.
const UNKNOWN: &str = "unknown";

/// The resources of all services, encoded.
#[derive(Debug, Clone)]
pub struct Resources {
    identity: Identity,
    services: Table<Service>,
    unknown: Arc<[u8]>,
    /// `ScopeLogs.scope`.
    scope: Arc<[u8]>,
}

#[derive(Debug, Clone)]
struct Service {
    name: String,
    labels: BTreeMap<String, String>,
    executable: Option<String>,
    /// `ResourceLogs.resource`.
    encoded: Arc<[u8]>,
}

impl Resources {
    /// For the records of this run.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        let mut scope = Vec::new();
        let field = open(1, 0, &mut scope);
        put_bytes(1, SCOPE.0.as_bytes(), &mut scope);
        put_bytes(2, SCOPE.1.as_bytes(), &mut scope);
        close(field, &mut scope);
        Resources {
            unknown: resource(&identity, UNKNOWN, &BTreeMap::new(), None),
            identity,
            services: Table::default(),
            scope: scope.into(),
        }
    }

    /// Names a service and its labels. Its executable stays what it was.
    pub fn set_service(&mut self, id: ServiceId, name: &str, labels: &BTreeMap<String, String>) {
        let executable = self.services.get(id).and_then(|s| s.executable.clone());
        let encoded = resource(&self.identity, name, labels, executable.as_deref());
        let service = Service {
            name: name.to_owned(),
            labels: labels.clone(),
            executable,
            encoded,
        };
        self.services.set(id, service);
    }

    /// Sets `process.executable.name` of a service that has a name.
    pub fn set_executable(&mut self, id: ServiceId, executable: Option<&str>) {
        let Some(service) = self.services.get_mut(id) else {
            return;
        };
        if service.executable.as_deref() != executable {
            service.executable = executable.map(str::to_owned);
            let (name, labels) = (&service.name, &service.labels);
            service.encoded = resource(&self.identity, name, labels, executable);
        }
    }

    /// Forgets a service.
    pub fn remove_service(&mut self, id: ServiceId) {
        self.services.remove(id);
    }

    fn encoded(&self, id: ServiceId) -> &[u8] {
        self.services.get(id).map_or(&self.unknown, |s| &s.encoded)
    }
}

/// Who it is, from the least to the most particular: of a name that is said twice the last counts, so
/// labels have the last word.
fn resource(
    identity: &Identity,
    service: &str,
    labels: &BTreeMap<String, String>,
    executable: Option<&str>,
) -> Arc<[u8]> {
    let host = Some(identity.host.as_str()).filter(|host| !host.is_empty());
    let (name, instance) = (identity.service_name(service), identity.instance_id());
    let given = identity
        .resource
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()));
    let own_host = [("host.name", host)];
    let own = [
        ("k8s.namespace.name", identity.pod_namespace.as_deref()),
        ("k8s.pod.name", identity.pod_name.as_deref()),
        ("k8s.pod.uid", identity.pod_uid.as_deref()),
        ("k8s.node.name", identity.node_name.as_deref()),
        ("k8s.container.name", identity.container_name.as_deref()),
        ("service.name", Some(name.as_str())),
        ("service.instance.id", Some(instance.as_str())),
        ("podvisor.service", Some(service)),
        ("process.executable.name", executable),
    ];
    let known = |(k, v): (&'static str, Option<&'_ str>)| Some((k, v?.to_owned()));
    let all: BTreeMap<&str, String> = own_host
        .into_iter()
        .filter_map(known)
        .chain(given.map(|(k, v)| (k, v.to_owned())))
        .chain(own.into_iter().filter_map(known))
        .chain(labels.iter().map(|(k, v)| (k.as_str(), v.clone())))
        .collect();
    let mut out = Vec::new();
    let field = open(1, 0, &mut out);
    for (key, value) in &all {
        str_attribute(1, key, value, &mut out);
    }
    close(field, &mut out);
    out.into()
}

/// Puts requests together. Its buffers are reused.
#[derive(Debug, Default)]
pub struct Assembler {
    groups: Table<Group>,
}

/// The records of one service.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    /// Bytes of them.
    len: usize,
    /// Where in the output the next one goes.
    at: usize,
}

impl Assembler {
    /// Appends the `ExportLogsServiceRequest` for what [`super::encode::Otlp`] has written to `arena`:
    /// `runs` says in turn how many bytes are of which service. Each service gets one
    /// `ResourceLogs`, in the order of their numbers, with its records in the order in which they
    /// came. What `runs` and `arena` don't both have is left out.
    pub fn assemble(
        &mut self,
        resources: &Resources,
        arena: &[u8],
        runs: &[(ServiceId, u32)],
        out: &mut Vec<u8>,
    ) {
        self.groups.clear();
        for (id, run) in split(arena, runs) {
            match self.groups.get_mut(id) {
                Some(group) => group.len += run.len(),
                None => {
                    let len = run.len();
                    self.groups.set(id, Group { len, at: 0 });
                }
            }
        }
        for (id, group) in self.groups.iter_mut() {
            let (resource, scope) = (resources.encoded(id), &resources.scope);
            let scope_logs = scope.len() + group.len;
            let len = resource.len() + 1 + varint_len(scope_logs as u64) + scope_logs;
            out.push(bytes_tag(1));
            put_varint(len as u64, out);
            out.extend_from_slice(resource);
            out.push(bytes_tag(2));
            put_varint(scope_logs as u64, out);
            out.extend_from_slice(scope);
            group.at = out.len();
            out.resize(out.len() + group.len, 0);
        }
        for (id, run) in split(arena, runs) {
            if let Some(group) = self.groups.get_mut(id) {
                let end = group.at + run.len();
                if let Some(place) = out.get_mut(group.at..end) {
                    place.copy_from_slice(run);
                }
                group.at = end;
            }
        }
    }
}

/// The arena run by run.
fn split<'a>(
    mut arena: &'a [u8],
    runs: &'a [(ServiceId, u32)],
) -> impl Iterator<Item = (ServiceId, &'a [u8])> {
    runs.iter().map_while(move |(id, len)| {
        let (run, rest) = arena.split_at_checked(*len as usize)?;
        arena = rest;
        Some((*id, run))
    })
}

#[cfg(test)]
mod tests;

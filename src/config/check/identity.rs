//! As whom a service runs: user, groups, capabilities, umask, priorities, limits.

use std::path::Path;

use super::Scope;
use crate::config::machine::Machine;
use crate::config::model::{LimitName, Service};
use crate::config::words;

/// The largest account file that is read, in bytes.
const MAX_ACCOUNTS_BYTES: usize = 1024 * 1024;

/// Linux capabilities, without `CAP_`.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];

/// The users and groups of this image.
pub(super) struct Accounts {
    users: Vec<(String, u32)>,
    groups: Vec<(String, u32)>,
}

impl Accounts {
    /// Reads /etc/passwd and /etc/group; a missing file has nobody in it.
    pub fn read(machine: &dyn Machine) -> Self {
        Self {
            users: names(machine, "/etc/passwd"),
            groups: names(machine, "/etc/group"),
        }
    }
}

/// `name:x:id:…`, line by line.
fn names(machine: &dyn Machine, path: &str) -> Vec<(String, u32)> {
    let bytes = machine
        .read(Path::new(path), MAX_ACCOUNTS_BYTES)
        .unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .lines()
        .filter_map(|line| {
            let mut parts = line.split(':');
            let name = parts.next()?;
            let id = parts.nth(1)?.parse().ok()?;
            Some((name.to_owned(), id))
        })
        .collect()
}

pub(super) fn check(scope: &mut Scope<'_, '_>, service: &Service, accounts: &Accounts) {
    let uid = user(scope, service, accounts);
    privileges(scope, service, uid);
    umask(scope, service);
    capabilities(scope, service);
    numbers(scope, service);
}

/// Checks `user` and `securityContext.runAs…`; gives the user id that the service is to have.
fn user(scope: &mut Scope<'_, '_>, service: &Service, accounts: &Accounts) -> Option<u32> {
    let context = &service.security_context;
    for (field, id) in [
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
    ] {
        if id == Some(u32::MAX) {
            scope.error(
                &["securityContext", field],
                format!("{} can't be an id", u32::MAX),
            );
        }
    }
    let Some(text) = &service.user else {
        return context.run_as_user;
    };
    if context.run_as_user.is_some() {
        scope
            .error(
                &["securityContext", "runAsUser"],
                "`user` and `securityContext.runAsUser` exclude each other",
            )
            .help("keep one of them");
    }
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text.as_str(), None),
    };
    if group.is_some() && context.run_as_group.is_some() {
        scope
            .error(
                &["securityContext", "runAsGroup"],
                "the group is said twice: in `user` and in `securityContext.runAsGroup`",
            )
            .help("keep one of them");
    }
    if let Some(group) = group {
        account(scope, "group", "/etc/group", group, &accounts.groups);
    }
    account(scope, "user", "/etc/passwd", user, &accounts.users)
}

fn account(
    scope: &mut Scope<'_, '_>,
    what: &str,
    file: &str,
    text: &str,
    known: &[(String, u32)],
) -> Option<u32> {
    if text.is_empty() || text.contains(|c: char| c == ':' || c.is_whitespace()) {
        scope
            .error(&["user"], format!("`{text}` is no {what}"))
            .help("write `name`, `1000`, `name:group` or `1000:1000`");
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let id = text.parse().ok().filter(|id| *id != u32::MAX);
        if id.is_none() {
            scope.error(&["user"], format!("`{text}` is too large for an id"));
        }
        return id;
    }
    if let Some((_, id)) = known.iter().find(|(name, _)| name == text) {
        return Some(*id);
    }
    let near = words::nearest(text, known.iter().map(|(name, _)| name.as_str()));
    let help = match near {
        Some(near) => format!("did you mean `{near}`? A number works without an entry"),
        None => "a number works without an entry".to_owned(),
    };
    scope
        .error(&["user"], format!("there is no {what} `{text}` in {file}"))
        .help(help);
    None
}

/// What only root may give.
fn privileges(scope: &mut Scope<'_, '_>, service: &Service, uid: Option<u32>) {
    let own = scope.checker.machine.euid();
    if own == 0 {
        return;
    }
    if let Some(uid) = uid
        && uid != own
    {
        let path: &[&str] = if service.user.is_some() {
            &["user"]
        } else {
            &["securityContext", "runAsUser"]
        };
        scope
            .error(
                path,
                format!("podvisor runs as user {own} and can't become user {uid}"),
            )
            .help("start the container as root, or remove it: services run as podvisor does");
    }
    if service
        .security_context
        .supplemental_groups
        .as_ref()
        .is_some_and(|groups| !groups.is_empty())
    {
        scope
            .error(
                &["securityContext", "supplementalGroups"],
                format!("podvisor runs as user {own} and can't add groups"),
            )
            .help("set them in the pod's securityContext");
    }
    if service.nice.is_some_and(|nice| nice < 0) {
        scope.warn(
            &["nice"],
            format!("podvisor runs as user {own}: a negative `nice` needs CAP_SYS_NICE"),
        );
    }
}

fn umask(scope: &mut Scope<'_, '_>, service: &Service) {
    if let Some(umask) = &service.security_context.umask {
        let octal = (1..=4).contains(&umask.len())
            && u32::from_str_radix(umask, 8).is_ok_and(|mask| mask <= 0o777)
            && !umask.starts_with('+');
        if !octal {
            scope
                .error(
                    &["securityContext", "umask"],
                    format!("`{umask}` is no umask"),
                )
                .help("up to four octal digits, as a string: \"022\"");
        }
    }
}

fn capabilities(scope: &mut Scope<'_, '_>, service: &Service) {
    let capabilities = &service.security_context.capabilities;
    for (field, names) in [("add", &capabilities.add), ("drop", &capabilities.drop)] {
        for (index, name) in names.iter().enumerate() {
            let index = index.to_string();
            let path = ["securityContext", "capabilities", field, &index];
            let bare = bare_capability(name);
            if bare == "ALL" {
                if field == "add" {
                    scope
                        .error(&path, "`ALL` is for `drop`")
                        .help("name the capabilities that are needed");
                }
                continue;
            }
            if !CAPABILITIES.contains(&bare.as_str()) {
                let help = words::nearest(&bare, CAPABILITIES.into_iter());
                let noted = scope.error(&path, format!("there is no capability `{name}`"));
                if let Some(near) = help {
                    noted.help(format!("did you mean `{near}`?"));
                }
            } else if field == "add"
                && capabilities
                    .drop
                    .iter()
                    .any(|other| bare_capability(other) == bare)
            {
                scope.error(&path, format!("`{name}` is both added and dropped"));
            }
        }
    }
}

fn bare_capability(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

fn numbers(scope: &mut Scope<'_, '_>, service: &Service) {
    if let Some(nice) = service.nice
        && !(-20..=19).contains(&nice)
    {
        scope.error(&["nice"], format!("`{nice}` is out of bounds: -20 to 19"));
    }
    if let Some(score) = service.oom_score_adj
        && !(-1000..=1000).contains(&score)
    {
        scope.error(
            &["oomScoreAdj"],
            format!("`{score}` is out of bounds: -1000 to 1000"),
        );
    }
    for (name, limit) in &service.limits {
        let above = match (limit.soft, limit.hard) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(soft), Some(hard)) => soft > hard,
        };
        if above {
            scope.error(
                &["limits", limit_name(*name), "soft"],
                "the soft limit is above the hard one",
            );
        }
    }
}

/// A limit's name as the config writes it.
fn limit_name(name: LimitName) -> &'static str {
    match name {
        LimitName::As => "as",
        LimitName::Core => "core",
        LimitName::Cpu => "cpu",
        LimitName::Data => "data",
        LimitName::Fsize => "fsize",
        LimitName::Locks => "locks",
        LimitName::Memlock => "memlock",
        LimitName::Msgqueue => "msgqueue",
        LimitName::Nice => "nice",
        LimitName::Nofile => "nofile",
        LimitName::Nproc => "nproc",
        LimitName::Rss => "rss",
        LimitName::Rtprio => "rtprio",
        LimitName::Sigpending => "sigpending",
        LimitName::Stack => "stack",
    }
}

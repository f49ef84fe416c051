//! From a service's config to what fork and exec need. Read anew at each start, so that a mended env file counts.

use std::ffi::{CString, OsString};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::environment::{EnvError, Environment};
use crate::config::model::{Capabilities, Limit, LimitName, SecurityContext, Service};
use crate::core::ExecFault;
use crate::exit;
use crate::process::capabilities::{self, Set, UnknownCapability};
use crate::process::identity::{Credentials, Database, IdentityError};
use crate::process::limits::{self, INFINITY, Resource};
use crate::process::plan::{Output, Plan, Session, Stdin};

/// What is the same for every start of every service.
#[derive(Debug)]
pub(super) struct Ground {
    /// The environment that podvisor was started with.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The soft RLIMIT_NOFILE that podvisor was started with.
    pub(super) nofile_soft: u64,
    /// Whether podvisor is PID 1.
    pub(super) is_pid1: bool,
    /// Random for this start of podvisor; marks every process it starts.
    pub(super) run_id: Arc<str>,
}

/// Why a start got no further than its preparation.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error(transparent)]
    Env(#[from] EnvError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Capability(#[from] UnknownCapability),
    #[error("{0} contains a NUL byte")]
    Nul(&'static str),
}

impl From<PlanError> for ExecFault {
    fn from(error: PlanError) -> Self {
        Self {
            code: exit::NOT_EXECUTABLE,
            permanent: true,
            text: error.to_string(),
        }
    }
}

/// What one process of a service is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The service itself.
    Main,
    /// `run -- CMD` on a terminal: the terminal is handed over.
    Foreground,
    /// `run -- CMD` without one: stdin is handed on.
    Single,
    /// A stop command.
    StopCommand,
    /// An exec probe.
    Probe,
}

/// The mark that tells a service's processes from others: `run-id/name`.
pub(super) fn token(ground: &Ground, name: &str, incarnation: u64) -> String {
    format!("{}/{name}/{incarnation}", ground.run_id)
}

/// The command line of a service.
pub(super) fn command_line(service: &Service) -> Vec<String> {
    let mut line = match &service.shell {
        Some(script) => vec!["/bin/sh".to_owned(), "-c".to_owned(), script.clone()],
        None => service.command.clone(),
    };
    line.extend(service.args.iter().cloned());
    line
}

/// One process that is to be started for a service.
pub(super) struct Start<'a> {
    pub(super) role: Role,
    pub(super) argv: &'a [String],
    /// Its mark.
    pub(super) token: &'a str,
    /// Variables that podvisor itself adds.
    pub(super) env: &'a [(&'a str, String)],
    /// Descriptors that it gets, by their number in it.
    pub(super) fds: Vec<(i32, OwnedFd)>,
}

/// Puts together one start.
pub(super) fn plan(
    ground: &Ground,
    name: &str,
    service: &Service,
    start: Start<'_>,
) -> Result<Plan, PlanError> {
    let role = start.role;
    let mut env = Environment::of(service, &ground.environment)?;
    let context = &service.security_context;
    let credentials = credentials(service.user.as_deref(), context)?;
    if let Some(Credentials {
        name: Some(user),
        home,
        ..
    }) = &credentials
    {
        env.set_default("USER", user);
        env.set_default("LOGNAME", user);
        if let Some(home) = home {
            env.set("HOME", home);
        }
    }
    env.set("PODVISOR_SERVICE", name);
    for (variable, value) in start.env {
        env.set(variable, value);
    }
    env.set_first(crate::process::descendants::TOKEN_VARIABLE, start.token);
    let argv = start
        .argv
        .iter()
        .map(|arg| CString::new(arg.as_str()).map_err(|_| PlanError::Nul("the command line")))
        .collect::<Result<Vec<_>, _>>()?;
    let mut plan = Plan::new(argv);
    plan.env = env.into_vec();
    plan.cwd = service.working_dir.as_ref().map(Into::into);
    plan.stdin = if matches!(role, Role::Foreground | Role::Single) {
        Stdin::Inherit
    } else {
        Stdin::Null
    };
    plan.output = match role {
        Role::Foreground => Output::Inherit,
        Role::Probe => Output::Null,
        Role::Main | Role::Single | Role::StopCommand => Output::Pipes,
    };
    plan.session = if role == Role::Foreground {
        Session::Foreground
    } else {
        Session::New
    };
    plan.credentials = credentials;
    plan.umask = context
        .umask
        .as_deref()
        .and_then(|text| u32::from_str_radix(text, 8).ok());
    plan.nice = service.nice;
    plan.oom_score_adj = service.oom_score_adj;
    plan.limits = service
        .limits
        .iter()
        .filter_map(|(name, limit)| resource(*name, *limit))
        .collect();
    plan.nofile_soft = ground.nofile_soft;
    plan.no_new_privs = context.no_new_privileges;
    plan.capabilities = capabilities(&context.capabilities)?;
    plan.parent_death_signal = !ground.is_pid1;
    plan.extra_fds = start.fds;
    Ok(plan)
}

/// Whom to become: `user`, or securityContext's numbers; nobody else when neither is said.
fn credentials(
    user: Option<&str>,
    context: &SecurityContext,
) -> Result<Option<Credentials>, PlanError> {
    let own = (
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    );
    let spec = match (user, context.run_as_user, context.run_as_group) {
        (Some(user), _, _) => user.to_owned(),
        (None, Some(uid), Some(gid)) => format!("{uid}:{gid}"),
        (None, Some(uid), None) => uid.to_string(),
        (None, None, Some(gid)) => format!("{}:{gid}", own.0),
        (None, None, None) if context.supplemental_groups.is_some() => {
            format!("{}:{}", own.0, own.1)
        }
        (None, None, None) => return Ok(None),
    };
    let further = context
        .supplemental_groups
        .iter()
        .flatten()
        .map(u32::to_string);
    let further: Vec<String> = further.collect();
    Ok(Some(Credentials::resolve(
        &spec,
        &further,
        &Database::system()?,
    )?))
}

fn capabilities(from: &Capabilities) -> Result<capabilities::Capabilities, PlanError> {
    Ok(capabilities::Capabilities {
        drop: Set::from_names(&from.drop)?,
        add: Set::from_names(&from.add)?,
    })
}

fn resource(name: LimitName, limit: Limit) -> Option<limits::Limit> {
    let number = |value: Option<u64>| value.unwrap_or(INFINITY);
    // Every name of the config is one of setrlimit's; a test holds that.
    let resource = Resource::from_name(&format!("{name:?}").to_lowercase())?;
    Some(limits::Limit {
        resource,
        soft: number(limit.soft),
        hard: (limit.hard != limit.soft).then(|| number(limit.hard)),
    })
}

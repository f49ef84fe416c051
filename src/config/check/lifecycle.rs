//! When a service starts, restarts and stops: type, schedule, restart policy, stop signal.

use crate::config::model::{OnSuccess, RestartPolicy, Service, ServiceKind};
use crate::units::{Schedule, ScheduleError, SignalName};

use super::Scope;

pub(super) fn check(scope: &mut Scope<'_, '_>, service: &Service) {
    schedule(scope, service);
    policy(scope, service);
    restart(scope, service);
    stop(scope, service);
    super::output::check(scope, service);
}

fn schedule(scope: &mut Scope<'_, '_>, service: &Service) {
    let is_cron = service.kind == ServiceKind::Cron;
    match &service.schedule {
        Some(schedule) if is_cron => {
            match Schedule::parse(schedule, service.time_zone.as_deref()) {
                Ok(_) => {}
                Err(error @ ScheduleError::Zone(_)) => {
                    scope
                        .error(&["timeZone"], error.to_string())
                        .help("write an IANA name such as `Europe/Berlin`");
                }
                Err(error) => {
                    scope
                        .error(&["schedule"], error.to_string())
                        .help("five fields such as `*/5 * * * *`, or @hourly, @daily, @weekly, @monthly, @yearly");
                }
            }
        }
        None if is_cron && !scope.is_incomplete() => {
            scope
                .error(&["type"], "a cron service needs a `schedule`")
                .help("for instance `schedule: \"*/5 * * * *\"`");
        }
        _ => {}
    }
    if !is_cron {
        for field in ["schedule", "timeZone", "concurrencyPolicy"] {
            if scope.is_written(&[field]) {
                scope
                    .error_at_key(&[field], format!("`{field}` is for `type: cron` only"))
                    .help("add `type: cron`, or remove it");
            }
        }
    }
}

fn policy(scope: &mut Scope<'_, '_>, service: &Service) {
    let always = service.restart_policy() == RestartPolicy::Always;
    match service.kind {
        ServiceKind::Cron if always => {
            scope
                .error(
                    &["restartPolicy"],
                    "a cron service can't have `restartPolicy: Always`",
                )
                .help("`OnFailure` repeats a failed run, `Never` waits for the next one");
        }
        ServiceKind::Oneshot if always => {
            scope
                .error(
                    &["restartPolicy"],
                    "a oneshot with `restartPolicy: Always` never completes",
                )
                .help("`OnFailure` repeats it until it succeeds");
        }
        ServiceKind::Daemon if always && service.on_success == OnSuccess::Shutdown => {
            scope
                .warn(
                    &["onSuccess"],
                    "this service never completes: its restart policy is Always",
                )
                .help("use `type: oneshot`, or `restartPolicy: OnFailure`");
        }
        ServiceKind::Daemon | ServiceKind::Oneshot | ServiceKind::Cron => {}
    }
    if service.restart_policy() == RestartPolicy::Never && scope.is_written(&["restart"]) {
        scope.warn(
            &["restart"],
            "`restart` has no effect: the restart policy is Never",
        );
    }
    if service.min_ready_seconds > 0
        && (service.startup_probe.is_some() || service.readiness_probe.is_some())
    {
        scope.warn(
            &["minReadySeconds"],
            "`minReadySeconds` has no effect: the probes say when the service is ready",
        );
    }
    if service
        .start_timeout
        .is_some_and(|limit| limit.get().is_zero())
    {
        scope
            .error(&["startTimeout"], "no service starts in no time")
            .help("leave `startTimeout` out for no limit");
    }
    if service.required == Some(true) && !service.autostart {
        scope
            .warn(
                &["required"],
                "`/readyz` waits for this service, which is not started with the container",
            )
            .help("remove `autostart: false` or `required: true`");
    }
}

fn restart(scope: &mut Scope<'_, '_>, service: &Service) {
    let restart = &service.restart;
    if !(0.0..=1.0).contains(&restart.jitter) {
        scope.error(
            &["restart", "jitter"],
            format!("`{}` is no share: 0 to 1", restart.jitter),
        );
    }
    if restart.initial_delay > restart.max_delay {
        let path = if scope.is_written(&["restart", "initialDelay"]) {
            ["restart", "initialDelay"]
        } else {
            ["restart", "maxDelay"]
        };
        scope.error(
            &path,
            format!(
                "`initialDelay` ({}) is longer than `maxDelay` ({})",
                restart.initial_delay, restart.max_delay
            ),
        );
    }
    if restart.max_restarts > 0 && restart.window.get().is_zero() {
        scope
            .error(
                &["restart", "window"],
                "restarts can't be counted over no time",
            )
            .help("`maxRestarts: 0` is no limit");
    }
}

fn stop(scope: &mut Scope<'_, '_>, service: &Service) {
    let signal = service.stop.signal;
    match signal.number() {
        9 => {
            scope
                .warn(
                    &["stop", "signal"],
                    "SIGKILL gives the service no chance to end cleanly",
                )
                .help("SIGTERM asks first; KILL follows after `stop.timeout`");
        }
        // STOP, TSTP, TTIN, TTOU, CONT, CHLD and URG.
        17..=23 => {
            scope
                .error(
                    &["stop", "signal"],
                    format!("{signal} does not end a process"),
                )
                .help("SIGTERM does; nginx and php-fpm take SIGQUIT");
        }
        _ => {}
    }
    debug_assert_eq!(SignalName::KILL.number(), 9);
}

//! What a service runs: command or shell, arguments, environment, folders.

use std::path::Path;

use super::Scope;
use crate::config::model::Service;

/// The shell that `shell:` runs through.
const SHELL: &str = "/bin/sh";

pub(super) fn check(scope: &mut Scope<'_, '_>, service: &Service) {
    one_of_command_and_shell(scope, service);
    words(scope, "command", &service.command);
    words(scope, "args", &service.args);
    environment(scope, service);
    folders(scope, service);
}

fn one_of_command_and_shell(scope: &mut Scope<'_, '_>, service: &Service) {
    match (&service.shell, service.command.first()) {
        (Some(_), Some(_)) => {
            scope
                .error(&["shell"], "`command` and `shell` exclude each other")
                .help("keep one of them");
        }
        (Some(script), None) => shell(scope, service, script),
        (None, Some(program)) => program_word(scope, service, program),
        (None, None) if scope.is_incomplete() => {}
        (None, None) if !service.args.is_empty() => {
            scope
                .error(&["args"], "`args` without `command`")
                .help("name the program too: podvisor does not know the image's own entrypoint");
        }
        (None, None) => {
            scope
                .error(&["command"], "there is no `command`")
                .help("write `command: [program, argument]`, or `shell: \"…\"` for a script");
        }
    }
}

fn shell(scope: &mut Scope<'_, '_>, service: &Service, script: &str) {
    if script.trim().is_empty() {
        scope.error(&["shell"], "the script is empty");
    }
    if script.contains('\0') {
        scope.error(&["shell"], "the script holds a NUL byte");
    }
    if !service.args.is_empty() {
        scope
            .error(&["args"], "`args` goes with `command`, not with `shell`")
            .help("write the arguments into the script");
    }
    if !scope.checker.machine.is_executable(Path::new(SHELL)) {
        scope
            .error(
                &["shell"],
                format!("there is no {SHELL} here to run the script"),
            )
            .help("write it as `command: [program, argument]`");
    }
}

fn program_word(scope: &mut Scope<'_, '_>, service: &Service, program: &str) {
    if program.trim().is_empty() {
        scope.error(&["command", "0"], "the program's name is empty");
    } else if service.command.len() == 1 && service.args.is_empty() && program.contains(' ') {
        let words: Vec<&str> = program.split_whitespace().collect();
        scope
            .warn(
                &["command", "0"],
                format!("`{program}` is taken as the name of one program, spaces included"),
            )
            .help(format!("write `command: [{}]`", words.join(", ")));
    }
}

/// Words of a command line.
fn words(scope: &mut Scope<'_, '_>, field: &str, words: &[String]) {
    for (index, word) in words.iter().enumerate() {
        let path = [field, &index.to_string()];
        if word.contains('\0') {
            scope.error(&path, "an argument can't hold a NUL byte");
        }
        kubernetes_reference(scope, &path, word);
    }
}

/// `$(VAR)` is what Kubernetes expands in a pod's own command; here it stays, which is likely not meant.
fn kubernetes_reference(scope: &mut Scope<'_, '_>, path: &[&str], text: &str) {
    let Some((_, after)) = text.split_once("$(") else {
        return;
    };
    let Some((name, _)) = after.split_once(')') else {
        return;
    };
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name {
        scope
            .warn(path, format!("`$({name})` is not expanded here"))
            .help(format!("write `${{{name}}}`"));
    }
}

fn environment(scope: &mut Scope<'_, '_>, service: &Service) {
    for (name, value) in &service.env {
        let path = ["env", name.as_str()];
        if !is_env_name(name) {
            scope
                .error_at_key(&path, format!("`{name}` can't be the name of a variable"))
                .help("names are printable and hold no `=` and no space");
        }
        if value.contains('\0') {
            scope.error(&path, "a variable can't hold a NUL byte");
        }
        kubernetes_reference(scope, &path, value);
    }
    for (index, from) in service.env_from.iter().enumerate() {
        let index = index.to_string();
        absolute(scope, &["envFrom", &index, "file"], &from.file);
    }
}

/// What Kubernetes takes as a variable's name (relaxed), without spaces.
fn is_env_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'=')
}

fn folders(scope: &mut Scope<'_, '_>, service: &Service) {
    if let Some(folder) = &service.working_dir {
        absolute(scope, &["workingDir"], folder);
    }
    for (index, word) in service.stop.command.iter().enumerate() {
        if index == 0 && word.trim().is_empty() {
            scope.error(&["stop", "command", "0"], "the program's name is empty");
        }
        if word.contains('\0') {
            let index = index.to_string();
            scope.error(
                &["stop", "command", &index],
                "an argument can't hold a NUL byte",
            );
        }
    }
}

/// A path that must begin with `/`.
pub(super) fn absolute(scope: &mut Scope<'_, '_>, at: &[&str], path: &str) {
    if !path.starts_with('/') {
        scope
            .error(at, format!("`{path}` is not an absolute path"))
            .help("paths begin with `/`: podvisor's own folder may be any");
    } else if path.contains('\0') {
        scope.error(at, "a path can't hold a NUL byte");
    }
}

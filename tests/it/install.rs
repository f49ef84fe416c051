//! `podvisor install DIR`: the binary copies itself, whole or not at all.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Place, client, is_root, podvisor};

#[test]
fn the_copy_is_the_same_and_runs() {
    let place = Place::new();
    let dir = place.path("bin/deep");
    // Twice: over one that is there already.
    for _ in 0..2 {
        let done = client(&place, &["install", &dir]);
        assert_eq!(done.code(), 0, "{}", done.stderr);
        assert_eq!(done.stdout.trim(), format!("{dir}/podvisor"));
    }
    let copy = format!("{dir}/podvisor");
    let same = std::fs::read(&copy).unwrap() == std::fs::read(podvisor()).unwrap();
    assert!(same, "the copy differs");
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let place = Place::new();
    std::fs::write(place.path("file"), "").unwrap();
    let done = client(&place, &["install", &place.path("file/below")]);
    assert_eq!(done.code(), 1);
    assert!(
        done.stderr.contains("cannot install into"),
        "{}",
        done.stderr
    );
    if !is_root() {
        assert_eq!(client(&place, &["install", "/proc"]).code(), 1);
    }
}

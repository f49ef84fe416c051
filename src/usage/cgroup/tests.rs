//! Both versions, from files as kernels write them.

use super::*;

fn write(root: &Path, files: &[(&str, &str)]) {
    for (file, text) in files {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn version_2() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &[
            ("cgroup.controllers", "cpu memory pids\n"),
            ("memory.max", "67108864\n"),
            ("memory.current", "5000000\n"),
            ("memory.peak", "6000000\n"),
            (
                "memory.stat",
                "anon 1\ninactive_file 1000000\nactive_file 3\n",
            ),
            (
                "memory.events",
                "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n",
            ),
            ("memory.oom.group", "1\n"),
            ("cpu.max", "150000 100000\n"),
            (
                "cpu.stat",
                "usage_usec 2500000\nuser_usec 1\nnr_periods 7\nnr_throttled 3\nthrottled_usec 500000\n",
            ),
            ("pids.current", "12\n"),
            ("pids.max", "max\n"),
            (
                "cpu.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n",
            ),
            (
                "io.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
            ),
        ],
    );
    let place = Place::find(root.path(), "0::/\n");
    assert_eq!(place, Place::V2(root.path().join("")));
    let cgroup = place.read();
    let (half, some) = (Duration::from_millis(500), Duration::from_millis(1500));
    assert_eq!(
        cgroup,
        Cgroup {
            version: 2,
            oom_group: Some(true),
            memory_limit: Some(64 << 20),
            memory_usage: Some(5_000_000),
            memory_working_set: Some(4_000_000),
            memory_peak: Some(6_000_000),
            memory_events: vec![
                ("low", 0),
                ("high", 1),
                ("max", 2),
                ("oom", 3),
                ("oom_kill", 4),
                ("oom_group_kill", 5)
            ],
            cpu_limit: Some(1.5),
            cpu_usage: Some(Duration::from_millis(2500)),
            cpu_periods: Some(7),
            cpu_throttled_periods: Some(3),
            cpu_throttled: Some(half),
            pids: Some(12),
            pids_limit: None,
            pressure: vec![
                ("cpu", some, Some(half)),
                ("io", Duration::from_micros(7), None)
            ],
        }
    );
}

#[test]
fn version_1() {
    let root = tempfile::tempdir().unwrap();
    let pod = "kubepods/pod1/abc";
    let file = |controller: &str, name: &str| format!("{controller}/{pod}/{name}");
    let files = [
        (
            file("memory", "memory.limit_in_bytes"),
            "9223372036854771712\n",
        ),
        (file("memory", "memory.usage_in_bytes"), "3000\n"),
        (file("memory", "memory.max_usage_in_bytes"), "4000\n"),
        (
            file("memory", "memory.stat"),
            "inactive_file 1\ntotal_inactive_file 1000\n",
        ),
        (file("memory", "memory.failcnt"), "2\n"),
        (
            file("memory", "memory.oom_control"),
            "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        ),
        (file("cpu,cpuacct", "cpu.cfs_quota_us"), "-1\n"),
        (file("cpu,cpuacct", "cpu.cfs_period_us"), "100000\n"),
        (
            file("cpu,cpuacct", "cpu.stat"),
            "nr_periods 0\nnr_throttled 0\nthrottled_time 2000000000\n",
        ),
        (file("cpu,cpuacct", "cpuacct.usage"), "1000000000\n"),
        (file("pids", "pids.current"), "5\n"),
        (file("pids", "pids.max"), "100\n"),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (&**file, *text)).collect();
    write(root.path(), &files);
    // As the links that there are beside the folder of both.
    for name in ["cpu", "cpuacct"] {
        std::os::unix::fs::symlink("cpu,cpuacct", root.path().join(name)).unwrap();
    }
    let named = format!("9:memory:/{pod}\n4:cpu,cpuacct:/{pod}\n3:pids:/{pod}\n0::/elsewhere\n");
    let cgroup = Place::find(root.path(), &named).read();
    assert_eq!(
        cgroup,
        Cgroup {
            version: 1,
            memory_usage: Some(3000),
            memory_working_set: Some(2000),
            memory_peak: Some(4000),
            memory_events: vec![("max", 2), ("oom_kill", 1)],
            cpu_usage: Some(Duration::from_secs(1)),
            cpu_periods: Some(0),
            cpu_throttled_periods: Some(0),
            cpu_throttled: Some(Duration::from_secs(2)),
            pids: Some(5),
            pids_limit: Some(100),
            ..Cgroup::default()
        }
    );
}

#[test]
fn nowhere() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::find(root.path(), "");
    assert_eq!(place, Place::None);
    assert_eq!(place.read(), Cgroup::default());
}

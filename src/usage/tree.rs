//! Which process is whose: a walk over all of them, from their parents.
//!
//! A process belongs to a service if it descends from its main process. What lost its parents is podvisor's child now, and
//! is told by its session or group, by having been seen before, or by the token in its environment. podvisor's own helpers
//! (exec probes, stop commands) belong to nobody.

use std::collections::HashMap;
use std::sync::Arc;

use nix::unistd::Pid;

use super::read::{Reader, Stat};

/// A process, named for good: pid and start.
pub(super) type Name = (i32, u64);

/// The service of each process, by its place in the list of services; None: nobody's.
pub(super) type Owners = HashMap<Name, Option<usize>>;

/// The main processes: pid to service, by its place in the list.
pub(super) type Mains = HashMap<i32, usize>;

/// All processes there are, with their owners.
pub(super) struct Walk {
    /// Every process that belongs to a service: pid, service, what it says of itself.
    pub members: Vec<(Pid, usize, Stat)>,
}

/// How many parents are climbed at most. Deeper trees are cut, and what is below is nobody's.
const MAX_DEPTH: usize = 512;

/// What the walk needs to know.
pub(super) struct Place<'a> {
    /// podvisor's own pid.
    pub own: i32,
    pub mains: &'a Mains,
    /// The services' names, in the order of their places.
    pub names: &'a [Arc<str>],
}

/// Finds everybody's owner. `owners` is what the last walk found, and is brought up to date.
pub(super) fn walk(
    pids: impl Iterator<Item = Pid>,
    reader: &mut Reader,
    place: &Place<'_>,
    owners: &mut Owners,
) -> Walk {
    let table: HashMap<i32, Stat> = pids
        .filter_map(|pid| Some((pid.as_raw(), reader.stat(pid)?)))
        .collect();
    let found = owners_of(&table, place, owners, |pid| {
        let token = reader.variable(
            Pid::from_raw(pid),
            crate::process::descendants::TOKEN_VARIABLE,
        )?;
        service_of_token(token).map(str::to_owned)
    });
    let mut members: Vec<(Pid, usize, Stat)> = found
        .iter()
        .filter_map(|(&(pid, _), owner)| Some((Pid::from_raw(pid), (*owner)?, *table.get(&pid)?)))
        .collect();
    members.sort_unstable_by_key(|(pid, ..)| *pid);
    *owners = found;
    Walk { members }
}

/// `RUN/NAME/INCARNATION`, and `/helper` behind it if it is one of podvisor's own errands.
fn service_of_token(token: &str) -> Option<&str> {
    let mut words = token.split('/');
    let (_run, name, _incarnation) = (words.next()?, words.next()?, words.next()?);
    words.next().is_none().then_some(name)
}

/// The pure part: owners from parents, sessions, groups, memory, and the token as the last resort.
fn owners_of(
    table: &HashMap<i32, Stat>,
    place: &Place<'_>,
    known: &Owners,
    mut token: impl FnMut(i32) -> Option<String>,
) -> Owners {
    let mut found = Owners::with_capacity(table.len());
    let mut path = Vec::new();
    for &pid in table.keys() {
        let mut at = pid;
        path.clear();
        let owner = loop {
            let Some(stat) = table.get(&at) else {
                break None;
            };
            let name = (at, stat.starttime);
            if let Some(owner) = found.get(&name) {
                break *owner;
            }
            path.push(name);
            if let Some(service) = place.mains.get(&at) {
                break Some(*service);
            }
            if at == place.own || path.len() >= MAX_DEPTH {
                break None;
            }
            if stat.parent == place.own {
                break adopted(name, stat, place, known, &mut token);
            }
            at = stat.parent;
        };
        for name in path.drain(..) {
            found.insert(name, owner);
        }
    }
    found
}

/// The owner of a child of podvisor that is no main process.
fn adopted(
    name: Name,
    stat: &Stat,
    place: &Place<'_>,
    known: &Owners,
    token: &mut impl FnMut(i32) -> Option<String>,
) -> Option<usize> {
    if let Some(Some(service)) = known.get(&name) {
        return Some(*service);
    }
    let leader = [stat.session, stat.group]
        .into_iter()
        .find_map(|leader| place.mains.get(&leader));
    if let Some(service) = leader {
        return Some(*service);
    }
    let service = token(name.0)?;
    place.names.iter().position(|known| **known == *service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(parent: i32, session: i32, starttime: u64) -> Stat {
        Stat {
            parent,
            session,
            group: session,
            starttime,
            ..Stat::default()
        }
    }

    #[test]
    fn descendants_orphans_and_strangers_are_told_apart() {
        let names: Vec<Arc<str>> = ["a", "b"].map(Arc::from).to_vec();
        let mains = Mains::from([(10, 0), (20, 1)]);
        let place = Place {
            own: 1,
            mains: &mains,
            names: &names,
        };
        let table = HashMap::from([
            (1, stat(0, 1, 1)),
            (10, stat(1, 10, 5)),
            (11, stat(10, 10, 6)),
            (12, stat(11, 12, 7)),
            (20, stat(1, 20, 5)),
            // Its parents are gone: known by its session, by its token, by having been seen, and not at all.
            (30, stat(1, 20, 8)),
            (31, stat(1, 31, 8)),
            (32, stat(1, 32, 8)),
            (33, stat(32, 32, 9)),
            (40, stat(1, 40, 9)),
            // Of another world.
            (50, stat(2, 50, 9)),
            (51, stat(51, 51, 9)),
        ]);
        let known = Owners::from([((32, 8), Some(1)), ((40, 3), Some(1))]);
        let token = |pid| (pid == 31).then(|| "a".to_owned());
        let found = owners_of(&table, &place, &known, token);
        let owner = |pid: i32| found[&(pid, table[&pid].starttime)];
        for (pid, wanted) in [
            (1, None),
            (10, Some(0)),
            (11, Some(0)),
            (12, Some(0)),
            (20, Some(1)),
            (30, Some(1)),
            (31, Some(0)),
            (32, Some(1)),
            (33, Some(1)),
            (40, None),
            (50, None),
            (51, None),
        ] {
            assert_eq!(owner(pid), wanted, "{pid}");
        }
    }

    #[test]
    fn a_token_names_its_service_unless_it_is_an_errand() {
        assert_eq!(service_of_token("00ff/web/3"), Some("web"));
        assert_eq!(service_of_token("00ff/web/3/helper"), None);
        assert_eq!(service_of_token("00ff"), None);
        assert_eq!(service_of_token(""), None);
    }
}

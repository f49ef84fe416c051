//! What people ask through the control socket, in the main loop: never more than a few events for the core.

use super::Supervisor;
use crate::control::{Ask, Deed};
use crate::core::{Event, Life, Request, ServiceId};

impl Supervisor {
    /// Takes an ask, and says whether it will be done.
    pub(super) fn on_ask(&mut self, ask: Ask) {
        let taken = self.take_ask(ask.deed, &ask.services);
        // An error: the client has gone.
        drop(ask.reply.send(taken));
    }

    fn take_ask(&mut self, deed: Deed, names: &[String]) -> Result<(), String> {
        if self.core.life() != Life::Up {
            return Err("podvisor is stopping".to_owned());
        }
        let ids = names.iter().map(|name| self.id_of(name));
        let ids = ids.collect::<Result<Vec<ServiceId>, String>>()?;
        let request = match deed {
            Deed::Start => Request::Start,
            Deed::Stop => Request::Stop,
            Deed::Restart => Request::Restart,
            Deed::Signal(signal) => return self.signal_mains(&ids, signal),
        };
        let asked = ids
            .into_iter()
            .map(|service| Event::Asked { service, request });
        self.queue.extend(asked);
        Ok(())
    }

    fn id_of(&self, name: &str) -> Result<ServiceId, String> {
        let at = self.services.iter().position(|(known, _)| **known == *name);
        at.and_then(|at| u32::try_from(at).ok())
            .map(ServiceId)
            .ok_or_else(|| format!("no service `{name}`"))
    }

    /// To the main processes alone, as `docker kill` does; what they do with it is theirs.
    fn signal_mains(&mut self, ids: &[ServiceId], signal: i32) -> Result<(), String> {
        let mut problems = Vec::new();
        for id in ids {
            let now = self.core.snapshot(*id);
            let name = &*self.services[id.index()].0;
            let alive = self
                .children
                .life((*id, now.incarnation))
                .filter(|life| !life.awaits_gone)
                .map(|life| life.leader);
            let Some(leader) = alive else {
                problems.push(format!("`{name}` has no process"));
                continue;
            };
            // Not reaped yet, and nobody reaps but this thread: the number is still its own.
            if let Err(errno) = crate::process::signals::kill(leader, None, signal) {
                problems.push(format!("`{name}`: {}", errno.desc()));
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.join("; "))
        }
    }
}

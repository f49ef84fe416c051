//! The connections of one sender: how they are made, and when they are thrown away.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Proxy, redirect, retry};
use rustls::ClientConfig;

/// Less than the usual 60 s of load balancers: a connection should end here first (hyper#2136).
const IDLE: Duration = Duration::from_secs(30);
/// Connections kept without work.
const MAX_IDLE: usize = 4;
/// Silence after which TCP asks whether the other side is still there; three times, then it is gone.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// What is sent must be acknowledged by the other kernel in this time.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// Addresses of one name that are tried: they share the connect timeout.
const MAX_ADDRESSES: usize = 4;

/// How connections are made.
pub(super) struct Plan {
    pub(super) grpc: bool,
    pub(super) connect_timeout: Duration,
    pub(super) user_agent: String,
    /// The age after which they are not used again, ±20 %.
    pub(super) max_age: Duration,
    /// None: as the environment says, `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.
    pub(super) proxies: Option<Vec<Proxy>>,
}

/// A client with its pool of connections.
pub(super) struct Connections {
    plan: Plan,
    client: Client,
    retire: Instant,
    generation: u64,
    answered: bool,
}

/// A client for one request.
pub(super) struct Lease {
    pub(super) client: Client,
    pub(super) generation: u64,
    /// An answer has come before: the connection may be one that the receiver has closed meanwhile.
    pub(super) answered: bool,
}

impl Connections {
    pub(super) fn new(plan: Plan, tls: ClientConfig, now: Instant) -> reqwest::Result<Self> {
        let client = plan.client(tls)?;
        Ok(Self {
            retire: plan.retire(now),
            plan,
            client,
            generation: 0,
            answered: false,
        })
    }

    pub(super) fn lease(&self) -> Lease {
        Lease {
            client: self.client.clone(),
            generation: self.generation,
            answered: self.answered,
        }
    }

    /// Whether they are too old.
    pub(super) fn old(&self, now: Instant) -> bool {
        now >= self.retire
    }

    pub(super) fn answered(&mut self, generation: u64) {
        self.answered |= generation == self.generation;
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// New connections from now on; requests that are under way end on the old ones.
    pub(super) fn renew(&mut self, sink: &str, tls: ClientConfig, now: Instant) {
        self.retire = self.plan.retire(now);
        match self.plan.client(tls) {
            Ok(client) => {
                self.client = client;
                self.generation += 1;
                self.answered = false;
            }
            Err(error) => tracing::warn!(sink, %error, "no new connections; the old ones stay"),
        }
    }
}

impl Plan {
    fn retire(&self, now: Instant) -> Instant {
        now + self.max_age.mul_f64(0.8 + 0.4 * fastrand::f64())
    }

    fn client(&self, tls: ClientConfig) -> reqwest::Result<Client> {
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(&self.user_agent)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(3)
            .tcp_user_timeout(USER_TIMEOUT)
            .dns_resolver(Spread);
        client = if self.grpc {
            // Without pings, for which servers break a connection off (gRPC's too_many_pings): a request that gets no
            // answer in time leads to a new one.
            client.http2_prior_knowledge()
        } else {
            // HTTP/2 has one window for all requests of a connection, and many servers leave it at 64 KiB.
            client.http1_only()
        };
        if let Some(proxies) = &self.proxies {
            client = proxies
                .iter()
                .cloned()
                .fold(client.no_proxy(), |client, proxy| client.proxy(proxy));
        }
        client.build()
    }
}

/// Resolves names on a thread of their own, and spreads senders over the addresses of one name: the system sorts them,
/// so that all pods would choose the same (headless Services).
struct Spread;

impl Resolve for Spread {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || {
                (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter)
            });
            let mut addresses = found.await??;
            spread(&mut addresses);
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Shuffles each family for itself; which one is preferred is the system's choice.
fn spread(addresses: &mut Vec<SocketAddr>) {
    let preferred = addresses.first().map(SocketAddr::is_ipv6);
    fastrand::shuffle(addresses);
    addresses.sort_by_key(|address| Some(address.is_ipv6()) != preferred);
    addresses.truncate(MAX_ADDRESSES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_family_stays_first() {
        let four = |n: u8| SocketAddr::from(([10, 0, 0, n], 0));
        let six = SocketAddr::from(([0u16; 8], 0));
        let mut firsts = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut addresses = vec![four(1), six, four(2), four(3)];
            spread(&mut addresses);
            assert_eq!(addresses.last(), Some(&six));
            firsts.insert(addresses[0]);
        }
        assert_eq!(firsts.len(), 3);
        let mut many: Vec<_> = (0..9).map(four).collect();
        spread(&mut many);
        assert_eq!(many.len(), MAX_ADDRESSES);
        spread(&mut Vec::new());
    }
}

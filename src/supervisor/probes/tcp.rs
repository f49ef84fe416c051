//! tcpSocket: a connection is made, and that is the answer.

use super::{Miss, connect};
use crate::config::probe::TcpSocket;

pub(super) async fn connects(check: &TcpSocket) -> Result<String, Miss> {
    let host = check.host.as_deref().unwrap_or("127.0.0.1");
    connect(host, check.port)
        .await
        .map(|_| "connected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::attempt;
    use crate::config::probe::{Check, TcpSocket};
    use crate::core::ProbeOutcome;
    use std::time::Duration;

    fn check(port: u16, host: Option<&str>) -> Check {
        Check::TcpSocket(TcpSocket {
            host: host.map(str::to_owned),
            port,
        })
    }

    #[tokio::test]
    async fn a_listener_is_a_success_and_nobody_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let second = Duration::from_secs(1);
        for host in [None, Some("127.0.0.1"), Some("localhost")] {
            assert_eq!(
                attempt(&check(port, host), second).await.outcome,
                ProbeOutcome::Success
            );
        }
        drop(listener);
        assert_eq!(
            attempt(&check(port, None), second).await.outcome,
            ProbeOutcome::Error
        );
    }

    #[tokio::test]
    async fn an_ipv6_address_may_have_brackets() {
        let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else {
            return;
        };
        let port = listener.local_addr().unwrap().port();
        for host in ["::1", "[::1]"] {
            let answer = attempt(&check(port, Some(host)), Duration::from_secs(1)).await;
            assert_eq!(answer.outcome, ProbeOutcome::Success, "{}", answer.detail);
        }
    }
}

//! A port that can be closed and opened again, and that nobody else gets in between.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that the kernel keeps waiting.
const BACKLOG: u32 = 128;

/// An address that is listened on, or refuses connections and stays taken.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    listener: Option<TcpListener>,
    /// Bound to the same address and not listening: it keeps the port, and listens next time.
    spare: TcpSocket,
}

impl Door {
    /// Listens on an address, of which the port may be 0. Within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The address is taken, not this machine's, or needs a privilege.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let spare = bound(address)?;
        let mut door = Door {
            address: spare.local_addr()?,
            listener: None,
            spare,
        };
        door.open()?;
        Ok(door)
    }

    /// The address; its port is the real one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_open(&self) -> bool {
        self.listener.is_some()
    }

    pub(super) fn open(&mut self) -> io::Result<()> {
        // The next one in reserve first: Linux lets sockets share an address only while none listens.
        let next = bound(self.address)?;
        let listener = std::mem::replace(&mut self.spare, next).listen(BACKLOG)?;
        self.listener = Some(listener);
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.listener = None;
    }

    /// The next connection; none ever while it is closed.
    pub(super) async fn accept(&self) -> io::Result<TcpStream> {
        match &self.listener {
            Some(listener) => listener.accept().await.map(|(stream, _)| stream),
            None => std::future::pending().await,
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

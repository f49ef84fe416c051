//! A server that records what comes, byte for byte, and answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which connection, from 0.
    pub connection: usize,
    /// Up to the empty line.
    pub head: String,
    pub body: Vec<u8>,
    /// The client's certificate.
    pub peer: Option<Vec<u8>>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What to do after a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes.
    Say(String),
    /// These bytes, then nothing more.
    Stop(String),
    /// These bytes, then the end.
    End(String),
    /// These bytes, then more and more.
    Endless(String),
}

/// An answer with a body.
pub fn answer(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Say(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}"
    ))
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub async fn plain(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(|_| None, Arc::new(handler)).await
    }

    /// `config` by the number of the connection.
    pub async fn tls(
        config: impl Fn(usize) -> Arc<ServerConfig> + Send + Sync + 'static,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |number| Some(config(number)), Arc::new(handler)).await
    }

    async fn start(
        config: impl Fn(usize) -> Option<Arc<ServerConfig>> + Send + Sync + 'static,
        handler: Handler,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (server.requests.clone(), server.connections.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = connections.fetch_add(1, Relaxed);
                let (requests, handler) = (requests.clone(), handler.clone());
                let config = config(number);
                tokio::spawn(async move {
                    match config {
                        None => talk(stream, number, None, requests, handler).await,
                        Some(config) => secure(stream, config, number, requests, handler).await,
                    }
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
}

async fn secure(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    number: usize,
    requests: Arc<Mutex<Vec<Request>>>,
    handler: Handler,
) {
    match TlsAcceptor::from(config)
        .accept(stream)
        .into_fallible()
        .await
    {
        Ok(stream) => {
            let peer = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first());
            let peer = peer.map(|certificate| certificate.to_vec());
            talk(stream, number, peer, requests, handler).await;
        }
        // Closed before the client has read the alert, it could see a reset in its place.
        Err((_, mut stream)) => {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    peer: Option<Vec<u8>>,
    requests: Arc<Mutex<Vec<Request>>>,
    handler: Handler,
) {
    while let Some((head, body)) = read(&mut stream).await {
        let peer = peer.clone();
        let request = Request {
            connection,
            head,
            body,
            peer,
        };
        let reply = handler(&request);
        requests.lock().unwrap().push(request);
        let (Reply::Say(text) | Reply::Stop(text) | Reply::End(text) | Reply::Endless(text)) =
            &reply;
        if stream.write_all(text.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        match reply {
            Reply::Say(_) => {}
            Reply::End(_) => return,
            Reply::Stop(_) => std::future::pending().await,
            Reply::Endless(_) => while stream.write_all(&[b'x'; 4096]).await.is_ok() {},
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let found = name.eq_ignore_ascii_case("content-length");
        found.then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

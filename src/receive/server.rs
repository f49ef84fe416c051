//! The server: connections in bounded number, on one thread, and the port's opening and closing.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::{Hall, answer};
use super::faults::Faults;
use super::{Command, Desk, Door};

/// Connections at the same time; more of them wait.
const MAX_CONNECTIONS: usize = 64;
/// How long a request's head may take, and an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long to wait after accept(2) failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until the other end of `commands` is dropped; then open connections are cut.
///
/// # Errors
///
/// When records can't be written out, or the port can't be opened again.
pub async fn serve(
    mut door: Door,
    desk: Arc<Desk>,
    faults: Faults,
    mut commands: mpsc::Receiver<Command>,
) -> io::Result<()> {
    let began = Instant::now();
    let (broken, mut failure) = mpsc::channel(1);
    let hall = Arc::new(Hall::new(desk, ArcSwap::from_pointee(faults), broken));
    let mut connections = JoinSet::new();
    let mut down = false;
    let mut done: Option<SyncSender<()>> = None;
    loop {
        let faults = hall.faults();
        let closed = down || faults.down(began.elapsed());
        if closed && door.is_open() {
            door.close();
            connections.shutdown().await;
        } else if !closed && !door.is_open() {
            door.open()?;
        }
        if let Some(done) = done.take() {
            let _ = done.send(());
        }
        let change = faults.next_change(began.elapsed());
        tokio::select! {
            stream = door.accept(), if connections.len() < MAX_CONNECTIONS => match stream {
                Ok(stream) => drop(connections.spawn(talk(stream, hall.clone()))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            () = tokio::time::sleep_until(began + change.unwrap_or_default()), if change.is_some() => {}
            Some(error) = failure.recv() => return Err(error),
            command = commands.recv() => {
                done = match command {
                    Some(Command::Faults(faults, done)) => {
                        hall.set_faults(faults);
                        Some(done)
                    }
                    Some(Command::Down(done)) => {
                        down = true;
                        Some(done)
                    }
                    Some(Command::Up(done)) => {
                        down = false;
                        Some(done)
                    }
                    None => break,
                };
            }
        }
    }
    connections.shutdown().await;
    Ok(())
}

async fn talk(stream: TcpStream, hall: Arc<Hall>) {
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| answer(request, hall.clone()));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = (&mut connection).await
        && error.is_user()
    {
        // It was to be cut: with a reset, as a peer that dies or a proxy that gives up does it.
        drop(connection.into_parts().io.into_inner().set_zero_linger());
    }
}

//! What the driver's own tasks tell its loop.

use tokio::sync::mpsc;

use crate::core::{Event, Incarnation, ServiceId};

/// How many messages may wait for the loop; a task that sends one more waits.
const MAILBOX: usize = 1024;

/// Something for the loop.
#[derive(Debug)]
pub(super) enum Message {
    /// Straight to the core.
    Event(Event),
    /// The report pipe of a start can be read.
    Report(ServiceId, Incarnation),
    /// An exec probe or stop command had its time.
    Overdue(i32),
    /// When a cron service is due next, in Unix seconds.
    NextRun(ServiceId, i64),
}

/// Where messages are put.
#[derive(Debug, Clone)]
pub(super) struct Mailbox(mpsc::Sender<Message>);

impl Mailbox {
    pub(super) fn new() -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(MAILBOX);
        (Self(sender), receiver)
    }

    /// Puts one in; waits while the box is full. Once the loop has ended nobody reads, which is no error.
    pub(super) async fn send(&self, message: Message) {
        drop(self.0.send(message).await);
    }
}

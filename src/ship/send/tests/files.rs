//! Tokens that change under way.

use super::server::{Server, answer};
use super::*;

#[tokio::test]
async fn tokens_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "old-token\n").unwrap();
    let server = Server::plain(|request| match request.header("authorization") {
        Some("Bearer new-token") => answer("200 OK", "", ""),
        other => answer("401 Unauthorized", "", &format!("{other:?} is not known")),
    })
    .await;
    let mut given = target(Protocol::HttpNdjson, &server.url("/"));
    given.auth = Auth::BearerFile(path.clone());
    let mut tuning = tuning();
    tuning.watch = MAX_AGE;
    let sender = Sender::tuned(given, tuning).unwrap_or_else(|error| panic!("{error}"));
    std::fs::write(&path, "new-token\n").unwrap();
    let refused = failure(send(&sender).await);
    assert_eq!(refused.reason, Reason::Http4xx);
    assert_eq!(
        refused.message,
        r#"401 Unauthorized: Some("Bearer ***") is not known"#
    );
    assert_eq!(send(&sender).await, DELIVERED, "looked at after a 401");
    std::fs::write(&path, "\n").unwrap();
    assert_eq!(send(&sender).await, DELIVERED, "not due");
}

#[tokio::test]
async fn an_empty_token_is_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "good").unwrap();
    let server = Server::plain(|request| {
        let good = request.header("authorization") == Some("Bearer good");
        answer(if good { "200 OK" } else { "401 Unauthorized" }, "", "")
    })
    .await;
    let mut given = target(Protocol::HttpNdjson, &server.url("/"));
    given.auth = Auth::BearerFile(path.clone());
    let sender = sender(given);
    for content in ["good", " ", "a\nb", "good\n"] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(send(&sender).await, DELIVERED, "{content:?}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(send(&sender).await, DELIVERED);
}

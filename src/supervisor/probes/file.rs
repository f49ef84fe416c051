//! fileExists: whether a path is there, asked on another thread, because stat(2) on a dead network mount hangs.

use super::Miss;

pub(super) async fn exists(path: &str) -> Result<String, Miss> {
    let path = path.to_owned();
    let asked = tokio::task::spawn_blocking(move || std::fs::metadata(path)).await;
    match asked {
        Ok(Ok(_)) => Ok("there".to_owned()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Miss::No("not there".to_owned()))
        }
        Ok(Err(error)) => Err(Miss::error(error)),
        Err(error) => Err(Miss::error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::attempt;
    use crate::config::probe::Check;
    use crate::core::ProbeOutcome;
    use std::time::Duration;

    #[tokio::test]
    async fn there_or_not_there() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = Check::FileExists(file.path().display().to_string());
        let second = Duration::from_secs(1);
        assert_eq!(attempt(&check, second).await.outcome, ProbeOutcome::Success);
        drop(file);
        assert_eq!(attempt(&check, second).await.outcome, ProbeOutcome::Failure);
    }
}

//! Waiting for something to become true, with the reason why it is not yet.

use std::time::{Duration, Instant};

/// Calls `probe` until it returns `Ok`, at first every 20 ms and later every 250 ms.
///
/// Fails after `timeout` with the last answer, or with a message that the last call did not return.
pub async fn eventually<T, F>(timeout: Duration, mut probe: F) -> anyhow::Result<T>
where
    F: AsyncFnMut() -> anyhow::Result<T>,
{
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(20);
    let mut last = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            let why = last.unwrap_or_else(|| anyhow::anyhow!("the question was not answered in time"));
            return Err(why.context(format!("not so after {timeout:?}")));
        }
        tokio::time::sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_reason_is_told() {
        let mut asked = 0;
        let answer = eventually(Duration::from_millis(80), async || {
            asked += 1;
            anyhow::bail!("asked {asked} times") as anyhow::Result<()>
        })
        .await;
        let text = format!("{:#}", answer.expect_err("never true"));
        assert!(text.starts_with("not so after 80ms: asked "), "{text}");
        assert!(asked > 1);
    }

    #[tokio::test]
    async fn a_probe_that_hangs_does_not_hang_the_wait() {
        let answer = eventually(Duration::from_millis(50), async || {
            std::future::pending::<()>().await;
            Ok(())
        })
        .await;
        assert!(format!("{:#}", answer.expect_err("never answered")).contains("not answered"));
    }
}

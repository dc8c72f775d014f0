//! The checks before the agent takes the lease: whether the cluster answers, and whether Flux's controllers
//! already work on it.

use std::time::Duration;

use tokio::sync::watch;

use super::state::Obstacles;
use crate::cluster::Client;
use crate::cluster::flux::{self, FluxController};
use lockgate_core::api::Actors;
use lockgate_core::pipeline::Clock;
use lockgate_core::pipeline::ports::ApiFailure;

/// The longest pause between tries.
const PAUSE_LIMIT: Duration = Duration::from_secs(10);
/// How often the agent looks for Flux while Flux blocks it.
pub(super) const LOOK: Duration = Duration::from_secs(5);
const SERVER: &str = "API server";
const FLUX: &str = "Flux";

/// Waits until the API server answers and, unless `adopt`, no controller of Flux does lockgate's work, or
/// until the process is asked to shut down. Returns the running controllers of Flux.
pub(super) async fn wait_for_cluster(
    client: &Client,
    adopt: bool,
    state: &Obstacles,
    clock: &dyn Clock,
    mut stop: watch::Receiver<bool>,
) -> Actors {
    let mut pause = Duration::from_millis(500);
    let mut told = None;
    state.reachable(SERVER, Some("not asked yet".into()));
    loop {
        let answer = tokio::select! {
            biased;
            answer = flux::flux_controllers(client) => answer,
            _ = stop.wait_for(|stop| *stop) => return Actors::default(),
        };
        match answer {
            Ok(controllers) => {
                state.reachable(SERVER, None);
                let rivals = FluxController::in_the_way(&controllers);
                let message = rivals.as_deref().and_then(|rivals| in_the_way(rivals, adopt, &mut told));
                let is_held = message.is_some();
                state.reachable(FLUX, message);
                if !is_held {
                    return FluxController::actors(&controllers);
                }
                pause = LOOK;
            }
            // An account without the right to look cannot tell, and is not blocked by that.
            Err(ApiFailure::Forbidden(denied)) => {
                tracing::warn!(%denied, "failed to find out whether Flux runs on this cluster");
                state.reachable(SERVER, None);
                state.reachable(FLUX, None);
                return Actors::default();
            }
            Err(failure) => {
                tracing::warn!(%failure, "waiting for the API server");
                state.reachable(SERVER, Some(failure.to_string()));
            }
        }
        tokio::select! {
            biased;
            () = clock.sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return Actors::default(),
        }
        pause = (pause * 2).min(PAUSE_LIMIT);
    }
}

/// The controllers of Flux that block the agent, as far as it can tell.
pub(super) async fn rivals(client: &Client, adopt: bool) -> Option<String> {
    if adopt {
        return None;
    }
    let controllers = flux::flux_controllers(client).await.ok()?;
    FluxController::in_the_way(&controllers)
}

/// Why these controllers block the agent; `None` if they do not. The reason is logged if it differs from the
/// last one, `told`.
fn in_the_way(rivals: &str, adopt: bool, told: &mut Option<String>) -> Option<String> {
    if adopt {
        tracing::warn!(controllers = rivals, "Flux runs on this cluster; continuing because of --adopt");
        return None;
    }
    let message = format!(
        "it runs on this cluster ({rivals}), and nothing is written beside it; scale it to zero, or start with --adopt to \
         take over from it"
    );
    if told.as_deref() != Some(rivals) {
        tracing::warn!(controllers = rivals, "Flux runs on this cluster; waiting until it stops");
        *told = Some(rivals.to_owned());
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rivals_are_in_the_way_unless_they_are_to_be_adopted() {
        let rivals = "flux-system/kustomize-controller";
        assert_eq!(in_the_way(rivals, true, &mut None), None);
        let message = in_the_way(rivals, false, &mut None).unwrap();
        assert!(message.contains(rivals) && message.contains("--adopt"), "{message}");
    }
}

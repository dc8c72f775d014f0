//! What is asked before the first write: whether the cluster answers, and whether Flux already works on it.

use std::time::Duration;

use tokio::sync::watch;

use super::error::AgentError;
use super::state::State;
use crate::cluster::Client;
use crate::cluster::preflight::{self, FluxController};
use lockgate_core::api::Actors;
use lockgate_core::pipeline::Clock;
use lockgate_core::pipeline::ports::ApiFailure;

/// The longest pause between tries.
const PAUSE_LIMIT: Duration = Duration::from_secs(10);
const MATTER: &str = "API server";

/// Waits until the API server answers, or the process is told to end, and refuses to go on beside Flux. Returns which other
/// controllers of Flux run.
pub(super) async fn wait_for_cluster(
    client: &Client,
    adopt: bool,
    state: &State,
    clock: &dyn Clock,
    mut stop: watch::Receiver<bool>,
) -> Result<Actors, AgentError> {
    let mut pause = Duration::from_millis(500);
    state.reachable(MATTER, Some("not asked yet".into()));
    loop {
        let answer = tokio::select! {
            biased;
            answer = preflight::flux_controllers(client) => answer,
            _ = stop.wait_for(|stop| *stop) => return Ok(Actors::default()),
        };
        match answer {
            Ok(controllers) => {
                state.reachable(MATTER, None);
                let actors = FluxController::actors(&controllers);
                let rivals: Vec<_> = controllers.into_iter().filter(FluxController::is_rival).collect();
                return judge(&rivals, adopt).map(|()| actors);
            }
            // Whoever may not list Deployments cannot tell, and is not stopped by it.
            Err(ApiFailure::Forbidden(denied)) => {
                tracing::warn!(%denied, "cannot tell whether Flux runs on this cluster");
                state.reachable(MATTER, None);
                return Ok(Actors::default());
            }
            Err(failure) => {
                tracing::warn!(%failure, "waits for the API server");
                state.reachable(MATTER, Some(failure.to_string()));
            }
        }
        tokio::select! {
            biased;
            () = clock.sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(Actors::default()),
        }
        pause = (pause * 2).min(PAUSE_LIMIT);
    }
}

fn judge(rivals: &[FluxController], adopt: bool) -> Result<(), AgentError> {
    if rivals.is_empty() {
        return Ok(());
    }
    let names = FluxController::names(rivals);
    if adopt {
        tracing::warn!(controllers = names, "Flux runs on this cluster; goes on since --adopt was given");
        return Ok(());
    }
    Err(AgentError::FluxRuns(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(name: &str) -> FluxController {
        FluxController { namespace: "flux-system".into(), name: name.into(), replicas: 1 }
    }

    #[test]
    fn only_rivals_stop_the_agent_and_only_without_adopt() {
        let rivals = [controller("kustomize-controller")];
        assert!(judge(&[], false).is_ok());
        assert!(judge(&rivals, true).is_ok());
        let message = judge(&rivals, false).unwrap_err().to_string();
        assert!(
            message.contains("flux-system/kustomize-controller") && message.contains("--adopt"),
            "{message}"
        );
    }
}

//! StatefulSet: healthy when all its replicas are ready and of one revision. Its controller reports no
//! failure.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress, replicas, surplus};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    // With this strategy somebody else deletes the pods, so their revision proves nothing.
    if status.text("/spec/updateStrategy/type") == "OnDelete" {
        return Health::Current;
    }
    let wanted = status.number("/spec/replicas").unwrap_or(1);
    let count = |field: &str| status.count(&format!("/status/{field}"));
    let all = count("replicas");
    if all < wanted {
        return replicas(all, wanted, "there");
    }
    if count("readyReplicas") < wanted {
        return replicas(count("readyReplicas"), wanted, "ready");
    }
    if all > wanted {
        return surplus(all - wanted);
    }
    // A partition excludes pods whose ordinal is below it from the update.
    if let Some(partition) = status.number("/spec/updateStrategy/rollingUpdate/partition") {
        let (updated, to_update) = (count("updatedReplicas"), (wanted - partition).max(0));
        return if updated < to_update { replicas(updated, to_update, "updated") } else { Health::Current };
    }
    if count("currentReplicas") < wanted {
        return replicas(count("currentReplicas"), wanted, "of the current revision");
    }
    let (current, update) = (status.text("/status/currentRevision"), status.text("/status/updateRevision"));
    if current != update {
        return in_progress(format!("revision {update} has not replaced {current} yet"));
    }
    Health::Current
}

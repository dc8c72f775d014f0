//! Service: healthy as soon as it has a cluster IP, if its type needs one. Nothing waits for the address of a
//! load balancer: many clusters assign none, and kstatus does not wait either.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    if status.text("/spec/type") == "LoadBalancer" && status.text("/spec/clusterIP").is_empty() {
        return in_progress("it has no cluster IP yet");
    }
    Health::Current
}

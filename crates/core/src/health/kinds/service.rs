//! Service: well as soon as it has a cluster IP, where its type needs one. The address of a load balancer is
//! not waited for: on many clusters nobody gives one, and kstatus does not wait either.

use super::super::state::Health;
use super::super::status::{JudgedObject, in_progress};

pub(super) fn health(status: JudgedObject<'_>) -> Health {
    if status.text("/spec/type") == "LoadBalancer" && status.text("/spec/clusterIP").is_empty() {
        return in_progress("it has no cluster IP yet");
    }
    Health::Current
}

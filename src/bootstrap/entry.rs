//! How the agent gets access to the repository, from the view of a run's steps.

use super::problem::FailedStep;
use super::progress::ProgressLog;

/// A way of access: a deploy key over SSH, or a login over https.
pub(crate) trait Entry {
    /// The state before the run.
    type Before;
    /// The accepted credentials.
    type Admitted;

    /// Reads the present state, and checks whether the host would accept the agent. Changes nothing.
    async fn rehearsed(&self) -> Result<Self::Before, FailedStep>;

    /// The Secret that the source has to name; `None` for a public repository.
    fn secret(&self, before: &Self::Before) -> Option<String>;

    /// Makes sure that the Secret contains credentials that the host accepts.
    async fn let_in(
        &self,
        before: Self::Before,
        progress: &mut ProgressLog<'_>,
    ) -> Result<Self::Admitted, FailedStep>;

    /// Deletes keys that are no longer needed, after the agent has fetched.
    async fn tidy(&self, admitted: &Self::Admitted, progress: &mut ProgressLog<'_>)
    -> Result<(), FailedStep>;
}

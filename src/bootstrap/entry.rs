//! How the agent comes to read the repository, as the steps of a run see it.

use super::problem::FailedStep;
use super::progress::ProgressLog;

/// A way in: a deploy key over SSH, or a login over https.
pub(crate) trait Entry {
    /// What there is already.
    type Before;
    /// What lets the agent in.
    type Admitted;

    /// Looks at what there is, and whether the host would let the agent in. Nothing is changed.
    async fn rehearsed(&self) -> Result<Self::Before, FailedStep>;

    /// The Secret that the source is to name; `None` where anybody may read the repository.
    fn secret(&self, before: &Self::Before) -> Option<String>;

    /// Has something in the Secret that the host lets in.
    async fn let_in(
        &self,
        before: Self::Before,
        progress: &mut ProgressLog<'_>,
    ) -> Result<Self::Admitted, FailedStep>;

    /// Once the agent has fetched: what nobody needs any more goes.
    async fn tidy(&self, admitted: &Self::Admitted, progress: &mut ProgressLog<'_>)
    -> Result<(), FailedStep>;
}

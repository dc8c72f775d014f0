//! The reasons of conditions and events. The type is private to `verdict`, so no other module can give a reason; others
//! read its text.

/// A CamelCase word for machines, Flux's wherever Flux has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    AccessDenied,
    ArtifactFailed,
    AuthenticationFailed,
    BuildFailed,
    DependencyNotReady,
    DriftFight,
    DriftReported,
    EmptyRepository,
    Failed,
    GitOperationFailed,
    HealthCheckFailed,
    HistoryRewritten,
    IndexationFailed,
    InvalidSpec,
    NewArtifact,
    NotActedOn,
    NotPruned,
    OciLayerOperationFailed,
    OciPullFailed,
    Progressing,
    ProgressingWithRetry,
    PruneFailed,
    ReadOperationFailed,
    ReconciliationFailed,
    ReconciliationSucceeded,
    Recreated,
    StorageOperationFailed,
    Succeeded,
    UrlInvalid,
    Warning,
}

impl Reason {
    /// The word as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::ArtifactFailed => "ArtifactFailed",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::BuildFailed => "BuildFailed",
            Self::DependencyNotReady => "DependencyNotReady",
            Self::DriftFight => "DriftFight",
            Self::DriftReported => "DriftReported",
            Self::EmptyRepository => "EmptyGitRepository",
            Self::Failed => "Failed",
            Self::GitOperationFailed => "GitOperationFailed",
            Self::HealthCheckFailed => "HealthCheckFailed",
            Self::HistoryRewritten => "HistoryRewritten",
            Self::IndexationFailed => "IndexationFailed",
            Self::InvalidSpec => "InvalidSpec",
            Self::NewArtifact => "NewArtifact",
            Self::NotActedOn => "NotActedOn",
            Self::NotPruned => "NotPruned",
            Self::OciLayerOperationFailed => "OCIArtifactLayerOperationFailed",
            Self::OciPullFailed => "OCIArtifactPullFailed",
            Self::Progressing => "Progressing",
            Self::ProgressingWithRetry => "ProgressingWithRetry",
            Self::PruneFailed => "PruneFailed",
            Self::ReadOperationFailed => "ReadOperationFailed",
            Self::ReconciliationFailed => "ReconciliationFailed",
            Self::ReconciliationSucceeded => "ReconciliationSucceeded",
            Self::Recreated => "Recreated",
            Self::StorageOperationFailed => "StorageOperationFailed",
            Self::Succeeded => "Succeeded",
            Self::UrlInvalid => "URLInvalid",
            Self::Warning => "Warning",
        }
    }
}

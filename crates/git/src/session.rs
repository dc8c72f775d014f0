//! The dialogue with a host: lists the references, and fetches missing objects, over one connection if
//! possible.

use git2::{Direction, ErrorClass, FetchOptions, Oid, Remote, RemoteCallbacks, Repository};

use crate::SourceError;
use crate::context::FetchContext;
use crate::error::one_line;
use crate::libgit2::{ADDRESS, name_of};
use crate::refs::Listing;

/// libgit2's depth for the whole history, even of a shallow repository.
const WHOLE: i32 = i32::MAX;

/// How much of the history to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Commits(i32),
    Whole,
}

/// A connection to a host.
pub(crate) struct Session<'s> {
    context: &'s FetchContext,
    remote: Remote<'s>,
}

impl<'s> Session<'s> {
    /// Connects.
    pub(crate) fn open(context: &'s FetchContext, repository: &'s Repository) -> Result<Self, SourceError> {
        let explain = |error| explain(context, &error);
        let mut remote = repository.remote_anonymous(ADDRESS).map_err(explain)?;
        remote.connect(Direction::Fetch).map_err(explain)?;
        Ok(Self { context, remote })
    }

    /// The references of the host.
    pub(crate) fn list(&self) -> Result<Listing, SourceError> {
        let heads = self.remote.list().map_err(|error| explain(self.context, &error))?;
        // A name that is not UTF-8 cannot be requested, since spec.ref is text.
        Ok(Listing::new(
            heads.iter().filter_map(|head| Some((std::str::from_utf8(name_of(head)).ok()?, head.oid()))),
        ))
    }

    /// Fetches references by name or, if the host allows it, a commit by its id. Ends the connection.
    pub(crate) fn fetch(mut self, sources: &[&str], depth: Depth) -> Result<(), SourceError> {
        self.context.receives_objects();
        let context = self.context;
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|progress| {
            context.remaining().is_ok() && context.hold_objects(progress.total_objects()).is_ok()
        });
        callbacks.sideband_progress(|_| context.remaining().is_ok());
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(callbacks)
            .download_tags(git2::AutotagOption::None)
            .update_fetchhead(false)
            .depth(match depth {
                Depth::Commits(commits) => commits,
                Depth::Whole => WHOLE,
            });
        let specs: Vec<String> = sources.iter().map(|source| refspec(source)).collect();
        self.remote.fetch(&specs, Some(&mut options), None).map_err(|error| explain(context, &error))
    }
}

/// The local name of a fetched reference. Local references tell the host next time what it need not send.
fn refspec(source: &str) -> String {
    if Oid::from_str(source).is_ok_and(|_| source.len() == 40) {
        return format!("{source}:refs/fetched/commit");
    }
    let local = source.strip_prefix("refs/").unwrap_or(source);
    format!("+{source}:refs/fetched/{local}")
}

/// Why libgit2 failed: the transport's reason if there is one, or the timeout, or libgit2's own message.
fn explain(context: &FetchContext, error: &git2::Error) -> SourceError {
    let _ = context.remaining();
    if let Some(reason) = context.take_failure() {
        return reason;
    }
    let message = one_line(error.message());
    if message.contains("No space left") {
        return SourceError::Storage(format!(
            "no space left on device for the data from {}: {message}",
            context.host()
        ));
    }
    match error.class() {
        ErrorClass::Os | ErrorClass::Filesystem | ErrorClass::Config | ErrorClass::NoMemory => {
            SourceError::Storage(message)
        }
        ErrorClass::Indexer | ErrorClass::Zlib | ErrorClass::Odb | ErrorClass::Sha1 | ErrorClass::Object => {
            SourceError::Remote {
                host: context.host(),
                message: format!("the data that it sent is damaged: {message}"),
            }
        }
        ErrorClass::Net if message.contains("EOF") => {
            SourceError::Connect { host: context.host(), cause: "it closed the connection too early".into() }
        }
        _ => SourceError::Remote { host: context.host(), message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_kept_apart_by_kind() {
        assert_eq!(refspec("refs/heads/a/b"), "+refs/heads/a/b:refs/fetched/heads/a/b");
        assert_eq!(refspec("refs/tags/v1"), "+refs/tags/v1:refs/fetched/tags/v1");
        let id = "a".repeat(40);
        assert_eq!(refspec(&id), format!("{id}:refs/fetched/commit"));
        assert_eq!(refspec("refs/heads/*"), "+refs/heads/*:refs/fetched/heads/*");
    }
}

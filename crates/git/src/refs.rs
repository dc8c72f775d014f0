//! Resolves `spec.ref` to a commit, against the references that a host lists.

use std::collections::BTreeMap;

use git2::Oid;

use crate::SourceError;
use lockgate_base::model::Revision;
use lockgate_base::model::version::{Range, Version};

/// Flux's branch if the spec names none.
const DEFAULT_BRANCH: &str = "master";
/// The prefix of a tag's full name.
const TAGS: &str = "refs/tags/";
/// The most names that a message lists.
const LISTED: usize = 10;

/// `spec.ref` of a GitRepository, and the revision that a suspended one keeps. If several fields are set, the
/// first of revision, commit, name, tag, semver and branch decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RefRequest {
    /// A branch; `master` if nothing is set.
    pub branch: Option<String>,
    /// A tag.
    pub tag: Option<String>,
    /// A range of versions; the highest tag in it is taken.
    pub semver: Option<String>,
    /// A full reference, such as `refs/pull/420/head`.
    pub name: Option<String>,
    /// A commit's 40 hex digits; it must be on `branch` if that is set too.
    pub commit: Option<String>,
    /// A revision that was fetched before by the other fields. It is fetched again, wherever these lead by
    /// now.
    pub revision: Option<Revision>,
}

/// The checked meaning of a [`RefRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefTarget {
    /// `reference` is the full name of the reference that led to the revision.
    Revision {
        oid: Oid,
        reference: Option<String>,
        revision: Revision,
    },
    Commit {
        oid: Oid,
        branch: Option<String>,
    },
    Name(String),
    Tag(String),
    Versions {
        range: Range,
        text: String,
    },
    Branch(String),
}

/// A reference of the host and its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tip {
    /// Its full name on the host.
    pub(crate) full_name: String,
    /// The commit; that of an annotated tag is the tagged one.
    pub(crate) commit: Oid,
    /// The content of `status.artifact.revision`.
    pub(crate) revision: Revision,
}

/// The references that a host lists.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    refs: BTreeMap<String, Oid>,
    peeled: BTreeMap<String, Oid>,
}

impl RefRequest {
    /// The requested target; an error if it can never exist.
    pub(crate) fn wanted(&self) -> Result<RefTarget, SourceError> {
        if let Some(revision) = &self.revision {
            let (oid, reference) = (whole_id(revision.hex())?, self.leading_to(revision));
            return Ok(RefTarget::Revision { oid, reference, revision: revision.clone() });
        }
        let branch =
            set(self.branch.as_ref()).map(|branch| valid("branch", "refs/heads/", branch)).transpose()?;
        if let Some(commit) = set(self.commit.as_ref()) {
            return Ok(RefTarget::Commit { oid: whole_id(&commit)?, branch });
        }
        if let Some(name) = set(self.name.as_ref()) {
            if !name.starts_with("refs/") {
                return Err(SourceError::InvalidReference(format!(
                    "name '{}' is not a full reference; write refs/heads/…, refs/tags/… or refs/pull/…/head",
                    name.escape_debug()
                )));
            }
            return Ok(RefTarget::Name(valid("name", "", name)?));
        }
        if let Some(tag) = set(self.tag.as_ref()) {
            return Ok(RefTarget::Tag(valid("tag", "refs/tags/", tag)?));
        }
        if let Some(text) = set(self.semver.as_ref()) {
            let range = Range::parse(&text).map_err(|error| {
                SourceError::InvalidReference(format!(
                    "spec.ref.semver: semver '{text}' parse error: {error}"
                ))
            })?;
            return Ok(RefTarget::Versions { range, text });
        }
        Ok(RefTarget::Branch(branch.unwrap_or_else(|| DEFAULT_BRANCH.into())))
    }

    /// The full name of the reference that led to a revision, whose own name is short for branches and tags
    /// alike.
    fn leading_to(&self, revision: &Revision) -> Option<String> {
        let name = revision.name()?;
        let is_tag = set(self.tag.as_ref()).or(set(self.semver.as_ref())).is_some();
        Some(match (set(self.commit.as_ref()), set(self.name.as_ref())) {
            (None, Some(_)) => name.into(),
            (None, None) if is_tag => format!("refs/tags/{name}"),
            (_, _) => format!("refs/heads/{name}"),
        })
    }
}

/// A field, if it is not empty.
fn set(field: Option<&String>) -> Option<String> {
    field.filter(|text| !text.is_empty()).cloned()
}

fn whole_id(commit: &str) -> Result<Oid, SourceError> {
    let is_whole = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    Oid::from_str(commit).ok().filter(|_| is_whole).ok_or_else(|| {
        SourceError::InvalidReference(format!(
            "commit '{}' is not the 40 hex digits of a whole commit id",
            commit.escape_debug()
        ))
    })
}

impl Listing {
    pub(crate) fn new<'a>(heads: impl IntoIterator<Item = (&'a str, Oid)>) -> Self {
        let mut listing = Self::default();
        for (name, oid) in heads {
            match name.strip_suffix("^{}") {
                Some(name) => listing.peeled.insert(name.to_owned(), oid),
                None => listing.refs.insert(name.to_owned(), oid),
            };
        }
        listing
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// A reference to the commit, if there is one.
    pub(crate) fn leading_to(&self, commit: Oid) -> Option<&str> {
        let names = self.refs.keys().filter(|name| name.starts_with("refs/"));
        names.map(String::as_str).find(|name| self.commit(name) == Some(commit))
    }

    /// Whether there is a reference of this full name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.refs.contains_key(name)
    }

    /// The tip of a branch.
    pub(crate) fn branch(&self, branch: &str) -> Result<Tip, SourceError> {
        let short = Some(branch);
        self.tip(format!("refs/heads/{branch}"), short)
            .ok_or_else(|| self.missing("branch", branch, "refs/heads/"))
    }

    /// The requested reference; a commit is none.
    pub(crate) fn find(&self, wanted: &RefTarget) -> Result<Option<Tip>, SourceError> {
        match wanted {
            RefTarget::Commit { .. } | RefTarget::Revision { .. } => Ok(None),
            RefTarget::Branch(branch) => self.branch(branch).map(Some),
            RefTarget::Tag(tag) => {
                let tip = self.tip(format!("refs/tags/{tag}"), Some(tag));
                tip.map(Some).ok_or_else(|| self.missing("tag", tag, TAGS))
            }
            RefTarget::Name(name) => {
                let tip = self.tip(name.clone(), Some(name));
                tip.map(Some).ok_or_else(|| self.missing("reference", name, ""))
            }
            RefTarget::Versions { range, text } => {
                let tags = self.refs.keys().filter_map(|name| name.strip_prefix(TAGS));
                let fitting = tags.filter_map(Version::of_tag).filter(|version| range.contains(version));
                let best = fitting.max_by(Version::compare_whole).map(|version| version.original);
                let tip = best.and_then(|tag| self.tip(format!("{TAGS}{tag}"), Some(&tag)));
                tip.map(Some).ok_or_else(|| {
                    let has = self.names(TAGS);
                    SourceError::ReferenceNotFound(format!(
                        "no match found for semver: {text}; remote has tags: {has}"
                    ))
                })
            }
        }
    }

    fn tip(&self, full_name: String, revision: Option<&str>) -> Option<Tip> {
        let commit = self.commit(&full_name)?;
        Some(Tip { commit, revision: Revision::git(revision, &commit.to_string()), full_name })
    }

    fn commit(&self, name: &str) -> Option<Oid> {
        self.peeled.get(name).or_else(|| self.refs.get(name)).copied()
    }

    fn missing(&self, kind: &str, name: &str, prefix: &str) -> SourceError {
        SourceError::ReferenceNotFound(format!(
            "{kind} '{name}' not found; remote has: {}",
            self.names(prefix)
        ))
    }

    /// Names with a prefix, for a message: only the first few of a long list, and of tags the newest first.
    fn names(&self, prefix: &str) -> String {
        let mut names: Vec<&str> = self.refs.keys().filter_map(|name| name.strip_prefix(prefix)).collect();
        if prefix == TAGS {
            let newest_first = |one: &&str, other: &&str| {
                let order = match (Version::of_tag(one), Version::of_tag(other)) {
                    (Some(one), Some(other)) => one.compare_whole(&other),
                    (one, other) => one.is_some().cmp(&other.is_some()),
                };
                order.then_with(|| one.cmp(other)).reverse()
            };
            names.sort_by(newest_first);
        }
        let names: Vec<String> = names.iter().map(|name| name.escape_debug().to_string()).collect();
        match names.len() {
            0 => "none".into(),
            1..=LISTED => names.join(", "),
            count => format!("{} and {} more", names[..LISTED].join(", "), count - LISTED),
        }
    }
}

fn valid(kind: &str, prefix: &str, name: String) -> Result<String, SourceError> {
    if git2::Reference::is_valid_name(&format!("{prefix}{name}")) {
        return Ok(name);
    }
    Err(SourceError::InvalidReference(format!(
        "{kind} '{}' is not a valid Git reference name",
        name.escape_debug()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(digit: char) -> Oid {
        Oid::from_str(&digit.to_string().repeat(40)).unwrap()
    }

    fn listing() -> Listing {
        Listing::new([
            ("HEAD", oid('1')),
            ("refs/heads/main", oid('1')),
            ("refs/heads/v9.0.0", oid('2')),
            ("refs/pull/1/head", oid('3')),
            ("refs/tags/v1.0.0", oid('a')),
            ("refs/tags/v1.0.0^{}", oid('4')),
            ("refs/tags/v1.10.0", oid('5')),
            ("refs/tags/v1.9.0", oid('6')),
            ("refs/tags/v2.0.0-rc.1", oid('7')),
            ("refs/tags/nightly", oid('8')),
        ])
    }

    fn reference(fields: &[(&str, &str)]) -> RefRequest {
        let mut reference = RefRequest::default();
        for (field, value) in fields {
            let value = Some((*value).to_owned());
            match *field {
                "branch" => reference.branch = value,
                "tag" => reference.tag = value,
                "semver" => reference.semver = value,
                "name" => reference.name = value,
                "commit" => reference.commit = value,
                _ => unreachable!(),
            }
        }
        reference
    }

    #[test]
    fn each_field_leads_to_its_commit_and_revision() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("branch", "main")], "main@sha1:1"),
            (&[("tag", "v1.0.0")], "v1.0.0@sha1:4"),
            (&[("semver", ">=1.0.0")], "v1.10.0@sha1:5"),
            (&[("semver", "~1.9")], "v1.9.0@sha1:6"),
            (&[("semver", ">=1.0.0-0")], "v2.0.0-rc.1@sha1:7"),
            (&[("name", "refs/pull/1/head")], "refs/pull/1/head@sha1:3"),
            (&[("name", "refs/tags/v1.0.0")], "refs/tags/v1.0.0@sha1:4"),
            (&[("name", "refs/heads/main"), ("tag", "v1.0.0")], "refs/heads/main@sha1:1"),
            (&[("tag", "v1.0.0"), ("semver", "*")], "v1.0.0@sha1:4"),
            (&[("semver", "~1.9"), ("branch", "main")], "v1.9.0@sha1:6"),
            (&[("branch", "main"), ("tag", "")], "main@sha1:1"),
        ];
        for (fields, revision) in cases {
            let wanted = reference(fields).wanted().unwrap();
            let tip = listing().find(&wanted).unwrap().unwrap();
            assert_eq!(&tip.revision.to_string()[..revision.len()], *revision);
        }
        let commit =
            reference(&[("commit", &"b".repeat(40)), ("name", "refs/heads/main"), ("branch", "main")]);
        assert_eq!(
            commit.wanted().unwrap(),
            RefTarget::Commit { oid: oid('b'), branch: Some("main".into()) }
        );
    }

    #[test]
    fn a_revision_is_looked_for_where_it_came_from() {
        let cases: &[(&[(&str, &str)], &str, &str)] = &[
            (&[("branch", "main")], "main", "refs/heads/main"),
            (&[], "master", "refs/heads/master"),
            (&[("tag", "v1.0.0"), ("branch", "main")], "v1.0.0", "refs/tags/v1.0.0"),
            (&[("semver", "*"), ("tag", "")], "v1.0.0", "refs/tags/v1.0.0"),
            (&[("name", "refs/pull/1/head"), ("tag", "v1.0.0")], "refs/pull/1/head", "refs/pull/1/head"),
            (&[("commit", "abc"), ("name", "refs/x"), ("branch", "main")], "main", "refs/heads/main"),
        ];
        for (fields, name, full_name) in cases {
            let revision = Revision::git(Some(name), &"b".repeat(40));
            let staying = RefRequest { revision: Some(revision.clone()), ..reference(fields) };
            let reference = Some((*full_name).to_owned());
            assert_eq!(staying.wanted().unwrap(), RefTarget::Revision { oid: oid('b'), reference, revision });
        }
    }

    #[test]
    fn a_missing_reference_lists_what_there_is() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "branch 'master' not found; remote has: main, v9.0.0"),
            (
                &[("tag", "v3")],
                "tag 'v3' not found; remote has: v2.0.0-rc.1, v1.10.0, v1.9.0, v1.0.0, nightly",
            ),
            (&[("semver", ">=3.0.0")], "no match found for semver: >=3.0.0; remote has tags: v2.0.0-rc.1, "),
            (
                &[("name", "refs/heads/gone")],
                "reference 'refs/heads/gone' not found; remote has: HEAD, refs/heads/main",
            ),
        ];
        for (fields, message) in cases {
            let error = listing().find(&reference(fields).wanted().unwrap()).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
            assert!(!error.is_terminal());
        }
    }

    #[test]
    fn a_reference_that_cannot_exist_is_refused_for_good() {
        for fields in [
            ("branch", "main/"),
            ("branch", "a..b"),
            ("branch", "a b"),
            ("tag", "-x:y"),
            ("name", "main"),
            ("name", "refs/heads/a:b"),
            ("commit", "abc123"),
            ("commit", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
            ("semver", "latest"),
        ] {
            let error = reference(&[fields]).wanted().unwrap_err();
            assert!(error.is_terminal(), "{fields:?}: {error}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (10..40).map(|n| format!("refs/heads/b{n}")).collect();
        let listing = Listing::new(names.iter().map(|name| (name.as_str(), oid('1'))));
        let message = listing.branch("x").unwrap_err().to_string();
        assert!(message.ends_with("b18, b19 and 20 more"), "{message}");
        let tags: Vec<String> =
            (0..30).flat_map(|n| [format!("refs/tags/v1.{n}.0"), format!("refs/tags/n{n}")]).collect();
        let listing = Listing::new(tags.iter().map(|name| (name.as_str(), oid('1'))));
        let message = listing.find(&RefTarget::Tag("v2".into())).unwrap_err().to_string();
        assert!(message.contains("remote has: v1.29.0, v1.28.0, "), "{message}");
        assert!(message.ends_with("v1.21.0, v1.20.0 and 50 more"), "{message}");
    }
}

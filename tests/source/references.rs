//! The commit of a reference, as the repository changes.

use harness::Change;
use lockgate_git::FailureClass;
use lockgate_git::{FetchFinding, RefRequest};

use super::site::{Site, branch, knowing};

const A: &[(&str, &str)] = &[("a.yaml", "kind: A")];
const B: &[(&str, &str)] = &[("a.yaml", "kind: B"), ("b/b.yaml", "kind: B")];

#[tokio::test]
async fn a_branch_is_followed() {
    let site = Site::new();
    let first = site.commit("main", "First\n\nwith a body", A);
    let request = site.request(branch("main"));
    let before = site.update(request.clone()).await;
    assert_eq!(before.snapshot.revision.to_string(), format!("main@sha1:{first}"));
    assert_eq!((before.subject.as_deref(), before.rewritten.as_deref()), (Some("First"), None));
    let again = site.git.fetch(knowing(&request, &before.snapshot.revision)).await.unwrap();
    assert!(matches!(again, FetchFinding::Unchanged(revision) if revision == before.snapshot.revision));

    for number in 0..3 {
        site.commit("main", &format!("Next {number}"), B);
    }
    let after = site.update(knowing(&request, &before.snapshot.revision)).await;
    assert_eq!(after.subject.as_deref(), Some("Next 2"));
    assert_eq!(after.rewritten, None, "several commits in one push are no rewritten history");
    assert_eq!(after.snapshot.tree.reader().text("b/b.yaml").unwrap(), "kind: B");
    assert_eq!(before.snapshot.tree.reader().text("a.yaml").unwrap(), "kind: A");
}

#[tokio::test]
async fn a_rewritten_history_is_adopted_and_told() {
    let site = Site::new();
    site.commit("main", "Root", A);
    let old = site.commit("main", "Second", A);
    let request = site.request(branch("main"));
    let before = site.update(request.clone()).await;
    // The commit is amended.
    site.repo.set_branch("main", "main~1").unwrap();
    site.commit("main", "Second, amended", B);
    let after = site.update(knowing(&request, &before.snapshot.revision)).await;
    assert_eq!(after.rewritten.as_deref(), Some(old.as_str()));
    // The branch is rebased by several commits, so that the old commit's parent is not next to the new tip.
    let old = site.commit("main", "Third", A);
    let before = site.update(knowing(&request, &after.snapshot.revision)).await;
    site.repo.set_branch("main", "main~2").unwrap();
    for number in 0..3 {
        site.commit("main", &format!("Rebased {number}"), B);
    }
    let after = site.update(knowing(&request, &before.snapshot.revision)).await;
    assert_eq!(after.rewritten.as_deref(), Some(old.as_str()));
    let amended = after.snapshot.revision.hex().to_owned();
    // The new history is unrelated.
    site.repo.force_orphan("main", "Anew", &[("a.yaml", Some("kind: A"))]).unwrap();
    let unrelated = site.update(knowing(&request, &after.snapshot.revision)).await;
    assert_eq!(unrelated.rewritten.as_deref(), Some(amended.as_str()));
    assert_eq!(unrelated.snapshot.tree.entries().count(), 1);
}

#[tokio::test]
async fn a_deleted_branch_and_an_empty_repository_are_told_apart() {
    let site = Site::new();
    let error = site.error(site.request(branch("main"))).await;
    assert_eq!(error.class(), FailureClass::EmptyRepository);
    assert!(error.to_string().starts_with("git repository is empty"), "{error}");
    site.commit("main", "First", A);
    site.commit("develop", "First", A);
    site.update(site.request(branch("main"))).await;
    site.repo.delete_branch("main").unwrap();
    let error = site.error(site.request(branch("main"))).await;
    assert_eq!(error.class(), FailureClass::ReferenceNotFound);
    assert_eq!(error.to_string(), "branch 'main' not found; remote has: develop");
    let error = site.error(site.request(RefRequest::default())).await;
    assert_eq!(error.to_string(), "branch 'master' not found; remote has: develop");
}

#[tokio::test]
async fn tags_versions_and_names() {
    let site = Site::new();
    let first = site.commit("main", "First", A);
    site.repo.annotated_tag("v1.0.0", "main", "annotated").unwrap();
    let second = site.commit("main", "Second", B);
    site.repo.tag("v1.2.0", "main").unwrap();
    site.repo.tag("v2.0.0-rc.1", "main").unwrap();
    site.repo.git(&["update-ref", "refs/pull/7/head", &first]).unwrap();
    let tag = |tag: &str| RefRequest { tag: Some(tag.into()), ..RefRequest::default() };
    let semver = |range: &str| RefRequest { semver: Some(range.into()), ..RefRequest::default() };
    let name = |name: &str| RefRequest { name: Some(name.into()), ..RefRequest::default() };
    for (reference, expected) in [
        (tag("v1.0.0"), format!("v1.0.0@sha1:{first}")),
        (semver("~1.0"), format!("v1.0.0@sha1:{first}")),
        (semver(">=1.0.0 <3.0.0"), format!("v1.2.0@sha1:{second}")),
        (name("refs/pull/7/head"), format!("refs/pull/7/head@sha1:{first}")),
        (name("refs/tags/v1.0.0"), format!("refs/tags/v1.0.0@sha1:{first}")),
    ] {
        let request = site.request(reference);
        let update = site.update(request.clone()).await;
        assert_eq!(update.snapshot.revision.to_string(), expected);
        let again = site.git.fetch(knowing(&request, &update.snapshot.revision)).await.unwrap();
        assert!(matches!(again, FetchFinding::Unchanged(_)));
    }
    // The tag moves.
    let request = site.request(tag("v1.0.0"));
    let before = site.update(request.clone()).await;
    site.repo.annotated_tag("v1.0.0", &second, "moved").unwrap();
    let after = site.update(knowing(&request, &before.snapshot.revision)).await;
    assert_eq!(after.snapshot.revision.to_string(), format!("v1.0.0@sha1:{second}"));
    let error = site.error(site.request(semver(">=3.0.0"))).await;
    assert!(error.to_string().starts_with("no match found for semver: >=3.0.0"), "{error}");
    // This tag points to an object that is no commit.
    let blob = site.repo.rev_parse("main:a.yaml").unwrap();
    site.repo.tag("blob", &blob).unwrap();
    let error = site.error(site.request(tag("blob"))).await;
    assert!(error.to_string().contains("not a commit"), "{error}");
}

#[tokio::test]
async fn commits_by_id_with_and_without_the_hosts_help() {
    let site = Site::new();
    let first = site.commit("main", "First", A);
    for number in 0..60 {
        site.commit("main", &format!("Between {number}"), B);
    }
    let last = site.commit("main", "Last", B);
    let other = site.commit("other", "Other", A);
    let at = |commit: &str, branch: Option<&str>| RefRequest {
        commit: Some(commit.into()),
        branch: branch.map(Into::into),
        ..RefRequest::default()
    };
    for allowed in ["false", "true"] {
        site.repo.git(&["config", "uploadpack.allowAnySHA1InWant", allowed]).unwrap();
        for (reference, expected) in [
            (at(&first, None), format!("sha1:{first}")),
            (at(&last, None), format!("sha1:{last}")),
            (at(&first, Some("main")), format!("main@sha1:{first}")),
            (at(&other, Some("other")), format!("other@sha1:{other}")),
        ] {
            let update = site.update(site.request(reference)).await;
            assert_eq!(update.snapshot.revision.to_string(), expected);
            assert!(update.snapshot.tree.reader().text("a.yaml").is_ok());
        }
        let error = site.error(site.request(at(&other, Some("main")))).await;
        assert_eq!(error.to_string(), format!("commit '{other}' is not on branch 'main'"));
        let error = site.error(site.request(at(&"0123456789".repeat(4), None))).await;
        assert_eq!(error.class(), FailureClass::ReferenceNotFound, "{error}");
    }
    // A commit never changes, so a known one needs no request.
    let request = site.request(at(&first, None));
    let known = site.update(request.clone()).await.snapshot.revision;
    site.host.revoke(site.deploy_key).unwrap();
    let request = lockgate_git::GitRequest { known: Some(known), ..request };
    assert!(matches!(site.git.fetch(request).await, Ok(FetchFinding::Unchanged(_))));
}

/// A suspended source after a restart stays at its revision, wherever its reference leads by now.
#[tokio::test]
async fn a_revision_is_fetched_again_though_its_reference_has_gone_on() {
    let site = Site::new();
    let first = site.commit("main", "First", A);
    site.repo.tag("v1.0.0", "main").unwrap();
    site.repo.tag("v1.1.0", "main").unwrap();
    site.repo.git(&["update-ref", "refs/pull/7/head", &first]).unwrap();
    site.repo.git(&["update-ref", "refs/heads/gone", &first]).unwrap();
    let references = [
        (RefRequest { tag: Some("v1.0.0".into()), ..RefRequest::default() }, "v1.0.0"),
        (RefRequest { semver: Some("*".into()), ..RefRequest::default() }, "v1.1.0"),
        (RefRequest { name: Some("refs/pull/7/head".into()), ..RefRequest::default() }, "refs/pull/7/head"),
        (branch("main"), "main"),
        (branch("gone"), "gone"),
    ];
    // First the references are unchanged, then every one has moved or is gone.
    for moved in [false, true] {
        if moved {
            let second = site.commit("main", "Second", B);
            for reference in ["refs/tags/v1.0.0", "refs/pull/7/head"] {
                site.repo.git(&["update-ref", reference, &second]).unwrap();
            }
            for reference in ["refs/tags/v1.1.0", "refs/heads/gone"] {
                site.repo.git(&["update-ref", "-d", reference]).unwrap();
            }
        }
        for allowed in ["false", "true"] {
            site.repo.git(&["config", "uploadpack.allowAnySHA1InWant", allowed]).unwrap();
            for (reference, name) in &references {
                let revision = lockgate_base::model::Revision::git(Some(name), &first);
                let staying = RefRequest { revision: Some(revision.clone()), ..reference.clone() };
                // A process fetches that has not fetched before.
                let state = tempfile::tempdir().unwrap();
                let git = lockgate_git::GitFetcher::new(state.path()).unwrap();
                let Ok(FetchFinding::Updated(update)) = git.fetch(site.request(staying)).await else {
                    unreachable!("{name}, moved {moved}, allowed {allowed}")
                };
                assert_eq!(update.snapshot.revision, revision);
                assert!(update.snapshot.tree.reader().text("a.yaml").is_ok());
            }
        }
    }
}

#[tokio::test]
async fn only_what_changed_is_sent_and_old_trees_outlive_their_store() {
    let site = Site::new();
    // The text is random, so that nothing compresses.
    let noise = noise(400_000);
    site.commit("main", "First", &[("big.txt", &noise), ("a.yaml", "kind: A")]);
    let request = site.request(branch("main"));
    let first = site.update(request.clone()).await;
    assert!(first.received > 200_000, "{} bytes", first.received);
    let mut latest = first.clone();
    let mut received = Vec::new();
    // More fetches than one store serves.
    for number in 0..25 {
        site.commit("main", "Next", &[("big.txt", &noise), ("a.yaml", &format!("kind: A{number}"))]);
        latest = site.update(knowing(&request, &latest.snapshot.revision)).await;
        assert_eq!(latest.snapshot.tree.reader().text("a.yaml").unwrap(), format!("kind: A{number}"));
        received.push(latest.received);
    }
    let whole = received.iter().filter(|bytes| **bytes > 100_000).count();
    assert_eq!(whole, 1, "one new store in 25 fetches: {received:?}");
    assert!(received.iter().filter(|bytes| **bytes < 4_000).count() == 24, "{received:?}");
    assert_eq!(first.snapshot.tree.reader().text("big.txt").unwrap(), noise);
    let stores = || super::site::stores(&site.folder.path().join("state")).len();
    assert_eq!(stores(), 2);
    drop(first);
    assert_eq!(stores(), 1);
    // Another GitRepository with the same address and key finds the objects in the store.
    let other = site.update(request).await;
    assert!(other.received < 4_000, "{} bytes", other.received);
    drop((latest, other));
    assert_eq!(stores(), 0);
}

/// Text that does not compress, the same each time.
fn noise(length: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let letters = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + state.to_be_bytes()[3] % 90)
    });
    letters.take(length).collect()
}

#[tokio::test]
async fn ignore_rules_links_submodules_and_odd_names() {
    let site = Site::new();
    site.commit(
        "main",
        "First",
        &[
            (".sourceignore", "*.md\n"),
            ("README.md", "x"),
            ("a.yaml", "kind: A"),
            ("link.yaml", "-> a.yaml"),
            ("out", "-> /etc/passwd"),
            ("logo.png", "x"),
            ("spaces and \u{e9}.yaml", "x"),
        ],
    );
    let module = Change::Submodule("module".into(), "1".repeat(40));
    site.repo.commit_changes("main", "Add a submodule", &[module]).unwrap();
    let request =
        lockgate_git::GitRequest { ignore: Some("/logo.png".into()), ..site.request(branch("main")) };
    let update = site.update(request).await;
    let names: Vec<String> = update.snapshot.tree.entries().map(|(path, _)| path).collect();
    assert_eq!(names, [".sourceignore", "a.yaml", "link.yaml", "module", "out", "spaces and \u{e9}.yaml"]);
    let reader = update.snapshot.tree.reader();
    assert_eq!(reader.text("link.yaml").unwrap(), "kind: A");
    assert!(reader.text("out").unwrap_err().to_string().contains("leads outside"));
    let module = reader.text("module/a.yaml").unwrap_err().to_string();
    assert!(module.contains("is a Git submodule, which is not fetched"));
}

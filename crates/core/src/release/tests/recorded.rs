//! What is computed of the Secrets is what helm-controller wrote into the statuses.

use super::*;

const ALL: [&str; 12] = [
    "chart-ref",
    "hooks",
    "in-flight",
    "install",
    "install-failed-left",
    "keep-history",
    "not-ours",
    "pending",
    "post-renderers",
    "rollback",
    "test",
    "values-order",
];

#[test]
fn each_snapshot_of_a_history_is_computed_from_its_secret_alone() {
    let mut compared = 0;
    for name in ALL {
        let RecordedRelease { release, secrets } = RecordedRelease::read(name);
        for known in &release.status.history {
            let heads = secrets.iter().map(|secret| read_head(secret).unwrap());
            let Some(head) = heads.into_iter().find(|head| head.version == known.version) else { continue };
            // Its end was stored and not observed.
            if head.info.status.as_str() != known.status {
                continue;
            }
            let deed = known.action.as_deref().and_then(ReleaseDeed::read);
            let mut seen = observed(&head, deed, known.oci_digest.as_deref());
            seen.test_hooks.clone_from(&known.test_hooks);
            assert_eq!(seen, *known, "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 15, "{compared}");
}

#[test]
fn the_digests_of_what_shaped_a_release_are_those_of_the_status() {
    for name in ALL {
        let RecordedRelease { release, .. } = RecordedRelease::read(name);
        let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
        let (spec, status) = (&release.spec, &release.status);
        assert_eq!(
            text(post_renderers(&spec.post_renderers)),
            status.observed_post_renderers_digest,
            "{name}"
        );
        let common = common_metadata(spec.common_metadata.as_ref());
        assert_eq!(text(common), status.observed_common_metadata_digest, "{name}");
    }
}

#[test]
fn a_release_that_is_read_and_stored_again_is_the_same_to_the_byte() {
    // What is pending was made by hand, with blanks that Go does not write.
    for name in ALL.into_iter().filter(|name| *name != "pending") {
        for secret in RecordedRelease::read(name).secrets {
            let record = read(&secret).unwrap();
            let stored =
                super::super::secret(&record, "apps", Some(&secret), None, super::stored::now()).unwrap();
            let (before, after) = (super::stored::unpacked(&secret), super::stored::unpacked(&stored));
            assert_eq!(String::from_utf8(after), String::from_utf8(before), "{name}");
            assert_eq!(stored.id().name, secret.id().name);
        }
    }
}

#[test]
fn a_release_of_helm_controller_is_gone_on_with() {
    let found = |name: &str| {
        let recorded = RecordedRelease::read(name);
        let release = &recorded.release;
        let last = recorded.last();
        state(Some(&last), None, (release.metadata.generation, &release.status), &recorded.want())
    };
    for name in
        ["chart-ref", "hooks", "install", "keep-history", "not-ours", "post-renderers", "rollback", "test"]
    {
        assert_eq!(found(name), ReleaseState::InSync, "{name}");
    }
    assert_eq!(found("install-failed-left"), ReleaseState::Failed);
    assert_eq!(found("pending"), ReleaseState::Locked(ReleaseStatus::PendingUpgrade));
    assert_eq!(found("in-flight"), ReleaseState::Locked(ReleaseStatus::Uninstalling));
}

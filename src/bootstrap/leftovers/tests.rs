//! Each clause of the rules alone: a key that one clause protects stays.

use super::*;
use crate::bootstrap::key::{Algorithm, KeyPair};

const UID: &str = "11111111-7d0b-4c55-8f6e-0123456789ab";
const OTHER: &str = "22222222-0000-4000-8000-000000000000";

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_700_000_000 + seconds)
}

/// A key with a title, created at a time in seconds.
fn key(id: u64, title: &str, created: i64) -> DeployKey {
    let line = KeyPair::generate(Algorithm::Ed25519, "").unwrap().public_line();
    DeployKey {
        id,
        key: line,
        title: title.into(),
        read_only: true,
        created_at: moment(created),
        last_used: None,
        enabled: Some(true),
    }
}

fn name() -> ClusterName {
    "eu-west9".parse().unwrap()
}

fn title(uid: &str) -> String {
    Title::new("eu-west9", Some(uid), "flux-system", None).to_string()
}

/// The fate of a key beside the one in use. The key in use is created at 110, and the cluster at 100.
fn judged(edit: impl FnOnce(&mut DeployKey), held: bool) -> Option<KeyFate> {
    let mut old = key(1, &title(OTHER), 50);
    edit(&mut old);
    let in_use = key(2, &title(UID), 110);
    let (name, held) = (name(), if held { vec![format!("{} a comment", old.key)] } else { Vec::new() });
    let cluster = ClusterIdentity {
        name: &name,
        namespace: "flux-system",
        uid: UID,
        created: moment(100),
        in_use: &format!("{} comment", in_use.key),
        held: &held,
    };
    let judged = leftovers(&[old, in_use], &cluster);
    assert!(judged.iter().all(|(key, _)| key.id == 1), "the key in use is judged: {judged:?}");
    judged.first().map(|(_, fate)| *fate)
}

#[test]
fn a_key_of_the_cluster_before_goes() {
    assert_eq!(judged(|_| (), false), Some(KeyFate::Goes));
    assert_eq!(judged(|key| key.last_used = Some(moment(99)), false), Some(KeyFate::Goes));
    // A policy that forbids a key is no use of it.
    assert_eq!(judged(|key| key.enabled = Some(false), false), Some(KeyFate::Goes));
    let expiring = format!("{} until 2099-01-01T00:00:00Z", title(OTHER));
    assert_eq!(judged(|key| key.title = expiring, false), Some(KeyFate::Goes));
}

#[test]
fn each_doubt_keeps_a_key() {
    let used = |at, by_another| Some(KeyFate::Stays(Kept::Used { at: moment(at), by_another }));
    let stays = |kept| Some(KeyFate::Stays(kept));
    assert_eq!(judged(|_| (), true), stays(Kept::Held));
    assert_eq!(judged(|key| key.read_only = false, false), stays(Kept::Writes));
    let elsewhere = title(OTHER).replace("flux-system", "gitops");
    assert_eq!(judged(|key| key.title = elsewhere, false), stays(Kept::OtherNamespace));
    for created in [100, 150] {
        assert_eq!(judged(|key| key.created_at = moment(created), false), stays(Kept::Younger));
    }
    for at in [100, 150] {
        assert_eq!(judged(|key| key.last_used = Some(moment(at)), false), used(at, true));
    }
}

#[test]
fn what_has_another_name_is_none_of_its_business() {
    let of = |name: &str| Title::new(name, Some(OTHER), "flux-system", None).to_string();
    for title in
        [of("eu-west"), of("eu-west91"), of("x eu-west9"), of("default"), "flux".into(), "eu-west9".into()]
    {
        assert_eq!(judged(|key| key.title = title.clone(), false), None, "{title}");
    }
}

#[test]
fn of_its_own_keys_those_go_that_are_older_than_the_one_in_use() {
    let own = |created, used: Option<i64>| {
        judged(
            |key| {
                key.title = title(UID);
                key.created_at = moment(created);
                key.last_used = used.map(moment);
            },
            false,
        )
    };
    assert_eq!(own(50, None), Some(KeyFate::Goes));
    assert_eq!(own(105, Some(109)), Some(KeyFate::Goes));
    assert_eq!(own(105, Some(110)), Some(KeyFate::Stays(Kept::Used { at: moment(110), by_another: false })));
    assert_eq!(own(110, None), Some(KeyFate::Stays(Kept::Younger)));
    // If GitHub does not know the key in use, no key is older than it.
    let (old, name) = (key(1, &title(UID), 50), name());
    let cluster = ClusterIdentity {
        name: &name,
        namespace: "flux-system",
        uid: UID,
        created: moment(100),
        in_use: "ssh-ed25519 AAAA",
        held: &[],
    };
    assert_eq!(leftovers(&[old], &cluster)[0].1, KeyFate::Stays(Kept::Younger));
}

#[test]
fn all_keys_of_a_name_go_but_not_where_two_clusters_live_under_it() {
    let ids = |keys: &[DeployKey], uid| {
        of_name(keys, &name(), uid).map(|keys| keys.iter().map(|key| key.id).collect::<Vec<_>>())
    };
    let (mut old, mut new, other) =
        (key(1, &title(OTHER), 50), key(2, &title(UID), 110), key(3, "lockgate x 33333333 n", 0));
    (old.last_used, new.last_used) = (Some(moment(109)), Some(moment(900)));
    let mut writes = key(4, &title(OTHER), 60);
    writes.read_only = false;
    let all = [old.clone(), new.clone(), other.clone(), writes.clone()];
    assert_eq!(ids(&all, None), Ok(vec![1, 2]));
    // A rotation may use two keys of one cluster for a while.
    let second = key(5, &title(OTHER), 100);
    assert_eq!(ids(&[old.clone(), second], None), Ok(vec![1, 5]));

    old.last_used = Some(moment(110));
    let all = [new, old.clone(), other, writes];
    let twins = of_name(&all, &name(), None).unwrap_err();
    assert_eq!((twins.key.id, twins.used), (1, moment(110)));
    assert_eq!(twins.uids, ["22222222".to_owned(), "11111111".to_owned()]);
    for (uid, id) in [(UID, 2), ("22222222", 1)] {
        assert_eq!(ids(&all, Some(uid)), Ok(vec![id]));
    }
}

#[test]
fn a_key_that_was_made_before_its_cluster_is_no_second_cluster() {
    let early = Title::new("eu-west9", None, "flux-system", None).to_string();
    for (older, younger) in [(early.clone(), title(UID)), (title(UID), early)] {
        let (mut older, younger) = (key(1, &older, 50), key(2, &younger, 110));
        older.last_used = Some(moment(900));
        assert_eq!(of_name(&[older, younger], &name(), None).map(|keys| keys.len()), Ok(2));
    }
}

#[test]
fn an_expired_key_is_kept_for_an_hour_after_its_last_use() {
    let until = Some(moment(4000));
    let mut expired = key(1, &Title::new("pr-1", Some(OTHER), "flux-system", until).to_string(), 0);
    expired.last_used = Some(moment(3900));
    let fate = |now: i64| aged(std::slice::from_ref(&expired), None, Age::Expired, moment(now))[0].1;
    assert_eq!(fate(3900 + 3600), KeyFate::Stays(Kept::Used { at: moment(3900), by_another: true }));
    assert_eq!(fate(3900 + 3601), KeyFate::Goes);
}

#[test]
fn keys_expire_by_their_title_and_a_use_since_keeps_them() {
    let ttl = |id, until: i64| {
        let until = Some(moment(until));
        key(id, &Title::new("pr-1", Some(OTHER), "flux-system", until).to_string(), 0)
    };
    let (over, later, mut used) = (ttl(1, 100), ttl(2, 101), ttl(3, 90));
    used.last_used = Some(moment(95));
    let keys = [over, later, used, key(4, &title(UID), 0), key(5, "flux until 2001-01-01T00:00:00Z", 0)];
    let judged = aged(&keys, None, Age::Expired, moment(100));
    let kept = KeyFate::Stays(Kept::Used { at: moment(95), by_another: true });
    let told: Vec<(u64, KeyFate)> = judged.into_iter().map(|(key, fate)| (key.id, fate)).collect();
    assert_eq!(told, [(1, KeyFate::Goes), (3, kept)]);
    assert_eq!(aged(&keys, Some(&name()), Age::Expired, moment(100)), []);
}

#[test]
fn a_key_is_unused_when_it_was_neither_made_nor_used_for_so_long() {
    let week = Duration::from_hours(7 * 24);
    let now = moment(8 * 24 * 3600);
    let day = 24 * 3600;
    let (never, mut lately, young) =
        (key(1, &title(UID), 0), key(2, &title(UID), 0), key(3, &title(OTHER), 2 * day));
    lately.last_used = Some(moment(2 * day));
    let mut long_ago = key(4, &title(OTHER), 0);
    long_ago.last_used = Some(moment(day / 2));
    let keys = [never, lately, young, long_ago, key(5, "flux", 0)];
    let gone = aged(&keys, None, Age::Unused(week), now);
    let ids: Vec<(u64, KeyFate)> = gone.into_iter().map(|(key, fate)| (key.id, fate)).collect();
    assert_eq!(ids, [(1, KeyFate::Goes), (4, KeyFate::Goes)]);
}

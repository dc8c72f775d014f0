//! The printed status, to the letter.

use std::time::Duration;

use super::*;
use lockgate_core::api::{GitRepository, Kustomization};

fn row(name: &str, state: State, what: &str) -> Row {
    Row {
        key: Kustomization::named("flux-system", name),
        state,
        revision: Some("09507f1".into()),
        since: Some(Timestamp::from_unix(1_000_000)),
        objects: 14,
        what: what.into(),
        depends_on: Vec::new(),
        end: ChainEnd::Open,
    }
}

fn chain(names: &[&str]) -> State {
    State::Blocked(names.iter().map(|name| Kustomization::named("flux-system", *name)).collect())
}

fn overview() -> Overview {
    Overview {
        sources: vec![SourceRow {
            key: GitRepository::named("flux-system", "foobar-infra"),
            url: "ssh://git@github.com/barolab/foobar-infra".into(),
            revision: Some("main@sha1:09507f1".into()),
            fetched: Some(Timestamp::from_unix(1_000_202)),
            ready: ConditionStatus::True,
            message: "stored artifact".into(),
        }],
        kustomizations: vec![
            row("kube-security", State::Failing, "Deployment/a/b: image pull: 403\nand more\nand more"),
            row("kube-network", chain(&["kube-security"]), ""),
            row("foobar", chain(&["kube-network", "kube-security"]), ""),
            row("crds", State::Ready, ""),
        ],
        root_causes: vec![Kustomization::named("flux-system", "kube-security")],
    }
}

fn view() -> View {
    View { colour: false, now: Timestamp::from_unix(1_000_240), with_namespace: false, failing: false }
}

#[test]
fn blocked_things_stand_first_with_their_cause() {
    let expected = "\
SOURCE        REVISION           FETCHED  READY  WHAT
foobar-infra  main@sha1:09507f1  38s ago  True

KUSTOMIZATION    READY  REVISION  AGE  OBJECTS  WHAT
✗ kube-security  False  09507f1   4m   14       Deployment/a/b: image pull: 403 (and 2 more lines: -o wide)
⧗ kube-network   False  09507f1   4m   14       blocked by kube-security
⧗ foobar         False  09507f1   4m   14       blocked by kube-network → kube-security
✔ crds           True   09507f1   4m   14

1 failing, 2 blocked, 1 ready.   Root cause: kube-security.
";
    assert_eq!(table(&overview(), &view(), false), expected);
}

#[test]
fn a_wide_table_has_addresses_and_whole_messages() {
    let text = table(&overview(), &View { with_namespace: true, ..view() }, true);
    assert!(text.contains("READY  WHAT  URL"), "{text}");
    assert!(text.contains("ssh://git@github.com/barolab/foobar-infra"), "{text}");
    assert!(text.contains("image pull: 403; and more; and more"), "{text}");
    assert!(text.contains("blocked by flux-system/kube-network → flux-system/kube-security"), "{text}");
}

#[test]
fn the_end_of_a_chain_is_told() {
    let what = |end: ChainEnd, state: State, what: &str| {
        let row = Row { end, ..row("a", state, what) };
        cells(&row, &view(), false)[5].clone()
    };
    assert_eq!(what(ChainEnd::Missing, chain(&["b", "c"]), ""), "blocked by b → c, which does not exist");
    assert_eq!(what(ChainEnd::Cycle, chain(&["b", "a"]), ""), "in a cycle: a → b → a");
    let outdated = "dependency 'flux-system/b' revision is not up to date";
    assert_eq!(what(ChainEnd::Open, chain(&[]), outdated), outdated);
}

#[test]
fn a_source_that_fails_is_named_as_the_cause() {
    let mut overview = overview();
    overview.sources[0].ready = ConditionStatus::False;
    let expected = "1 failing, 2 blocked, 1 ready, source flux-system/foobar-infra not ready.   \
                    Root cause: source flux-system/foobar-infra, flux-system/kube-security.\n";
    assert_eq!(summary(&overview, &View { with_namespace: true, ..view() }), expected);
    let causes = json!(["GitRepository/flux-system/foobar-infra", "Kustomization/flux-system/kube-security"]);
    assert_eq!(value(&overview, &view())["rootCauses"], causes);
}

#[test]
fn colours_do_not_move_columns() {
    let plain = table(&overview(), &view(), false);
    let coloured = table(&overview(), &View { colour: true, ..view() }, false);
    assert!(coloured.contains("\n\x1b[31m✗\x1b[0m kube-security"), "{coloured}");
    let mut stripped = coloured;
    for code in ["\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(stripped, plain);
}

#[test]
fn what_is_ready_can_be_left_out() {
    let text = names(&overview(), &View { failing: true, ..view() });
    let expected = "kustomization/flux-system/kube-security\nkustomization/flux-system/kube-network\n\
                    kustomization/flux-system/foobar\n";
    assert_eq!(text, expected);
    assert!(names(&overview(), &view()).starts_with("gitrepository/flux-system/foobar-infra\n"));
}

#[test]
fn json_holds_the_chain_and_the_cause() {
    let value = value(&overview(), &view());
    assert_eq!(value["ready"], false);
    assert_eq!(value["rootCauses"], json!(["Kustomization/flux-system/kube-security"]));
    let blocked = json!(["flux-system/kube-network", "flux-system/kube-security"]);
    assert_eq!(value["kustomizations"][2]["blockedBy"], blocked);
    assert_eq!(value["sources"][0]["fetched"], "1970-01-12T13:50:02Z");
}

#[test]
fn nothing_is_told_apart_from_all_ready() {
    let empty = Overview::of(&[], &[]);
    assert_eq!((empty.is_ready(), table(&empty, &view(), false).as_str()), (false, ""));
    let (none, some) = (BTreeSet::new(), BTreeSet::from(["apps".to_owned(), "flux-system".to_owned()]));
    let cases = [
        (None, false, &none, "lockgate is not installed here: "),
        (Some("flux-system"), false, &none, "lockgate is not installed here: "),
        (None, true, &none, "nothing to show: there is no Kustomization and no source in any namespace"),
        (
            Some("flux-sytem"),
            true,
            &some,
            "nothing to show: there is no Kustomization and no source in namespace flux-sytem; there are some in \
             apps, flux-system (-A looks everywhere)",
        ),
    ];
    for (namespace, is_installed, elsewhere, told) in cases {
        let text = nothing(namespace, is_installed, elsewhere);
        assert!(text.starts_with(told), "{text}");
        assert!(is_installed || text.contains("lockgate bootstrap"));
    }
}

#[test]
fn ages_are_short() {
    for (seconds, text) in [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (252, "4m12s"),
        (600, "10m"),
        (7199, "119m"),
        (7200, "2h"),
        (172_799, "47h"),
        (172_800, "2d"),
    ] {
        assert_eq!(age(Duration::from_secs(seconds)), text);
    }
}

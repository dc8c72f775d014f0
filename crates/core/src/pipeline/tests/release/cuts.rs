//! An action that is cut off at any write ends, once it is gone on with, as the one that was not, and each of
//! its hooks is run once.

use super::*;

/// How often a job of this name was begun.
fn begun(store: &Store, hook: &str) -> usize {
    store.log().iter().filter(|line| **line == format!("apply {hook}")).count()
}

/// Runs until nothing is left to do.
async fn finished(store: &Store, release: &mut HelmRelease, snapshot: &Snapshot) {
    for _ in 0..4 {
        if step(store, release, snapshot).await.0 == ReleaseEnd::Ready {
            return;
        }
    }
    panic!("it does not come to an end: {:?}", store.log());
}

/// A run that is cut off: what it was told does not reach its status.
async fn cut(store: &Store, release: &HelmRelease, snapshot: &Snapshot, left: usize) {
    store.cut(Some(left));
    run(store, release, snapshot).await;
    store.cut(None);
}

#[tokio::test(start_paused = true)]
async fn an_install_that_is_cut_off_is_finished_as_an_install() {
    let whole = Store::default();
    finished(&whole, &mut release(1, &json!({})), &chart("1.0.0")).await;
    for left in 0..whole.log().len() {
        let (store, mut release) = (Store::default(), release(1, &json!({})));
        cut(&store, &release, &chart("1.0.0"), left).await;
        finished(&store, &mut release, &chart("1.0.0")).await;
        assert_eq!(store.state(), whole.state(), "cut after {left} writes");
        for hook in ["pre-install", "post-install"] {
            assert_eq!(begun(&store, hook), 1, "{hook}, cut after {left} writes: {:?}", store.log());
        }
        assert_eq!(history(&release), "v1 deployed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_cut_off_is_finished_as_the_same_upgrade() {
    let first = json!({"values": {"extra": true}});
    let second = json!({"values": {"message": "two"}});
    let prepared = async || {
        let (store, mut release) = (Store::default(), release(1, &first));
        finished(&store, &mut release, &chart("1.0.0")).await;
        let mut upgraded = super::release(2, &second);
        upgraded.status = release.status;
        (store, upgraded)
    };
    let (whole, mut release) = prepared().await;
    let before = whole.log().len();
    finished(&whole, &mut release, &chart("1.0.0")).await;
    for left in 0..whole.log().len() - before {
        let (store, mut release) = prepared().await;
        cut(&store, &release, &chart("1.0.0"), left).await;
        finished(&store, &mut release, &chart("1.0.0")).await;
        assert_eq!(store.state(), whole.state(), "cut after {left} writes");
        for hook in ["pre-upgrade", "post-upgrade"] {
            assert_eq!(begun(&store, hook), 1, "{hook}, cut after {left} writes");
        }
        assert_eq!(history(&release), "v2 deployed, v1 superseded");
    }
}

#[tokio::test(start_paused = true)]
async fn an_uninstall_that_is_cut_off_leaves_nothing_in_the_end() {
    let prepared = async || {
        let (store, mut release) = (Store::default(), release(1, &json!({})));
        finished(&store, &mut release, &chart("1.0.0")).await;
        (store, release)
    };
    let (whole, release) = prepared().await;
    let before = whole.log().len();
    removed(&whole, &release).await;
    for left in 0..whole.log().len() - before {
        let (store, release) = prepared().await;
        store.cut(Some(left));
        removed(&store, &release).await;
        store.cut(None);
        assert!(matches!(removed(&store, &release).await, Common::Removed { .. }));
        assert_eq!(store.state(), whole.state(), "cut after {left} writes");
        for hook in ["pre-delete", "post-delete"] {
            assert_eq!(begun(&store, hook), 1, "{hook}, cut after {left} writes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_and_is_wanted_no_more_makes_way_for_what_is() {
    let whole = Store::default();
    finished(&whole, &mut release(1, &json!({})), &chart("1.0.0")).await;
    for left in 1..whole.log().len() - 1 {
        let (store, first) = (Store::default(), release(1, &json!({})));
        cut(&store, &first, &chart("1.0.0"), left).await;
        let mut second = release(2, &json!({"values": {"message": "two"}}));
        finished(&store, &mut second, &chart("1.0.0")).await;
        assert_eq!(store.object("a").unwrap().text("/data/message"), Some("two"), "cut after {left} writes");
        assert_eq!(history(&second).split(',').next(), Some("v2 deployed"), "cut after {left} writes");
    }
}

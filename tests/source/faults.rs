//! Hosts that are down, hang, drip or break off: the error comes in time, and no other host is delayed.

use std::net::SocketAddr;
use std::time::Duration;

use lockgate_git::{Disk, FailureClass, GitFetcher, SourceError};
use lockgate_git::{FetchFinding, GitRequest, GitUrl};

use super::peer::{Mode, Peer};
use super::site::{Site, branch, stores};

/// The time limit of fetches that must exceed it.
const LIMIT: Duration = Duration::from_secs(2);
/// A fetch that takes longer than this hangs. It is far above the limit, since the machine may be busy.
const HUNG: Duration = Duration::from_secs(30);

fn at(site: &Site, port: u16) -> GitRequest {
    GitRequest { timeout: LIMIT, ..site.at(SocketAddr::from(([127, 0, 0, 1], port))) }
}

async fn error(site: &Site, request: GitRequest) -> SourceError {
    tokio::time::timeout(HUNG, site.git.fetch(request)).await.expect("the fetch hangs").unwrap_err()
}

fn noise(length: usize) -> String {
    let mut state = 1_u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + state.to_be_bytes()[0] % 90)
    });
    letters.take(length).collect()
}

#[tokio::test]
async fn every_peer_that_hangs_or_breaks_off_is_an_error_in_time() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A"), ("big.txt", &noise(300_000))]);
    let port = site.host.port();
    let timeouts = [
        Mode::Silent,
        Mode::Drip,
        Mode::BlackholeAfter { port, bytes: 1_000 },
        Mode::BlackholeAfter { port, bytes: 6_000 },
        Mode::BlackholeAfter { port, bytes: 100_000 },
        Mode::Throttle { port },
    ];
    let peers: Vec<Peer> = timeouts.iter().map(|mode| Peer::start(*mode)).collect();
    let fetches = peers.iter().map(|peer| error(&site, at(&site, peer.port)));
    for (error, mode) in futures::future::join_all(fetches).await.into_iter().zip(timeouts) {
        assert_eq!(error.class(), FailureClass::Timeout, "{mode:?}: {error}");
        assert!(error.to_string().starts_with("timed out after 2s while "), "{mode:?}: {error}");
        assert!(!error.is_terminal());
    }
    let breaks =
        [Mode::Garbage, Mode::CutAfter { port, bytes: 1_000 }, Mode::CutAfter { port, bytes: 100_000 }];
    for mode in breaks {
        let peer = Peer::start(mode);
        let request = GitRequest { timeout: HUNG, ..at(&site, peer.port) };
        let error = error(&site, request).await;
        assert_eq!(error.class(), FailureClass::GitOperationFailed, "{mode:?}: {error}");
        assert!(
            error.to_string().starts_with(&format!("cannot reach 127.0.0.1:{}: ", peer.port)),
            "{mode:?}: {error}"
        );
    }
    // A half-fetched commit is not taken for a whole one.
    let update = site.update(site.request(branch("main"))).await;
    assert_eq!(update.snapshot.tree.reader().text("big.txt").unwrap().len(), 300_000);
}

#[tokio::test]
async fn a_host_that_is_down_or_unknown_is_named() {
    let site = Site::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = error(&site, at(&site, closed)).await;
    assert!(
        refused.to_string().starts_with(&format!("cannot reach 127.0.0.1:{closed}: Connection refused")),
        "{refused}"
    );
    let url = GitUrl::parse("ssh://git@no-such-host.invalid/o/r.git").unwrap();
    let unknown = error(&site, GitRequest { url, timeout: HUNG, ..at(&site, closed) }).await;
    assert!(
        unknown.to_string().starts_with("cannot reach no-such-host.invalid: its name cannot be resolved"),
        "{unknown}"
    );
}

#[tokio::test]
async fn more_dead_fetches_than_threads_hold_no_other_host_up() {
    let site = Site::new();
    site.commit("main", "First", &[("a.yaml", "kind: A")]);
    let dead = Peer::start(Mode::Silent);
    let mut waiting = Vec::new();
    for number in 0..100 {
        // Each fetch has its own repository, so that none waits for another's store.
        let url = format!("ssh://git@127.0.0.1:{}/o/{number}.git", dead.port);
        let request = GitRequest { url: GitUrl::parse(&url).unwrap(), timeout: HUNG, ..at(&site, dead.port) };
        let git = site.git.clone();
        waiting.push(tokio::spawn(async move { git.fetch(request).await }));
    }
    tokio::task::yield_now().await;
    let result = tokio::time::timeout(HUNG / 2, site.git.fetch(site.request(branch("main")))).await;
    assert!(matches!(result, Ok(Ok(FetchFinding::Updated(_)))), "{result:?}");
    assert!(waiting.iter().all(|task| !task.is_finished()));
    for task in waiting {
        task.abort();
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_thread() {
    let site = Site::new();
    let dead = Peer::start(Mode::Silent);
    // Only four fetches may run for one host. If they were not ended, later ones would wait for ever.
    for _ in 0..3 {
        let fetches = (0..4).map(|number| {
            let url = format!("ssh://git@127.0.0.1:{}/o/{number}.git", dead.port);
            let request =
                GitRequest { url: GitUrl::parse(&url).unwrap(), timeout: HUNG * 10, ..at(&site, dead.port) };
            let git = site.git.clone();
            async move { tokio::time::timeout(Duration::from_millis(500), git.fetch(request)).await }
        });
        assert!(futures::future::join_all(fetches).await.iter().all(Result::is_err));
    }
    let silent = error(&site, at(&site, dead.port)).await;
    // The message is not "waiting for an earlier fetch": this fetch got a thread and talked to the host.
    assert!(silent.to_string().contains("agreeing on SSH encryption"), "{silent}");
}

#[tokio::test]
async fn waiting_for_an_earlier_fetch_of_the_same_repository_has_an_end_too() {
    let site = Site::new();
    let dead = Peer::start(Mode::Silent);
    let (git, first) = (site.git.clone(), GitRequest { timeout: HUNG * 10, ..at(&site, dead.port) });
    let first = tokio::spawn(async move { git.fetch(first).await });
    // The first fetch gets the store.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let second = error(&site, at(&site, dead.port)).await;
    assert!(second.to_string().contains("while waiting for an earlier fetch"), "{second}");
    first.abort();
}

/// All sources together have a limit, and a deleted source gives its space back.
#[tokio::test]
async fn what_does_not_fit_the_disk_is_told_and_leaves_room_for_others() {
    let site = Site::new();
    site.commit("large", "large", &[("a.txt", &noise(300_000))]);
    site.commit("main", "small", &[("a.yaml", "kind: A")]);
    let git = GitFetcher::on(&site.folder.path().join("narrow"), &Disk::of(100 << 10)).unwrap();
    let error = git.fetch(site.request(branch("large"))).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Storage, "{error}");
    assert!(error.to_string().contains("all sources together need more than 0 MiB of disk space"), "{error}");
    assert!(stores(&site.folder.path().join("narrow")).is_empty());
    let fetched = git.fetch(site.request(branch("main"))).await.unwrap();
    assert!(matches!(fetched, FetchFinding::Updated(_)));
}

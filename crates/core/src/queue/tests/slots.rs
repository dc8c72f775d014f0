//! Runs that give their slot back, and take one again.

use super::*;

#[test]
fn a_run_that_goes_on_after_its_wait_waits_for_a_slot_and_comes_first() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c", "d"] {
        bench.seen(name, 1, &[]);
    }
    let run = bench.running["a"];
    let resumes = || Signal::Resumes { key: key("a"), run };
    bench.send(resumes());
    assert!(bench.resumed.is_empty(), "it has its slot");
    bench.send(Signal::Waits(run));
    assert_eq!(bench.runs(), ["a", "b", "c"], "its slot was given to c");
    bench.send(resumes());
    bench.send(resumes());
    assert!(bench.resumed.is_empty(), "both slots are taken");
    assert_eq!(bench.queue.waiting(), 2, "a and d");
    bench.ready("b");
    assert_eq!(bench.resumed, [run], "before d, which has not begun");
    assert_eq!(bench.runs(), ["a", "c"]);
    bench.ready("a");
    assert_eq!(bench.runs(), ["c", "d"], "its slot was given back once only");
}

#[test]
fn a_run_that_ends_or_waits_again_asks_for_no_slot_any_more() {
    for ends in [true, false] {
        let mut bench = Bench::new();
        for name in ["a", "b", "c"] {
            bench.seen(name, 1, &[]);
        }
        let run = bench.running["a"];
        bench.send(Signal::Waits(run));
        bench.send(Signal::Resumes { key: key("a"), run });
        if ends {
            bench.ready("a");
        } else {
            bench.send(Signal::Waits(run));
        }
        bench.ready("b");
        bench.ready("c");
        assert!(bench.resumed.is_empty(), "{ends}");
        bench.send(Signal::Resumes { key: key("a"), run });
        assert_eq!(bench.resumed.is_empty(), ends, "a run that is over has nothing to go on with");
    }
}

#[test]
fn a_wait_for_health_holds_no_slot() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c", "d"] {
        bench.seen(name, 1, &[]);
    }
    assert_eq!(bench.runs(), ["a", "b"], "two slots");
    bench.send(Signal::Waits(bench.running["a"]));
    assert_eq!(bench.runs(), ["a", "b", "c"]);
    bench.ready("a");
    assert_eq!(bench.runs(), ["b", "c"], "its slot was given back once only");
}

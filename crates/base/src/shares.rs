//! Fair shares of a limited number of places. Each holder of places represents a namespace.
//!
//! While others wait, no holder gets more than half of the places, and the last free place goes to a holder
//! that has none. If there are fewer than four places, each holder may take all of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// With fewer places than this, none is kept for others.
const LEAST: usize = 4;

/// The holders, each with its number of places.
#[derive(Debug)]
pub struct Shares {
    limit: usize,
    taken: usize,
    held: BTreeMap<String, usize>,
}

impl Shares {
    /// `limit` places, at least one.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), taken: 0, held: BTreeMap::new() }
    }

    /// Whether a holder may take a place now. `others_wait` says that another holder waits for one.
    pub fn may_take(&self, holder: &str, others_wait: bool) -> bool {
        let free = self.limit.saturating_sub(self.taken);
        match self.held.get(holder).copied().unwrap_or_default() {
            0 => free > 0,
            _ if self.limit < LEAST => free > 0,
            held => free > 1 && !(others_wait && held >= self.limit / 2),
        }
    }

    /// Gives a place to a holder.
    pub fn take(&mut self, holder: &str) {
        self.taken += 1;
        *self.held.entry(holder.to_owned()).or_default() += 1;
    }

    /// Takes a place back from a holder that has one.
    pub fn give_back(&mut self, holder: &str) {
        let Some(held) = self.held.get_mut(holder) else { return };
        self.taken -= 1;
        *held -= 1;
        if *held == 0 {
            self.held.remove(holder);
        }
    }

    /// The number of places that are taken.
    pub const fn taken(&self) -> usize {
        self.taken
    }
}

/// Places that callers wait for. Clones share them.
#[derive(Debug, Clone)]
pub struct Permits(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    shares: Shares,
    /// Whether any holder may take all places.
    is_common: bool,
    next: u64,
    /// The callers that wait, in the order of their arrival.
    waiting: VecDeque<Waiter>,
    /// The callers that have a place and have not seen that yet.
    granted: BTreeSet<u64>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    holder: Arc<str>,
    waker: Waker,
}

impl Permits {
    /// `limit` places in fair shares.
    pub fn fair(limit: usize) -> Self {
        Self::new(limit, false)
    }

    /// `limit` places in the order of arrival, for any caller.
    pub fn common(limit: usize) -> Self {
        Self::new(limit, true)
    }

    fn new(limit: usize, is_common: bool) -> Self {
        let shares = Shares::new(limit);
        let (waiting, granted) = (VecDeque::new(), BTreeSet::new());
        Self(Arc::new(Mutex::new(State { shares, is_common, next: 0, waiting, granted })))
    }

    /// Waits for a place.
    pub fn take(&self, holder: &Arc<str>) -> Take {
        Take { permits: self.clone(), holder: Arc::clone(holder), ticket: None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, holder: &str) {
        let mut state = self.state();
        state.shares.give_back(holder);
        state.grant();
    }
}

impl State {
    /// Gives places to all waiters who may have one.
    fn grant(&mut self) {
        while let Some(index) = self.waiting.iter().position(|waiter| self.may_take(&waiter.holder)) {
            let Some(waiter) = self.waiting.remove(index) else { return };
            self.shares.take(&waiter.holder);
            self.granted.insert(waiter.ticket);
            waiter.waker.wake();
        }
    }

    fn may_take(&self, holder: &str) -> bool {
        if self.is_common {
            return self.shares.taken < self.shares.limit;
        }
        let others_wait = self.waiting.iter().any(|waiter| *waiter.holder != *holder);
        self.shares.may_take(holder, others_wait)
    }
}

/// The wait for a place.
#[derive(Debug)]
pub struct Take {
    permits: Permits,
    holder: Arc<str>,
    ticket: Option<u64>,
}

impl Future for Take {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let permits = self.permits.clone();
        let mut state = permits.state();
        let ticket = if let Some(ticket) = self.ticket {
            ticket
        } else {
            state.next += 1;
            let (ticket, waker) = (state.next, context.waker().clone());
            state.waiting.push_back(Waiter { ticket, holder: Arc::clone(&self.holder), waker });
            self.ticket = Some(ticket);
            state.grant();
            ticket
        };
        if state.granted.remove(&ticket) {
            self.ticket = None;
            drop(state);
            return Poll::Ready(Permit { permits, holder: Arc::clone(&self.holder) });
        }
        if let Some(waiter) = state.waiting.iter_mut().find(|waiter| waiter.ticket == ticket) {
            waiter.waker.clone_from(context.waker());
        }
        Poll::Pending
    }
}

impl Drop for Take {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.permits.state();
        state.waiting.retain(|waiter| waiter.ticket != ticket);
        if state.granted.remove(&ticket) {
            state.shares.give_back(&self.holder);
        }
        // Other waiters may have been held back because this one waited.
        state.grant();
    }
}

/// A place, which is given back on drop.
#[derive(Debug)]
pub struct Permit {
    permits: Permits,
    holder: Arc<str>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.give_back(&self.holder);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn now(take: &mut Pin<&mut Take>) -> Option<Permit> {
        match take.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    /// All the places that a holder gets at once.
    fn all(permits: &Permits, holder: &Arc<str>) -> Vec<Permit> {
        std::iter::from_fn(|| now(&mut pin!(permits.take(holder)))).collect()
    }

    #[test]
    fn three_holders_that_take_all_they_can_leave_one_for_a_fourth() {
        let permits = Permits::fair(8);
        let names: [Arc<str>; 4] = ["a", "b", "c", "d"].map(Into::into);
        let first = all(&permits, &names[0]);
        assert_eq!(first.len(), 7, "nobody else wants any");
        let held: Vec<_> = names[1..3].iter().map(|name| all(&permits, name).len()).collect();
        assert_eq!(held, [1, 1], "each got the last one, and it was given back at once");
        let second = all(&permits, &names[1]);
        let mut victim = pin!(permits.take(&names[3]));
        assert!(now(&mut victim).is_none(), "all are taken");
        drop(second);
        assert!(now(&mut victim).is_some());
        drop(first);
        assert_eq!(permits.state().shares.taken(), 0);
    }

    #[test]
    fn while_others_wait_nobody_gets_more_than_half() {
        let permits = Permits::fair(8);
        let (hog, other): (Arc<str>, Arc<str>) = ("hog".into(), "other".into());
        let mut held = all(&permits, &hog);
        let last = now(&mut pin!(permits.take(&other))).unwrap();
        // Both want more places, the hog first.
        let (mut hogs, mut others) = (pin!(permits.take(&hog)), pin!(permits.take(&other)));
        assert!(now(&mut hogs).is_none() && now(&mut others).is_none());
        held.truncate(5);
        assert!(now(&mut hogs).is_none(), "it has more than half");
        let second = now(&mut others);
        assert!(second.is_some());
        held.truncate(3);
        assert!(now(&mut hogs).is_some());
        drop((last, second));
    }

    #[test]
    fn a_wait_that_is_given_up_takes_no_place_and_holds_nobody_back() {
        let permits = Permits::fair(2);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut held = all(&permits, &a);
        assert_eq!(held.len(), 2, "of two there is none to keep");
        {
            let mut given_up = pin!(permits.take(&b));
            assert!(now(&mut given_up).is_none());
            held.pop();
            // The waiter has been given the place and is dropped before it sees that.
        }
        assert_eq!(permits.state().shares.taken(), 1);
        assert!(now(&mut pin!(permits.take(&a))).is_some());
        let common = Permits::common(2);
        assert_eq!(all(&common, &a).len(), 2, "whoever comes first");
    }
}

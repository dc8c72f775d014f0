//! The threads on which builds run: few, and with large stacks. They are separate from the runtime's threads,
//! which renew the lease and answer probes meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::fault;
use lockgate_core::pipeline::workers::{Ended, Work, Workers};
use lockgate_render::STACK_SIZE;
use lockgate_render::budget::{Memory, Turn};
use lockgate_render::helm::shelf::Shelf;

/// The number of builds that run at one time. More would need more memory at once and end no sooner.
const THREADS: usize = 2;

/// The memory of a process besides one large build, in bytes: its knowledge of the cluster and of its
/// sources, and a small build.
const BESIDE: u64 = 96 << 20;
/// The memory that a build may use even if there is little, in bytes.
const LEAST: u64 = 32 << 20;

/// The memory of all builds. Only one build at a time may be a large one.
#[derive(Debug)]
struct Builds {
    limit: u64,
    lane: Arc<Lane>,
}

/// Whether a large build is under way.
#[derive(Debug, Default)]
struct Lane {
    is_taken: Mutex<bool>,
    is_free: Condvar,
}

/// The turn of the large build.
#[derive(Debug)]
struct Taken(Arc<Lane>);

impl Memory for Builds {
    fn limit(&self) -> u64 {
        self.limit
    }

    fn turn(&self) -> Turn {
        let mut is_taken = self.lane.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *is_taken {
            is_taken = self.lane.is_free.wait(is_taken).unwrap_or_else(PoisonError::into_inner);
        }
        *is_taken = true;
        Arc::new(Taken(Arc::clone(&self.lane)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.is_taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.is_free.notify_one();
    }
}

/// Work, and the sender of its answer.
struct Task {
    work: Work,
    answer: oneshot::Sender<Result<(), String>>,
}

/// The threads. They end with the process, which does not wait for them.
#[derive(Debug)]
pub(crate) struct Threads {
    tasks: Sender<Task>,
    memory: Arc<Builds>,
}

impl Threads {
    /// Starts the threads, for a process that may use `memory` bytes; an error if the system gives none.
    pub(crate) fn start(memory: u64) -> std::io::Result<Self> {
        let (tasks, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..THREADS {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name("build".into()).stack_size(STACK_SIZE);
            thread.spawn(move || work_off(&queue))?;
        }
        let limit = memory.saturating_sub(BESIDE).max(LEAST);
        Ok(Self { tasks, memory: Arc::new(Builds { limit, lane: Arc::default() }) })
    }
}

impl Workers for Threads {
    fn memory(&self) -> Option<Arc<dyn Memory>> {
        Some(Arc::clone(&self.memory) as Arc<dyn Memory>)
    }

    fn run(&self, work: Work) -> Ended {
        let (answer, ended) = oneshot::channel();
        // The threads end only with the last sender, so the send succeeds.
        let _ = self.tasks.send(Task { work, answer });
        Box::pin(async move { ended.await.unwrap_or_else(|_| Err("a thread that has ended".into())) })
    }
}

/// Runs one task after the other until the queue is closed.
fn work_off(queue: &Mutex<Receiver<Task>>) {
    let mut shelf = Shelf::default();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Task { work, answer }) = next else { return };
        if answer.is_closed() {
            continue;
        }
        let ended = catch_unwind(AssertUnwindSafe(|| work(&mut shelf))).map_err(|_| fault::place());
        if ended.is_err() {
            shelf = Shelf::default();
        }
        // The receiver is gone if the run was cancelled.
        let _ = answer.send(ended);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Work that lasts until the sender is dropped.
    fn lasting() -> (Sender<()>, Work) {
        let (end, ended) = channel::<()>();
        (end, Box::new(move |_| _ = ended.recv()))
    }

    #[test]
    fn one_large_build_is_under_way_at_a_time() {
        let threads = Threads::start(256 << 20).unwrap();
        let memory = threads.memory().unwrap();
        assert_eq!(memory.limit(), 160 << 20);
        let (first, order) = (memory.turn(), Arc::new(Mutex::new(Vec::new())));
        let second = {
            let (memory, order) = (Arc::clone(&memory), Arc::clone(&order));
            std::thread::spawn(move || {
                let _turn = memory.turn();
                order.lock().unwrap().push("second");
            })
        };
        order.lock().unwrap().push("first");
        drop(first);
        second.join().unwrap();
        assert_eq!(*order.lock().unwrap(), ["first", "second"]);
        drop(memory.turn());
        assert_eq!(Threads::start(0).unwrap().memory().unwrap().limit(), LEAST);
    }

    #[tokio::test]
    async fn the_runtime_goes_on_while_all_threads_build() {
        let threads = Threads::start(256 << 20).unwrap();
        let (ends, works): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| lasting()).unzip();
        let running: Vec<Ended> = works.into_iter().map(|work| threads.run(work)).collect();
        // This runtime has one thread, and a build on it would stop everything else.
        tokio::task::yield_now().await;
        drop(ends);
        for ended in running {
            assert_eq!(ended.await, Ok(()));
        }
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun() {
        let threads = Threads::start(256 << 20).unwrap();
        let (ends, works): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| lasting()).unzip();
        let running: Vec<Ended> = works.into_iter().map(|work| threads.run(work)).collect();
        let done = Arc::new(AtomicUsize::new(0));
        let count = |done: &Arc<AtomicUsize>| -> Work {
            let done = Arc::clone(done);
            Box::new(move |_| _ = done.fetch_add(1, Ordering::Relaxed))
        };
        drop(threads.run(count(&done)));
        let wanted = threads.run(count(&done));
        drop(ends);
        assert_eq!(wanted.await, Ok(()));
        for ended in running {
            ended.await.unwrap();
        }
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_panic_is_told_and_leaves_the_thread() {
        let threads = Threads::start(256 << 20).unwrap();
        for _ in 0..=THREADS {
            assert!(threads.run(Box::new(|_| panic!("on purpose"))).await.is_err());
        }
        assert_eq!(threads.run(Box::new(|_| ())).await, Ok(()));
    }

    #[tokio::test]
    async fn a_build_has_a_large_stack() {
        fn deep(levels: usize) -> u8 {
            let frame = std::hint::black_box([0_u8; 1024]);
            if levels == 0 { frame[0] } else { deep(levels - 1).max(frame[1]) }
        }
        let threads = Threads::start(256 << 20).unwrap();
        // These are 64 MiB of frames at least, while a thread's default stack has 2 MiB.
        assert_eq!(threads.run(Box::new(|_| assert_eq!(deep(64 * 1024), 0))).await, Ok(()));
    }
}

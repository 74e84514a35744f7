//! Ranks as threads of a test: the simplest exchange that is right.

use spikingbrain_engine::config::Rank;
use spikingbrain_engine::model::exchange::Exchange;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};

#[derive(Debug, Default)]
struct Round {
    number: usize,
    arrived: usize,
    numbers: [Vec<f32>; 2],
    left: Option<u32>,
}

#[derive(Debug)]
struct Shared {
    ranks: usize,
    round: Mutex<Round>,
    changed: Condvar,
    barrier: Barrier,
    handed_in: AtomicUsize,
}

/// One rank's end.
#[derive(Debug, Clone)]
pub struct Meeting {
    pub rank: Rank,
    shared: Arc<Shared>,
}

impl Exchange for Meeting {
    fn gather(&self, own: &[f32], at: usize, all: &mut [f32]) -> Result<(), u32> {
        self.shared.handed_in.fetch_add(own.len(), Ordering::Relaxed);
        let mut round = self.shared.round.lock().unwrap();
        let number = round.number;
        let numbers = &mut round.numbers[number % 2];
        if numbers.len() < at + own.len() {
            numbers.resize(at + own.len(), 0.0);
        }
        numbers[at..at + own.len()].copy_from_slice(own);
        round.arrived += 1;
        if round.arrived == self.shared.ranks {
            (round.arrived, round.number) = (0, number + 1);
            self.shared.changed.notify_all();
        }
        let round = self.shared.changed.wait_while(round, |round| round.number == number && round.left.is_none()).unwrap();
        if round.number == number
            && let Some(code) = round.left
        {
            return Err(code);
        }
        all.copy_from_slice(&round.numbers[number % 2][..all.len()]);
        Ok(())
    }

    fn leave(&self, code: u32) {
        self.shared.round.lock().unwrap().left.get_or_insert(code);
        self.shared.changed.notify_all();
    }
}

impl Meeting {
    /// Numbers that all ranks have handed in; to be asked where none is under way.
    pub fn handed_in(&self) -> usize {
        self.shared.barrier.wait();
        let numbers = self.shared.handed_in.load(Ordering::Relaxed);
        self.shared.barrier.wait();
        numbers
    }

    /// After a failure, once every rank has come here, all may go on.
    pub fn set_back(&self) {
        self.shared.barrier.wait();
        let mut round = self.shared.round.lock().unwrap();
        (round.left, round.arrived) = (None, 0);
        drop(round);
        self.shared.barrier.wait();
    }
}

/// What each of so many ranks makes, in their order.
pub fn ranks<T: Send>(ranks: usize, work: impl Fn(Meeting) -> T + Sync) -> Vec<T> {
    let shared = Arc::new(Shared {
        ranks,
        round: Mutex::default(),
        changed: Condvar::new(),
        barrier: Barrier::new(ranks),
        handed_in: AtomicUsize::new(0),
    });
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..ranks)
            .map(|number| {
                let meeting = Meeting { rank: Rank::new(number, ranks).unwrap(), shared: Arc::clone(&shared) };
                let work = &work;
                scope.spawn(move || work(meeting))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

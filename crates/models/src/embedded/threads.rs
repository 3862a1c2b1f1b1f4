//! How many threads decode.
//!
//! The engine's threads wait for each other by spinning, some hundred times for every token. When one of them does not
//! get its core because another process is busy, all wait: two threads on two cores beside one busy process decode forty
//! times slower than alone, while one thread keeps most of its speed. So the number of threads follows what is measured:
//! the processor time that the process really got while it decoded. Cores that were missing are given up at once; from
//! time to time one more thread is tried, ever more seldom as long as that fails.

use std::time::Duration;

/// Missing this much of a core means that someone else is using it.
const MISSING: f64 = 0.25;
/// Measurements shorter than this say little: a scheduler's time slice is a few milliseconds.
const WINDOW: Duration = Duration::from_millis(60);
/// The first wait before one more thread is tried; doubled after each failure.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait: bounds both what failed tries cost and how long free cores stay unused.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Chooses the number of threads from measurements; a pure state machine without a clock.
#[derive(Clone, Debug)]
pub(super) struct Threads {
    most: u32,
    now: u32,
    wall: Duration,
    cpu: Duration,
    /// Decoding time since the last change.
    settled: Duration,
    wait: Duration,
    /// Whether the present number is a try that has not been measured yet.
    trying: bool,
}

impl Threads {
    /// Begins with all of `most` threads.
    pub(super) fn new(most: u32) -> Self {
        let most = most.max(1);
        Threads {
            most,
            now: most,
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            settled: Duration::ZERO,
            wait: FIRST_WAIT,
            trying: false,
        }
    }

    /// The number of threads to use next.
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// Takes in one evaluated batch: how long it took and how much processor time the process got meanwhile.
    pub(super) fn observe(&mut self, wall: Duration, cpu: Duration) {
        self.wall += wall;
        self.cpu += cpu;
        self.settled += wall;
        if self.wall < WINDOW {
            return;
        }
        let missing = f64::from(self.now) - self.cpu.as_secs_f64() / self.wall.as_secs_f64();
        (self.wall, self.cpu) = (Duration::ZERO, Duration::ZERO);
        if self.now > 1 && missing > MISSING {
            self.give_up(missing);
        } else {
            self.grow();
        }
    }

    fn give_up(&mut self, missing: f64) {
        if self.trying {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        let fewer = (missing.round() as u32).max(1);
        self.change(self.now.saturating_sub(fewer).max(1), false);
    }

    fn grow(&mut self) {
        if self.trying {
            self.trying = false;
            self.wait = FIRST_WAIT;
        }
        if self.now < self.most && self.settled >= self.wait {
            self.change(self.now + 1, true);
        }
    }

    fn change(&mut self, threads: u32, trying: bool) {
        self.now = threads;
        self.trying = trying;
        self.settled = Duration::ZERO;
    }
}

/// Cores that this process may use.
pub(super) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// Processor time that this process has used so far, over all its threads; `None` where the system does not say.
pub(super) fn cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call only fills the structure it is given.
        let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let nanos = u32::try_from(time.tv_nsec).ok()?;
        (status == 0).then(|| Duration::new(seconds, nanos))
    }
    #[cfg(not(unix))]
    {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(20);

    /// Lets `threads` run for `seconds` on `cores` of which `busy` are used by others, shared fairly.
    fn run(threads: &mut Threads, seconds: f64, cores: f64, busy: f64) -> Vec<u32> {
        let mut seen = Vec::new();
        for _ in 0..(seconds / STEP.as_secs_f64()) as usize {
            let wanted = f64::from(threads.now());
            let got = wanted.min(cores * wanted / (wanted + busy)).min(wanted);
            threads.observe(STEP, STEP.mul_f64(got));
            seen.push(threads.now());
        }
        seen
    }

    #[test]
    fn alone_all_cores_are_kept() {
        let mut t = Threads::new(2);
        assert!(run(&mut t, 20.0, 2.0, 0.0).iter().all(|n| *n == 2));
    }

    #[test]
    fn beside_one_busy_process_one_core_is_given_up_at_once() {
        let mut t = Threads::new(2);
        let seen = run(&mut t, 0.1, 2.0, 1.0);
        assert_eq!(seen.last(), Some(&1));
    }

    #[test]
    fn tries_become_rare_and_cost_little() {
        let mut t = Threads::new(2);
        let seen = run(&mut t, 60.0, 2.0, 1.0);
        let wasted = seen.iter().filter(|n| **n == 2).count() as f64 / seen.len() as f64;
        assert!(wasted < 0.02, "{wasted}");
        assert!(seen[500..].contains(&2), "a free core would be noticed");
    }

    #[test]
    fn free_cores_are_taken_again() {
        let mut t = Threads::new(4);
        run(&mut t, 10.0, 4.0, 2.0);
        assert!(t.now() <= 3, "{}", t.now());
        let seen = run(&mut t, 20.0, 4.0, 0.0);
        assert_eq!(seen.last(), Some(&4));
    }

    #[test]
    fn many_cores_settle_where_nobody_waits() {
        let mut t = Threads::new(16);
        run(&mut t, 3.0, 16.0, 8.0);
        assert!((7..=9).contains(&t.now()), "{}", t.now());
    }

    #[test]
    fn never_below_one_nor_above_the_most() {
        let mut t = Threads::new(1);
        assert!(run(&mut t, 5.0, 1.0, 3.0).iter().all(|n| *n == 1));
        assert_eq!(Threads::new(0).now(), 1);
    }
}

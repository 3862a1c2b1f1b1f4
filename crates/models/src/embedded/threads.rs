//! How many threads decode.
//!
//! The engine's threads wait for each other by spinning, some hundred times for every token. When one of them does not
//! get its core because another process is busy, all wait: two threads on two cores beside one busy process decode forty
//! times slower than alone, while one thread keeps most of its speed. So the number of threads follows what is measured:
//! the processor time that the process really got while it decoded. Cores that were missing are given up at once. One
//! more thread is tried from time to time, ever more seldom as long as that fails, and not at all while the system
//! (Linux only) says that no core is idle.

use std::time::{Duration, Instant};

/// Missing this much of a core means that someone else is using it.
const MISSING: f64 = 0.25;
/// Measurements shorter than this say little: a scheduler's time slice is a few milliseconds.
const WINDOW: Duration = Duration::from_millis(60);
/// The first wait before one more thread is tried; doubled after each failure.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How long idle cores are watched before one is believed to be free, and how much of one must be idle.
const WATCH: Duration = Duration::from_millis(300);
const IDLE: f64 = 0.6;
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
    /// Idle core-seconds that were seen, and over how long.
    idle: f64,
    watched: Duration,
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
            idle: 0.0,
            watched: Duration::ZERO,
            trying: false,
        }
    }

    /// The number of threads to use next.
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// Takes in one evaluated batch: how long it took and how much processor time the process got meanwhile. `idle`
    /// tells how many cores of the machine were idle since it was last asked, where that is known.
    pub(super) fn observe(&mut self, wall: Duration, cpu: Duration, idle: impl FnOnce() -> Option<f64>) {
        self.wall += wall;
        self.cpu += cpu;
        self.settled += wall;
        if self.wall < WINDOW {
            return;
        }
        let missing = f64::from(self.now) - self.cpu.as_secs_f64() / self.wall.as_secs_f64();
        let window = self.wall;
        (self.wall, self.cpu) = (Duration::ZERO, Duration::ZERO);
        if self.now > 1 && missing > MISSING {
            self.give_up(missing);
        } else {
            self.grow(window, idle());
        }
    }

    fn give_up(&mut self, missing: f64) {
        if self.trying {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        let fewer = (missing.round() as u32).max(1);
        self.change(self.now.saturating_sub(fewer).max(1), false);
    }

    fn grow(&mut self, window: Duration, idle: Option<f64>) {
        if self.trying {
            self.trying = false;
            self.wait = FIRST_WAIT;
        }
        // Where nobody tells, hope.
        self.idle += idle.unwrap_or(f64::INFINITY) * window.as_secs_f64();
        self.watched += window;
        if self.watched < WATCH {
            return;
        }
        let free = self.idle / self.watched.as_secs_f64() >= IDLE;
        self.watch_again();
        if self.now < self.most && free && self.settled >= self.wait {
            self.change(self.now + 1, true);
        }
    }

    fn change(&mut self, threads: u32, trying: bool) {
        self.now = threads;
        self.trying = trying;
        self.settled = Duration::ZERO;
        self.watch_again();
    }

    fn watch_again(&mut self) {
        (self.idle, self.watched) = (0.0, Duration::ZERO);
    }
}

/// Watches the idle cores of the machine.
#[derive(Debug)]
pub(super) struct IdleClock {
    since: Instant,
    before: Option<f64>,
}

impl IdleClock {
    pub(super) fn start() -> Self {
        IdleClock { since: Instant::now(), before: idle_seconds() }
    }

    /// Idle cores, averaged since the start or the last call; `None` where the system does not say.
    pub(super) fn lap(&mut self) -> Option<f64> {
        let next = IdleClock::start();
        let wall = next.since.duration_since(self.since).as_secs_f64();
        let idle = next.before.zip(self.before).map(|(after, before)| (after - before) / wall.max(1e-6));
        *self = next;
        idle
    }
}

/// Seconds that all cores of the machine have been idle.
#[cfg(target_os = "linux")]
fn idle_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().skip(3);
    let idle: f64 = fields.next()?.parse().ok()?;
    let waiting: f64 = fields.next()?.parse().ok()?;
    // SAFETY: a plain query.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    (ticks > 0).then(|| (idle + waiting) / ticks as f64)
}

#[cfg(not(target_os = "linux"))]
fn idle_seconds() -> Option<f64> {
    None
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

    /// Lets `threads` run for `seconds` on `cores` of which `busy` are used by others, shared fairly. `told` says
    /// whether the system tells of idle cores.
    fn run(threads: &mut Threads, seconds: f64, cores: f64, busy: f64, told: bool) -> Vec<u32> {
        let mut seen = Vec::new();
        for _ in 0..(seconds / STEP.as_secs_f64()) as usize {
            let wanted = f64::from(threads.now());
            let got = wanted.min(cores * wanted / (wanted + busy));
            let idle = (cores - wanted - busy).max(0.0);
            threads.observe(STEP, STEP.mul_f64(got), || told.then_some(idle));
            seen.push(threads.now());
        }
        seen
    }

    #[test]
    fn alone_all_cores_are_kept() {
        let mut t = Threads::new(2);
        assert!(run(&mut t, 20.0, 2.0, 0.0, true).iter().all(|n| *n == 2));
    }

    #[test]
    fn beside_one_busy_process_one_core_is_given_up_at_once() {
        let mut t = Threads::new(2);
        let seen = run(&mut t, 0.1, 2.0, 1.0, true);
        assert_eq!(seen.last(), Some(&1));
    }

    #[test]
    fn without_idle_cores_nothing_is_tried() {
        let mut t = Threads::new(2);
        let seen = run(&mut t, 60.0, 2.0, 1.0, true);
        assert!(seen[10..].iter().all(|n| *n == 1));
    }

    #[test]
    fn where_nobody_tells_tries_become_rare() {
        let mut t = Threads::new(2);
        let seen = run(&mut t, 60.0, 2.0, 1.0, false);
        let wasted = seen.iter().filter(|n| **n == 2).count() as f64 / seen.len() as f64;
        assert!(wasted < 0.02, "{wasted}");
        assert!(seen[500..].contains(&2), "a free core would be noticed");
    }

    #[test]
    fn free_cores_are_taken_again() {
        for told in [true, false] {
            let mut t = Threads::new(4);
            run(&mut t, 10.0, 4.0, 2.0, told);
            assert!(t.now() <= 3, "{}", t.now());
            let seen = run(&mut t, 20.0, 4.0, 0.0, told);
            assert_eq!(seen.last(), Some(&4));
        }
    }

    #[test]
    fn many_cores_settle_where_nobody_waits() {
        let mut t = Threads::new(16);
        run(&mut t, 3.0, 16.0, 8.0, true);
        assert!((7..=9).contains(&t.now()), "{}", t.now());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_of_idle_cores_and_processor_time() {
        let mut clock = IdleClock::start();
        std::thread::sleep(Duration::from_millis(30));
        let idle = clock.lap().unwrap();
        assert!((0.0..1e6).contains(&idle), "{idle}");
        assert!(cpu_time().unwrap() > Duration::ZERO);
    }

    #[test]
    fn never_below_one_nor_above_the_most() {
        let mut t = Threads::new(1);
        assert!(run(&mut t, 5.0, 1.0, 3.0, true).iter().all(|n| *n == 1));
        assert_eq!(Threads::new(0).now(), 1);
    }
}

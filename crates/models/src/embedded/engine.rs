//! The thread that decodes.
//!
//! One thread serves all embedded models of the process, one step of each in turn. So only one context is created or
//! used at a time, two models never decode on the same cores at once (their spinning threads would starve each other),
//! and all share what was learnt about the cores that are free.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::slot::{Evaluated, Job, Slot};
use super::threads::{IdleClock, Threads, cores, cpu_time};
use super::weights::Weights;
use crate::{ModelError, ModelErrorKind};

/// Requests that may wait before callers are held back.
const QUEUE: usize = 1024;
/// The engine parses grammars recursively.
const STACK_BYTES: usize = 16 << 20;

/// What the engine's thread is told.
pub(super) enum Command {
    /// Draw samples.
    Draw(Box<Job>),
    /// A model is no longer used: free what nobody uses.
    Sweep,
}

/// Held during every batch. At exit it is taken and kept, so that no batch runs while the engine's statics go away.
static STEP: Mutex<()> = Mutex::new(());

static ENGINE: OnceLock<Option<mpsc::Sender<Command>>> = OnceLock::new();

/// The way to the engine's thread, which the first caller starts.
pub(super) fn engine() -> Result<&'static mpsc::Sender<Command>, ModelError> {
    ENGINE
        .get_or_init(|| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let thread = std::thread::Builder::new().name("agenttts-engine".into()).stack_size(STACK_BYTES);
            thread.spawn(move || run(receiver)).ok()?;
            stop_at_exit();
            Some(sender)
        })
        .as_ref()
        .ok_or_else(|| ModelError::new(ModelErrorKind::Engine, "the engine's thread could not be started"))
}

/// Frees the contexts of models that nobody uses any more, soon.
pub(super) fn sweep() {
    if let Some(Some(engine)) = ENGINE.get() {
        // A full queue means that the engine is at work; it sweeps anyway then.
        let _ = engine.try_send(Command::Sweep);
    }
}

fn run(mut commands: mpsc::Receiver<Command>) {
    let mut threads = Threads::new(cores());
    let mut idle = IdleClock::start();
    let mut slots: Vec<(Weak<Weights>, Slot)> = Vec::new();
    loop {
        if !slots.iter().any(|(_, slot)| slot.busy()) {
            let Some(command) = commands.blocking_recv() else { return };
            take(command, &mut slots, threads.now());
            idle = IdleClock::start();
        }
        while let Ok(command) = commands.try_recv() {
            take(command, &mut slots, threads.now());
        }
        slots.retain(|(weights, slot)| slot.busy() || weights.strong_count() > 0);
        for (_, slot) in slots.iter_mut().filter(|(_, slot)| slot.busy()) {
            slot.set_threads(threads.now());
            if let Some(Evaluated { wall, cpu: Some(cpu) }) = slot.step(measure) {
                let before = threads.now();
                threads.observe(wall, cpu, || idle.lap());
                if threads.now() != before {
                    tracing::debug!(from = before, to = threads.now(), "decoding threads changed");
                }
            }
        }
    }
}

fn take(command: Command, slots: &mut Vec<(Weak<Weights>, Slot)>, threads: u32) {
    let Command::Draw(job) = command else { return };
    let known = slots.iter_mut().find(|(weights, _)| std::ptr::eq(weights.as_ptr(), Arc::as_ptr(&job.weights)));
    if let Some((_, slot)) = known {
        return slot.push(*job);
    }
    match Slot::new(&job.weights, threads) {
        Ok(mut slot) => {
            let weights = Arc::downgrade(&job.weights);
            slot.push(*job);
            slots.push((weights, slot));
        }
        Err(message) => job.fail(&ModelError::new(ModelErrorKind::Engine, message)),
    }
}

fn measure(evaluate: &mut dyn FnMut()) -> Evaluated {
    let _step = STEP.lock().unwrap_or_else(PoisonError::into_inner);
    let (wall, cpu) = (Instant::now(), cpu_time());
    evaluate();
    let cpu = cpu.zip(cpu_time()).map(|(before, after)| after.saturating_sub(before));
    Evaluated { wall: wall.elapsed().max(Duration::from_nanos(1)), cpu }
}

fn stop_at_exit() {
    #[cfg(unix)]
    {
        extern "C" fn stop() {
            std::mem::forget(STEP.lock().unwrap_or_else(PoisonError::into_inner));
        }
        // SAFETY: registers a function that neither unwinds nor uses anything that exit has torn down.
        unsafe { libc::atexit(stop) };
    }
}

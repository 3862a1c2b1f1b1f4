//! The thread that decodes.
//!
//! One thread serves all embedded models of the process, one step of each in turn. So only one context is created or
//! used at a time, two models never decode on the same cores at once (their spinning threads would starve each other),
//! and all share what was learnt about the cores that are free.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::memory::{Holding, give_up};
use super::model_file::ModelFile;
use super::slot::{Evaluated, Job, Slot};
use super::threads::{IdleClock, Threads, cores, cpu_time};
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

/// Held while the engine does anything. At exit it is taken and kept, so that nothing runs while the engine's statics go away.
static STEP: Mutex<()> = Mutex::new(());

fn step() -> MutexGuard<'static, ()> {
    STEP.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let mut models = Models::default();
    loop {
        if !models.busy() {
            let Some(command) = commands.blocking_recv() else { return };
            models.take(command);
            idle = IdleClock::start();
        }
        while let Ok(command) = commands.try_recv() {
            models.take(command);
        }
        models.sweep();
        if models.place(threads.now()) {
            // While weights are loaded most cores are idle, whoever else would have them.
            idle = IdleClock::start();
        }
        for slot in models.loaded.iter_mut().map(|loaded| &mut loaded.slot).filter(|slot| slot.busy()) {
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

/// The models that are loaded, and the jobs of those that are not.
#[derive(Default)]
struct Models {
    loaded: Vec<Loaded>,
    waiting: VecDeque<Job>,
    /// Whether those that wait were told to before.
    held_up: bool,
    /// Counts jobs: the clock of who was used when.
    jobs: u64,
}

struct Loaded {
    file: Weak<ModelFile>,
    slot: Slot,
    holding: Holding,
}

impl Models {
    fn busy(&self) -> bool {
        !self.waiting.is_empty() || self.loaded.iter().any(|loaded| loaded.slot.busy())
    }

    fn take(&mut self, command: Command) {
        if let Command::Draw(job) = command {
            self.waiting.push_back(*job);
        }
    }

    /// Frees the models that nobody uses.
    fn sweep(&mut self) {
        self.waiting.retain(|job| !job.reply.is_closed());
        let _step = step();
        self.loaded.retain(|loaded| loaded.slot.busy() || loaded.file.strong_count() > 0);
    }

    /// Brings jobs to their models in the order in which they came; whether a model was loaded for them. Where one has to wait
    /// until there is memory for its model, those behind it wait too, or it might wait for ever; but those of the model that
    /// is loaded then join it.
    fn place(&mut self, threads: u32) -> bool {
        let mut has_loaded = false;
        while let Some(job) = self.waiting.front() {
            let (file, memory) = (Arc::clone(&job.file), job.memory);
            let mut late = self.held_up;
            if self.find(&file).is_none() {
                if !self.make_room(&file, memory) {
                    self.held_up = true;
                    return has_loaded;
                }
                let _step = step();
                match Slot::new(&file, threads) {
                    Ok(slot) => {
                        let holding = Holding { bytes: file.memory(), used: self.jobs, busy: false };
                        self.loaded.push(Loaded { file: Arc::downgrade(&file), slot, holding });
                    }
                    Err(error) => {
                        self.jobs_of(&file).into_iter().for_each(|job| job.fail(&error));
                        continue;
                    }
                }
                (late, has_loaded) = (true, true);
            }
            let jobs = self.jobs_of(&file);
            self.jobs += jobs.len() as u64;
            let now = self.jobs;
            let Some(loaded) = self.find(&file) else { continue };
            loaded.holding.used = now;
            for mut job in jobs {
                if late {
                    // What a draw takes does not depend on what else was loaded.
                    job.started = Instant::now();
                }
                loaded.slot.push(job);
            }
        }
        self.held_up = false;
        has_loaded
    }

    /// Gives up idle models until there is room for another one; false where it must wait for those at work. One that is larger
    /// than the limit, as another caller opened it with a longer context, has room once it is alone.
    fn make_room(&mut self, file: &ModelFile, limit: Option<u64>) -> bool {
        let Some(limit) = limit else { return true };
        let need = file.memory().min(limit);
        let holding = |loaded: &Loaded| Holding { busy: loaded.slot.busy(), ..loaded.holding };
        let holdings: Vec<Holding> = self.loaded.iter().map(holding).collect();
        let Some(mut gone) = give_up(&holdings, need, limit) else { return false };
        gone.sort_unstable();
        let _step = step();
        for at in gone.into_iter().rev() {
            let Loaded { file, .. } = self.loaded.remove(at);
            if let Some(file) = file.upgrade() {
                tracing::debug!(model = %file.path().display(), "a model is given up for another one");
            }
        }
        true
    }

    fn find(&mut self, file: &Arc<ModelFile>) -> Option<&mut Loaded> {
        self.loaded.iter_mut().find(|loaded| std::ptr::eq(loaded.file.as_ptr(), Arc::as_ptr(file)))
    }

    /// Takes the jobs that wait for a model.
    fn jobs_of(&mut self, file: &Arc<ModelFile>) -> Vec<Job> {
        let (jobs, others): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|job| Arc::ptr_eq(&job.file, file));
        self.waiting = others.into();
        jobs
    }
}

fn measure(evaluate: &mut dyn FnMut()) -> Evaluated {
    let _step = step();
    let (wall, cpu) = (Instant::now(), cpu_time());
    evaluate();
    let cpu = cpu.zip(cpu_time()).map(|(before, after)| after.saturating_sub(before));
    Evaluated { wall: wall.elapsed().max(Duration::from_nanos(1)), cpu }
}

fn stop_at_exit() {
    #[cfg(unix)]
    {
        extern "C" fn stop() {
            std::mem::forget(step());
        }
        // SAFETY: registers a function that neither unwinds nor uses anything that exit has torn down.
        unsafe { libc::atexit(stop) };
    }
}

//! Admission: so many requests at once, a bounded queue behind them, and fairness between clients in it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

/// Admits requests.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    state: Arc<Mutex<State>>,
    at_once: usize,
    waiting: usize,
}

/// Whoever waits hears that it is its turn, or that it was refused after all.
type Turn = oneshot::Sender<Result<Pass, Refused>>;

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// Clients that wait, each with its requests; whoever is first gets the next place with one of them.
    clients: VecDeque<(String, VecDeque<Turn>)>,
    /// Seconds that a request took lately.
    seconds: f64,
    closed: bool,
}

/// A place among the running requests, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Gate,
    since: Instant,
    /// Whether it holds a place: not where nobody took it.
    held: bool,
}

/// Why a request was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full; seconds until there should be room.
    Full(u64),
    /// The server ends.
    Closed,
}

impl Gate {
    /// `at_once` requests run, at most `waiting` wait.
    pub(crate) fn new(at_once: usize, waiting: usize) -> Self {
        Gate { state: Arc::default(), at_once: at_once.max(1), waiting }
    }

    /// Waits for a place. Dropped while it waits, it gives up its turn. Where the queue is full, the client that has most in it
    /// makes room for one that has less: nobody fills it for all others.
    pub(crate) async fn enter(&self, client: &str) -> Result<Pass, Refused> {
        let turn = {
            let mut state = self.lock();
            if state.closed {
                return Err(Refused::Closed);
            }
            if state.running < self.at_once && state.clients.is_empty() {
                state.running += 1;
                return Ok(self.pass());
            }
            state.clients.iter_mut().for_each(|(_, turns)| turns.retain(|turn| !turn.is_closed()));
            state.clients.retain(|(_, turns)| !turns.is_empty());
            let waiting = state.waiting();
            if waiting >= self.waiting {
                let rounds = (waiting as f64 + 1.0) / self.at_once as f64;
                let full = Refused::Full((rounds * state.seconds).ceil().clamp(1.0, 600.0) as u64);
                match state.makes_room_for(client) {
                    // Nobody hears it where it was given up in this moment: there is room all the same.
                    Some(last) => drop(last.send(Err(full))),
                    None => return Err(full),
                }
            }
            let (sender, turn) = oneshot::channel();
            match state.clients.iter_mut().find(|(name, _)| name == client) {
                Some((_, turns)) => turns.push_back(sender),
                None => state.clients.push_back((client.to_owned(), VecDeque::from([sender]))),
            }
            turn
        };
        turn.await.unwrap_or(Err(Refused::Closed))
    }

    /// Requests that run and that wait.
    pub(crate) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running, state.waiting())
    }

    /// Takes no requests any more; those that wait still get their turn.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Whether it takes requests no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn pass(&self) -> Pass {
        Pass { gate: self.clone(), since: Instant::now(), held: true }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place that became free to the next in turn.
    fn leave(&self, seconds: f64) {
        const WEIGHT: f64 = 0.1;
        let mut state = self.lock();
        state.running -= 1;
        state.seconds = if state.seconds > 0.0 { (1.0 - WEIGHT) * state.seconds + WEIGHT * seconds } else { seconds };
        while state.running < self.at_once {
            let Some(turn) = state.next() else { break };
            state.running += 1;
            if let Err(Ok(mut pass)) = turn.send(Ok(self.pass())) {
                // Nobody waits for it any more.
                state.running -= 1;
                pass.held = false;
            }
        }
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.clients.iter().map(|(_, turns)| turns.iter().filter(|turn| !turn.is_closed()).count()).sum()
    }

    /// The last request of the client with most of them, where one of `client` would not make that the one with most.
    fn makes_room_for(&mut self, client: &str) -> Option<Turn> {
        let own = self.clients.iter().find(|(name, _)| name == client).map_or(0, |(_, turns)| turns.len());
        let (_, most) = self.clients.iter_mut().max_by_key(|(_, turns)| turns.len())?;
        if most.len() > own + 1 { most.pop_back() } else { None }
    }

    fn next(&mut self) -> Option<Turn> {
        let (client, mut turns) = self.clients.pop_front()?;
        let turn = turns.pop_front();
        if !turns.is_empty() {
            self.clients.push_back((client, turns));
        }
        turn
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.held {
            self.gate.leave(self.since.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn clients_take_turns_whoever_asked_more() {
        let gate = Gate::new(1, 100);
        let first = gate.enter("other").await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for client in ["greedy", "greedy", "greedy", "modest"] {
            let (queue, order) = (gate.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let _pass = queue.enter(client).await.unwrap();
                order.lock().unwrap().push(client);
            }));
            while gate.load().1 < tasks.len() {
                tokio::task::yield_now().await;
            }
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["greedy", "modest", "greedy", "greedy"]);
        assert_eq!(gate.load(), (0, 0));
    }

    #[tokio::test]
    async fn whoever_fills_the_queue_makes_room_for_others() {
        let gate = Gate::new(1, 4);
        let running = gate.enter("greedy").await.unwrap();
        let mut tasks = Vec::new();
        for client in ["greedy", "greedy", "greedy", "greedy", "modest", "third"] {
            let queue = gate.clone();
            let waits = gate.load().1;
            tasks.push((client, tokio::spawn(async move { queue.enter(client).await.map(drop) })));
            while gate.load().1 == waits && waits < 4 {
                tokio::task::yield_now().await;
            }
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(gate.enter("modest").await.unwrap_err(), Refused::Full(1), "two of each are fair");
        drop(running);
        let mut ended = Vec::new();
        for (client, task) in tasks {
            ended.push((client, task.await.unwrap().is_ok()));
        }
        let [a, b, c, d] = [("greedy", true), ("greedy", true), ("greedy", false), ("greedy", false)];
        assert_eq!(ended, [a, b, c, d, ("modest", true), ("third", true)]);
    }

    #[tokio::test]
    async fn a_full_queue_says_when_to_come_again_and_who_gives_up_makes_room() {
        let gate = Gate::new(1, 1);
        let running = gate.enter("a").await.unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(20), gate.enter("a"));
        assert!(waits.await.is_err(), "it waited, and gave up");
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter("a").await.map(drop) }
        });
        while gate.load().1 == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.enter("b").await.unwrap_err(), Refused::Full(1));
        gate.close();
        assert_eq!(gate.enter("b").await.unwrap_err(), Refused::Closed);
        drop(running);
        assert!(waiting.await.unwrap().is_ok(), "who waits already still gets a turn");
        assert_eq!(gate.load(), (0, 0));
    }
}

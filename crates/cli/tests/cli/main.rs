//! The program as its users meet it: exit code, standard output and standard error together.

// Helpers of tests may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod bench;
mod care;
mod check;
mod code;
mod cost;
mod data;
mod first_steps;
mod flow;
mod judge;
mod kill;
mod models;
mod partial;
mod pilot;
mod profiles;
mod provider;
mod replan;
mod robust;
mod run;
mod serve;
mod steps;
mod stop;
mod store;
mod support;
mod tape;
mod too_long;
mod ui;
mod watch;

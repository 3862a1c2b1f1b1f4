//! The launcher as a program of its own, for programs that cannot be started again as one, such as tests.

fn main() {
    agenttts_sandbox::become_launcher_if_asked();
}

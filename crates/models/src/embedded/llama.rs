//! The engine's context, which the `llama-cpp-2` crate does not let change its number of threads.
//!
//! A context belongs to one thread at a time; its sequences, positions and tokens
//! are checked by the caller (`slot.rs`), because the engine aborts the process on some wrong ones.

use std::ptr::NonNull;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_sys_2 as sys;

/// How large a context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContextSize {
    /// Key-value cells, shared by all sequences.
    pub(super) cells: u32,
    /// Sequences; the engine allows 256.
    pub(super) sequences: u32,
    /// Tokens of one batch.
    pub(super) batch: u32,
}

/// A context with one unified key-value cache.
pub(super) struct Context {
    raw: NonNull<sys::llama_context>,
    vocabulary: usize,
    size: ContextSize,
    outputs: usize,
    // The context points to the weights, and is dropped before them.
    _model: LlamaModel,
}

// SAFETY: a llama_context is not bound to a thread, and every method that touches it takes `&mut self` or returns data
// that only a `&mut self` method can invalidate; Context is not Sync.
unsafe impl Send for Context {}

impl Context {
    /// Creates a context. The caller sees to it that no two are created at the same time.
    pub(super) fn new(model: LlamaModel, size: ContextSize, threads: u32) -> Result<Self, String> {
        // SAFETY: plain value.
        let mut params = unsafe { sys::llama_context_default_params() };
        params.n_ctx = size.cells;
        params.n_batch = size.batch;
        params.n_ubatch = size.batch;
        params.n_seq_max = size.sequences;
        // At most one output a sequence, which bounds the memory for logits.
        params.n_outputs_max = size.sequences.min(size.batch);
        params.n_outputs_max_per_seq = 1;
        params.n_threads = threads.cast_signed();
        params.n_threads_batch = threads.cast_signed();
        params.kv_unified = true;
        params.no_perf = true;
        // SAFETY: LlamaModel is `repr(transparent)` over a `repr(transparent)` NonNull<llama_model> in the pinned
        // version of the crate, which offers no accessor.
        let raw_model = unsafe { *std::ptr::from_ref::<LlamaModel>(&model).cast::<*mut sys::llama_model>() };
        // SAFETY: the model is alive; parameters were filled by the engine and adjusted within its limits.
        let raw = unsafe { sys::llama_init_from_model(raw_model, params) };
        let raw = NonNull::new(raw).ok_or_else(|| {
            format!("the engine could not create a context of {} cells (is there enough memory?)", size.cells)
        })?;
        let vocabulary = usize::try_from(model.vocab().n_tokens()).unwrap_or(0);
        Ok(Context { raw, vocabulary, size, outputs: 0, _model: model })
    }

    pub(super) fn size(&self) -> ContextSize {
        self.size
    }

    /// Sets the number of threads of the next batches. Cheap.
    pub(super) fn set_threads(&mut self, threads: u32) {
        let n = threads.cast_signed();
        // SAFETY: the context is alive.
        unsafe { sys::llama_set_n_threads(self.raw.as_ptr(), n, n) }
    }

    /// Evaluates a batch; on failure nothing of it can be relied on.
    pub(super) fn decode(&mut self, batch: &mut Batch) -> Result<(), i32> {
        self.outputs = 0;
        let count = batch.tokens.len();
        if count == 0 || count > self.size.batch as usize || batch.max_sequence() >= self.size.sequences.cast_signed() {
            return Err(-1);
        }
        let mut pointers: Vec<*mut sys::llama_seq_id> = batch.sequences.iter_mut().map(std::ptr::from_mut).collect();
        let raw = sys::llama_batch {
            n_tokens: i32::try_from(count).map_err(|_| -1)?,
            token: batch.tokens.as_mut_ptr(),
            embd: std::ptr::null_mut(),
            pos: batch.positions.as_mut_ptr(),
            n_seq_id: batch.sequence_counts.as_mut_ptr(),
            seq_id: pointers.as_mut_ptr(),
            logits: batch.wanted.as_mut_ptr(),
        };
        // SAFETY: all arrays have `count` entries, live through the call and hold checked values.
        match unsafe { sys::llama_decode(self.raw.as_ptr(), raw) } {
            0 => {
                self.outputs = count;
                Ok(())
            }
            code => Err(code),
        }
    }

    /// The logits of the batch's entry `index`, if it asked for them.
    pub(super) fn logits(&self, index: usize) -> Option<&[f32]> {
        if index >= self.outputs {
            return None;
        }
        // SAFETY: the context is alive and the index lies within its last batch; null where no logits were asked for.
        let data = unsafe { sys::llama_get_logits_ith(self.raw.as_ptr(), i32::try_from(index).ok()?) };
        // SAFETY: the engine holds one row of `vocabulary` floats for an output until the next decode (`&mut self`).
        (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data, self.vocabulary) })
    }

    /// Lets `to` share the first `tokens` cells of `from`; no data is copied.
    pub(super) fn share(&mut self, from: i32, to: i32, tokens: usize) {
        let end = i32::try_from(tokens).unwrap_or(i32::MAX);
        if self.valid(from) && self.valid(to) {
            // SAFETY: both sequences exist.
            unsafe { sys::llama_memory_seq_cp(self.memory(), from, to, 0, end) }
        }
    }

    /// Forgets a sequence; cells that no other sequence shares become free.
    pub(super) fn forget(&mut self, sequence: i32) {
        if self.valid(sequence) {
            // SAFETY: the sequence exists; removing a whole one never fails.
            unsafe { sys::llama_memory_seq_rm(self.memory(), sequence, -1, -1) };
        }
    }

    /// Forgets a sequence from its token `from` on; false where the model's cache cannot be cut.
    pub(super) fn cut(&mut self, sequence: i32, from: usize) -> bool {
        let from = i32::try_from(from).unwrap_or(i32::MAX);
        // SAFETY: the sequence exists.
        self.valid(sequence) && unsafe { sys::llama_memory_seq_rm(self.memory(), sequence, from, -1) }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        // SAFETY: the context is alive.
        unsafe { sys::llama_memory_clear(self.memory(), false) }
    }

    fn valid(&self, sequence: i32) -> bool {
        (0..self.size.sequences.cast_signed()).contains(&sequence)
    }

    fn memory(&self) -> sys::llama_memory_t {
        // SAFETY: the context is alive.
        unsafe { sys::llama_get_memory(self.raw.as_ptr()) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer came from llama_init_from_model and is freed once.
        unsafe { sys::llama_free(self.raw.as_ptr()) }
    }
}

/// Tokens to evaluate together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    tokens: Vec<sys::llama_token>,
    positions: Vec<sys::llama_pos>,
    sequences: Vec<sys::llama_seq_id>,
    sequence_counts: Vec<i32>,
    wanted: Vec<i8>,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.positions.clear();
        self.sequences.clear();
        self.sequence_counts.clear();
        self.wanted.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Adds a token and returns its index; `logits` asks for the distribution after it.
    pub(super) fn push(&mut self, token: LlamaToken, position: usize, sequence: i32, logits: bool) -> usize {
        self.tokens.push(token.0);
        self.positions.push(i32::try_from(position).unwrap_or(i32::MAX));
        self.sequences.push(sequence);
        self.sequence_counts.push(1);
        self.wanted.push(i8::from(logits));
        self.tokens.len() - 1
    }

    fn max_sequence(&self) -> i32 {
        self.sequences.iter().copied().max().unwrap_or(-1)
    }
}

/// The engine's own version.
pub(super) fn engine_version() -> String {
    // SAFETY: a static string.
    let text = unsafe { std::ffi::CStr::from_ptr(sys::llama_version()) };
    text.to_string_lossy().into_owned()
}

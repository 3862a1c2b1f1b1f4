//! A grammar on its way through a sample's text: which tokens may come next.

use std::sync::Arc;

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::vocabulary::Vocabulary;

/// A grammar and where in it a text is.
#[derive(Clone)]
pub(super) struct Grammar {
    state: LlamaSampler,
    vocabulary: Arc<Vocabulary>,
}

impl Grammar {
    /// `state` before any text.
    pub(super) fn new(state: LlamaSampler, vocabulary: Arc<Vocabulary>) -> Self {
        Grammar { state, vocabulary }
    }

    /// Those of the tokens that may come next, in the order given.
    pub(super) fn allowed(&mut self, tokens: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let tokens = tokens.into_iter().filter(|token| !self.vocabulary.leaves_out(*token));
        let data = tokens.map(|t| LlamaTokenData::new(LlamaToken::new(t.cast_signed()), 0.0, 0.0)).collect();
        let mut array = LlamaTokenDataArray::new(data, false);
        self.state.apply(&mut array);
        array.data.iter().filter(|d| d.logit() > f32::NEG_INFINITY).map(|d| d.id().0.cast_unsigned()).collect()
    }

    /// All tokens that may come next.
    pub(super) fn all_allowed(&mut self) -> Vec<u32> {
        let vocabulary = Arc::clone(&self.vocabulary);
        vocabulary.allowed(|tokens| self.allowed(tokens))
    }

    /// Goes on behind a token; false where it may not come next.
    pub(super) fn accept(&mut self, token: LlamaToken) -> bool {
        self.state.try_accept(token).is_ok()
    }
}

//! Samples from the models alone, for running a found plan: nothing is stored and nothing is reused.

use agenttts_models::Call;
use async_trait::async_trait;

use crate::source::{DrawError, Got, GotSample, Source, Want};
use crate::workshop::ModelSet;

/// Draws every sample afresh.
pub(crate) struct Direct {
    models: ModelSet,
}

impl Direct {
    pub(crate) fn new(models: ModelSet) -> Self {
        Direct { models }
    }
}

#[async_trait]
impl Source for Direct {
    async fn samples(&self, want: Want<'_>) -> Result<Got, DrawError> {
        let connected = self.models.get(want.model)?;
        let first_seed = want.request.key(connected.model.identity()).seed(want.stream, 0);
        let reply = connected.model.draw(Call { request: want.request, n: want.n, first_seed }).await;
        let mut samples = Vec::with_capacity(reply.draws.len());
        for draw in reply.draws {
            samples.push(GotSample { id: None, draw: draw.map_err(DrawError::of_model)? });
        }
        Ok(Got { samples, drawn: reply.billed })
    }
}

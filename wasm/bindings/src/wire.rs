//! The JSON that crosses to JavaScript; names are those of `workers/contracts/engine.ts`.

use serde::{Deserialize, Serialize};
use spikingbrain_engine::Engine;
use spikingbrain_engine::SequenceOptions;
use spikingbrain_engine::sample::{Sampled, Sampling, TokenLogprob};
use spikingbrain_engine::state::KvType;

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum KvName {
    Int8,
    F32,
}

impl From<KvName> for KvType {
    fn from(name: KvName) -> Self {
        match name {
            KvName::Int8 => Self::Int8,
            KvName::F32 => Self::F32,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadOptions {
    pub kv_type: KvName,
    pub memory_limit_bytes: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SamplingParameters {
    temperature: f32,
    top_k: usize,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    presence_penalty: f32,
    frequency_penalty: f32,
    logit_bias: Vec<(u32, f32)>,
    seed: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenOptions {
    sampling: SamplingParameters,
    min_tokens: usize,
    stop_tokens: Vec<u32>,
    top_logprobs: Option<usize>,
    prompt_logprobs: Option<usize>,
}

impl From<OpenOptions> for SequenceOptions {
    fn from(options: OpenOptions) -> Self {
        let SamplingParameters {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            presence_penalty,
            frequency_penalty,
            logit_bias,
            seed,
        } = options.sampling;
        Self {
            sampling: Sampling {
                temperature,
                top_k,
                top_p,
                min_p,
                repetition_penalty,
                presence_penalty,
                frequency_penalty,
                logit_bias,
                seed,
                min_tokens: options.min_tokens,
                stop_tokens: options.stop_tokens,
                top_logprobs: options.top_logprobs,
            },
            prompt_logprobs: options.prompt_logprobs,
        }
    }
}

#[derive(Serialize)]
pub struct Logprob {
    id: u32,
    logprob: f32,
    top: Vec<(u32, f32)>,
}

impl From<TokenLogprob> for Logprob {
    fn from(TokenLogprob { id, logprob, top }: TokenLogprob) -> Self {
        Self { id, logprob, top }
    }
}

#[derive(Serialize)]
pub struct SampledToken {
    id: u32,
    stop: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprob: Option<Logprob>,
}

impl From<Sampled> for SampledToken {
    fn from(Sampled { id, stop, logprob }: Sampled) -> Self {
        Self { id, stop, logprob: logprob.map(Into::into) }
    }
}

pub fn prompt_logprobs(scores: Vec<Option<TokenLogprob>>) -> Vec<Option<Logprob>> {
    scores.into_iter().map(|score| score.map(Into::into)).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description<'a> {
    architecture: &'a str,
    name: &'a str,
    parameters: u64,
    vocabulary_size: usize,
    context_length: usize,
    layers: usize,
    kernel: &'static str,
    weight_bytes: usize,
    bos_token_id: Option<u32>,
    eos_token_ids: Vec<u32>,
}

impl<'a> From<&'a Engine> for Description<'a> {
    fn from(engine: &'a Engine) -> Self {
        let (model, config) = (engine.model(), engine.model().config());
        Self {
            architecture: &config.architecture,
            name: &config.name,
            parameters: model.parameters(),
            vocabulary_size: config.vocabulary,
            context_length: config.context,
            layers: config.layers.len(),
            kernel: engine.kernel(),
            weight_bytes: model.weight_bytes(),
            bos_token_id: config.bos,
            eos_token_ids: config.eos.into_iter().collect(),
        }
    }
}

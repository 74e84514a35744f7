//! The JSON that crosses to JavaScript; names are those of `workers/contracts/engine.ts`.

mod load;

pub use load::{CutRanges, LoadOptions};

use serde::{Deserialize, Serialize};
use spikingbrain_engine::engine::StateDescription;
use spikingbrain_engine::model::exchanged_bytes;
use spikingbrain_engine::sample::{Sampled, Sampling, TokenLogprob};
use spikingbrain_engine::spike::{Site, SpikeCounts, SpikeMeter};
use spikingbrain_engine::state::{KvType, PartBytes, RecurrentType, Run, SaveMode, StateBytes};
use spikingbrain_engine::weights::Inspection;
use spikingbrain_engine::weights::inspection::PartMemory;
use spikingbrain_engine::{Engine, SequenceOptions};
use std::collections::BTreeMap;

/// What a part of a model has of a state file.
#[derive(Serialize)]
pub struct FileShare {
    head: u64,
    /// Tokens and bytes of each token.
    groups: Vec<(usize, usize)>,
}

impl From<PartBytes> for FileShare {
    fn from(PartBytes { head, groups }: PartBytes) -> Self {
        Self { head, groups }
    }
}

/// What a part of a model takes beside its states.
#[derive(Serialize)]
pub struct PartSize {
    weights: u64,
    buffers: u64,
    state: u64,
}

impl PartSize {
    pub fn new(PartMemory { weights, buffers }: PartMemory, state: usize) -> Self {
        Self { weights, buffers, state: state as u64 }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Codes {
    Int8,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Narrow {
    Bf16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveOptions {
    window: Option<Codes>,
    state: Option<Narrow>,
}

impl From<SaveOptions> for SaveMode {
    fn from(SaveOptions { window, state }: SaveOptions) -> Self {
        let recurrent = state.map_or(RecurrentType::F32, |Narrow::Bf16| RecurrentType::Bf16);
        Self { int8_rows: window.is_some(), recurrent }
    }
}

/// Where the ranks' parts of a state file lie.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateRuns {
    header_bytes: usize,
    runs: Vec<(u64, usize)>,
}

impl StateRuns {
    pub fn new(header_bytes: usize, runs: &[Run]) -> Self {
        Self { header_bytes, runs: runs.iter().map(|run| (run.times, run.head_bytes)).collect() }
    }
}

/// What a state file's first bytes say.
#[derive(Serialize)]
pub struct StateFile {
    tokens: usize,
    bytes: usize,
}

impl From<StateDescription> for StateFile {
    fn from(StateDescription { tokens, bytes }: StateDescription) -> Self {
        Self { tokens, bytes }
    }
}

/// 64 bits: a JSON number, or its decimal digits where JavaScript's numbers would lose some of them.
#[derive(Deserialize)]
#[serde(try_from = "SeedForm")]
struct Seed(u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum SeedForm {
    Number(u64),
    Digits(String),
}

impl TryFrom<SeedForm> for Seed {
    type Error = String;

    fn try_from(form: SeedForm) -> Result<Self, String> {
        match form {
            SeedForm::Number(seed) => Ok(Self(seed)),
            SeedForm::Digits(digits) => {
                digits.parse().map(Self).map_err(|_| format!("seed must be an unsigned 64-bit integer; it is \"{digits}\""))
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SamplingParameters {
    temperature: f32,
    top_k: usize,
    top_p: f64,
    min_p: f32,
    repetition_penalty: f64,
    presence_penalty: f32,
    frequency_penalty: f32,
    logit_bias: Vec<(u32, f32)>,
    seed: Seed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenOptions {
    sampling: SamplingParameters,
    min_tokens: usize,
    stop_tokens: Vec<u32>,
    top_logprobs: Option<usize>,
    prompt_logprobs: Option<usize>,
    #[serde(default)]
    scored_tokens: Vec<u32>,
    #[serde(default)]
    allowed_tokens: Option<Vec<u32>>,
    #[serde(default)]
    banned_series: Vec<Vec<u32>>,
    #[serde(default)]
    count_spikes: bool,
    #[serde(default)]
    continued: usize,
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
                seed: seed.0,
                min_tokens: options.min_tokens,
                stop_tokens: options.stop_tokens,
                allowed_tokens: options.allowed_tokens,
                banned_series: options.banned_series,
                top_logprobs: options.top_logprobs,
                scored_tokens: options.scored_tokens,
            },
            prompt_logprobs: options.prompt_logprobs,
            count_spikes: options.count_spikes,
            continued: options.continued,
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
    kv_heads: usize,
    kv_heads_of_ranks: Vec<usize>,
    constant_state: bool,
    salient_tokens: Option<usize>,
    hidden: usize,
    learned_sinks: usize,
    pass_tokens: usize,
    kernel: &'static str,
    weight_bytes: usize,
    bos_token_id: Option<u32>,
    eos_token_ids: Vec<u32>,
    kv_type: &'static str,
    spikes: &'static str,
}

fn kv_name(kind: KvType) -> &'static str {
    match kind {
        KvType::Int8 => "int8",
        KvType::F32 => "f32",
    }
}

impl<'a> From<&'a Engine> for Description<'a> {
    fn from(engine: &'a Engine) -> Self {
        let (model, config) = (engine.model(), engine.model().config());
        let rank = model.rank();
        let heads = |number| rank.heads_of(number, config.kv_heads, config.kv_heads).len();
        Self {
            architecture: &config.architecture,
            name: &config.name,
            parameters: model.parameters(),
            vocabulary_size: config.vocabulary,
            context_length: config.context,
            layers: config.layers.len(),
            kv_heads: config.kv_heads,
            kv_heads_of_ranks: (0..rank.ranks()).map(heads).collect(),
            constant_state: config.has_constant_state(),
            salient_tokens: config.evicted().map(|evicted| evicted.salient),
            hidden: config.hidden,
            learned_sinks: config.learned_sinks,
            pass_tokens: engine.pass_tokens(),
            kernel: engine.kernel(),
            weight_bytes: model.weight_bytes(),
            bos_token_id: config.bos,
            eos_token_ids: config.eos.into_iter().collect(),
            kv_type: kv_name(engine.kv_type()),
            spikes: config.spiking.mode.name(),
        }
    }
}

/// Sums of `workers/contracts/spikes.ts`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    channels: u64,
    silent: u64,
    small: u64,
    count: u64,
    spikes: u64,
    windows: [u64; 4],
    multiply_accumulates: u64,
    skipped: u64,
    additions: u64,
}

impl From<SpikeCounts> for Counts {
    fn from(counts: SpikeCounts) -> Self {
        let SpikeCounts { channels, silent, small, count, spikes, windows, multiply_accumulates, skipped, additions } = counts;
        Self { channels, silent, small, count, spikes, windows, multiply_accumulates, skipped, additions }
    }
}

/// By layer, then by site; sites that have not fired are left out.
pub fn spikes(meter: &SpikeMeter) -> Vec<BTreeMap<&'static str, Counts>> {
    let seen = |sites: &[SpikeCounts; Site::ALL.len()], site: Site| Some(sites[site as usize]).filter(|counts| counts.channels > 0);
    let layer = |sites| Site::ALL.into_iter().filter_map(|site| Some((site.name(), seen(sites, site)?.into()))).collect();
    meter.layers().iter().map(layer).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateSize {
    context: u32,
    bytes: u64,
    head_bytes: u64,
    page_bytes: u64,
    bytes_per_token: u64,
}

/// What a header says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspected<'a> {
    architecture: &'a str,
    name: &'a str,
    layers: usize,
    layer_kinds: BTreeMap<String, usize>,
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    vocabulary: usize,
    context_length: usize,
    parameters: u64,
    active_parameters: u64,
    weight_bytes: u64,
    tied: bool,
    stored_types: &'a BTreeMap<&'static str, usize>,
    spikes: &'static str,
    spikes_k: f64,
    spikes_site_k: BTreeMap<&'static str, f64>,
    constant_state: bool,
    salient_tokens: Option<usize>,
    exchanged_bytes: usize,
    state: BTreeMap<&'static str, Vec<StateSize>>,
}

impl<'a> Inspected<'a> {
    pub fn new(inspection: &'a Inspection, contexts: &[u32]) -> Self {
        let config = &inspection.config;
        let sizes = |kind: KvType| {
            let size = |context: u32| {
                let StateBytes { head, pages, per_token } = StateBytes::new(config, u64::from(context), kind);
                StateSize { context, bytes: head.saturating_add(pages), head_bytes: head, page_bytes: pages, bytes_per_token: per_token }
            };
            (kv_name(kind), contexts.iter().map(|context| size(*context)).collect())
        };
        let mut layer_kinds = BTreeMap::new();
        for layer in &config.layers {
            *layer_kinds.entry(layer.to_string()).or_default() += 1;
        }
        Self {
            architecture: &config.architecture,
            name: &config.name,
            layers: config.layers.len(),
            layer_kinds,
            hidden: config.hidden,
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            vocabulary: config.vocabulary,
            context_length: config.context,
            parameters: inspection.parameters,
            active_parameters: inspection.active_parameters,
            weight_bytes: inspection.weight_bytes,
            tied: inspection.tied,
            stored_types: &inspection.types,
            spikes: config.spiking.mode.name(),
            spikes_k: config.spiking.k,
            spikes_site_k: Site::ALL.into_iter().filter_map(|site| Some((site.name(), config.spiking.site_k[site as usize]?))).collect(),
            constant_state: config.has_constant_state(),
            salient_tokens: config.evicted().map(|evicted| evicted.salient),
            exchanged_bytes: exchanged_bytes(config),
            state: [KvType::F32, KvType::Int8].map(sizes).into_iter().collect(),
        }
    }
}

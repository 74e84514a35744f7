//! Short ways to load and run the engine's model in a test.

use spikingbrain_engine::engine::SequenceId;
use spikingbrain_engine::model::{Model, Scratch, Segment, Wanted};
use spikingbrain_engine::state::{Digests, Identity, KvType, SaveMode, State};
use spikingbrain_engine::token_set::TokenSet;
use spikingbrain_engine::weights::Loader;
use spikingbrain_engine::{Engine, Result};

pub const KV_TYPES: [KvType; 2] = [KvType::F32, KvType::Int8];

/// Loads a file that came in chunks of this many bytes.
pub fn load_in_chunks(bytes: &[u8], chunk: usize, limit: Option<u64>) -> Result<Model> {
    let mut loader = Loader::new(limit);
    for chunk in bytes.chunks(chunk) {
        loader.push(chunk)?;
    }
    Model::new(loader.finish()?)
}

pub fn load(bytes: &[u8]) -> Model {
    load_in_chunks(bytes, bytes.len(), None).unwrap()
}

pub fn engine(bytes: &[u8], kind: KvType) -> Engine {
    Engine::new(load(bytes), kind, None).unwrap()
}

/// Bytes of a state file that come at a time: no unit of any model ends with them.
const PUSHED_BYTES: usize = 997;

/// Whole state files of an engine's sequences.
pub trait StateFiles {
    fn save(&mut self, id: SequenceId) -> Result<Vec<u8>>;
    fn restore(&mut self, id: SequenceId, file: &[u8], seen: &[u32]) -> Result<()>;
}

impl StateFiles for Engine {
    fn save(&mut self, id: SequenceId) -> Result<Vec<u8>> {
        let length = self.begin_save(id, 0, SaveMode::default())?;
        let mut file = Vec::with_capacity(length as usize);
        while self.saved_left(id)? > 0 {
            file.extend_from_slice(self.read_saved(id, PUSHED_BYTES)?);
        }
        self.end_save(id)?;
        assert_eq!(file.len() as u64, length);
        Ok(file)
    }

    fn restore(&mut self, id: SequenceId, file: &[u8], seen: &[u32]) -> Result<()> {
        let mut set = TokenSet::new(self.model().config().vocabulary);
        set.insert(seen)?;
        self.begin_restore(id, set)?;
        file.chunks(PUSHED_BYTES).try_for_each(|chunk| self.push_state(id, chunk))?;
        let tokens = self.end_restore(id)?;
        assert_eq!(self.describe_state(file)?.map(|file| file.tokens), Some(tokens));
        Ok(())
    }
}

/// A model with the buffers of its passes.
pub struct Runner {
    pub model: Model,
    pub kind: KvType,
    scratch: Scratch,
}

pub type Logits = Vec<Vec<f32>>;

impl Runner {
    pub fn new(bytes: &[u8], kind: KvType) -> Self {
        Self::of(load(bytes), kind)
    }

    pub fn of(model: Model, kind: KvType) -> Self {
        Self { model, kind, scratch: Scratch::default() }
    }

    pub fn state(&mut self) -> State {
        self.model.new_state(self.kind, &mut self.scratch).unwrap()
    }

    /// One pass over several states, each with its tokens; all tokens' logits.
    pub fn batch(&mut self, texts: &mut [(&mut State, &[u32])]) -> Vec<Logits> {
        let mut out = vec![Logits::new(); texts.len()];
        let mut segments: Vec<Segment<'_>> = texts
            .iter_mut()
            .map(|(state, tokens)| Segment { state, tokens, recurrent_from: usize::MAX, logits: Wanted::All, counting: None })
            .collect();
        self.model.forward(&mut segments, &mut self.scratch, |segment, _, logits| out[segment].push(logits.to_vec())).unwrap();
        out
    }

    /// One pass over one state.
    pub fn pass(&mut self, state: &mut State, tokens: &[u32]) -> Logits {
        self.batch(&mut [(state, tokens)]).remove(0)
    }

    /// One pass over one state, for the state alone.
    pub fn skim(&mut self, state: &mut State, tokens: &[u32]) {
        let mut segment = [Segment { state, tokens, recurrent_from: usize::MAX, logits: Wanted::None, counting: None }];
        self.model.forward(&mut segment, &mut self.scratch, |_, _, _| {}).unwrap();
    }

    /// The tokens in passes of these sizes, over and over.
    pub fn read(&mut self, state: &mut State, tokens: &[u32], sizes: &[usize]) -> Logits {
        let (mut at, mut out) = (0, Logits::new());
        for size in sizes.iter().cycle() {
            if at == tokens.len() {
                break;
            }
            let end = (at + size).min(tokens.len());
            out.extend(self.pass(state, &tokens[at..end]));
            at = end;
        }
        out
    }

    /// From an empty state.
    pub fn fresh(&mut self, tokens: &[u32], sizes: &[usize]) -> (Logits, Vec<u8>) {
        let mut state = self.state();
        let logits = self.read(&mut state, tokens, sizes);
        (logits, self.save(&state))
    }

    pub fn save(&self, state: &State) -> Vec<u8> {
        state.save(&self.identity()).unwrap()
    }

    pub fn load_state(&self, bytes: &[u8]) -> Result<State> {
        State::load(&self.identity(), bytes)
    }

    pub fn identity(&self) -> Identity<'_> {
        Identity { config: self.model.config(), part: self.model.part(), kind: self.kind, digests: Digests::default() }
    }
}

pub fn bits(logits: &Logits) -> Vec<Vec<u32>> {
    logits.iter().map(|row| row.iter().map(|x| x.to_bits()).collect()).collect()
}

/// Root mean square of the differences, relative to that of the reference. A mean, because a head whose output nearly cancels is normed
/// back to size, rounding and all: one such token says nothing, and one wrong token still stands out a thousandfold.
pub fn error(logits: &Logits, reference: &[Vec<f64>]) -> f64 {
    assert_eq!(logits.len(), reference.len());
    let pairs = logits.iter().flatten().zip(reference.iter().flatten());
    let (mut difference, mut size) = (0.0, 0.0);
    for (x, y) in pairs {
        difference += (f64::from(*x) - y).powi(2);
        size += y * y;
    }
    let error = (difference / size).sqrt();
    if error.is_nan() { f64::INFINITY } else { error }
}

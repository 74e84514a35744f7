//! A model whose parts lie in engines of their own, run as one.

use super::running::StateFiles;
use spikingbrain_engine::config::Cut;
use spikingbrain_engine::engine::SequenceId;
use spikingbrain_engine::model::Model;
use spikingbrain_engine::sample::{Sampled, TokenLogprob};
use spikingbrain_engine::spike::{SpikeCounts, SpikingMode};
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::weights::Loader;
use spikingbrain_engine::{Engine, SequenceOptions};

const OWNER: u64 = 0x1234_5678_9abc;

/// What a test runs: one engine, or several that hold a model between them.
pub trait Running {
    fn lead(&mut self) -> &mut Engine;
    fn step(&mut self, plan: &[(SequenceId, usize)]);
    fn save(&mut self, id: SequenceId) -> Vec<u8>;
    fn restore(&mut self, id: SequenceId, file: &[u8], seen: &[u32]);
    fn fork(&mut self, id: SequenceId) -> SequenceId;

    fn open(&mut self, options: SequenceOptions) -> SequenceId {
        self.lead().open(options).unwrap()
    }
    fn feed(&mut self, id: SequenceId, tokens: &[u32]) {
        self.lead().feed(id, tokens).unwrap();
    }
    fn sample(&mut self, id: SequenceId) -> Sampled {
        self.lead().sample(id).unwrap()
    }
    fn scores(&mut self, id: SequenceId) -> Vec<Option<TokenLogprob>> {
        self.lead().take_prompt_logprobs(id).unwrap()
    }
    fn evict(&mut self, id: SequenceId) {
        self.lead().evict(id).unwrap();
    }
    fn fired(&mut self, id: SequenceId) -> Vec<Vec<SpikeCounts>> {
        self.lead().spikes(id).unwrap().map_or(Vec::new(), |meter| meter.layers().iter().map(|sites| sites.to_vec()).collect())
    }
    fn held(&mut self, id: SequenceId) -> usize {
        self.lead().sequence_bytes(id).unwrap()
    }
}

impl Running for Engine {
    fn lead(&mut self) -> &mut Engine {
        self
    }
    fn step(&mut self, plan: &[(SequenceId, usize)]) {
        Engine::step(self, plan).unwrap();
    }
    fn save(&mut self, id: SequenceId) -> Vec<u8> {
        StateFiles::save(self, id).unwrap()
    }
    fn restore(&mut self, id: SequenceId, file: &[u8], seen: &[u32]) {
        StateFiles::restore(self, id, file, seen).unwrap();
    }
    fn fork(&mut self, id: SequenceId) -> SequenceId {
        Engine::fork(self, id).unwrap()
    }
}

pub struct Cluster {
    lead: Engine,
    parts: Vec<Engine>,
}

/// One part of a model that was written as these bytes.
pub fn part(bytes: &[u8], cut: &Cut, kind: KvType, mode: Option<SpikingMode>) -> Engine {
    let mut loader = Loader::new(None).with_cut(Some(cut.clone())).with_spikes(mode);
    bytes.chunks(1_001).for_each(|chunk| loader.push(chunk).unwrap());
    Engine::new(Model::new(loader.finish().unwrap()).unwrap(), kind, None).unwrap()
}

fn is_stage(engine: &Engine) -> bool {
    !engine.model().config().cut.sublayers.is_empty()
}

impl Cluster {
    /// The first cut is that of the engine that leads.
    pub fn new(bytes: &[u8], cuts: &[Cut], kind: KvType, mode: Option<SpikingMode>) -> Self {
        let mut engines = cuts.iter().map(|cut| part(bytes, cut, kind, mode));
        let lead = engines.next().unwrap();
        let mut cluster = Self { lead, parts: engines.collect() };
        cluster.lay_sinks();
        cluster
    }

    fn lay_sinks(&mut self) {
        let mut rows = Vec::new();
        for engine in core::iter::once(&mut self.lead).chain(&mut self.parts) {
            let reads = !engine.model().config().cut.sublayers.is_empty();
            let laid = engine.lay_sinks(if reads { &rows } else { &[] }).unwrap();
            rows = if reads { laid } else { rows };
        }
    }

    /// As a part that has died and come back has: nothing.
    pub fn forget(&mut self, part: usize) {
        self.parts[part].forget_owner(OWNER);
    }

    pub fn try_step(&mut self, plan: &[(SequenceId, usize)]) -> spikingbrain_engine::Result<()> {
        let (hidden, vocabulary) = (self.lead.model().config().hidden, self.lead.model().config().vocabulary);
        let (pass, mut message) = self.lead.begin_pass(OWNER, plan)?;
        let holding = |engine: &Engine| engine.model().config().cut.embedding.clone();
        if holding(&self.lead) != (0..vocabulary) && !self.parts.iter().any(|part| holding(part) == (0..vocabulary)) {
            let engines = core::iter::once(&self.lead).chain(&self.parts).filter(|part| !holding(part).is_empty());
            let rows: Vec<_> = engines.map(|part| (holding(part), part.embed_part(&message).unwrap())).collect();
            assert!(rows.iter().all(|(_, rows)| rows.len().is_multiple_of(hidden)));
            message = self.lead.join_rows(&message, &rows)?;
        }
        for part in self.parts.iter_mut().filter(|part| is_stage(part)) {
            message = match part.pass_on(&message) {
                Ok(message) => message,
                Err(error) => {
                    self.lead.drop_pass(pass)?;
                    return Err(error);
                }
            };
        }
        if self.lead.end_pass(pass, &message)? {
            return Ok(());
        }
        let mut row = 0;
        loop {
            let mut logits = vec![0.0; vocabulary];
            for engine in core::iter::once(&mut self.lead).chain(&mut self.parts) {
                let head = engine.model().config().cut.head.clone();
                if !head.is_empty() {
                    logits[head].copy_from_slice(&engine.logits_part(&message, row, 1)?);
                }
            }
            row += 1;
            if self.lead.take_logits(pass, &mut logits)? {
                return Ok(());
            }
        }
    }

    /// Parts that have layers, and so parts of states.
    fn stages(&mut self) -> impl Iterator<Item = &mut Engine> {
        self.parts.iter_mut().filter(|part| is_stage(part))
    }

    /// Of the engine that leads and of the stages.
    fn cuts(&self) -> Vec<Cut> {
        core::iter::once(&self.lead)
            .chain(self.parts.iter().filter(|part| is_stage(part)))
            .map(|engine| engine.model().config().cut.clone())
            .collect()
    }

    /// The order of a whole file's bytes behind the header: which part has the next ones, and how many.
    fn stretches(&self, header: &[u8], from_page: usize) -> Vec<(usize, usize)> {
        let parts: Vec<_> = self.cuts().iter().map(|cut| self.lead.part_of_file(cut, header, from_page).unwrap().unwrap()).collect();
        let mut stretches: Vec<(usize, usize)> = parts.iter().enumerate().map(|(part, bytes)| (part, bytes.head as usize)).collect();
        for group in 0..parts[0].groups.len() {
            for _ in 0..parts[0].groups[group].0 {
                stretches.extend(parts.iter().enumerate().map(|(part, bytes)| (part, bytes.groups[group].1)));
            }
        }
        stretches
    }
}

impl Running for Cluster {
    fn lead(&mut self) -> &mut Engine {
        &mut self.lead
    }

    /// In passes of what one has room for.
    fn step(&mut self, plan: &[(SequenceId, usize)]) {
        let mut left: Vec<(SequenceId, usize)> = plan.to_vec();
        while !left.is_empty() {
            let before: Vec<usize> = left.iter().map(|(id, _)| self.lead.pending(*id).unwrap()).collect();
            self.try_step(&left).unwrap();
            for ((id, count), before) in left.iter_mut().zip(before) {
                *count -= before - self.lead.pending(*id).unwrap();
            }
            left.retain(|(_, count)| *count > 0);
        }
    }

    fn save(&mut self, id: SequenceId) -> Vec<u8> {
        let mut files = vec![StateFiles::save(&mut self.lead, id).unwrap()];
        for part in self.stages() {
            let guest = part.guest(OWNER, id).unwrap();
            files.push(StateFiles::save(part, guest).unwrap());
        }
        let header = self.lead.state_header_bytes();
        let mut out = files[0][..header].to_vec();
        assert!(files.iter().all(|file| file[..header] == out), "the headers of all parts are the file's");
        let mut at = vec![header; files.len()];
        for (part, bytes) in self.stretches(&out.clone(), 0) {
            out.extend_from_slice(&files[part][at[part]..at[part] + bytes]);
            at[part] += bytes;
        }
        assert!(files.iter().zip(at).all(|(file, at)| file.len() == at), "all bytes of all parts are in the file");
        out
    }

    fn restore(&mut self, id: SequenceId, file: &[u8], seen: &[u32]) {
        let header = &file[..self.lead.state_header_bytes()];
        let mut files = vec![header.to_vec(); self.cuts().len()];
        let mut at = header.len();
        for (part, bytes) in self.stretches(header, 0) {
            files[part].extend_from_slice(&file[at..at + bytes]);
            at += bytes;
        }
        assert_eq!(at, file.len());
        StateFiles::restore(&mut self.lead, id, &files[0], seen).unwrap();
        for (part, file) in self.stages().zip(&files[1..]) {
            let guest = part.guest(OWNER, id).unwrap();
            StateFiles::restore(part, guest, file, &[]).unwrap();
        }
    }

    fn fork(&mut self, id: SequenceId) -> SequenceId {
        let copy = self.lead.fork(id).unwrap();
        self.stages().for_each(|part| part.fork_guest(OWNER, id, copy).unwrap());
        copy
    }
}

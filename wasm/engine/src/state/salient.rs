//! Evicted tokens that stay exact (`gpu-backend/docs/evicted-tokens.md`, "Keep"): per KV head the few with the greatest claims.
//!
//! Keys are held without rotation. As many slots are filled for every KV head, and which token has which slot follows from the text alone.

use super::page::{KvShape, PAGE_TOKENS, Page};
use crate::config::Evicted;
use crate::error::Result;
use crate::memory::{with_capacity, zeroed};

const WHAT: &str = "salient tokens";

/// 32 slots of every KV head.
#[derive(Debug)]
pub(super) struct Slots {
    pub key_values: Page,
    /// `[KV heads, 32]`
    pub positions: Vec<u32>,
    /// `u k`, `[KV heads, 32]`.
    pub salience: Vec<f32>,
}

impl Slots {
    pub fn new(shape: KvShape) -> Result<Self> {
        let slots = shape.heads * PAGE_TOKENS;
        Ok(Self { key_values: Page::new(shape)?, positions: zeroed(slots, WHAT)?, salience: zeroed(slots, WHAT)? })
    }

    /// Bytes of one.
    pub fn bytes(shape: KvShape) -> usize {
        shape.page_bytes() + shape.heads * PAGE_TOKENS * (size_of::<u32>() + size_of::<f32>())
    }

    fn copy(&self, shape: KvShape) -> Result<Self> {
        let (mut positions, mut salience) = (with_capacity(self.positions.len(), WHAT)?, with_capacity(self.salience.len(), WHAT)?);
        positions.extend_from_slice(&self.positions);
        salience.extend_from_slice(&self.salience);
        Ok(Self { key_values: self.key_values.copy(shape)?, positions, salience })
    }
}

/// Of one layer.
#[derive(Debug)]
pub struct Salient {
    shape: KvShape,
    /// Slots at the most.
    most: usize,
    /// What a position adds to a claim: `ln 2 / half-life`.
    rate: f64,
    pages: Vec<Slots>,
    filled: usize,
}

/// A token that leaves the window, for one KV head.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// Where it stands.
    pub position: usize,
    /// `u k`
    pub salience: f32,
    /// Without rotation, `[head_dim]`.
    pub key: &'a [f32],
    /// The page in which the window holds it.
    pub page: &'a Page,
}

impl Salient {
    pub(super) fn new(shape: KvShape, evicted: Evicted) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let rate = core::f64::consts::LN_2 / evicted.salience_half_life as f64;
        Self { shape, most: evicted.salient, rate, pages: Vec::new(), filled: 0 }
    }

    /// Sizes.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// Slots that are filled once so many tokens have left the window.
    pub fn filled_after(&self, evicted: usize) -> usize {
        self.most.min(evicted)
    }

    /// Slots filled now.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Keys and values of slots `32 * index` and on.
    pub fn page(&self, index: usize) -> Option<&Page> {
        self.pages.get(index).map(|slots| &slots.key_values)
    }

    /// Positions of the tokens of a KV head, slot by slot.
    pub fn positions(&self, head: usize) -> impl Iterator<Item = u32> {
        let of_page = move |slots: &Slots| slots.positions[head * PAGE_TOKENS..(head + 1) * PAGE_TOKENS].to_vec();
        self.pages.iter().flat_map(of_page).take(self.filled)
    }

    /// Makes room for the slots that are filled once `evicted` tokens have left.
    pub fn make_room(&mut self, evicted: usize) -> Result<()> {
        let wanted = self.filled_after(evicted).div_ceil(PAGE_TOKENS);
        if wanted > self.pages.len() {
            let mut pages = with_capacity(wanted, WHAT)?;
            pages.append(&mut self.pages);
            self.pages = pages;
        }
        while self.pages.len() < wanted {
            self.pages.push(Slots::new(self.shape)?);
        }
        Ok(())
    }

    /// Gives the token the slot of the one with the least claim, or a free one where `evicted` tokens before it have left some; none where its
    /// own claim is the least. There must be room.
    pub fn place(&mut self, head: usize, evicted: usize, token: Leaving<'_>) {
        let filled = self.filled_after(evicted);
        let free = (filled < self.most).then_some(filled);
        let Some(slot) = free.or_else(|| self.least(head, filled, self.claim(token.salience, token.position), token.position)) else {
            return;
        };
        let shape = self.shape;
        let slots = &mut self.pages[slot / PAGE_TOKENS];
        let at = slot % PAGE_TOKENS;
        slots.key_values.write_key(shape, head, at, token.key);
        slots.key_values.copy_value(shape, head, at, token.page, token.position % PAGE_TOKENS);
        slots.salience[head * PAGE_TOKENS + at] = token.salience;
        #[allow(clippy::cast_possible_truncation)]
        {
            slots.positions[head * PAGE_TOKENS + at] = token.position as u32;
        }
    }

    /// After the tokens of a pass have been placed, for every KV head.
    pub fn settle(&mut self, evicted: usize) {
        self.filled = self.filled_after(evicted);
    }

    fn claim(&self, salience: f32, position: usize) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        {
            f64::from(salience) + self.rate * position as f64
        }
    }

    /// The slot whose token has a lesser claim than this one and all others, the earlier of two equal ones.
    fn least(&self, head: usize, filled: usize, claim: f64, position: usize) -> Option<usize> {
        let mut least = (claim, position, None);
        for slot in 0..filled {
            let slots = &self.pages[slot / PAGE_TOKENS];
            let at = head * PAGE_TOKENS + slot % PAGE_TOKENS;
            let position = slots.positions[at] as usize;
            let claim = self.claim(slots.salience[at], position);
            if claim < least.0 || (claim == least.0 && position < least.1) {
                least = (claim, position, Some(slot));
            }
        }
        least.2
    }

    pub(super) fn pages(&self) -> &[Slots] {
        &self.pages
    }

    pub(super) fn pages_mut(&mut self) -> &mut [Slots] {
        &mut self.pages
    }

    /// Most bytes of one that `evicted` tokens have left for.
    pub(super) fn bytes_at(shape: KvShape, most: usize, evicted: usize) -> usize {
        most.min(evicted).div_ceil(PAGE_TOKENS).saturating_mul(Slots::bytes(shape))
    }

    pub(super) fn bytes(&self) -> usize {
        self.pages.len() * Slots::bytes(self.shape)
    }

    pub(super) fn fork(&self) -> Result<Self> {
        let mut pages = with_capacity(self.pages.len(), WHAT)?;
        for slots in &self.pages {
            pages.push(slots.copy(self.shape)?);
        }
        Ok(Self { pages, ..*self })
    }
}

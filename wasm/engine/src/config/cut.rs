//! Which part of a model one engine holds: where a model is larger than one engine's memory, several hold it between them, each a part of the
//! way that a token goes in order: its row of the embedding, the layers' mixers and feed-forwards, its row of the head.

use super::Config;
use crate::error::{Error, Result};
use core::ops::Range;

/// See the module. Only residual rows, `[tokens, hidden]`, cross from one part to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Rows of the embedding.
    pub embedding: Range<usize>,
    /// Layers in halves: `2 l` is layer `l`'s mixer, `2 l + 1` its feed-forward. A layer's state belongs to whoever holds its mixer.
    pub sublayers: Range<usize>,
    /// Rows of the head; where it is the embedding's matrix, the same as those or none.
    pub head: Range<usize>,
}

impl Cut {
    /// All of a model with so many layers.
    pub fn whole(layers: usize, vocabulary: usize) -> Self {
        Self { embedding: 0..vocabulary, sublayers: 0..2 * layers, head: 0..vocabulary }
    }

    /// Refuses what is not a part of this model.
    pub fn check(&self, config: &Config) -> Result<()> {
        let parts = [
            ("embedding", &self.embedding, config.vocabulary),
            ("sublayers", &self.sublayers, 2 * config.layers.len()),
            ("head", &self.head, config.vocabulary),
        ];
        for (name, range, end) in parts {
            if range.start > range.end || range.end > end {
                return Err(Error::InvalidArgument(format!(
                    "the cut's {name} must be a range within 0 to {end}; it is {} to {}",
                    range.start, range.end
                )));
            }
        }
        Ok(())
    }

    /// Whether a layer's mixer is in it.
    pub fn mixes(&self, layer: usize) -> bool {
        self.sublayers.contains(&(2 * layer))
    }

    /// Whether a layer's feed-forward is in it.
    pub fn feeds(&self, layer: usize) -> bool {
        self.sublayers.contains(&(2 * layer + 1))
    }

    /// Layers of which it has at least a half.
    pub fn layers(&self) -> Range<usize> {
        if self.sublayers.is_empty() { 0..0 } else { self.sublayers.start / 2..self.sublayers.end.div_ceil(2) }
    }

    /// Rows of a tensor of the vocabulary that it holds. `tied`: the file has no head of its own.
    pub(crate) fn vocabulary_rows(&self, name: &str, tied: bool) -> Range<usize> {
        match name {
            "token_embd" if tied && self.embedding.is_empty() => self.head.clone(),
            "token_embd" => self.embedding.clone(),
            _ => self.head.clone(),
        }
    }

    /// Whether a tensor of this name belongs to it.
    pub(crate) fn wants(&self, name: &str, tied: bool) -> bool {
        let stem = name.split('.').next().unwrap_or_default();
        match stem {
            "token_embd" | "output" => !self.vocabulary_rows(stem, tied).is_empty(),
            "output_norm" => !self.head.is_empty(),
            "sink_embd" => self.sublayers.start == 0 && !self.sublayers.is_empty(),
            _ => {
                let mut parts = name.split('.').skip(1);
                let layer = parts.next().and_then(|layer| layer.parse().ok()).unwrap_or(usize::MAX / 4);
                if parts.next().is_some_and(|part| part.starts_with("ffn_")) { self.feeds(layer) } else { self.mixes(layer) }
            }
        }
    }
}

impl Config {
    /// Whether an engine holds all of the model.
    pub fn is_whole(&self) -> bool {
        self.cut == Cut::whole(self.layers.len(), self.vocabulary)
    }

    /// Layers whose mixers it holds.
    pub fn mixing_layers(&self) -> impl Iterator<Item = &super::Layer> {
        self.layers.iter().enumerate().filter(|(index, _)| self.cut.mixes(*index)).map(|(_, layer)| layer)
    }

    /// Layers whose feed-forwards it holds.
    pub fn feeding_layers(&self) -> impl Iterator<Item = &super::Layer> {
        self.layers.iter().enumerate().filter(|(index, _)| self.cut.feeds(*index)).map(|(_, layer)| layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_belongs_to_the_part_that_uses_it() {
        let middle = Cut { embedding: 0..0, sublayers: 3..5, head: 0..0 };
        assert_eq!(middle.layers(), 1..3);
        let wanted = |name| middle.wants(name, false);
        assert!(!wanted("blk.1.attn_q.weight") && wanted("blk.1.ffn_up.weight") && wanted("blk.1.ffn_norm.weight"));
        assert!(wanted("blk.2.attn_norm.weight") && wanted("blk.2.evicted_mix.bias") && !wanted("blk.2.ffn_down.weight"));
        assert!(!wanted("token_embd.weight") && !wanted("output.weight") && !wanted("output_norm.weight") && !wanted("sink_embd.weight"));
        let last = Cut { embedding: 0..0, sublayers: 5..6, head: 8..16 };
        assert!(last.wants("token_embd.weight", true) && !last.wants("token_embd.weight", false));
        assert!(last.wants("output.weight", false) && last.wants("output.scales", false) && last.wants("output_norm.weight", true));
        assert_eq!(last.vocabulary_rows("token_embd", true), 8..16);
    }
}

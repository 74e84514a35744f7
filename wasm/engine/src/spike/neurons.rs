//! The neurons of a pass: where the run's mode says so, inputs of products become spikes, and those of the sequences that asked are counted.

use super::{Site, SpikeMeter, SpikeTally, Spiking};
use crate::kernel::Activations;
use core::ops::Range;

/// See the module. Lives as long as the buffers of a pass.
#[derive(Debug, Default)]
pub struct Neurons {
    spiking: Spiking,
    layer: usize,
    /// Rows of the pass that are counted, and where.
    counted: Vec<(Range<usize>, SpikeMeter)>,
}

impl Neurons {
    /// Makes ready for a pass.
    pub fn begin(&mut self, spiking: Spiking) {
        self.spiking = spiking;
        self.counted.clear();
    }

    /// Counts what these rows of the pass fire.
    pub fn count(&mut self, rows: Range<usize>, meter: SpikeMeter) {
        self.counted.push((rows, meter));
    }

    /// The meters of the pass, in the order in which they came.
    pub fn take_meters(&mut self) -> impl Iterator<Item = SpikeMeter> {
        core::mem::take(&mut self.counted).into_iter().map(|(_, meter)| meter)
    }

    /// What follows belongs to this layer.
    pub fn enter(&mut self, layer: usize) {
        self.layer = layer;
    }

    /// Whether products at `site` read spikes.
    pub fn fires(&self, site: Site) -> bool {
        self.spiking.mode.fires(site)
    }

    /// `x`, `[rows of the pass, channels]`, as the products at `site` read it; each channel feeds `outputs` outputs.
    pub fn fire(&mut self, x: &mut Activations, site: Site, outputs: usize) {
        self.fire_rows(x, site, |row| row, |_| outputs);
    }

    /// As [`Self::fire`] where row `r` of `x` belongs to row `row_of(r)` of the pass and feeds `outputs(r)` outputs.
    pub fn fire_rows(&mut self, x: &mut Activations, site: Site, row_of: impl Fn(usize) -> usize, outputs: impl Fn(usize) -> usize) {
        if !self.fires(site) {
            return;
        }
        x.begin_firing();
        let k = self.spiking.k_at(site);
        for row in 0..x.tokens() {
            let of_pass = row_of(row);
            match self.counted.iter_mut().find(|(rows, _)| rows.contains(&of_pass)) {
                None => x.fire(row, k, None),
                Some((_, meter)) => {
                    let mut tally = SpikeTally::default();
                    x.fire(row, k, Some(&mut tally));
                    meter.add(self.layer, site, &tally, outputs(row) as u64);
                }
            }
        }
    }
}

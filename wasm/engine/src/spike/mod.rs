//! Spikes (`gpu-backend/docs/model.md#8-spikes`): which inputs fire in which mode, the neuron, and what is counted of it. The definition is
//! `gpu-backend/spikingbrain/spike`; the two agree count for count wherever their thresholds do.

mod mode;
mod neuron;
mod neurons;
mod telemetry;

pub use mode::{DEFAULT_K, Site, Spiking, SpikingMode};
pub use neuron::{Fired, LARGEST_CODE, fire};
pub use neurons::Neurons;
pub use telemetry::{SpikeCounts, SpikeMeter, SpikeTally};

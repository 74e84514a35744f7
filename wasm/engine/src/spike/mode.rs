//! Where spikes are applied (`gpu-backend/docs/model.md#83-modes`): one table from a mode to the inputs that fire in it.

/// A token's threshold is `mean(|x|) / k`; the paper's choice.
pub const DEFAULT_K: f64 = 3.0;

/// Which inputs of products fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpikingMode {
    /// None.
    #[default]
    Off,
    /// Those of all linear projections.
    Paper,
    /// As [`Self::Paper`] but for `down_proj`'s, which the released code passes by.
    Released,
}

impl SpikingMode {
    /// By name, as metadata and options have it.
    pub const NAMES: [(&'static str, Self); 3] = [("off", Self::Off), ("paper", Self::Paper), ("released", Self::Released)];

    /// `off`, `paper` or `released`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Paper => "paper",
            Self::Released => "released",
        }
    }

    /// Whether the products at `site` read spikes.
    pub fn fires(self, site: Site) -> bool {
        match self {
            Self::Off => false,
            Self::Paper => true,
            Self::Released => site != Site::FeedForwardDown,
        }
    }

    /// Whether softmax branches keep keys and values as int8, whatever else is asked for.
    pub fn keeps_int8(self) -> bool {
        self != Self::Off
    }
}

/// A choice of the run, not of the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spiking {
    /// Which inputs fire.
    pub mode: SpikingMode,
    /// A token's threshold is `mean(|x|) / k`.
    pub k: f64,
    /// Another k for some sites, in the order of [`Site::ALL`].
    pub site_k: [Option<f64>; Site::ALL.len()],
}

impl Spiking {
    /// Of the thresholds at a site.
    pub fn k_at(&self, site: Site) -> f64 {
        self.site_k[site as usize].unwrap_or(self.k)
    }
}

impl Default for Spiking {
    fn default() -> Self {
        Self { mode: SpikingMode::Off, k: DEFAULT_K, site_k: [None; Site::ALL.len()] }
    }
}

/// An input of one or more products, in every layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Of q, k, v, and of the gate's first or only matrix.
    AttentionIn,
    /// Of the second matrix of a low-rank gate.
    GateIn,
    /// A softmax branch's queries after RoPE, which meet its keys: one threshold per token and head.
    Query,
    /// Of o.
    AttentionOut,
    /// Of gate and up, and of the router.
    FeedForwardIn,
    /// Of down.
    FeedForwardDown,
}

impl Site {
    /// All of them, in the order of a layer.
    pub const ALL: [Self; 6] =
        [Self::AttentionIn, Self::GateIn, Self::Query, Self::AttentionOut, Self::FeedForwardIn, Self::FeedForwardDown];

    /// As Python's table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AttentionIn => "attention_in",
            Self::GateIn => "gate_in",
            Self::Query => "query",
            Self::AttentionOut => "attention_out",
            Self::FeedForwardIn => "feed_forward_in",
            Self::FeedForwardDown => "feed_forward_down",
        }
    }
}

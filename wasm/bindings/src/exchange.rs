//! An exchange between ranks that JavaScript brings: numbers stay in this rank's linear memory, and only their places cross.

use spikingbrain_engine::model::exchange::Exchange;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const RANK_EXCHANGE: &str = r"
/** How a rank reaches the others. Places and lengths are of f32 numbers in its linear memory, places in bytes. */
export interface RankExchange {
  /** Hands in `length` numbers at `own`, which are at index `at` among those of all ranks, waits for the others, and writes `total` numbers of all of them to `all`, none where it is 0. Returns 0, or the number that a rank has left with. */
  gather(own: number, length: number, at: number, all: number, total: number): number;
  /** Fails every gathering that another rank waits in or comes to. */
  leave(code: number): void;
}
";

#[wasm_bindgen]
extern "C" {
    /// See the section above.
    #[wasm_bindgen(typescript_type = "RankExchange")]
    pub type RankExchange;

    #[wasm_bindgen(method, structural)]
    fn gather(this: &RankExchange, own: u32, length: u32, at: u32, all: u32, total: u32) -> u32;

    #[wasm_bindgen(method, structural)]
    fn leave(this: &RankExchange, code: u32);
}

/// The engine's side of it.
pub struct Bound(pub RankExchange);

impl core::fmt::Debug for Bound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("an exchange of JavaScript's")
    }
}

// The linear memory has 32-bit addresses.
#[allow(clippy::cast_possible_truncation)]
impl Exchange for Bound {
    fn gather(&self, own: &[f32], at: usize, all: &mut [f32]) -> Result<(), u32> {
        let (place, target) = (own.as_ptr() as usize as u32, all.as_mut_ptr() as usize as u32);
        match self.0.gather(place, own.len() as u32, at as u32, target, all.len() as u32) {
            0 => Ok(()),
            code => Err(code),
        }
    }

    fn leave(&self, code: u32) {
        self.0.leave(code);
    }
}

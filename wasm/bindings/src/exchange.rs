//! An exchange between ranks that JavaScript brings: numbers stay in this rank's linear memory, and only their places cross.

use spikingbrain_engine::model::exchange::Exchange;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const RANK_EXCHANGE: &str = r"
/** How a rank reaches the others. Places and lengths are of f32 numbers in its linear memory, places in bytes. */
export interface RankExchange {
  /** Hands in a copy of `length` numbers at `own`, which are at index `at` among those of all ranks, and waits for nobody. Returns 0, or the number that a rank has left with. */
  handIn(own: number, length: number, at: number): number;
  /** Waits until every rank has handed in. Returns as `handIn`. */
  wait(): number;
  /** Writes `length` of the numbers that have been handed in, from index `from` on, to `target`: from `wait` until this rank hands in again. */
  read(from: number, length: number, target: number): void;
  /** Fails every exchange that another rank waits in or comes to, until all are set back. */
  leave(code: number): void;
}
";

#[wasm_bindgen]
extern "C" {
    /// See the section above.
    #[wasm_bindgen(typescript_type = "RankExchange")]
    pub type RankExchange;

    #[wasm_bindgen(method, structural, js_name = handIn)]
    fn hand_in(this: &RankExchange, own: u32, length: u32, at: u32) -> u32;

    #[wasm_bindgen(method, structural)]
    fn wait(this: &RankExchange) -> u32;

    #[wasm_bindgen(method, structural)]
    fn read(this: &RankExchange, from: u32, length: u32, target: u32);

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
    fn hand_in(&self, own: &[f32], at: usize) -> Result<(), u32> {
        result(self.0.hand_in(own.as_ptr() as usize as u32, own.len() as u32, at as u32))
    }

    fn wait(&self) -> Result<(), u32> {
        result(self.0.wait())
    }

    fn read(&self, from: usize, target: &mut [f32]) {
        self.0.read(from as u32, target.len() as u32, target.as_mut_ptr() as usize as u32);
    }

    fn leave(&self, code: u32) {
        self.0.leave(code);
    }
}

fn result(code: u32) -> Result<(), u32> {
    if code == 0 { Ok(()) } else { Err(code) }
}

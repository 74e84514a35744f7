//! Streams a GGUF of any size into the native engine and reads a few tokens: `cargo run --release --example load -- FILE.gguf`.
//! For trials at full size, which no WebAssembly memory holds; whoever starts it measures its memory.

use spikingbrain_engine::model::Model;
use spikingbrain_engine::state::KvType;
use spikingbrain_engine::weights::Loader;
use spikingbrain_engine::{Engine, SequenceOptions};
use std::fs::File;
use std::io::Read;

const CHUNK_BYTES: usize = 1 << 20;
const TOKENS: [u32; 4] = [1, 2, 3, 4];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: load FILE.gguf")?;
    let mut file = File::open(path)?;
    let mut loader = Loader::new(None);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        loader.push(&chunk[..count])?;
    }
    let mut engine = Engine::new(Model::new(loader.finish()?)?, KvType::Int8, None)?;
    let sequence = engine.open(SequenceOptions::default())?;
    engine.feed(sequence, &TOKENS)?;
    let mut finite = true;
    engine.read_logits(sequence, TOKENS.len(), |logits| finite &= logits.iter().all(|x| x.is_finite()))?;
    if !finite {
        return Err("a logit is not finite".into());
    }
    println!("{} parameters, {} bytes of weights", engine.model().parameters(), engine.model().weight_bytes());
    Ok(())
}

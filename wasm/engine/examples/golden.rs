//! Writes `test/golden/engine` anew: `cargo run --release --example golden`. To be committed when the arithmetic has changed on purpose.

#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

fn main() -> std::io::Result<()> {
    let directory = support::golden::directory();
    std::fs::create_dir_all(&directory)?;
    for (name, content) in support::golden::files() {
        std::fs::write(directory.join(name), content)?;
    }
    Ok(())
}

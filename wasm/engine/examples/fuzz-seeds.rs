//! Writes the corpora that fuzzing starts from: `cargo run --release --example fuzz-seeds -- DIRECTORY` makes `gguf/` and `state/` in it.

#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: fuzz-seeds DIRECTORY");
        std::process::exit(2);
    };
    write_all(&directory.join("gguf"), &support::hostile::small_files())?;
    write_all(&directory.join("state"), &support::hostile::StateCases::new().inputs())
}

fn write_all(directory: &Path, files: &[Vec<u8>]) -> Result<()> {
    fs::create_dir_all(directory)?;
    for (index, bytes) in files.iter().enumerate() {
        fs::write(directory.join(format!("seed-{index:02}")), bytes)?;
    }
    println!("{} files in {}", files.len(), directory.display());
    Ok(())
}

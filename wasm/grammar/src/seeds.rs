//! Seeds of the library's hash tables. The host gives no randomness, so that the same calls take the same time and memory everywhere; what a table of
//! colliding keys would cost is bounded as all of the library's work is.

/// What `getrandom` asks in a build with `--cfg getrandom_backend="custom"` (`infra/build-grammar.ts`).
///
/// # Safety
///
/// `destination` is writable for `length` bytes, as `getrandom` promises.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(destination: *mut u8, length: usize) -> Result<(), getrandom::Error> {
    // SAFETY: as above.
    unsafe { destination.write_bytes(0x5a, length) };
    Ok(())
}

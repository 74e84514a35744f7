//! From the bytes of a GGUF file to weights in the layout the kernels read.

pub mod gguf;
pub mod header_buffer;
pub mod inspection;
pub mod loader;
pub mod matrix;
pub mod names;
pub mod outliers;
pub mod tensor_type;

pub use inspection::{Inspection, Inspector};
pub use loader::Loader;
pub use matrix::Matrix;
pub use tensor_type::TensorType;

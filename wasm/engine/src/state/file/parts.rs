//! How the bytes of a state file are shared out between parts of a model: each has the numbers of its own layers, in the file's order. A part's
//! own file is the header of the whole file and then its numbers.

use super::Identity;
use super::header::get_header;
use super::layout::Layout;
use crate::config::Cut;
use crate::error::Result;

/// What one part has of a file behind the header: so many bytes of the head, then of each group of layers that see as far so many bytes of each
/// of its tokens. In the file, the parts' heads follow one another, and then token by token the parts' rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartBytes {
    /// Of linear states, sums and salient tokens.
    pub head: u64,
    /// Tokens of each group, and this part's bytes of each token.
    pub groups: Vec<(usize, usize)>,
}

impl PartBytes {
    /// Of a file with this header without the rows of tokens before `from_page`; `None` while the header is not whole.
    pub fn new(identity: &Identity<'_>, header: &[u8], cut: &Cut, from_page: usize) -> Result<Option<Self>> {
        let Some(header) = get_header(header, identity)? else {
            return Ok(None);
        };
        let layout = Layout::new(identity.config, cut, header.encoding, header.position, from_page);
        Ok(Some(Self { head: layout.head_bytes(), groups: layout.runs().collect() }))
    }
}

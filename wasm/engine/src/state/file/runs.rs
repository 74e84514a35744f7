//! How the parts of a state file that ranks have lie in the whole file: behind the header in runs, each the same bytes of one KV head after another.

use super::layout::{Content, Layout};
use super::{Identity, header};
use crate::error::Result;

/// So many times, `head_bytes` of each KV head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How often.
    pub times: u64,
    /// Of one KV head at a time.
    pub head_bytes: usize,
}

/// Those of a file without the rows of tokens before `from_page`, in order, from its first bytes; none while its header is not whole.
pub fn runs(identity: &Identity<'_>, first: &[u8], from_page: usize) -> Result<Option<Vec<Run>>> {
    let Some(header) = header::get_header(first, identity)? else {
        return Ok(None);
    };
    let layout = Layout::new(identity.config, &identity.config.cut, header.encoding, header.position, from_page);
    let heads = identity.config.kv_heads as u64;
    let run = |section: &super::layout::Section| match section.content {
        Content::Rows(_) => Run { times: section.units / heads, head_bytes: section.unit_bytes },
        // A head's units lie together, and are in memory.
        #[allow(clippy::cast_possible_truncation)]
        Content::Linear(_) | Content::Sums(_) | Content::Salient(..) => {
            Run { times: 1, head_bytes: (section.units / heads) as usize * section.unit_bytes }
        }
    };
    Ok(Some(layout.sections.iter().map(run).collect()))
}

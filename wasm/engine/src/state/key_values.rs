//! Keys and values of one softmax layer, by absolute position: a ring of pages without a seam.

use super::page::{KvShape, PAGE_TOKENS, Page};
use crate::error::Result;
use std::collections::VecDeque;
use std::rc::Rc;

/// Full pages never change, so forks share them; only the open page is written, and it belongs to one state alone.
#[derive(Debug)]
pub struct KeyValues {
    shape: KvShape,
    /// Pages that never leave: those with sinks or kept tokens.
    kept: Vec<Rc<Page>>,
    /// Index of the first page of `recent`.
    recent_start: usize,
    recent: VecDeque<Rc<Page>>,
    /// Index of the page that the next token goes to: as many pages have been full before it.
    open_index: usize,
    open: Option<Page>,
}

impl KeyValues {
    pub(super) fn new(shape: KvShape) -> Self {
        Self { shape, kept: Vec::new(), recent_start: 0, recent: VecDeque::new(), open_index: 0, open: None }
    }

    /// Sizes.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// The page of this index, unless it has been dropped or not yet begun.
    pub fn page(&self, index: usize) -> Option<&Page> {
        if index == self.open_index {
            return self.open.as_ref();
        }
        match self.kept.get(index) {
            Some(page) => Some(page),
            None => index.checked_sub(self.recent_start).and_then(|at| self.recent.get(at)).map(Rc::as_ref),
        }
    }

    /// Appends the token at `position`, which must be the next one. The first `keep` tokens never leave.
    pub fn append(&mut self, position: usize, keep: usize, key: &[f32], value: &[f32]) -> Result<()> {
        let mut page = match self.open.take() {
            Some(page) => page,
            None => Page::new(self.shape)?,
        };
        page.write(self.shape, position % PAGE_TOKENS, key, value);
        self.put(position / PAGE_TOKENS, position % PAGE_TOKENS + 1, keep, page);
        Ok(())
    }

    /// Puts the page of this index, which holds `tokens` tokens, behind all others.
    fn put(&mut self, index: usize, tokens: usize, keep: usize, page: Page) {
        if tokens < PAGE_TOKENS {
            (self.open_index, self.open) = (index, Some(page));
            return;
        }
        self.open_index = index + 1;
        if index < keep.div_ceil(PAGE_TOKENS) {
            self.kept.push(Rc::new(page));
        } else {
            if self.recent.is_empty() {
                self.recent_start = index;
            }
            self.recent.push_back(Rc::new(page));
            self.join_last(index);
        }
    }

    /// Puts the last pages side by side where the one of this index completes a run of them. Pages that another state shares stay as they
    /// are: a copy of these would take memory that nobody has counted. So does everything where there is none for a moment.
    fn join_last(&mut self, index: usize) {
        let run = self.shape.run_pages();
        let Some(first) = self.recent.len().checked_sub(run).filter(|_| run > 1 && (index + 1).is_multiple_of(run)) else {
            return;
        };
        let pages = self.recent.range(first..);
        if pages.clone().any(|page| page.is_joined() || Rc::strong_count(page) > 1) {
            return;
        }
        if let Ok(joined) = Page::join(pages.map(Rc::as_ref), self.shape.kind) {
            for (page, joined) in self.recent.range_mut(first..).zip(joined) {
                *page = Rc::new(joined);
            }
        }
    }

    /// Parts the first pages from the memory of neighbours that have been dropped, which would stay as long as one of them does.
    fn part_first(&mut self) {
        let run = self.shape.run_pages();
        let left = (run - self.recent_start % run) % run;
        for page in self.recent.iter_mut().take(left) {
            if page.is_joined()
                && Rc::strong_count(page) == 1
                && let Ok(copy) = page.copy(self.shape)
            {
                *page = Rc::new(copy);
            }
        }
    }

    /// The page of this index, open to be written. Pages before the one that was open are as they will stay, so a reader of a state asks for
    /// them in order; those that nothing is to be seen of may be left out.
    pub(super) fn opened(&mut self, index: usize, keep: usize) -> Result<&mut Page> {
        let page = match self.open.take() {
            Some(page) if self.open_index == index => page,
            Some(page) => {
                self.put(self.open_index, PAGE_TOKENS, keep, page);
                Page::new(self.shape)?
            }
            None => Page::new(self.shape)?,
        };
        self.open_index = index;
        Ok(self.open.insert(page))
    }

    /// After the last page of a state at `position` has been read.
    pub(super) fn close_before(&mut self, position: usize, keep: usize) -> Result<()> {
        if !position.is_multiple_of(PAGE_TOKENS) {
            // A window of one token leaves nothing to be seen, and a page to go on in.
            return self.opened(position / PAGE_TOKENS, keep).map(|_| ());
        }
        if let Some(page) = self.open.take() {
            self.put(self.open_index, PAGE_TOKENS, keep, page);
        }
        self.open_index = position / PAGE_TOKENS;
        Ok(())
    }

    /// Drops the pages that hold nothing from `position` on.
    pub fn drop_before(&mut self, position: usize) {
        let before = self.recent_start;
        while !self.recent.is_empty() && (self.recent_start + 1) * PAGE_TOKENS <= position {
            self.recent.pop_front();
            self.recent_start += 1;
        }
        if self.recent_start > before {
            self.part_first();
        }
    }

    /// Bytes of all pages, shared ones included.
    pub(super) fn bytes(&self) -> usize {
        (self.kept.len() + self.recent.len()) * self.shape.page_bytes() + self.open_bytes()
    }

    /// Bytes of the page that a fork cannot share.
    pub(super) fn open_bytes(&self) -> usize {
        if self.open.is_some() { self.shape.page_bytes() } else { 0 }
    }

    /// Shares the full pages and copies the open one.
    pub(super) fn fork(&self) -> Result<Self> {
        Ok(Self {
            kept: self.kept.clone(),
            recent: self.recent.clone(),
            open: self.open.as_ref().map(|page| page.copy(self.shape)).transpose()?,
            ..*self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::KvType;

    const SHAPE: KvShape = KvShape { heads: 3, head_dim: 64, kind: KvType::Int8 };

    fn appended(key_values: &mut KeyValues, from: usize, to: usize) {
        for position in from..to {
            let number = |at: usize| ((position * 31 + at * 7) % 97) as f32 - 48.0;
            let row: Vec<f32> = (0..3 * 64).map(number).collect();
            key_values.append(position, 0, &row, &row).unwrap();
        }
    }

    fn joined(key_values: &KeyValues) -> Vec<bool> {
        key_values.recent.iter().map(|page| page.is_joined()).collect()
    }

    fn rows(key_values: &KeyValues, index: usize) -> Vec<f32> {
        let page = key_values.page(index).unwrap();
        let mut rows = vec![0.0; 3 * PAGE_TOKENS * 65];
        for (head, rows) in rows.chunks_exact_mut(PAGE_TOKENS * 65).enumerate() {
            for slot in 0..PAGE_TOKENS {
                page.value(SHAPE, head, slot, &mut rows[slot * 64..][..64]);
            }
            page.key(SHAPE, head, 5, &mut rows[PAGE_TOKENS * 64..][..32]);
        }
        rows
    }

    #[test]
    fn full_pages_are_put_side_by_side_and_part_when_their_neighbours_leave() {
        let run = SHAPE.run_pages();
        assert_eq!(run, 8);
        let mut key_values = KeyValues::new(SHAPE);
        // What a fork shares is not copied.
        appended(&mut key_values, 0, run * PAGE_TOKENS);
        assert_eq!(joined(&key_values), [true; 8]);
        appended(&mut key_values, run * PAGE_TOKENS, run * PAGE_TOKENS + 40);
        let fork = key_values.fork().unwrap();
        appended(&mut key_values, run * PAGE_TOKENS + 40, (3 * run + 1) * PAGE_TOKENS);
        let expected: Vec<bool> = (0..3 * run + 1).map(|page| page / run == 0 || page / run == 2).collect();
        assert_eq!(joined(&key_values), expected);
        let whole: Vec<Vec<f32>> = (0..3 * run + 1).map(|index| rows(&key_values, index)).collect();
        // Its pages hold what they held, and what it shares stays joined.
        key_values.drop_before(3 * PAGE_TOKENS + 1);
        assert_eq!(joined(&key_values)[..5], [true; 5]);
        assert_eq!(rows(&fork, 2), whole[2]);
        drop(fork);
        key_values.drop_before(4 * PAGE_TOKENS);
        assert_eq!(joined(&key_values)[..5], [false, false, false, false, false]);
        key_values.drop_before((2 * run + 2) * PAGE_TOKENS);
        assert_eq!(joined(&key_values), [false; 7]);
        for (index, expected) in whole.iter().enumerate().skip(2 * run + 2) {
            assert_eq!(rows(&key_values, index), *expected, "page {index}");
        }
    }
}

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
        while !self.recent.is_empty() && (self.recent_start + 1) * PAGE_TOKENS <= position {
            self.recent.pop_front();
            self.recent_start += 1;
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

//! Counts that no code holds (`gpu-backend/docs/model.md#81-neuron`): what their codes lack is found once, when a token has fired, and kept in
//! the order in which products meet it.

use crate::error::Result;
use crate::memory::Allowance;
use crate::spike::LARGEST_CODE;

/// So many of a token are listed, and one that has more is [`Outside::Crowded`]: the list has its room before a pass, whatever a model's
/// thresholds make of it.
const ROOM_OF_TOKEN: usize = 8;
/// Codes that are looked through together.
const PART: usize = 32;

/// An input whose count its code does not hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beyond {
    /// Of the activations.
    pub column: u32,
    /// Row of the activations.
    pub token: u32,
    /// Its value, less what its code is worth.
    pub rest: f32,
}

/// Where a token's counts lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outside {
    /// All within their codes.
    #[default]
    None,
    /// Some outside, all of which are in the list.
    Listed,
    /// More outside than there is room for: none of them is in the list, and who wants them looks through the token.
    Crowded,
}

/// Those of some tokens.
#[derive(Debug, Default)]
pub struct BeyondCodes {
    listed: Vec<Beyond>,
    of_token: Vec<Outside>,
}

impl BeyondCodes {
    /// Room for `tokens` without a later allocation.
    pub fn reserve(&mut self, tokens: usize, allowance: &mut Allowance) -> Result<()> {
        allowance.reserve(&mut self.listed, tokens.saturating_mul(ROOM_OF_TOKEN))?;
        allowance.reserve(&mut self.of_token, tokens)
    }

    /// So many tokens, all within their codes.
    pub fn clear(&mut self, tokens: usize) {
        self.listed.clear();
        self.of_token.clear();
        self.of_token.resize(tokens, Outside::None);
    }

    /// Of a token.
    pub fn of_token(&self, token: usize) -> Outside {
        self.of_token[token]
    }

    /// The list; by column, then by token, once it is sorted.
    pub fn listed(&self) -> &[Beyond] {
        &self.listed
    }

    /// Takes those of a token with some count outside its code, whose codes are worth `scale`.
    pub fn add(&mut self, token: usize, values: &[f32], codes: &[i8], scale: f32) {
        let first = self.listed.len();
        self.of_token[token] = Outside::Listed;
        for (column, rest) in rests(values, codes, scale) {
            if self.listed.len() - first == ROOM_OF_TOKEN {
                self.listed.truncate(first);
                self.of_token[token] = Outside::Crowded;
                return;
            }
            #[allow(clippy::cast_possible_truncation)]
            self.listed.push(Beyond { column: column as u32, token: token as u32, rest });
        }
    }

    /// Puts the list in order.
    pub fn sort(&mut self) {
        self.listed.sort_unstable_by_key(|beyond| (beyond.column, beyond.token));
    }
}

/// The columns of a token whose count no code holds, with what their codes lack of their values.
pub fn rests(values: &[f32], codes: &[i8], scale: f32) -> impl Iterator<Item = (usize, f32)> {
    // Mostly no code of a part is outermost, which the compiler makes vectors of.
    let parts = codes[..values.len()].chunks(PART).enumerate();
    parts
        .filter(|(_, part)| part.iter().fold(false, |some, code| some | is_outermost(*code)))
        .flat_map(move |(index, part)| {
            let places = part.iter().enumerate().filter(|(_, code)| is_outermost(**code));
            places.map(move |(at, code)| (index * PART + at, values[index * PART + at] - scale * f32::from(*code)))
        })
        .filter(|(_, rest)| *rest != 0.0)
}

fn is_outermost(code: i8) -> bool {
    code.unsigned_abs() == LARGEST_CODE as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_in_the_order_of_columns_and_a_token_with_too_many_is_not_in_it() {
        let mut beyond = BeyondCodes::default();
        beyond.clear(4);
        // Two are outside; a count of 127 is not.
        let (mut values, mut codes) = (vec![1.0; 70], vec![2; 70]);
        (values[69], codes[69]) = (-80.0, -127);
        (values[3], codes[3]) = (64.0, 127);
        (values[40], codes[40]) = (63.5, 127);
        beyond.add(2, &values, &codes, 0.5);
        beyond.add(1, &values, &codes, 0.5);
        let crowded = vec![100.0; ROOM_OF_TOKEN + 1];
        beyond.add(3, &crowded, &[127; 32], 0.5);
        beyond.add(0, &crowded[1..], &[127; 32], 0.5);
        beyond.sort();
        let of = |column, token, rest| Beyond { column, token, rest };
        let [few, many]: [Vec<Beyond>; 2] =
            [0, 1].map(|other| beyond.listed().iter().filter(|one| (one.token == 0) == (other == 1)).copied().collect());
        assert_eq!(few, [of(3, 1, 0.5), of(3, 2, 0.5), of(69, 1, -16.5), of(69, 2, -16.5)]);
        assert_eq!(many.len(), ROOM_OF_TOKEN);
        assert!(beyond.listed().is_sorted_by_key(|one| (one.column, one.token)));
        assert_eq!([0, 1, 2, 3].map(|token| beyond.of_token(token)), [Outside::Listed, Outside::Listed, Outside::Listed, Outside::Crowded]);
    }
}

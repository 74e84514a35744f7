//! Numbers from a state's bytes, each checked where it is read.

use super::invalid;
use super::layout::RecurrentType;
use crate::error::Result;
use half::bf16;

/// Some of a file's bytes.
pub struct Fields<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    /// Bytes of the file before these.
    pub before: u64,
}

impl<'a> Fields<'a> {
    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        if self.bytes.len() - self.at < length {
            return Err(invalid(format!("it ends after {} bytes, within a field of {length}", self.before + self.bytes.len() as u64)));
        }
        self.at += length;
        Ok(&self.bytes[self.at - length..self.at])
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn float(&mut self) -> Result<f32> {
        let at = self.place();
        finite(f32::from_le_bytes(self.array()?), at)
    }

    pub fn recurrent(&mut self, kind: RecurrentType, out: &mut [f32]) -> Result<()> {
        for out in out {
            let at = self.place();
            *out = match kind {
                RecurrentType::F32 => self.float()?,
                RecurrentType::Bf16 => finite(bf16::from_le_bytes(self.array()?).to_f32(), at)?,
            };
        }
        Ok(())
    }

    pub fn scale(&mut self) -> Result<f32> {
        let at = self.place();
        let value = self.float()?;
        if value >= 0.0 { Ok(value) } else { Err(invalid(format!("the scale at byte {at} is negative"))) }
    }

    pub fn code(&mut self) -> Result<i8> {
        let at = self.place();
        match i8::from_le_bytes(self.array()?) {
            i8::MIN => Err(invalid(format!("the code at byte {at} is -128; -127 to 127 are used"))),
            code => Ok(code),
        }
    }

    /// Of the next byte, in the file.
    pub fn place(&self) -> u64 {
        self.before + self.at as u64
    }
}

/// Refuses anything else; `at` is its place in the file.
pub fn finite(value: f32, at: u64) -> Result<f32> {
    if value.is_finite() { Ok(value) } else { Err(invalid(format!("the number at byte {at} is not finite"))) }
}

pub fn put_floats(out: &mut Vec<u8>, values: &[f32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

pub fn put_recurrent(out: &mut Vec<u8>, kind: RecurrentType, values: &[f32]) {
    match kind {
        RecurrentType::F32 => put_floats(out, values),
        RecurrentType::Bf16 => out.extend(values.iter().flat_map(|value| narrowed(*value).to_le_bytes())),
    }
}

/// To nearest even; what is finite stays finite.
fn narrowed(value: f32) -> bf16 {
    bf16::from_f32(if value.is_finite() { value.clamp(bf16::MIN.to_f32(), bf16::MAX.to_f32()) } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_is_to_nearest_even_and_never_to_infinity() {
        let bits = |value: f32| narrowed(value).to_bits();
        assert_eq!(bits(f32::from_bits(0x3f80_8000)), 0x3f80);
        assert_eq!(bits(f32::from_bits(0x3f81_8000)), 0x3f82);
        assert_eq!(bits(f32::from_bits(0x3f80_8001)), 0x3f81);
        assert_eq!((bits(f32::MAX), bits(f32::MIN)), (0x7f7f, 0xff7f));
        assert!(narrowed(f32::NAN).is_nan());
    }
}

//! Numbers from a state's bytes, each checked where it is read.

use super::invalid;
use crate::error::Result;

pub struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        if self.bytes.len() - self.at < length {
            return Err(invalid(format!("it ends after {} bytes, within a field of {length}", self.bytes.len())));
        }
        self.at += length;
        Ok(&self.bytes[self.at - length..self.at])
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn float(&mut self) -> Result<f32> {
        let at = self.at;
        let value = f32::from_le_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(invalid(format!("the number at byte {at} is not finite"))) }
    }

    pub fn scale(&mut self) -> Result<f32> {
        let at = self.at;
        let value = self.float()?;
        if value >= 0.0 { Ok(value) } else { Err(invalid(format!("the scale at byte {at} is negative"))) }
    }

    pub fn code(&mut self) -> Result<i8> {
        let at = self.at;
        match i8::from_le_bytes(self.array()?) {
            i8::MIN => Err(invalid(format!("the code at byte {at} is -128; -127 to 127 are used"))),
            code => Ok(code),
        }
    }
}

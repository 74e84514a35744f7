//! Which of a file's tensors belongs where in a model.

use super::super::gguf::{Header, TensorInfo};
use super::super::names::{Division, Form, Spec, specs, w8_names};
use super::super::tensor_type::{GROUP, TensorType};
use crate::config::{Config, Cut, MAX_WIDTH};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap};

/// Pairs every tensor of the file with its place in the model.
pub(in crate::weights) fn matched(config: &Config, header: Header) -> Result<Vec<(TensorInfo, Spec)>> {
    let rows: HashMap<&str, usize> = header.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.rows())).collect();
    // A vector has one dimension, which is its length.
    let mut wanted: BTreeMap<String, Spec> =
        specs(config, |name| rows.get(name).copied()).into_iter().map(|spec| (spec.name.clone(), spec)).collect();
    for info in header.tensors.iter().filter(|info| info.kind == TensorType::I8) {
        want_w8(&mut wanted, info, |name| rows.get(name).copied())?;
    }
    let mut pairs = Vec::new();
    for info in header.tensors {
        let Some(spec) = wanted.remove(&info.name) else {
            return Err(Error::UnsupportedModel(format!("tensor '{}' has no place in a '{}' model", info.name, config.architecture)));
        };
        let found = match spec.form {
            Form::Matrix | Form::RotaryMatrix | Form::HeadMatrices | Form::Scales | Form::Outliers => (info.rows(), info.columns()),
            Form::Vector | Form::RotaryVector => (info.columns(), info.rows()),
        };
        if found != (spec.rows, spec.columns) {
            return Err(Error::InvalidGguf(format!(
                "tensor '{}' has dimensions {:?}; the config asks for {} rows of {}",
                info.name, info.dimensions, spec.rows, spec.columns
            )));
        }
        let wanted_kind = match spec.form {
            Form::Scales => info.kind == TensorType::F32,
            Form::Outliers => info.kind == TensorType::I32,
            Form::Matrix => info.kind != TensorType::I32,
            Form::RotaryMatrix | Form::HeadMatrices | Form::Vector | Form::RotaryVector => {
                !matches!(info.kind, TensorType::I8 | TensorType::I32)
            }
        };
        if !wanted_kind {
            return Err(Error::UnsupportedModel(format!(
                "tensor '{}' is of type {:?}, which is not supported there",
                info.name, info.kind
            )));
        }
        // Only a gate's rank comes from the tensor table alone.
        if spec.columns > MAX_WIDTH {
            return Err(Error::InvalidGguf(format!(
                "tensor '{}' has rows of {}; at most {MAX_WIDTH} are supported",
                info.name, spec.columns
            )));
        }
        pairs.push((info, spec));
    }
    if let Some(name) = wanted.keys().next() {
        return Err(Error::InvalidGguf(format!("tensor '{name}' is missing")));
    }
    Ok(pairs)
}

/// Adds what belongs to a tensor of W8 codes: its scales, and where there are any its outliers.
fn want_w8(wanted: &mut BTreeMap<String, Spec>, info: &TensorInfo, rows_of: impl Fn(&str) -> Option<usize>) -> Result<()> {
    let (scales, outliers) = w8_names(&info.name);
    let Some(spec) = wanted.get(&info.name) else {
        return Ok(());
    };
    let Spec { rows, division, .. } = *spec;
    let of_scales = Spec { name: scales, rows, columns: spec.columns.div_ceil(GROUP), form: Form::Scales, division };
    if i32::try_from(spec.rows).is_err() {
        return Err(Error::UnsupportedModel(format!("tensor '{}' of type I8 with {} rows", info.name, spec.rows)));
    }
    wanted.insert(of_scales.name.clone(), of_scales);
    if let Some(rows) = rows_of(&outliers) {
        wanted.insert(outliers.clone(), Spec { name: outliers, rows, columns: 3, form: Form::Outliers, division: Division::Copied });
    }
    Ok(())
}

/// Those of a file's tensors that `config.cut` holds, and of the vocabulary's only its rows.
pub(super) fn part(config: &Config, pairs: Vec<(TensorInfo, Spec)>) -> Result<Vec<(TensorInfo, Spec)>> {
    let Cut { embedding, head, .. } = &config.cut;
    let tied = !pairs.iter().any(|(info, _)| info.name == "output.weight");
    if tied && !embedding.is_empty() && !head.is_empty() && embedding != head {
        return Err(Error::InvalidArgument(format!(
            "embedding and head are one matrix, so a cut has the same rows of both; it has {embedding:?} and {head:?}"
        )));
    }
    let mut part = Vec::new();
    for (mut info, mut spec) in pairs.into_iter().filter(|(info, _)| config.cut.wants(&info.name, tied)) {
        let stem = info.name.split('.').next().unwrap_or_default();
        let rows = config.cut.vocabulary_rows(stem, tied);
        if ["token_embd", "output"].contains(&stem) && rows.len() < config.vocabulary {
            if info.kind == TensorType::I8 || spec.form != Form::Matrix {
                return Err(Error::UnsupportedModel(format!("a cut through tensor '{}' of type {:?}", info.name, info.kind)));
            }
            let row_bytes = info.kind.row_bytes(info.columns()) as u64;
            info.offset += rows.start as u64 * row_bytes;
            info.bytes = rows.len() as u64 * row_bytes;
            spec.rows = rows.len();
        }
        part.push((info, spec));
    }
    Ok(part)
}

//! Embeddings that `lodestone evaluate --save-embeddings` kept: a matrix of numbers and a list of labels.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::files::read_text;

/// A matrix, row by row.
#[derive(Debug, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) values: Vec<f32>,
    pub(crate) columns: usize,
}

impl Matrix {
    /// Reads a `.npy` of 32-bit floats in row order, the one form that the binary writes.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("{} is no matrix of ours", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes
            .strip_prefix(b"\x93NUMPY\x01\x00")
            .context("no NumPy file of version 1")?;
        let (length, rest) = bytes.split_first_chunk::<2>().context("cut short")?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (header, body) = rest.split_at_checked(length).context("cut short")?;
        let header = String::from_utf8_lossy(header);
        ensure!(header.contains("'<f4'"), "other numbers than <f4: {header}");
        ensure!(header.contains("'fortran_order': False"), "in column order");
        let (_, shape) = header.split_once('(').context("no shape")?;
        let (shape, _) = shape.split_once(')').context("no shape")?;
        let sizes = shape
            .split(',')
            .map(str::trim)
            .filter(|size| !size.is_empty());
        let sizes: Vec<usize> = sizes.map(str::parse).collect::<Result<_, _>>()?;
        let [rows, columns] = sizes[..] else {
            anyhow::bail!("the shape is ({shape}), not two numbers");
        };
        ensure!(
            body.len() == rows * columns * 4,
            "{} bytes, {rows} x {columns} numbers need {}",
            body.len(),
            rows * columns * 4
        );
        let (numbers, _) = body.as_chunks::<4>();
        let values = numbers
            .iter()
            .map(|&number| f32::from_le_bytes(number))
            .collect();
        Ok(Self { values, columns })
    }

    /// The rows.
    pub(crate) fn rows(&self) -> Vec<&[f32]> {
        self.values.chunks_exact(self.columns).collect()
    }
}

/// The classes that training saw, and the fine ones, which are the same where nothing was merged.
#[derive(Debug, PartialEq)]
pub(crate) struct Labels {
    pub(crate) trained: Vec<usize>,
    pub(crate) fine: Vec<usize>,
}

impl Labels {
    /// Reads the list beside a matrix.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let (mut trained, mut fine) = (Vec::new(), Vec::new());
        for (number, line) in read_text(path)?.lines().enumerate().skip(1) {
            let mut cells = line.split(',').map(str::parse::<usize>);
            let wrong = || format!("{} line {}: {line}", path.display(), number + 1);
            let label = cells.next().with_context(wrong)?.with_context(wrong)?;
            let below = cells.next().unwrap_or(Ok(label)).with_context(wrong)?;
            trained.push(label);
            fine.push(below);
        }
        Ok(Self { trained, fine })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// >>> import io, numpy; f = io.BytesIO(); numpy.save(f, numpy.array([[1, 2], [3, 4]], "<f4")); f.getvalue()
    fn saved() -> Vec<u8> {
        let mut header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }".to_vec();
        header.resize(117, b' ');
        header.push(b'\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header);
        bytes.extend(
            [1.0f32, 2.0, 3.0, 4.0]
                .into_iter()
                .flat_map(f32::to_le_bytes),
        );
        bytes
    }

    #[test]
    fn a_matrix_is_read_row_by_row_and_a_cut_one_is_refused() {
        let matrix = Matrix::parse(&saved()).unwrap();
        assert_eq!(matrix.rows(), [[1.0, 2.0], [3.0, 4.0]]);
        let bytes = saved();
        for length in [0, 9, 60, bytes.len() - 1] {
            assert!(Matrix::parse(&bytes[..length]).is_err(), "{length}");
        }
    }
}

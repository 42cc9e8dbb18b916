//! Where the operands of a product lie, and what becomes of its sums.

/// Where the element (row `i`, block `b`, run `s`, step `k`) of the left operand lies: at
/// `i * row + b * block + s * run + k * step`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) row: usize,
    pub(crate) block: usize,
    pub(crate) run: usize,
    pub(crate) step: usize,
    pub(crate) blocks: usize,
    pub(crate) runs: usize,
    pub(crate) steps: usize,
}

/// Where the row (block `b`, run `s`, step `k`) of the right operand begins: at `b * block + s * run + k * step`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right {
    pub(crate) block: usize,
    pub(crate) run: usize,
    pub(crate) step: usize,
}

/// What happens to the sums.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Finish<'a> {
    /// They are added to the output.
    Add,
    /// They replace the output, after a bias for each column and a cut at zero.
    Store { bias: Option<&'a [f32]>, relu: bool },
}

impl Finish<'_> {
    /// They replace the output as they are.
    pub(crate) const PLAIN: Self = Self::Store {
        bias: None,
        relu: false,
    };
}

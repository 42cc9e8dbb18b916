//! From files of photographs to decoded, augmented batches.

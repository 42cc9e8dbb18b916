//! Squared distances between the rows of two matrices, on the host.

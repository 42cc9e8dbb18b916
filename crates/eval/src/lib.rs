//! What an embedding is worth: retrieval, classification, clustering and the paper's own tests.

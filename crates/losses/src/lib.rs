//! Metric-learning losses and mining inside a batch, magnet loss first.

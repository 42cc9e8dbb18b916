//! Fast convolutions, normalisation and pooling for burn's CPU backend, burn's own operators elsewhere.

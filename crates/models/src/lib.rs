//! GoogLeNet, Inception V3 and a small network as embedders, with weights in and out.

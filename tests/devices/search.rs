//! Nearest neighbours on the device.

use lodestone_eval::{Engine, Rows, Search};

use crate::{clouds, device};

#[test]
fn nearest_neighbours_are_those_of_the_cpu_in_the_same_order() {
    let Some(device) = device() else { return };
    let values = clouds(600, 32, 7);
    let rows = Rows::new(&values, 32).unwrap();
    let search = Search::leave_one_out(rows).unwrap();
    let expected = search.clone().nearest(10).unwrap();
    let found = search
        .with_engine(Engine::Device(device))
        .nearest(10)
        .unwrap();
    assert_eq!(found, expected);
}

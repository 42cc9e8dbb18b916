//! The comparison of arrays that the tests of all crates share, each by `#[path]`: too little for a crate of its own.

#![allow(dead_code, reason = "not every test needs all three")]

/// Fails unless every number is finite and at most `allowed(wanted)` away from the wanted one. Says how many are not, and which of
/// them is farthest.
#[track_caller]
pub(crate) fn assert_within<G, W>(what: &str, got: &[G], want: &[W], allowed: impl Fn(f64) -> f64)
where
    G: Copy + Into<f64>,
    W: Copy + Into<f64>,
{
    assert_eq!(got.len(), want.len(), "{what}");
    let mut wrong = 0;
    let mut farthest: Option<(f64, usize, f64, f64)> = None;
    for (at, (&got, &want)) in got.iter().zip(want).enumerate() {
        let (got, want): (f64, f64) = (got.into(), want.into());
        let apart = (got - want).abs();
        if got.is_finite() && apart <= allowed(want) {
            continue;
        }
        wrong += 1;
        let so_far = farthest.map_or(-1.0, |(apart, ..)| apart);
        if apart.is_nan() || apart > so_far {
            farthest = Some((apart, at, got, want));
        }
    }
    if let Some((_, at, found, wanted)) = farthest {
        panic!(
            "{what}: {wrong} of {} numbers differ, the farthest is number {at}: {found}, wanted {wanted}, allowed {:e}",
            got.len(),
            allowed(wanted)
        );
    }
}

/// Fails unless every number is within `relative` of the wanted one's size, or within `absolute`, whichever is more.
#[track_caller]
pub(crate) fn assert_close<G, W>(got: &[G], want: &[W], relative: f64, absolute: f64)
where
    G: Copy + Into<f64>,
    W: Copy + Into<f64>,
{
    assert_within("numbers", got, want, |want| {
        absolute.max(relative * want.abs())
    });
}

/// Fails unless every number is within `tolerance` times the largest wanted one: sums of many terms cancel, so that an error
/// relative to each number would measure the cancellation.
#[track_caller]
pub(crate) fn assert_close_to_largest<G, W>(what: &str, got: &[G], want: &[W], tolerance: f64)
where
    G: Copy + Into<f64>,
    W: Copy + Into<f64>,
{
    let largest = want
        .iter()
        .fold(1e-12, |largest: f64, &w| largest.max(w.into().abs()));
    assert_within(what, got, want, |_| tolerance * largest);
}

#[test]
#[should_panic(
    expected = "x: 2 of 3 numbers differ, the farthest is number 2: NaN, wanted 3, allowed 5e-1"
)]
fn what_is_no_number_is_never_close() {
    assert_within("x", &[1.0, 4.0, f64::NAN], &[1.0_f32, 2.0, 3.0], |_| 0.5);
}

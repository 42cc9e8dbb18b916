//! Which vector instructions may be used, found out when the program runs.

/// Vector instructions of the processor, from those that all have to the widest.
///
/// Results of two levels differ by rounding only: the order of additions is the same, but `Avx2` and `Avx512` round
/// once in a multiply-add where `Portable` rounds twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// No instructions beyond those the program was compiled for.
    Portable,
    /// AVX2 and FMA, 8 lanes.
    Avx2,
    /// AVX-512 F, VL, DQ and BW (server processors since 2017), 16 lanes.
    Avx512,
}

impl Level {
    /// All levels, the slowest first.
    pub(crate) const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Whether this processor can run the level.
    pub(crate) fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Portable => true,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && Self::Avx2.is_available()
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        matches!(self, Self::Portable)
    }

    /// The fastest level that this processor can run.
    pub(crate) fn best() -> Self {
        Self::ALL
            .into_iter()
            .rev()
            .find(|level| level.is_available())
            .unwrap_or(Self::Portable)
    }
}

/// Defines `fn name(level, arguments..)`, one loop compiled once for each level by the compiler's own vectoriser.
///
/// For passes over memory (masks, pools, sums) that need no hand-written kernel. The body must not call a closure or a
/// function that is not inlined: what is called would be compiled for the lowest level.
macro_rules! for_level {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $output:ty)? $body:block) => {
        $(#[$doc])*
        $visibility fn $name(level: $crate::simd::Level, $($argument: $kind),*) $(-> $output)? {
            #[inline(always)]
            fn body($($argument: $kind),*) $(-> $output)? $body
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a function compiled for instructions that were found")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $kind),*) $(-> $output)? { body($($argument),*) }
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512($($argument: $kind),*) $(-> $output)? { body($($argument),*) }
                assert!(level.is_available(), "this processor has no {level:?}");
                match level {
                    $crate::simd::Level::Portable => body($($argument),*),
                    // SAFETY: the level is available, so the processor has these instructions.
                    $crate::simd::Level::Avx2 => unsafe { avx2($($argument),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx512 => unsafe { avx512($($argument),*) },
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                assert!(level.is_available(), "this processor has no {level:?}");
                body($($argument),*)
            }
        }
    };
}
pub(crate) use for_level;

/// Calls `name::<S>(arguments..)`, an `unsafe fn` over [`Lanes`](super::lanes::Lanes), with the lanes of a level, compiled
/// for its instructions. What the function asks of its arguments is left to the caller.
macro_rules! for_lanes {
    ($level:expr, $name:ident($($argument:ident: $kind:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($argument: $kind),*) {
            // SAFETY: the caller's; the instructions are those of this function.
            unsafe { $name::<$crate::simd::avx2::Avx2>($($argument),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        unsafe fn avx512($($argument: $kind),*) {
            // SAFETY: the caller's; the instructions are those of this function.
            unsafe { $name::<$crate::simd::avx512::Avx512>($($argument),*) }
        }
        let level: $crate::simd::Level = $level;
        assert!(level.is_available(), "this processor has no {level:?}");
        // SAFETY: the level is available, and the arguments are what the function asks for, as said beside the call.
        unsafe {
            match level {
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::Avx512 => avx512($($argument),*),
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::Avx2 => avx2($($argument),*),
                _ => $name::<$crate::simd::portable::Portable>($($argument),*),
            }
        }
    }};
}
pub(crate) use for_lanes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_a_level() {
        assert!(Level::Portable.is_available());
        assert!(Level::best().is_available());
    }
}

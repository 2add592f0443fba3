#pragma once
// How often a routed expert is already in memory, by the share of all experts that fits: what real
// routing made of the expert cache.

namespace nereus {

/// Of the default policy over the four recorded traces of V2-Lite one after the other, by
/// `nereus_bench cache` (docs/measurements/cache.json); between the measured shares on straight
/// lines. share_cached in [0, 1]: cached experts / all routed experts of the model.
double expected_hit_rate(double share_cached);

}  // namespace nereus

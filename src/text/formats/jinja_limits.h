#pragma once
// The bounds of the Jinja engine and the account that enforces them while a template runs. A
// template comes from a model file, so it is as hostile as any download.

#include <cstdint>

#include "base/result.h"

namespace nereus::jinja {

inline constexpr size_t kSourceBytesMax = 256 << 10;
inline constexpr int kParserDepthMax = 64;
/// Expressions, blocks and macro calls open at once. The parser's 64 levels fit three times over;
/// a level costs under 4 KiB of stack even with address sanitizer, so 256 need 1 MiB.
inline constexpr int kEvaluatorDepthMax = 256;
inline constexpr int64_t kStepsMax = 1'000'000;
inline constexpr size_t kOutputBytesMax = 16 << 20;
inline constexpr int64_t kListItemsMax = 100'000;
/// Lists in lists, from the request (JSON allows 64) and from the template.
inline constexpr int kValueDepthMax = 128;
/// Text costs a step a started 256 bytes: a run cannot write more than 256 MB in all.
inline constexpr size_t kBytesPerStep = 256;

/// So many evaluated nodes are one step. V3.2's template walks all messages again for every tool
/// result at about 17 nodes a message: 500 results in 1,000 messages must fit.
inline constexpr uint64_t kNodesPerStep = 32;

/// What one run may still do. A turn of a loop, a call, an item of a list and 256 bytes written are
/// a step each; 32 evaluated nodes are one.
class Budget {
  public:
    /// errors: overloaded
    Status spend(int64_t steps = 1) {
        steps_left_ -= steps;
        if (steps_left_ < 0) {
            return make_error(ErrorCode::kOverloaded,
                              "the template takes more than {} steps to render", kStepsMax);
        }
        return {};
    }
    /// For one node evaluated. errors: overloaded
    Status tick() { return ++ticks_ % kNodesPerStep == 0 ? spend() : Status(); }
    /// For work on a value that is free when the value is small. errors: overloaded
    Status spend_weight(int64_t weight) { return weight > 1 ? spend(weight) : tick(); }
    /// For a text of `bytes` bytes that is about to be made. errors: overloaded
    Status spend_text(size_t bytes) {
        if (bytes > kOutputBytesMax) {
            return make_error(ErrorCode::kOverloaded,
                              "the template makes a text of {} bytes, at most {} are allowed",
                              bytes, kOutputBytesMax);
        }
        return spend(static_cast<int64_t>(bytes / kBytesPerStep) + 1);
    }
    /// For a list of `items` items that is about to be made. errors: overloaded
    Status spend_list(int64_t items) {
        if (items > kListItemsMax) {
            return make_error(ErrorCode::kOverloaded,
                              "the template makes a list of {} items, at most {} are allowed",
                              items, kListItemsMax);
        }
        return spend(items + 1);
    }

  private:
    int64_t steps_left_ = kStepsMax;
    uint64_t ticks_ = 0;
};

}  // namespace nereus::jinja

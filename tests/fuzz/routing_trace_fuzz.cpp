// Any bytes as a routing trace: refused in one line, or ids and gates that are all in range.

#include <cmath>

#include "base/check.h"
#include "memory/routing_trace.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace nereus;
    const auto trace =
        parse_routing_trace({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    if (!trace.ok()) {
        NEREUS_CHECK(trace.error().message.find('\n') == std::string::npos);
        return 0;
    }
    for (int64_t token = 0; token < trace->n_tokens(); ++token) {
        for (int64_t layer = 0; layer < trace->n_layers; ++layer) {
            for (const uint8_t id : trace->ids_of(token, layer)) {
                NEREUS_CHECK(id < trace->n_experts);
            }
            for (const float gate : trace->gates_of(token, layer)) {
                NEREUS_CHECK(std::isfinite(gate) && gate >= 0);
            }
        }
    }
    return 0;
}

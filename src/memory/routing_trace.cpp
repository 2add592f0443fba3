#include "memory/routing_trace.h"

#include <bitset>
#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/floats.h"
#include "base/units.h"

namespace nereus {
namespace {

constexpr std::string_view kMagic = "MOETRC01";
constexpr uint64_t kHeaderBytes = 32;
constexpr uint32_t kLayersMax = 1024;
constexpr uint32_t kExpertsMax = 256;  // ids are bytes

struct Header {
    uint32_t n_layers, n_experts, top_k, first_layer, n_sequences, n_tokens;
};
static_assert(sizeof(Header) == kHeaderBytes - 8);

Error corrupt(std::string_view origin, std::string_view what) {
    return make_error(ErrorCode::kCorrupt, "{}: {}", origin, what);
}

Result<Header> read_header(std::span<const std::byte> bytes, std::string_view origin) {
    if (bytes.size() < kHeaderBytes ||
        std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
        return corrupt(origin, fmt::format("expected a routing trace: {} bytes beginning with {}",
                                           kHeaderBytes, kMagic));
    }
    Header header{};
    std::memcpy(&header, bytes.data() + kMagic.size(), sizeof(header));
    if (header.n_layers > kLayersMax || header.n_experts > kExpertsMax) {
        return make_error(ErrorCode::kUnsupported, "{}: {} layers of {} experts; at most {} of {}",
                          origin, header.n_layers, header.n_experts, kLayersMax, kExpertsMax);
    }
    if (header.n_layers == 0 || header.top_k == 0 || header.top_k > header.n_experts ||
        header.n_sequences == 0 || header.n_tokens < header.n_sequences ||
        header.first_layer > kLayersMax) {
        return corrupt(
            origin, fmt::format("offset 8: {} layers from {}, {} of {} experts, {} sequences, {} "
                                "tokens cannot be a trace",
                                header.n_layers, header.first_layer, header.top_k, header.n_experts,
                                header.n_sequences, header.n_tokens));
    }
    return header;
}

/// n_layers and top_k are bounded, so none of this overflows.
Status check_size(const Header& header, uint64_t n_bytes, std::string_view origin) {
    const uint64_t values = uint64_t{header.n_tokens} * header.n_layers * header.top_k;
    const uint64_t expected = kHeaderBytes + 4 * uint64_t{header.n_sequences} + 3 * values;
    if (n_bytes != expected) {
        return corrupt(origin, fmt::format("{} bytes; {} tokens in {} sequences take {}", n_bytes,
                                           header.n_tokens, header.n_sequences, expected));
    }
    return {};
}

Status read_lengths(const std::byte* lengths, const Header& header, std::string_view origin,
                    RoutingTrace& trace) {
    trace.sequence_begins.push_back(0);
    for (uint32_t i = 0; i < header.n_sequences; ++i) {
        uint32_t length = 0;
        std::memcpy(&length, lengths + 4 * uint64_t{i}, sizeof(length));
        const int64_t end = trace.sequence_begins.back() + length;
        if (length == 0 || end > header.n_tokens) {
            return corrupt(
                origin,
                fmt::format("offset {}: sequence {} of {} tokens; {} of {} are left",
                            kHeaderBytes + 4 * uint64_t{i}, i, length,
                            header.n_tokens - trace.sequence_begins.back(), header.n_tokens));
        }
        trace.sequence_begins.push_back(end);
    }
    if (trace.n_tokens() != header.n_tokens) {
        return corrupt(origin, fmt::format("{} tokens in its sequences; the header says {}",
                                           trace.n_tokens(), header.n_tokens));
    }
    return {};
}

Status check_ids(const RoutingTrace& trace, std::string_view origin) {
    for (int64_t row = 0; row < trace.n_tokens() * trace.n_layers; ++row) {
        std::bitset<kExpertsMax> seen;
        for (const uint8_t id : trace.ids_of(row / trace.n_layers, row % trace.n_layers)) {
            if (id >= trace.n_experts || seen[id]) {
                return corrupt(
                    origin,
                    fmt::format("token {}, layer {}: expert {} {}", row / trace.n_layers,
                                row % trace.n_layers, id,
                                seen[id] ? "twice" : fmt::format("of {}", trace.n_experts)));
            }
            seen.set(id);
        }
    }
    return {};
}

Status read_gates(const std::byte* stored, std::string_view origin, RoutingTrace& trace) {
    for (size_t i = 0; i < trace.gates.size(); ++i) {
        uint16_t bits = 0;
        std::memcpy(&bits, stored + 2 * i, sizeof(bits));
        trace.gates[i] = f16_to_f32(bits);
        if (!std::isfinite(trace.gates[i]) || trace.gates[i] < 0) {
            return corrupt(
                origin, fmt::format("gate {} is {}; expected a number from 0", i, trace.gates[i]));
        }
    }
    return {};
}

}  // namespace

Result<RoutingTrace> parse_routing_trace(std::span<const std::byte> bytes,
                                         std::string_view origin) {
    const Header header = NEREUS_TRY(read_header(bytes, origin));
    NEREUS_TRY(check_size(header, bytes.size(), origin));
    RoutingTrace trace;
    trace.n_layers = header.n_layers;
    trace.n_experts = header.n_experts;
    trace.top_k = header.top_k;
    trace.first_layer = header.first_layer;
    NEREUS_TRY(read_lengths(bytes.data() + kHeaderBytes, header, origin, trace));
    const auto n = static_cast<size_t>(trace.n_tokens() * trace.n_layers * trace.top_k);
    const std::byte* ids = bytes.data() + kHeaderBytes + 4 * uint64_t{header.n_sequences};
    trace.ids.resize(n);
    std::memcpy(trace.ids.data(), ids, n);
    NEREUS_TRY(check_ids(trace, origin));
    trace.gates.resize(n);
    NEREUS_TRY(read_gates(ids + n, origin, trace));
    return trace;
}

Result<RoutingTrace> read_routing_trace(const std::filesystem::path& path) {
    const MappedFile file = NEREUS_TRY(MappedFile::open(path));
    return parse_routing_trace(file.bytes(), path.string());
}

}  // namespace nereus

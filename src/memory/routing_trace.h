#pragma once
// Recorded routing: which experts a real model chose, token by token and layer by layer, with their
// gates. Cache policies are judged by it, and a random model can be timed as if it routed like a
// real one.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nereus {

/// One pass of tokens through layer after layer; sequences follow one another.
struct RoutingTrace {
    int64_t n_layers = 0;     ///< mixture layers recorded
    int64_t n_experts = 0;    ///< routed experts a layer, at most 256
    int64_t top_k = 0;        ///< experts a token; their ids are distinct
    int64_t first_layer = 0;  ///< model index of the first recorded layer
    /// First token of each sequence, and n_tokens at the end.
    std::vector<int64_t> sequence_begins;
    std::vector<uint8_t> ids;  ///< [n_tokens, n_layers, top_k]
    std::vector<float> gates;  ///< the same; what the chosen experts' outputs are multiplied with

    int64_t n_sequences() const { return static_cast<int64_t>(sequence_begins.size()) - 1; }
    int64_t n_tokens() const { return sequence_begins.back(); }
    /// layer: 0 is the first recorded one.
    std::span<const uint8_t> ids_of(int64_t token, int64_t layer) const {
        return std::span(ids).subspan(at(token, layer), static_cast<size_t>(top_k));
    }
    std::span<const float> gates_of(int64_t token, int64_t layer) const {
        return std::span(gates).subspan(at(token, layer), static_cast<size_t>(top_k));
    }

  private:
    size_t at(int64_t token, int64_t layer) const {
        return static_cast<size_t>((token * n_layers + layer) * top_k);
    }
};

/// A file of the format MOETRC01, little-endian: the magic; u32 n_layers, n_experts, top_k,
/// first_layer, number of sequences, number of tokens; u32 length of each sequence; ids as u8;
/// gates as float16. origin names it in errors. errors: corrupt (field, expected, found),
/// unsupported (over 1,024 layers or 256 experts)
Result<RoutingTrace> parse_routing_trace(std::span<const std::byte> bytes, std::string_view origin);

/// errors: not_found, io, invalid_argument (not a regular file), those of parse_routing_trace
Result<RoutingTrace> read_routing_trace(const std::filesystem::path& path);

}  // namespace nereus

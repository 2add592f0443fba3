#include "memory/routing_trace.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/floats.h"

namespace nereus {
namespace {

using Bytes = std::vector<std::byte>;

/// A trace file of 3 tokens in 2 sequences, 2 layers, 2 of 4 experts, that tests then damage.
struct TraceFile {
    uint32_t header[6] = {2, 4, 2, 1, 2, 3};
    std::vector<uint32_t> lengths = {2, 1};
    std::vector<uint8_t> ids = {0, 1, 2, 3, 1, 0, 3, 2, 0, 2, 1, 3};
    std::vector<float> gates = std::vector<float>(12, 0.25F);
    std::string magic = "MOETRC01";

    Bytes bytes() const {
        Bytes all;
        const auto add = [&](const void* data, size_t n) {
            const auto* begin = static_cast<const std::byte*>(data);
            all.insert(all.end(), begin, begin + n);
        };
        add(magic.data(), magic.size());
        add(header, sizeof(header));
        add(lengths.data(), 4 * lengths.size());
        add(ids.data(), ids.size());
        for (const float gate : gates) {
            const uint16_t bits = f32_to_f16(gate);
            add(&bits, sizeof(bits));
        }
        return all;
    }
    Result<RoutingTrace> parse() const { return parse_routing_trace(bytes(), "t.moetrc"); }
    std::string message() const {
        const auto trace = parse();
        return trace.ok() ? "accepted" : trace.error().message;
    }
};

bool says(const std::string& message, std::string_view words) {
    return message.find("t.moetrc: ") == 0 && message.find(words) != std::string::npos &&
           message.find('\n') == std::string::npos;
}

TEST(RoutingTrace, a_file_is_read_token_by_token_and_layer_by_layer) {
    TraceFile file;
    file.gates[6] = 0.5F;
    const RoutingTrace trace = file.parse().value();
    EXPECT_EQ(trace.n_layers, 2);
    EXPECT_EQ(trace.n_experts, 4);
    EXPECT_EQ(trace.top_k, 2);
    EXPECT_EQ(trace.first_layer, 1);
    EXPECT_EQ(trace.n_tokens(), 3);
    EXPECT_EQ(trace.n_sequences(), 2);
    EXPECT_EQ(trace.sequence_begins, (std::vector<int64_t>{0, 2, 3}));
    EXPECT_EQ(trace.ids_of(1, 1)[0], 3);
    EXPECT_EQ(trace.ids_of(2, 0)[1], 2);
    EXPECT_EQ(trace.gates_of(1, 1)[0], 0.5F);
    EXPECT_EQ(trace.gates_of(2, 1).size(), 2U);
}

TEST(RoutingTrace, a_recorded_slice_of_v2_lite_is_read) {
    const std::filesystem::path path =
        std::filesystem::path(NEREUS_SOURCE_DIR) / "tests/data/traces/v2lite-intent-2.moetrc";
    const RoutingTrace trace = read_routing_trace(path).value();
    EXPECT_EQ(trace.n_layers, 26);
    EXPECT_EQ(trace.n_experts, 64);
    EXPECT_EQ(trace.top_k, 6);
    EXPECT_EQ(trace.sequence_begins, (std::vector<int64_t>{0, 64, 127}));
    // Softmax probabilities of the six best of 64, not renormalised.
    float sum = 0;
    for (const float gate : trace.gates_of(17, 3)) {
        EXPECT_GT(gate, 0);
        sum += gate;
    }
    EXPECT_LT(sum, 1);
    EXPECT_GT(sum, 6.0F / 64);
}

TEST(RoutingTrace, every_cut_of_a_file_is_refused) {
    const Bytes whole = TraceFile().bytes();
    for (size_t n = 0; n < whole.size(); ++n) {
        EXPECT_FALSE(parse_routing_trace(std::span(whole).first(n), "t").ok()) << n;
    }
    Bytes longer = whole;
    longer.push_back(std::byte{0});
    const auto trace = parse_routing_trace(longer, "t");
    ASSERT_FALSE(trace.ok());
    EXPECT_EQ(trace.error().message, "t: 77 bytes; 3 tokens in 2 sequences take 76");
}

TEST(RoutingTrace, another_kind_of_file_is_refused_by_its_magic) {
    TraceFile file;
    file.magic = "GGUF0001";
    EXPECT_TRUE(says(file.message(), "beginning with MOETRC01")) << file.message();
}

TEST(RoutingTrace, counts_that_cannot_be_are_refused_with_all_of_them) {
    const std::pair<int, uint32_t> wrong[] = {{0, 0}, {2, 0}, {2, 5}, {3, 5000}, {4, 0}, {4, 4}};
    for (const auto& [field, value] : wrong) {
        TraceFile file;
        file.header[field] = value;
        EXPECT_TRUE(says(file.message(), "cannot be a trace")) << field << ": " << file.message();
    }
}

TEST(RoutingTrace, more_experts_than_a_byte_names_are_unsupported) {
    TraceFile file;
    file.header[1] = 257;
    ASSERT_FALSE(file.parse().ok());
    EXPECT_EQ(file.parse().error().code, ErrorCode::kUnsupported);
    file.header[1] = 4;
    file.header[0] = 0xffffffff;
    EXPECT_EQ(file.parse().error().code, ErrorCode::kUnsupported);
}

TEST(RoutingTrace, counts_far_beyond_the_file_are_refused_before_anything_is_allocated) {
    TraceFile file;
    file.header[5] = 0xffffffff;
    EXPECT_TRUE(says(file.message(), "4294967295 tokens")) << file.message();
    file.header[4] = 0xfffffff0;
    EXPECT_TRUE(says(file.message(), "4294967280 sequences")) << file.message();
}

TEST(RoutingTrace, lengths_have_to_add_up) {
    TraceFile file;
    file.lengths = {0, 3};
    EXPECT_TRUE(says(file.message(), "offset 32: sequence 0 of 0 tokens")) << file.message();
    file.lengths = {2, 2};
    EXPECT_TRUE(says(file.message(), "offset 36: sequence 1 of 2 tokens; 1 of 3"));
    file.lengths = {1, 1};
    EXPECT_TRUE(says(file.message(), "2 tokens in its sequences; the header says 3"));
}

TEST(RoutingTrace, an_expert_out_of_range_or_twice_is_refused_with_its_place) {
    TraceFile file;
    file.ids[7] = 4;
    EXPECT_TRUE(says(file.message(), "token 1, layer 1: expert 4 of 4")) << file.message();
    file.ids[7] = file.ids[6];
    EXPECT_TRUE(says(file.message(), "token 1, layer 1: expert 3 twice")) << file.message();
}

TEST(RoutingTrace, a_gate_has_to_be_a_number_from_zero) {
    for (const float gate : {-0.5F, 1e9F, std::numeric_limits<float>::quiet_NaN()}) {
        TraceFile file;
        file.gates[5] = gate;
        EXPECT_TRUE(says(file.message(), "gate 5 is")) << file.message();
    }
}

TEST(RoutingTrace, a_missing_file_is_named) {
    const auto trace = read_routing_trace("no/such.moetrc");
    ASSERT_FALSE(trace.ok());
    EXPECT_EQ(trace.error().code, ErrorCode::kNotFound);
    EXPECT_NE(trace.error().message.find("no/such.moetrc"), std::string::npos);
}

}  // namespace
}  // namespace nereus

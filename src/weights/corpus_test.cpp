// The fuzzers' corpora, replayed without a fuzzer: what was found once stays found.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "weights/files/gguf_header.h"
#include "weights/files/pack_manifest.h"
#include "weights/files/safetensors_header.h"
#include "weights/files/testing.h"

namespace nereus {
namespace {

/// Calls read(bytes) for every file of a corpus; returns how many were accepted.
template <typename Read>
int replay(const std::string& name, Read read) {
    int n_accepted = 0;
    const std::string folder = std::string(NEREUS_SOURCE_DIR) + "/tests/fuzz/corpus/" + name;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) {
            continue;
        }
        const std::string file = testing::slurp(entry.path());
        const auto result = read(testing::bytes_of(file));
        n_accepted += result.ok() ? 1 : 0;
        if (!result.ok()) {
            EXPECT_EQ(result.error().message.find('\n'), std::string::npos) << entry.path();
        }
    }
    return n_accepted;
}

TEST(Corpus, safetensors_seeds_are_read) {
    EXPECT_GE(replay("safetensors", [](auto bytes) { return read_safetensors_header(bytes, "x"); }),
              6);
}

TEST(Corpus, gguf_seeds_are_read) {
    EXPECT_GE(replay("gguf", [](auto bytes) { return read_gguf(bytes, "x"); }), 23);
}

TEST(Corpus, pack_seeds_are_read) {
    const auto read = [](auto bytes) {
        return parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "x");
    };
    EXPECT_EQ(replay("pack", read), 3);
}

}  // namespace
}  // namespace nereus

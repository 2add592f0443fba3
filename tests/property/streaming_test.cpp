// Experts on disk: the same bits as experts in memory at every size of memory, queue and chunk, and
// a failed read fails one pass, not the model.

#include <gmock/gmock.h>

#include <fstream>
#include <map>

#include "base/file.h"
#include "base/rng.h"
#include "tests/support/packing.h"

namespace nereus::test {
namespace {

using testing::HasSubstr;

constexpr int64_t kTokensMax = 512;

struct StreamedModel {
    const char* name;
    const char* source;
    const char* recipe;   ///< packed with it; "": as it is
    uint64_t slot_bytes;  ///< an expert is not larger
};

// A pack is one read an expert; F32 and FP8 shards and a GGUF's stacks are up to three.
constexpr StreamedModel kModels[] = {
    {"pack_v2_lite", "tests/golden/v2_lite", "q4", 65536},
    {"pack_v3", "tests/golden/v3", "q8", 65536},
    {"folder_v2_group", "tests/golden/v2_group", "", 65536},
    {"folder_v3_fp8", "tests/golden/v3_fp8", "", 110000},
    {"gguf_v2_lite", "tests/data/gguf/v2_lite-mla.gguf", "", 80000},
    {"gguf_v3", "tests/data/gguf/v3-legacy.gguf", "", 80000},
};

std::vector<int32_t> tokens_of(const ModelConfig& config, size_t n, uint64_t seed) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < n; ++i) {
        tokens.push_back(static_cast<int32_t>(random_bits(seed, 1, i) %
                                              static_cast<uint64_t>(config.vocab_size)));
    }
    return tokens;
}

class Streaming : public testing::TestWithParam<StreamedModel> {
  protected:
    void SetUp() override {
        path_ = source_path(GetParam().source);
        if (*GetParam().recipe != '\0') {
            path_ = folder_.path() / "pack";
            pack_into(source_path(GetParam().source), GetParam().recipe, path_);
        }
    }

    Loaded load(const LoadOptions& options, int n_threads = 2) const {
        Loaded loaded;
        loaded.pool = std::make_unique<ThreadPool>(n_threads);
        loaded.backend = must(create_cpu_backend(*loaded.pool, ""));
        loaded.checkpoint = must(open_checkpoint(path_));
        loaded.model = must(load_model(*loaded.checkpoint, *loaded.backend, options));
        loaded.cache = must(KvCache::create(loaded.model->kv_spec(kTokensMax)));
        return loaded;
    }

    /// Memory for n experts, or a few more.
    static LoadOptions with_slots(uint64_t n) {
        LoadOptions options;
        options.expert_bytes = n * GetParam().slot_bytes;
        return options;
    }

    /// Memory for exactly n experts.
    LoadOptions with_exactly(uint64_t n) const {
        const auto checkpoint = must(open_checkpoint(path_));
        ThreadPool pool(1);
        const auto backend = must(create_cpu_backend(pool, ""));
        LoadOptions options;
        for (options.expert_bytes = 4096; !load_model(*checkpoint, *backend, options).ok();) {
            options.expert_bytes += 4096;  // slots are whole pages
        }
        options.expert_bytes *= n;
        return options;
    }

    TemporaryFolder folder_;
    std::filesystem::path path_;
};

TEST_P(Streaming, any_memory_queue_and_chunk_gives_the_bits_of_the_resident_model) {
    Loaded resident = load({});
    const std::vector<int32_t> tokens = tokens_of(resident.model->config(), 40, 3);
    const std::vector<float> expected = run_fresh(resident, tokens, 16);
    for (const uint64_t n_slots : {1, 3, 1000}) {
        for (const int depth : {1, 5}) {
            LoadOptions options = with_slots(n_slots);
            options.reads.depth = depth;
            options.reads.piece_bytes = depth == 5 ? 4096 : 1 << 20;
            options.reads.engine =
                depth == 1 ? AsyncReadOptions::Engine::kThreads : AsyncReadOptions::Engine::kAuto;
            Loaded streamed = load(options);
            for (const int64_t chunk : {1, 7, 40}) {  // the second and third find a warm cache
                EXPECT_EQ(run_fresh(streamed, tokens, chunk), expected)
                    << n_slots << " slots, depth " << depth << ", chunk " << chunk;
            }
        }
    }
}

TEST_P(Streaming, guesses_change_no_bit_right_or_wrong) {
    Loaded resident = load({});
    const std::vector<int32_t> tokens = tokens_of(resident.model->config(), 60, 6);
    const std::vector<float> expected = run_fresh(resident, tokens, 16);
    int64_t n_right = 0, n_wrong = 0;
    for (const int64_t n_guess_slots : {0, 1, 4}) {
        for (const uint32_t piece_bytes : {4096U, 1U << 20}) {
            LoadOptions options = with_exactly(6);
            options.n_guess_slots = n_guess_slots;
            options.reads.piece_bytes = piece_bytes;
            Loaded streamed = load(options);
            for (const int64_t chunk : {1, 2, 1}) {
                ASSERT_EQ(run_fresh(streamed, tokens, chunk), expected)
                    << n_guess_slots << " guess slots, chunk " << chunk;
            }
            const ExpertBankStats use = streamed.model->expert_stats();
            EXPECT_EQ(use.n_guesses > 0, n_guess_slots > 0);
            EXPECT_LE(use.n_guesses_right, use.n_misses);
            n_right += use.n_guesses_right;
            n_wrong += use.n_guesses - use.n_guesses_right;
        }
    }
    EXPECT_GT(n_right, 0);
    EXPECT_GT(n_wrong, 0);
}

TEST_P(Streaming, a_failed_read_of_a_guess_fails_nobody_who_did_not_ask_for_it) {
    Loaded resident = load({});
    const std::vector<int32_t> tokens = tokens_of(resident.model->config(), 40, 7);
    const std::vector<float> expected = run_fresh(resident, tokens, 16);
    uint64_t n_reads = 0;
    uint64_t one_in = 0;
    LoadOptions options = with_exactly(6);
    options.n_guess_slots = 3;
    options.reads.piece_bytes = 8192;
    options.reads.fault = [&](uint64_t, int64_t result) {
        ++n_reads;
        return one_in > 0 && random_bits(4, 2, n_reads) % one_in == 0 ? -int64_t{EIO} : result;
    };
    Loaded streamed = load(options);
    int64_t n_failed = 0;
    for (int round = 0; round < 30; ++round) {
        one_in = 150;
        const int32_t slot = must(streamed.cache->add_sequence());
        for (int32_t i = 0; i < 5; ++i) {  // a failed pass leaves the sequence as it was
            const Batch batch{{tokens[static_cast<size_t>(i)]},
                              {static_cast<int32_t>(streamed.cache->length(slot))},
                              {slot},
                              {0}};
            const auto passed = streamed.model->forward(batch, *streamed.cache);
            n_failed += passed.ok() ? 0 : 1;
            EXPECT_TRUE(passed.ok() || passed.error().code == ErrorCode::kIo);
        }
        streamed.cache->remove_sequence(slot);
        one_in = 0;
        ASSERT_EQ(run_fresh(streamed, tokens, 1), expected) << "after round " << round;
    }
    EXPECT_GT(n_failed, 0);
    EXPECT_GT(streamed.model->expert_stats().n_guesses, 0);
}

TEST_P(Streaming, layers_read_for_every_pass_give_the_bits_of_the_resident_model) {
    Loaded resident = load({});
    const std::vector<int32_t> tokens = tokens_of(resident.model->config(), 15, 4);
    const std::vector<float> expected = run_fresh(resident, tokens, 16);
    for (int64_t n = 1; n <= resident.model->config().num_hidden_layers; ++n) {
        LoadOptions options = with_slots(3);
        options.n_layers_streamed = n;
        options.reads.depth = 3;
        Loaded streamed = load(options);
        for (const int64_t chunk : {1, 15}) {
            ASSERT_EQ(run_fresh(streamed, tokens, chunk), expected) << n << " layers";
        }
    }
}

TEST_P(Streaming, a_failed_read_of_a_layer_fails_that_pass_alone) {
    Loaded resident = load({});
    const std::vector<int32_t> tokens = tokens_of(resident.model->config(), 3, 8);
    const std::vector<float> expected = run_fresh(resident, tokens, 3);
    uint64_t failing = UINT64_MAX;
    uint64_t n_reads = 0;
    LoadOptions options;
    options.n_layers_streamed = resident.model->config().num_hidden_layers;
    options.reads.fault = [&](uint64_t, int64_t result) {
        return n_reads++ == failing ? -int64_t{EIO} : result;
    };
    Loaded streamed = load(options);
    EXPECT_EQ(run_fresh(streamed, tokens, 3), expected);
    for (uint64_t at = 0; at < 20; ++at) {
        failing = n_reads + at;
        const int32_t slot = must(streamed.cache->add_sequence());
        const Batch batch{tokens, {0, 1, 2}, {slot, slot, slot}, {2}};
        const auto failed = streamed.model->forward(batch, *streamed.cache);
        EXPECT_TRUE(failed.ok() || failed.error().code == ErrorCode::kIo);
        failing = UINT64_MAX;
        streamed.cache->remove_sequence(slot);
        const int32_t other = must(streamed.cache->add_sequence());
        const auto again = streamed.model->forward({tokens, {0, 1, 2}, {other, other, other}, {2}},
                                                   *streamed.cache);
        const bool is_well = again.ok();
        streamed.cache->remove_sequence(other);
        if (is_well) {  // a failure of a read ahead may show only here
            ASSERT_EQ(run_fresh(streamed, tokens, 3), expected) << "after read " << at;
        }
    }
}

TEST_P(Streaming, what_is_not_in_memory_is_counted_and_read) {
    Loaded streamed = load(with_slots(1000));
    const std::vector<int32_t> tokens = tokens_of(streamed.model->config(), 20, 5);
    run_fresh(streamed, tokens, 20);
    const ExpertBankStats cold = streamed.model->expert_stats();
    EXPECT_GT(cold.n_misses, 0);
    EXPECT_GT(cold.n_bytes_read, 0U);
    run_fresh(streamed, tokens, 20);
    const ExpertBankStats warm = streamed.model->expert_stats();
    EXPECT_EQ(warm.n_misses, cold.n_misses);
    EXPECT_EQ(warm.n_bytes_read, cold.n_bytes_read);
    EXPECT_GE(warm.n_hits, cold.n_hits + cold.n_misses);
}

TEST_P(Streaming, a_failure_of_any_read_fails_that_pass_alone) {
    Loaded resident = load({});
    const std::vector<int32_t> tokens = tokens_of(resident.model->config(), 12, 9);
    const std::vector<float> expected = run_fresh(resident, tokens, 12);
    uint64_t failing = UINT64_MAX;
    uint64_t n_reads = 0;
    LoadOptions options = with_slots(3);
    options.reads.fault = [&](uint64_t, int64_t result) {
        return n_reads++ == failing ? -int64_t{EIO} : result;
    };
    Loaded streamed = load(options);
    EXPECT_EQ(run_fresh(streamed, tokens, 12), expected);
    const uint64_t n_once = n_reads;
    for (uint64_t at = 0; at < n_once; at += at < 40 ? 1 : 5) {
        failing = n_reads + at;
        const int32_t slot = must(streamed.cache->add_sequence());
        Batch batch;
        for (size_t i = 0; i < tokens.size(); ++i) {
            batch.tokens.push_back(tokens[i]);
            batch.positions.push_back(static_cast<int32_t>(i));
            batch.slots.push_back(slot);
        }
        const auto failed = streamed.model->forward(batch, *streamed.cache);
        if (n_reads > failing && !failed.ok()) {
            EXPECT_EQ(failed.error().code, ErrorCode::kIo);
            EXPECT_THAT(failed.error().message, HasSubstr("at offset"));
            EXPECT_EQ(streamed.cache->length(slot), 0);
        }
        failing = UINT64_MAX;
        streamed.cache->remove_sequence(slot);
        ASSERT_EQ(run_fresh(streamed, tokens, 12), expected) << "after a failure at read " << at;
    }
}

TEST_P(Streaming, a_drive_that_stalls_fails_that_pass_in_bounded_time_and_no_later_one) {
    Loaded resident = load({});
    const std::vector<int32_t> tokens = tokens_of(resident.model->config(), 12, 10);
    const std::vector<float> expected = run_fresh(resident, tokens, 12);
    bool is_silent = false;
    LoadOptions options = with_exactly(8);
    options.reads.stall_ms = 50;
    options.reads.fault = [&](uint64_t, int64_t result) {
        return std::exchange(is_silent, false) ? kNeverAnswered : result;
    };
    Loaded streamed = load(options);
    for (int round = 0; round < 2; ++round) {
        is_silent = true;  // one piece is never heard of again, and its slot is not used again
        const int32_t slot = must(streamed.cache->add_sequence());
        const auto failed =
            streamed.model->forward({{tokens[0]}, {0}, {slot}, {0}}, *streamed.cache);
        if (!failed.ok()) {
            EXPECT_EQ(failed.error().code, ErrorCode::kIo);
            EXPECT_THAT(failed.error().message, HasSubstr("has not answered"));
        }
        is_silent = false;
        streamed.cache->remove_sequence(slot);
        ASSERT_EQ(run_fresh(streamed, tokens, 12), expected) << "after stall " << round;
    }
}

TEST_P(Streaming, a_file_cut_short_while_running_fails_passes_until_its_bytes_are_back) {
    const std::filesystem::path original = path_;
    path_ = folder_.path() / "copy";
    std::filesystem::copy(original, path_, std::filesystem::copy_options::recursive);
    Loaded resident = load({.weights = WeightPlace::kCopied});
    const std::vector<int32_t> tokens = tokens_of(resident.model->config(), 12, 11);
    const std::vector<float> expected = run_fresh(resident, tokens, 12);
    Loaded streamed = load(with_exactly(2));
    std::map<std::filesystem::path, std::string> contents;
    for (const StoredTensor& tensor : streamed.checkpoint->tensors()) {
        contents[tensor.file] = "";
    }
    for (auto& [path, content] : contents) {
        content = must(read_file(path, 1U << 30));
        std::filesystem::resize_file(path, 4096);
    }
    const int32_t slot = must(streamed.cache->add_sequence());
    const auto failed = streamed.model->forward({{tokens[0]}, {0}, {slot}, {0}}, *streamed.cache);
    ASSERT_FALSE(failed.ok());
    EXPECT_THAT(failed.error().message, HasSubstr("did it change"));
    streamed.cache->remove_sequence(slot);
    for (const auto& [path, content] : contents) {
        std::fstream(path, std::ios::in | std::ios::out | std::ios::binary)
            .write(content.data(), static_cast<std::streamsize>(content.size()));
    }
    EXPECT_EQ(run_fresh(streamed, tokens, 12), expected);
}

TEST_P(Streaming, memory_for_less_than_one_expert_is_refused_with_the_numbers) {
    Loaded loaded;
    loaded.pool = std::make_unique<ThreadPool>(1);
    loaded.backend = must(create_cpu_backend(*loaded.pool, ""));
    loaded.checkpoint = must(open_checkpoint(path_));
    LoadOptions options;
    options.expert_bytes = 100;
    const auto refused = load_model(*loaded.checkpoint, *loaded.backend, options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
    EXPECT_THAT(refused.error().message, HasSubstr("100 B for routed experts"));
}

INSTANTIATE_TEST_SUITE_P(, Streaming, testing::ValuesIn(kModels),
                         [](const auto& param_info) { return std::string(param_info.param.name); });

}  // namespace
}  // namespace nereus::test

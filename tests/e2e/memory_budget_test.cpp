// --memory is kept: whatever is asked for, the process never takes more, and what cannot be kept is
// refused before it begins.

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdlib>

#include "base/result.h"
#include "base/rng.h"
#include "base/units.h"
#include "tests/e2e/run_process.h"

namespace nereus {
namespace {

/// A mixture model whose experts are most of it: 11 layers of 64, about 73 MB at 8 bits.
constexpr const char* kConfig = R"({"architectures": ["DeepseekV2ForCausalLM"],
    "model_type": "deepseek_v2", "vocab_size": 512, "hidden_size": 128, "intermediate_size": 256,
    "num_hidden_layers": 12, "num_attention_heads": 4, "num_key_value_heads": 4,
    "kv_lora_rank": 64, "q_lora_rank": null, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16,
    "v_head_dim": 32, "n_routed_experts": 64, "num_experts_per_tok": 6, "n_shared_experts": 1,
    "moe_intermediate_size": 256, "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_group": 1,
    "topk_group": 1, "topk_method": "greedy", "scoring_func": "softmax", "norm_topk_prob": false,
    "routed_scaling_factor": 1.0, "rms_norm_eps": 1e-6, "rope_theta": 10000,
    "max_position_embeddings": 4096, "tie_word_embeddings": false, "hidden_act": "silu"})";

struct Measured {
    int exit_code = -1;
    uint64_t peak_bytes = 0;
    std::string err;
};

Measured run_measured(std::vector<std::string> arguments) {
    const auto folder = scratch_folder();
    const pid_t child = ::fork();
    if (child == 0) {
        const int out = ::open((folder / "out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        const int err = ::open((folder / "err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ::dup2(out, 1);
        ::dup2(err, 2);
        become_program(std::move(arguments));
    }
    int status = 0;
    struct rusage usage = {};
    ::wait4(child, &status, 0, &usage);
    return {exit_code_of_status(status), static_cast<uint64_t>(usage.ru_maxrss) * kKiB,
            file_text(folder / "err")};
}

class MemoryBudget : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        folder_ = std::filesystem::current_path() / fmt::format("memory_budget.{}", ::getpid());
        std::filesystem::create_directories(folder_);
        std::ofstream(folder_ / "config.json") << kConfig;
        for (const char* format : {"q8", "fp8"}) {
            const ProcessResult made =
                run_program({"synth", (folder_ / "config.json").string(), "--format", format,
                             "--out", (folder_ / format).string()});
            ASSERT_EQ(made.exit_code, 0) << made.err;
        }
    }
    static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

    static std::filesystem::path folder_;
};

std::filesystem::path MemoryBudget::folder_;

/// A tenth of a minute for every hundred; NEREUS_BUDGET_RUNS=1000 for a longer look.
uint64_t n_budget_runs() {
    const char* wanted = std::getenv("NEREUS_BUDGET_RUNS");
    return wanted == nullptr ? 200 : std::stoull(wanted);
}

TEST_F(MemoryBudget, no_run_of_two_hundred_takes_more_than_its_budget) {
    const uint64_t kRuns = n_budget_runs();
    int n_run = 0, n_refused = 0;
    for (uint64_t i = 0; i < kRuns; ++i) {
        const auto draw = [&](uint64_t stream, uint64_t from, uint64_t to) {
            return from + random_bits(11, stream, i) % (to - from + 1);
        };
        const uint64_t budget = draw(0, 70 * kMiB, 260 * kMiB);
        const Measured run = run_measured(
            {"bench", (folder_ / (draw(1, 0, 3) == 0 ? "fp8" : "q8")).string(), "--memory",
             std::to_string(budget), "--prompt", std::to_string(draw(2, 1, 40)), "--generate",
             std::to_string(draw(3, 1, 4)), "--sequences", std::to_string(draw(4, 1, 4)),
             "--repeat", "1", "--threads", std::to_string(draw(5, 1, 2))});
        ASSERT_TRUE(run.exit_code == 0 || run.exit_code == 3) << run.err;
        ASSERT_LE(run.peak_bytes, budget) << run.err;
        n_run += run.exit_code == 0 ? 1 : 0;
        n_refused += run.exit_code == 3 ? 1 : 0;
    }
    EXPECT_GT(n_run, static_cast<int>(kRuns / 2));
    EXPECT_GT(n_refused, 0);
}

TEST_F(MemoryBudget, killed_while_it_streams_a_model_is_whole_and_the_next_run_gives_the_same_ids) {
    const std::string model = (folder_ / "q8").string();
    const std::filesystem::path ids = folder_ / "ids.json";
    std::ofstream(ids) << "[1, 2, 3, 4, 5, 6, 7, 8]";
    const std::vector<std::string> greedy = {"eval", "greedy", model, "--tokens",
                                             ids,    "-n",     "24",  "--memory"};
    const auto with = [&](const char* budget) {
        std::vector<std::string> words = greedy;
        words.emplace_back(budget);
        return words;
    };
    const ProcessResult resident = run_program(with("1G"));
    ASSERT_EQ(resident.exit_code, 0) << resident.err;
    int n_killed = 0;
    for (uint64_t i = 0; i < 10; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            const int nowhere = ::open("/dev/null", O_WRONLY);
            ::dup2(nowhere, 1);
            ::dup2(nowhere, 2);
            become_program(with("110M"));
        }
        ::usleep(static_cast<useconds_t>(1000 * (5 + random_bits(12, 0, i) % 150)));
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        n_killed += WIFSIGNALED(status) ? 1 : 0;
    }
    EXPECT_GT(n_killed, 0) << "every run ended before it was killed";
    const ProcessResult streamed = run_program(with("110M"));
    ASSERT_EQ(streamed.exit_code, 0) << streamed.err;
    EXPECT_EQ(streamed.out, resident.out);
    EXPECT_EQ(run_program({"pack", "--verify", model}).exit_code, 0);
}

TEST_F(MemoryBudget, the_smallest_budget_that_a_refusal_names_is_accepted) {
    const std::string model = (folder_ / "q8").string();
    const ProcessResult refused = run_program({"run", model, "--raw", "--memory", "10M", "x"});
    EXPECT_EQ(refused.exit_code, 3);
    EXPECT_THAT(refused.err, testing::HasSubstr("at least"));
    EXPECT_THAT(refused.err, testing::HasSubstr("process"));
    const ProcessResult wrong = run_program({"bench", model, "--memory", "lots"});
    EXPECT_EQ(wrong.exit_code, 2);
    EXPECT_THAT(wrong.err, testing::HasSubstr("as in 12G"));
}

}  // namespace
}  // namespace nereus

// bench: prefill and decode speed of a model beside the bytes it has to read.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "apps/open.h"
#include "base/rng.h"

namespace nereus {
namespace {

struct BenchFlags {
    std::string model;
    int64_t n_prompt = 128;
    int64_t n_generate = 64;
    int64_t n_repeat = 5;
    bool json = false;
};

constexpr int64_t kPrefillChunk = 256;  // EngineLimits' default: what a chat does

/// Speeds of the repeats, tokens a second.
struct Speeds {
    std::vector<double> values;

    double median() const {
        std::vector<double> sorted = values;
        std::sort(sorted.begin(), sorted.end());
        const size_t middle = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
    double low() const { return *std::min_element(values.begin(), values.end()); }
    double high() const { return *std::max_element(values.begin(), values.end()); }
};

/// The same pseudo-random ids every time: speed must not depend on what was drawn.
std::vector<int32_t> bench_tokens(int64_t n, int64_t vocab_size) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < n; ++i) {
        const uint64_t bits = random_bits(1, 0, static_cast<uint64_t>(i));
        tokens.push_back(static_cast<int32_t>(bits % static_cast<uint64_t>(vocab_size)));
    }
    return tokens;
}

/// One forward over tokens [begin, end) of the sequence; logits of the last.
Status feed(const OpenedModel& opened, KvCache& cache, int32_t slot,
            std::span<const int32_t> tokens, int64_t begin, int64_t end) {
    Batch batch;
    for (int64_t i = begin; i < end; ++i) {
        batch.tokens.push_back(tokens[static_cast<size_t>(i)]);
        batch.positions.push_back(static_cast<int32_t>(i));
        batch.slots.push_back(slot);
    }
    batch.logit_rows = {static_cast<int32_t>(end - begin - 1)};
    NEREUS_TRY(opened.model->forward(batch, cache));
    return {};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Timing {
    Speeds prefill, decode;
};

Status run_once(const OpenedModel& opened, const BenchFlags& flags, Timing& timing) {
    const int64_t n = flags.n_prompt + flags.n_generate;
    const auto tokens = bench_tokens(n, opened.model->config().vocab_size);
    const auto cache = NEREUS_TRY(KvCache::create(opened.model->kv_spec(n)));
    const int32_t slot = NEREUS_TRY(cache->add_sequence());
    auto start = std::chrono::steady_clock::now();
    for (int64_t begin = 0; begin < flags.n_prompt; begin += kPrefillChunk) {
        const int64_t end = std::min(begin + kPrefillChunk, flags.n_prompt);
        NEREUS_TRY(feed(opened, *cache, slot, tokens, begin, end));
    }
    timing.prefill.values.push_back(static_cast<double>(flags.n_prompt) / seconds_since(start));
    start = std::chrono::steady_clock::now();
    for (int64_t i = flags.n_prompt; i < n; ++i) {
        NEREUS_TRY(feed(opened, *cache, slot, tokens, i, i + 1));
    }
    timing.decode.values.push_back(static_cast<double>(flags.n_generate) / seconds_since(start));
    return {};
}

Json speeds_json(const Speeds& speeds, int64_t n_tokens) {
    Json json;
    json["tokens"] = n_tokens;
    json["tokens_per_second"] = speeds.median();
    json["low"] = speeds.low();
    json["high"] = speeds.high();
    return json;
}

std::string report(const OpenedModel& opened, const BenchFlags& flags, const Timing& timing) {
    const int64_t n_bytes = opened.model->bytes_per_token();
    const double rate = static_cast<double>(n_bytes) * timing.decode.median() / 1e9;
    if (!flags.json) {
        const auto line = [](const char* name, const Speeds& speeds, int64_t n) {
            return fmt::format("{:<8} {:>6} tokens {:>10.2f} tokens/s ({:.2f} to {:.2f})\n", name,
                               n, speeds.median(), speeds.low(), speeds.high());
        };
        return line("prefill", timing.prefill, flags.n_prompt) +
               line("decode", timing.decode, flags.n_generate) +
               fmt::format(
                   "reads    {:.3f} GB a token, {:.2f} GB/s while decoding ({}, {} "
                   "threads)\n",
                   static_cast<double>(n_bytes) / 1e9, rate, opened.backend->isa(),
                   opened.pool->n_threads());
    }
    Json json;
    json["model"] = flags.model;
    json["version"] = NEREUS_VERSION;
    json["isa"] = std::string(opened.backend->isa());
    json["threads"] = opened.pool->n_threads();
    json["repeat"] = flags.n_repeat;
    json["prefill"] = speeds_json(timing.prefill, flags.n_prompt);
    json["decode"] = speeds_json(timing.decode, flags.n_generate);
    json["bytes_per_token"] = n_bytes;
    json["gb_per_second"] = rate;
    return dump_json(json) + "\n";
}

Result<ExitCode> bench(const BenchFlags& flags, const CommonOptions& common) {
    const OpenedModel opened = NEREUS_TRY(open_model(flags.model, open_options(common)));
    const int64_t context = opened.model->config().max_position_embeddings;
    if (flags.n_prompt + flags.n_generate > context) {
        return make_error(ErrorCode::kOutOfMemory,
                          "--prompt {} and --generate {} make {} tokens; the model's context is {}",
                          flags.n_prompt, flags.n_generate, flags.n_prompt + flags.n_generate,
                          context);
    }
    Timing warm_up;
    NEREUS_TRY(run_once(opened, flags, warm_up));  // pages the weights in
    Timing timing;
    for (int64_t i = 0; i < flags.n_repeat; ++i) {
        NEREUS_TRY(run_once(opened, flags, timing));
    }
    return print_result(report(opened, flags, timing));
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    constexpr int64_t kTokensMax = 1 << 24;
    constexpr int64_t kRepeatMax = 1000;
    auto flags = std::make_shared<BenchFlags>();
    app.add_option("MODEL", flags->model, "model folder or GGUF")->required();
    app.add_option("--prompt", flags->n_prompt, "tokens to prefill (default 128)")
        ->check(CLI::Range(int64_t{1}, kTokensMax))
        ->type_name("N");
    app.add_option("--generate", flags->n_generate, "tokens to decode (default 64)")
        ->check(CLI::Range(int64_t{1}, kTokensMax))
        ->type_name("N");
    app.add_option("--repeat", flags->n_repeat, "timed runs after one warm-up (default 5)")
        ->check(CLI::Range(int64_t{1}, kRepeatMax))
        ->type_name("R");
    app.add_flag("--json", flags->json, "one JSON object");
    return [flags, &common] { return bench(*flags, common); };
}

}  // namespace

const Command kBenchCommand = {"bench", "prefill and decode speed beside the bytes read", setup};

}  // namespace nereus

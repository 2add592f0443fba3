// bench: prefill and decode speed of a model beside the bytes it has to read.

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/model_timing.h"
#include "base/units.h"
#include "model/routing_source.h"

namespace nereus {
namespace {

struct BenchFlags {
    std::string model, routing;
    TimingPlan plan;
    bool json = false;
};

std::string speed_line(const char* name, const Speeds& speeds, int64_t n) {
    return fmt::format("{:<8} {:>6} tokens {:>10.2f} tokens/s ({:.2f} to {:.2f})\n", name, n,
                       speeds.median(), speeds.low(), speeds.high());
}

std::string experts_line(const char* name, const Json& experts, int64_t n_tokens) {
    const auto n = static_cast<double>(n_tokens);
    return fmt::format(
        "experts  {:<7} {:.1f} % found in memory, {:.1f} MB a token missed, {:.1f} read; {:.0f} of "
        "{:.0f} guesses right; drive {:.2f} GB/s: {:.2f} tokens/s possible, {:.0f} % of it\n",
        name, 100 * experts["hit_rate"].get<double>(),
        experts["missed_bytes"].get<double>() / n / 1e6,
        experts["disk_bytes"].get<double>() / n / 1e6, experts["guesses_right"].get<double>(),
        experts["guesses"].get<double>(), experts.value("drive_bytes_per_second", 0.0) / 1e9,
        experts.value("limit_tokens_per_second", 0.0), 100 * experts.value("share_of_limit", 0.0));
}

std::string report(const OpenedModel& opened, const BenchFlags& flags, const ModelTiming& timing) {
    const Json numbers = timing_json(opened, flags.plan, timing);
    if (flags.json) {
        Json json;
        json["model"] = flags.model;
        json["routing"] = flags.routing.empty() ? Json("of the model") : Json(flags.routing);
        json["version"] = NEREUS_VERSION;
        json.update(numbers);
        return dump_json(json) + "\n";
    }
    std::string text;
    if (flags.plan.n_context > 0 || flags.plan.n_sequences > 1) {
        text = fmt::format("after    {:>6} tokens, {} sequences\n", flags.plan.n_context,
                           flags.plan.n_sequences);
    }
    text += speed_line("prefill", timing.prefill, flags.plan.n_prompt);
    text += speed_line("decode", timing.decode, flags.plan.n_generate);
    text += fmt::format(
        "reads    {:.3f} GB a step (weights {:.3f}, cache {:.3f}), {:.2f} GB/s while decoding "
        "({}, {} threads)\n",
        (numbers["weight_bytes_per_step"].get<double>() +
         numbers["cache_bytes_per_step"].get<double>()) /
            1e9,
        numbers["weight_bytes_per_step"].get<double>() / 1e9,
        numbers["cache_bytes_per_step"].get<double>() / 1e9, numbers["gb_per_second"].get<double>(),
        opened.backend->isa(), opened.pool->n_threads());
    for (const auto& [name, n] :
         {std::pair("prefill", flags.plan.n_prompt), std::pair("decode", flags.plan.n_generate)}) {
        if (numbers[name].contains("experts")) {
            text += experts_line(name, numbers[name]["experts"], n);
        }
    }
    return text;
}

Result<ExitCode> bench(const BenchFlags& flags, const CommonOptions& common) {
    OpenOptions options = open_options(common);
    options.context_tokens =
        flags.plan.n_sequences * round_up<int64_t>(flags.plan.tokens_each(), 128);
    const OpenedModel opened = NEREUS_TRY(open_model(flags.model, options));
    std::unique_ptr<RoutingSource> routing;
    if (!flags.routing.empty()) {
        routing = NEREUS_TRY(
            replay_routing(NEREUS_TRY(read_routing_trace(flags.routing)), opened.model->config()));
        opened.model->override_routing(routing.get());
    }
    const ModelTiming timing = NEREUS_TRY(time_model(opened, flags.plan));
    return print_result(report(opened, flags, timing));
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    constexpr int64_t kTokensMax = 1 << 24;
    constexpr int64_t kRepeatMax = 1000;
    auto flags = std::make_shared<BenchFlags>();
    app.add_option("MODEL", flags->model, "model folder or GGUF")->required();
    app.add_option("--prompt", flags->plan.n_prompt, "tokens to prefill (default 128)")
        ->check(CLI::Range(int64_t{1}, kTokensMax))
        ->type_name("N");
    app.add_option("--generate", flags->plan.n_generate, "tokens to decode (default 64)")
        ->check(CLI::Range(int64_t{1}, kTokensMax))
        ->type_name("N");
    app.add_option("--context", flags->plan.n_context, "tokens cached before both (default 0)")
        ->check(CLI::Range(int64_t{0}, kTokensMax))
        ->type_name("N");
    app.add_option("--sequences", flags->plan.n_sequences, "sequences decoded together (default 1)")
        ->check(CLI::Range(int64_t{1}, int64_t{kMaxSequences}))
        ->type_name("N");
    app.add_option("--chunk", flags->plan.chunk,
                   "tokens of one prefill pass (default: as the model likes)")
        ->check(CLI::Range(int64_t{1}, kTokensMax))
        ->type_name("N");
    app.add_option("--repeat", flags->plan.n_repeat, "timed runs after one warm-up (default 5)")
        ->check(CLI::Range(int64_t{1}, kRepeatMax))
        ->type_name("R");
    app.add_option("--routing", flags->routing,
                   "a recorded routing trace that chooses the experts instead of the router")
        ->type_name("TRACE");
    app.add_flag("--json", flags->json, "one JSON object");
    return [flags, &common] { return bench(*flags, common); };
}

}  // namespace

const Command kBenchCommand = {"bench", "prefill and decode speed beside the bytes read", setup};

}  // namespace nereus

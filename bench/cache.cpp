// cache: recorded routing replayed through the expert cache, every policy beside the bound of any.

#include <fmt/format.h>

#include "bench/cache_replay.h"
#include "bench/commands.h"
#include "bench/machine.h"

namespace nereus {
namespace {

constexpr double kShares[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

double hit_rate(const ExpertUses& uses, int64_t n_misses) {
    return 1 - static_cast<double>(n_misses) / static_cast<double>(uses.keys.size());
}

/// One row a policy, one value a share of the experts.
Json replay_all(const ExpertUses& uses) {
    Json rows = Json::array();
    const auto add = [&](std::string_view name, const auto& misses) {
        Json row = {{"policy", name}, {"hit_rates", Json::array()}};
        for (const double share : kShares) {
            const auto n_slots =
                static_cast<int64_t>(share * static_cast<double>(uses.n_keys()) + 0.5);
            row["hit_rates"].push_back(hit_rate(uses, misses(n_slots)));
        }
        rows.push_back(row);
    };
    for (const CachePolicy& policy : all_cache_policies()) {
        add(policy.name, [&](int64_t n) { return misses_of_policy(uses, policy, n); });
    }
    add("most used of all (static)", [&](int64_t n) { return misses_of_static(uses, n); });
    add("bound (Belady)", [&](int64_t n) { return misses_of_best(uses, n); });
    return rows;
}

Json trace_json(const std::string& name, std::span<const RoutingTrace> traces,
                const ExpertUses& uses) {
    int64_t n_tokens = 0;
    int64_t n_sequences = 0;
    for (const RoutingTrace& trace : traces) {
        n_tokens += trace.n_tokens();
        n_sequences += trace.n_sequences();
    }
    return {{"trace", name},
            {"tokens", n_tokens},
            {"sequences", n_sequences},
            {"rows", replay_all(uses)}};
}

std::string trace_text(const Json& trace) {
    std::string text = fmt::format("{}: {} tokens\n", trace["trace"].get<std::string>(),
                                   trace["tokens"].get<int64_t>());
    for (const Json& row : trace["rows"]) {
        text += fmt::format("  {:<26}", row["policy"].get<std::string>());
        for (const Json& rate : row["hit_rates"]) {
            text += fmt::format(" {:6.2f}", rate.get<double>() * 100);
        }
        text += '\n';
    }
    return text;
}

Result<Json> replay_files(const CacheOptions& cache) {
    std::vector<RoutingTrace> traces;
    Json all = Json::array();
    for (const std::string& file : cache.traces) {
        traces.push_back(NEREUS_TRY(read_routing_trace(file)));
        const auto one = std::span(traces).last(1);
        all.push_back(trace_json(std::filesystem::path(file).stem().string(), one,
                                 NEREUS_TRY(expert_uses(one))));
    }
    if (traces.size() > 1) {
        all.push_back(
            trace_json("all, one after the other", traces, NEREUS_TRY(expert_uses(traces))));
    }
    return all;
}

}  // namespace

int run_cache(const BenchOptions& options, const CacheOptions& cache) {
    const auto traces = replay_files(cache);
    if (!traces.ok()) {
        fmt::print(stderr, "nereus_bench: {}\n", traces.error().message);
        return 2;
    }
    if (options.json) {
        const Json report = {{"command", "cache"},
                             {"machine", machine_json()},
                             {"default", default_cache_policy().name},
                             {"shares", kShares},
                             {"traces", traces.value()}};
        fmt::print("{}\n", dump_json(report));
        return 0;
    }
    fmt::print("hit rates in %, by the share of all experts that fits, in %:\n{:<28}", "");
    for (const double share : kShares) {
        fmt::print(" {:6.0f}", share * 100);
    }
    fmt::print("\n");
    for (const Json& trace : traces.value()) {
        fmt::print("{}", trace_text(trace));
    }
    return 0;
}

}  // namespace nereus

// model: a model's prefill and decode at several context lengths and batch sizes, beside the bytes
// and multiply-adds that they need and the roof of this machine.

#include <fmt/format.h>

#include "apps/model_timing.h"
#include "bench/commands.h"
#include "bench/machine.h"
#include "compute/roof.h"

namespace nereus {
namespace {

/// The plan's result with its distance from the roof.
Json with_shares(Json row, const Roof& roof, int threads) {
    const double bandwidth = roof.bytes_per_second(threads);
    const double peak = roof.multiply_adds_per_second("int8", threads);
    row["share_of_bandwidth"] = row["gb_per_second"].get<double>() * 1e9 / bandwidth;
    const double work = row["prefill"]["multiply_adds_per_second"].get<double>();
    row["share_of_int8"] = peak == 0 ? 0 : work / peak;
    return row;
}

std::string row_line(const Json& row) {
    return fmt::format(
        "context {:6} x{:<3} decode {:9.2f} tokens/s ({:.2f} to {:.2f}) {:7.2f} GB/s {:4.0f} %   "
        "prefill {:5} {:9.1f} tokens/s {:7.1f} Gmadd/s {:4.0f} % of int8\n",
        row["context"].get<int64_t>(), row["sequences"].get<int64_t>(),
        row["decode"]["tokens_per_second"].get<double>(), row["decode"]["low"].get<double>(),
        row["decode"]["high"].get<double>(), row["gb_per_second"].get<double>(),
        row["share_of_bandwidth"].get<double>() * 100, row["prefill"]["tokens"].get<int64_t>(),
        row["prefill"]["tokens_per_second"].get<double>(),
        row["prefill"]["multiply_adds_per_second"].get<double>() / 1e9,
        row["share_of_int8"].get<double>() * 100);
}

/// Contexts with one sequence, then batches without context; what the model's own context does not
/// hold is left out.
std::vector<TimingPlan> plans_of(const ModelOptions& options, int64_t context_max) {
    std::vector<TimingPlan> plans;
    TimingPlan plan;
    plan.n_prompt = options.n_prompt;
    plan.n_generate = options.n_generate;
    plan.n_repeat = options.n_repeat;
    plan.chunk = options.chunk;
    for (const int64_t context : options.contexts) {
        plan.n_context = context;
        if (plan.tokens_each() <= context_max) {
            plans.push_back(plan);
        }
    }
    plan.n_context = 0;
    for (const int64_t sequences : options.sequences) {
        plan.n_sequences = sequences;
        if (sequences > 1 && plan.tokens_each() <= context_max) {
            plans.push_back(plan);
        }
    }
    return plans;
}

int refuse(const Error& error) {
    fmt::print(stderr, "nereus_bench: {}\n", error.message);
    return 2;
}

}  // namespace

int run_model(const BenchOptions& options, const ModelOptions& model) {
    Json report = {{"command", "model"}, {"machine", machine_json()}, {"model", model.model}};
    OpenOptions open;
    open.threads = options.threads;
    open.isa = options.isa;
    const auto opened = open_model(model.model, open);
    if (!opened.ok()) {
        return refuse(opened.error());
    }
    Roof roof;
    measure_bandwidth(*opened.value().pool, RoofBuffer(), roof);
    measure_multiply_adds(*opened.value().pool, roof);
    report["roof"] = roof_json(roof);
    report["rows"] = Json::array();
    if (!options.json) {
        fmt::print("{}{}{}\n", machine_line(report["machine"]), roof_text(roof), model.model);
    }
    const int64_t limit = opened.value().model->config().max_position_embeddings;
    for (const TimingPlan& plan : plans_of(model, limit)) {
        const auto timing = time_model(opened.value(), plan);
        if (!timing.ok()) {
            return refuse(timing.error());
        }
        report["rows"].push_back(with_shares(timing_json(opened.value(), plan, timing.value()),
                                             roof, opened.value().pool->n_threads()));
        if (!options.json) {
            fmt::print("{}", row_line(report["rows"].back()));
        }
    }
    if (options.json) {
        fmt::print("{}\n", dump_json(report));
    }
    return 0;
}

}  // namespace nereus

#include "apps/plan_report.h"

#include <algorithm>

#include "base/units.h"

namespace nereus {
namespace {

std::string bytes_text(double n_bytes) { return human_bytes(static_cast<uint64_t>(n_bytes)); }

/// "0.42", "12.3", "118": three digits are more than a forecast knows.
std::string speed_text(double per_second) {
    return per_second < 10    ? fmt::format("{:.2f}", per_second)
           : per_second < 100 ? fmt::format("{:.1f}", per_second)
                              : fmt::format("{:.0f}", per_second);
}

std::string time_text(double seconds) {
    return seconds < 0.95   ? fmt::format("{:.0f} ms", seconds * 1000)
           : seconds < 90   ? fmt::format("{:.1f} s", seconds)
           : seconds < 5400 ? fmt::format("{:.0f} min", seconds / 60)
                            : fmt::format("{:.1f} h", seconds / 3600);
}

const PlanRow* own_row(const PlanReport& plan, const PlanFormat& format) {
    for (const PlanRow& row : format.rows) {
        if (row.budget_bytes == plan.request.memory_bytes) {
            return &row;
        }
    }
    return nullptr;
}

std::string sizes_text(const ModelSize& size) {
    std::string text;
    for (size_t i = 0; i < kModelParts; ++i) {
        const auto part = static_cast<ModelPart>(i);
        const double n_bytes = size.n_bytes_of(part);
        if (n_bytes > 0.002 * size.n_bytes()) {
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", model_part_name(part),
                                bytes_text(n_bytes));
        }
    }
    return text;
}

std::string row_text(const PlanRow& row) {
    const Forecast& f = row.forecast;
    if (!f.fits) {
        return fmt::format("  {:>8}  does not fit; the least is {}\n", bytes_text(row.budget_bytes),
                           bytes_text(f.least_memory_bytes));
    }
    const Placement& p = f.placement;
    std::string where = "all in memory";
    if (p.dense_streamed_bytes > 0) {
        where = fmt::format("{} of the dense part and {} of experts on disk",
                            bytes_text(p.dense_streamed_bytes), bytes_text(p.expert_bytes_on_disk));
    } else if (p.streams()) {
        where = fmt::format("{:.0f} % of the experts in memory, {:.0f} % of uses hit",
                            100 * f.share_cached, 100 * f.hit_rate);
    }
    return fmt::format("  {:>8} {:>8} {:>9} {:>9}  {:<8}  {}\n", bytes_text(row.budget_bytes),
                       speed_text(f.decode_tokens_per_second),
                       speed_text(f.prefill_tokens_per_second), time_text(f.first_token_seconds),
                       speed_limit_name(f.limit), where);
}

std::string format_text(const PlanReport& plan, const PlanFormat& format) {
    std::string text = fmt::format("\n{}: {} on disk ({})\n", format.size.format,
                                   bytes_text(format.size.n_bytes()), sizes_text(format.size));
    text += fmt::format("  {:>8} {:>8} {:>9} {:>9}  {:<8}\n", "memory", "decode", "prefill",
                        "first", "limit");
    for (const PlanRow& row : format.rows) {
        text += row_text(row);
    }
    const PlanRow* const own = own_row(plan, format);
    if (own == nullptr || !own->forecast.fits) {
        return text;
    }
    const Placement& p = own->forecast.placement;
    text += fmt::format(
        "  of the {}: dense {}, experts {}, cache of {} tokens {}, activations {}, "
        "reads in flight {}, program {}\n",
        bytes_text(own->budget_bytes), bytes_text(p.dense_bytes), bytes_text(p.expert_bytes_cached),
        plan.request.n_context, bytes_text(p.kv_bytes), bytes_text(p.activation_bytes),
        bytes_text(p.buffer_bytes), bytes_text(p.process_bytes));
    for (const Remedy& remedy : format.remedies) {
        text += fmt::format("  with {}: {} tokens/s, first token after {}\n", remedy.what,
                            speed_text(remedy.decode_tokens_per_second),
                            time_text(remedy.first_token_seconds));
    }
    return text;
}

/// Reading speed of a person is about 5 tokens/s.
const char* pace_of(double tokens_per_second) {
    return tokens_per_second >= 5     ? "faster than reading"
           : tokens_per_second >= 1   ? "slower than reading, a conversation is possible"
           : tokens_per_second >= 0.1 ? "slow: leave it a question and come back"
                                      : "too slow for more than trying it";
}

const char* limit_words(SpeedLimit limit) {
    constexpr const char* kWords[] = {"the speed of memory", "the speed of the kernels",
                                      "the drive", "the small steps between products"};
    return kWords[static_cast<size_t>(limit)];
}

/// The answer for this machine's free memory: a sentence a format.
std::string answer_text(const PlanReport& plan) {
    std::string text;
    for (const PlanFormat& format : plan.formats) {
        const PlanRow* const own = own_row(plan, format);
        if (own == nullptr) {
            continue;
        }
        const Forecast& f = own->forecast;
        if (!f.fits) {
            text += fmt::format("  {}: no; it needs at least {} of memory{}\n", format.size.format,
                                bytes_text(f.least_memory_bytes),
                                plan.machine.figures.disk_random_bytes_per_second > 0
                                    ? ""
                                    : " and a measured drive (nereus doctor DIR)");
            continue;
        }
        text += fmt::format(
            "  {}: yes, {} tokens/s, {}; a prompt of {} tokens takes {}. Limited by "
            "{}. Needs {} of disk.\n",
            format.size.format, speed_text(f.decode_tokens_per_second),
            pace_of(f.decode_tokens_per_second), plan.request.n_prompt,
            time_text(f.first_token_seconds), limit_words(f.limit),
            bytes_text(format.size.n_bytes()));
    }
    return text;
}

std::string assumptions_text(const PlanReport& plan) {
    const bool experts = plan.formats.front().size.config.n_routed_experts > 0;
    std::string text = fmt::format(
        "\nAssumed: one person, answers of {} tokens after a prompt of {}, room for {} tokens.\n"
        "Speeds are sums of what this processor's kernels measured; a table's first column is the "
        "whole budget.\n",
        plan.request.n_generate, plan.request.n_prompt, plan.request.n_context);
    if (experts) {
        text +=
            "Hits follow the routing that DeepSeek-V2-Lite was recorded with on four kinds of "
            "text: experts of a model that\nspreads its tokens more evenly, or of a narrower "
            "subject, hit less or more. A prompt's rows choose independently.\n";
    }
    return text;
}

Json pass_json(const PassTime& t) {
    return {{"dense_seconds", t.dense},         {"experts_seconds", t.experts},
            {"attention_seconds", t.attention}, {"verbs_seconds", t.verbs},
            {"disk_seconds", t.disk},           {"seconds", t.total()}};
}

Json placement_json(const Placement& p) {
    return {{"dense_bytes", p.dense_bytes},
            {"dense_streamed_bytes", p.dense_streamed_bytes},
            {"expert_bytes_cached", p.expert_bytes_cached},
            {"expert_bytes_on_disk", p.expert_bytes_on_disk},
            {"kv_bytes", p.kv_bytes},
            {"activation_bytes", p.activation_bytes},
            {"buffer_bytes", p.buffer_bytes},
            {"process_bytes", p.process_bytes}};
}

Json row_json(const PlanRow& row) {
    const Forecast& f = row.forecast;
    Json json = {{"memory_bytes", row.budget_bytes},
                 {"fits", f.fits},
                 {"least_memory_bytes", f.least_memory_bytes}};
    if (!f.fits) {
        return json;
    }
    json.update({{"decode_tokens_per_second", f.decode_tokens_per_second},
                 {"prefill_tokens_per_second", f.prefill_tokens_per_second},
                 {"first_token_seconds", f.first_token_seconds},
                 {"load_seconds", f.load_seconds},
                 {"limit", speed_limit_name(f.limit)},
                 {"share_cached", f.share_cached},
                 {"hit_rate", f.hit_rate},
                 {"bytes_per_token", f.decode_bytes},
                 {"disk_bytes_per_token", f.disk_bytes}});
    json["placement"] = placement_json(f.placement);
    json["decode"] = pass_json(f.decode);
    json["prefill"] = pass_json(f.prefill);
    return json;
}

Json format_json(const PlanFormat& format) {
    Json json = {{"format", format.size.format},
                 {"bytes", format.size.n_bytes()},
                 {"parts", Json::object()},
                 {"rows", Json::array()},
                 {"remedies", Json::array()}};
    for (const PartSize& size : format.size.parts) {
        Json& part = json["parts"][std::string(model_part_name(size.part))];
        part = part.is_null() ? Json(size.n_bytes) : Json(part.get<double>() + size.n_bytes);
    }
    for (const PlanRow& row : format.rows) {
        json["rows"].push_back(row_json(row));
    }
    for (const Remedy& remedy : format.remedies) {
        json["remedies"].push_back({{"what", remedy.what},
                                    {"decode_tokens_per_second", remedy.decode_tokens_per_second},
                                    {"first_token_seconds", remedy.first_token_seconds}});
    }
    return json;
}

}  // namespace

PlanReport make_plan(const std::string& model, const std::vector<ModelSize>& sizes,
                     const PlanMachine& machine, const ForecastRequest& request,
                     std::vector<double> budgets) {
    PlanReport plan{model, request, machine, {}};
    if (std::find(budgets.begin(), budgets.end(), request.memory_bytes) == budgets.end()) {
        budgets.push_back(request.memory_bytes);
    }
    std::sort(budgets.begin(), budgets.end());
    for (size_t i = 0; i < sizes.size(); ++i) {
        PlanFormat format{sizes[i], {}, {}};
        for (const double budget : budgets) {
            ForecastRequest at = request;
            at.memory_bytes = budget;
            format.rows.push_back({budget, forecast(sizes[i], machine.figures, at)});
        }
        const ModelSize* const smaller = i + 1 < sizes.size() ? &sizes[i + 1] : nullptr;
        if (own_row(plan, format)->forecast.fits) {
            format.remedies = remedies(sizes[i], machine.figures, request, smaller);
        }
        plan.formats.push_back(std::move(format));
    }
    return plan;
}

std::string plan_text(const PlanReport& plan) {
    std::string text = fmt::format(
        "{} on this machine: {}, {} threads, {} free of {}; memory {:.1f} GB/s, drive ({}) {:.1f} "
        "GB/s\n",
        plan.model, plan.machine.cpu, plan.machine.figures.speed.threads,
        bytes_text(plan.machine.free_bytes), bytes_text(plan.machine.total_bytes),
        plan.machine.figures.speed.read_bytes_per_second / 1e9, plan.machine.drive,
        plan.machine.figures.disk_random_bytes_per_second / 1e9);
    text += fmt::format("With {}:\n", bytes_text(plan.request.memory_bytes)) + answer_text(plan);
    for (const PlanFormat& format : plan.formats) {
        text += format_text(plan, format);
    }
    return text + assumptions_text(plan);
}

Json plan_json(const PlanReport& plan) {
    const MachineFigures& figures = plan.machine.figures;
    Json json = {{"model", plan.model},
                 {"memory_bytes", plan.request.memory_bytes},
                 {"context", plan.request.n_context},
                 {"prompt", plan.request.n_prompt},
                 {"machine",
                  {{"cpu", plan.machine.cpu},
                   {"threads", figures.speed.threads},
                   {"free_bytes", plan.machine.free_bytes},
                   {"read_bytes_per_second", figures.speed.read_bytes_per_second},
                   {"drive", plan.machine.drive},
                   {"drive_bytes_per_second", figures.disk_random_bytes_per_second}}},
                 {"formats", Json::array()}};
    for (const PlanFormat& format : plan.formats) {
        json["formats"].push_back(format_json(format));
    }
    return json;
}

}  // namespace nereus

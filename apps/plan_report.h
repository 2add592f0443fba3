#pragma once
// What `nereus plan` says about a model on a machine: sizes, forecasts at several budgets, the
// answer in words. No file and no clock is touched here.

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/forecast.h"

namespace nereus {

/// The machine as plan sees it.
struct PlanMachine {
    std::string cpu;
    MachineFigures figures;
    double free_bytes = 0, total_bytes = 0;
    std::string drive;  ///< "." or "not measured"
};

struct PlanRow {
    double budget_bytes = 0;
    Forecast forecast;
};

/// A model in one format, at every budget.
struct PlanFormat {
    ModelSize size;
    std::vector<PlanRow> rows;
    std::vector<Remedy> remedies;  ///< at this machine's budget
};

struct PlanReport {
    std::string model;
    ForecastRequest request;  ///< memory_bytes: this machine's budget
    PlanMachine machine;
    std::vector<PlanFormat> formats;
};

/// sizes: from the most bits to the fewest. budgets in bytes; the machine's own (request) is added
/// in its place.
PlanReport make_plan(const std::string& model, const std::vector<ModelSize>& sizes,
                     const PlanMachine& machine, const ForecastRequest& request,
                     std::vector<double> budgets);

std::string plan_text(const PlanReport& plan);
Json plan_json(const PlanReport& plan);

}  // namespace nereus

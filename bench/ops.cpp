// ops: speed of every verb beside the roof of this machine, each checked first against the portable
// table.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/json.h"
#include "bench/commands.h"
#include "bench/machine.h"
#include "bench/op_cases.h"
#include "compute/roof.h"

namespace nereus {
namespace {

/// The portable table is slow: larger cases are compared by the conformance tests only.
constexpr double kComparedMultiplyAdds = 2e7;

bool answers_agree(const OpCase& one, Backend& backend, Backend& portable) {
    one.run(portable);
    const std::vector<float> expected = one.answer();
    one.run(backend);
    const std::vector<float> found = one.answer();
    return std::memcmp(expected.data(), found.data(), found.size() * sizeof(float)) == 0;
}

Json case_json(const OpCase& one, const Rate& runs, const Roof& roof, int threads) {
    const double gb = one.bytes * runs.median;
    const double gop = one.multiply_adds * runs.median;
    const double roof_gop = roof.multiply_adds_per_second(one.number, threads);
    return {{"name", one.name},
            {"seconds", 1 / runs.median},
            {"seconds_best", 1 / runs.best},
            {"gb_per_second", gb / 1e9},
            {"share_of_bandwidth", gb / roof.bytes_per_second(threads)},
            {"number", one.number},
            {"gop_per_second", gop / 1e9},
            {"share_of_peak", roof_gop == 0 ? 0 : gop / roof_gop}};
}

std::string case_line(const Json& row) {
    return fmt::format("{:36} {:10.1f} us {:7.1f} GB/s {:4.0f} % {:8.1f} Gmadd/s {:4.0f} % {}\n",
                       row["name"].get<std::string>(), row["seconds"].get<double>() * 1e6,
                       row["gb_per_second"].get<double>(),
                       row["share_of_bandwidth"].get<double>() * 100,
                       row["gop_per_second"].get<double>(),
                       row["share_of_peak"].get<double>() * 100, row["number"].get<std::string>());
}

}  // namespace

int run_ops(const BenchOptions& options, const OpsOptions& ops) {
    Json report = {{"command", "ops"}, {"machine", machine_json()}};
    ThreadPool pool(options.threads);
    auto made = create_cpu_backend(pool, options.isa);
    if (!made.ok()) {
        fmt::print(stderr, "nereus_bench: {}\n", made.error().message);
        return 2;
    }
    const auto portable = create_cpu_backend(pool, "portable");
    Backend& backend = *made.value();
    Roof roof;
    measure_bandwidth(pool, RoofBuffer(), roof);
    measure_multiply_adds(pool, roof);
    report["isa"] = std::string(backend.isa());
    report["threads"] = pool.n_threads();
    report["roof"] = roof_json(roof);
    report["cases"] = Json::array();
    if (!options.json) {
        fmt::print("{}{} table\n{}", machine_line(report["machine"]), backend.isa(),
                   roof_text(roof));
    }
    for (const OpCaseRow& row : all_op_cases()) {
        if (row.name.find(ops.filter) == std::string::npos) {
            continue;
        }
        const OpCase one = row.make();
        if (one.multiply_adds < kComparedMultiplyAdds &&
            !answers_agree(one, backend, *portable.value())) {
            fmt::print(stderr, "nereus_bench: {}: the answer differs from the portable table's\n",
                       one.name);
            return 1;
        }
        const Rate runs = measure_rate(1, 5, 0.4, [&] { one.run(backend); });
        report["cases"].push_back(case_json(one, runs, roof, pool.n_threads()));
        if (!options.json) {
            fmt::print("{}", case_line(report["cases"].back()));
        }
    }
    if (options.json) {
        fmt::print("{}\n", dump_json(report));
    }
    return 0;
}

int run_machine() {
    fmt::print("{}\n", dump_json(machine_json()));
    return 0;
}

int run_roof(const BenchOptions& options) {
    Json report = {{"command", "roof"}, {"machine", machine_json()}};
    const RoofBuffer buffer;
    Roof roof;
    for (const int threads : thread_counts(ThreadPool(options.threads).n_threads())) {
        ThreadPool pool(threads);
        measure_bandwidth(pool, buffer, roof);
        measure_multiply_adds(pool, roof);
    }
    if (options.json) {
        report.update(roof_json(roof));
        fmt::print("{}\n", dump_json(report));
    } else {
        fmt::print("{}{}", machine_line(report["machine"]), roof_text(roof));
    }
    return 0;
}

}  // namespace nereus

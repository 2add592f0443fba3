#include "bench/machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "base/thread_pool.h"

namespace nereus {
namespace {

/// Instruction sets that a kernel here uses or may use.
constexpr const char* kFlags[] = {
    "avx2",        "fma",         "f16c",        "avx_vnni", "avx512f",  "avx512bw", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"};

/// A /proc file: its size is not known before it is read.
std::string proc_text(const char* path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string commit() {
    const std::string command =
        fmt::format("git -C '{}' describe --always --dirty 2>/dev/null", NEREUS_SOURCE_DIR);
    std::string text;
    if (std::FILE* pipe = ::popen(command.c_str(), "r")) {
        char line[128];
        if (std::fgets(line, sizeof(line), pipe) != nullptr) {
            text = line;
        }
        ::pclose(pipe);
    }
    text.erase(text.find_last_not_of('\n') + 1);
    return text.empty() ? "unknown" : text;
}

Json kernel_flags(const std::string& all) {
    Json flags = Json::array();
    std::istringstream words(all);
    const std::set<std::string> found(std::istream_iterator<std::string>(words), {});
    for (const char* flag : kFlags) {
        if (found.contains(flag)) {
            flags.push_back(flag);
        }
    }
    return flags;
}

double number_of(const std::string& text) {
    double number = 0;
    std::istringstream(text) >> number;
    return number;
}

/// Other tasks that wanted a core, on average over a fifth of a second: what the load of the last
/// minute would say too late.
double others_running() {
    constexpr int kSamples = 40;
    double sum = 0;
    for (int i = 0; i < kSamples; ++i) {
        ::usleep(5000);
        // "0.20 0.18 0.12 1/80 11206": this program is one of the running.
        double ignored = 0;
        double running = 0;
        std::istringstream(proc_text("/proc/loadavg")) >> ignored >> ignored >> ignored >> running;
        sum += running - 1;
    }
    return sum / kSamples;
}

}  // namespace

std::string proc_value(const std::string& text, const std::string& key) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const size_t colon = line.find(':');
        if (colon == std::string::npos || !line.starts_with(key)) {
            continue;
        }
        if (line.find_first_not_of(" \t", key.size()) != colon) {
            continue;  // a longer key with this beginning
        }
        const size_t begin = line.find_first_not_of(" \t", colon + 1);
        return begin == std::string::npos ? "" : line.substr(begin);
    }
    return "";
}

Json machine_json() {
    const std::string cpu = proc_text("/proc/cpuinfo");
    Json machine;
    machine["cpu"] = proc_value(cpu, "model name");
    machine["cores"] = ThreadPool(0).n_threads();
    machine["memory_gb"] = number_of(proc_value(proc_text("/proc/meminfo"), "MemTotal")) / 1e6;
    machine["flags"] = kernel_flags(proc_value(cpu, "flags"));
    machine["load"] = number_of(proc_text("/proc/loadavg"));
    machine["others_running"] = others_running();
    machine["commit"] = commit();
    return machine;
}

std::string machine_line(const Json& machine) {
    std::string flags;
    for (const Json& flag : machine["flags"]) {
        flags += fmt::format(" {}", flag.get<std::string>());
    }
    return fmt::format("{}, {} cores, {:.0f} GB,{}; {:.1f} other tasks running; commit {}\n",
                       machine["cpu"].get<std::string>(), machine["cores"].get<int>(),
                       machine["memory_gb"].get<double>(), flags,
                       machine["others_running"].get<double>(),
                       machine["commit"].get<std::string>());
}

}  // namespace nereus

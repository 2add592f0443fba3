// nereus_bench roof | ops | model | cache: what the machine can do, how close the verbs and a model
// come, and what cache policies make of recorded routing.

#include <CLI/CLI.hpp>

#include "bench/commands.h"

int main(int argc, char** argv) {
    nereus::BenchOptions options;
    nereus::OpsOptions ops;
    nereus::ModelOptions model;
    nereus::CacheOptions cache;
    CLI::App app("speed beside the machine's measured roof");
    app.require_subcommand(1, 1);
    app.fallthrough();
    app.add_option("--threads", options.threads, "worker threads; 0: all cores");
    app.add_option("--isa", options.isa, "kernel table; default: the fastest");
    app.add_flag("--json", options.json, "one JSON object on stdout");
    app.add_subcommand("roof", "read bandwidth and multiply-add rates by threads");
    CLI::App* const ops_command = app.add_subcommand("ops", "every verb, in percent of the roof");
    ops_command->add_option("--filter", ops.filter, "only cases whose name contains this");
    CLI::App* const model_command =
        app.add_subcommand("model", "prefill and decode at contexts and batch sizes");
    model_command->add_option("MODEL", model.model, "model folder, pack or GGUF")->required();
    model_command->add_option("--contexts", model.contexts,
                              "cached tokens (default 0 2048 8192 32768)");
    model_command->add_option("--sequences", model.sequences, "decoded together (default 1 2 4 8)");
    model_command->add_option("--prompt", model.n_prompt, "tokens to prefill (default 512)");
    model_command->add_option("--generate", model.n_generate, "tokens to decode (default 32)");
    model_command->add_option("--chunk", model.chunk, "tokens of one prefill pass (default 512)");
    model_command->add_option("--repeat", model.n_repeat, "timed runs after a warm-up (default 5)");
    CLI::App* const cache_command =
        app.add_subcommand("cache", "recorded routing through every policy of the expert cache");
    cache_command->add_option("--trace", cache.traces, "routing traces (MOETRC01)")->required();
    const CLI::App* const machine_command =
        app.add_subcommand("machine", "what a report says about this machine, as JSON");
    CLI11_PARSE(app, argc, argv);
    if (machine_command->parsed()) {
        return nereus::run_machine();
    }
    if (cache_command->parsed()) {
        return nereus::run_cache(options, cache);
    }
    if (ops_command->parsed()) {
        return nereus::run_ops(options, ops);
    }
    return model_command->parsed() ? nereus::run_model(options, model) : nereus::run_roof(options);
}

// The forecast as a pure function: on a machine of round figures, times follow from bytes by hand,
// and every change that must help helps.

#include "model/forecast.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "memory/hit_rate.h"

namespace nereus {
namespace {

ModelSize sized(const std::string& name, std::string_view recipe) {
    const std::string path = std::string(NEREUS_SOURCE_DIR) + "/models/configs/" + name + ".json";
    const Json json = parse_json(read_file(path, 1 << 20).value(), path).value();
    return size_in_recipe(config_from_json(json, path).value(), *find_recipe(recipe).value());
}

/// Every format reads a weight in 1e-11 s with one row and 1e-9 s with 256; a drive of 2 GB/s.
MachineFigures round_machine() {
    MachineFigures machine;
    machine.speed.threads = 8;
    machine.speed.read_bytes_per_second = 60e9;
    machine.speed.verb_seconds = 1e-6;
    for (const FormatId id : {FormatId::kQ8, FormatId::kQ4, FormatId::kQ2, FormatId::kBf16}) {
        machine.speed.products.push_back({id, 1, 1e-11});
        machine.speed.products.push_back({id, 256, 1e-9});
    }
    machine.speed.attention = {{true, KvFormat::kF32, 1, 2e10},  {true, KvFormat::kInt8, 1, 2e10},
                               {true, KvFormat::kF32, 64, 5e10}, {true, KvFormat::kInt8, 64, 5e10},
                               {false, KvFormat::kF32, 1, 2e10}, {false, KvFormat::kF32, 64, 5e10}};
    machine.disk_random_bytes_per_second = 2e9;
    machine.disk_sequential_bytes_per_second = 4e9;
    return machine;
}

ForecastRequest with_memory(double n_bytes) {
    ForecastRequest request;
    request.memory_bytes = n_bytes;
    return request;
}

TEST(Forecast, a_resident_dense_model_takes_the_sum_of_its_weights_attention_and_verbs) {
    const ModelSize model = sized("r1-distill-llama-8b", "q4");
    const Forecast f = forecast(model, round_machine(), with_memory(32e9));
    ASSERT_TRUE(f.fits);
    EXPECT_EQ(f.share_cached, 1);
    EXPECT_EQ(f.disk_bytes, 0);
    // All but embedding and norms: 8.03 - 0.525 billion weights.
    EXPECT_NEAR(f.decode.dense, 7.505e9 * 1e-11, 1e-4);
    EXPECT_EQ(f.decode.experts, 0);
    // 32 layers x 32 heads x 2 x 128, over 512 + 32.5 rows.
    EXPECT_NEAR(f.decode.attention, 32.0 * 32 * 256 * 544.5 / 2e10, 1e-9);
    EXPECT_NEAR(f.decode.verbs, 32 * 16e-6, 1e-12);
    EXPECT_DOUBLE_EQ(f.decode_tokens_per_second, 1 / f.decode.compute());
    // 2 chunks of 256 rows through 6.98 billion weights, and the head once.
    EXPECT_NEAR(f.prefill.dense, 2 * 6.98e9 * 1e-9 + 0.525e9 * 1e-11, 0.01);
    EXPECT_DOUBLE_EQ(f.prefill_tokens_per_second, 512 / f.prefill.total());
}

TEST(Forecast, experts_that_do_not_fit_are_read_as_often_as_they_miss) {
    const ModelSize model = sized("r1", "q4");
    const Forecast f = forecast(model, round_machine(), with_memory(64e9));
    ASSERT_TRUE(f.fits);
    const MemoryPlan& p = f.placement;
    EXPECT_TRUE(p.streams_experts);
    EXPECT_NEAR(static_cast<double>(p.dense_bytes) / model.dense_bytes(), 1, 1e-3);
    EXPECT_LE(static_cast<double>(p.total_bytes()), 64e9);
    EXPECT_GT(static_cast<double>(p.total_bytes()), 64e9 - 2 * model.expert_bytes());
    EXPECT_DOUBLE_EQ(f.share_cached, static_cast<double>(p.n_slots) / (58 * 256));
    EXPECT_DOUBLE_EQ(f.hit_rate, expected_hit_rate(f.share_cached));
    // 58 layers x 8 experts x misses, at 2 GB/s.
    EXPECT_NEAR(f.decode.disk, 58 * 8 * (1 - f.hit_rate) * model.expert_bytes() / 2e9, 1e-6);
    EXPECT_EQ(f.limit, SpeedLimit::kDisk);
    EXPECT_DOUBLE_EQ(f.decode.total(), f.decode.dense + f.decode.attention + f.decode.verbs +
                                           std::max(f.decode.experts, f.decode.disk));
}

TEST(Forecast, what_cannot_run_says_the_least_that_would_do_and_that_does) {
    const ModelSize model = sized("r1", "q4");
    const Forecast none = forecast(model, round_machine(), with_memory(1e9));
    ASSERT_FALSE(none.fits);
    EXPECT_GT(none.least_memory_bytes, 1e9);
    EXPECT_TRUE(forecast(model, round_machine(), with_memory(none.least_memory_bytes)).fits);
    EXPECT_FALSE(forecast(model, round_machine(), with_memory(none.least_memory_bytes - 1e6)).fits);
}

TEST(Forecast, without_a_measured_drive_only_what_fits_in_memory_runs) {
    MachineFigures machine = round_machine();
    machine.disk_random_bytes_per_second = 0;
    const ModelSize model = sized("v2-lite", "q4");
    EXPECT_FALSE(forecast(model, machine, with_memory(6e9)).fits);
    EXPECT_TRUE(forecast(model, machine, with_memory(16e9)).fits);
}

TEST(Forecast, more_memory_a_faster_drive_or_fewer_bits_never_slow_a_model) {
    const MachineFigures machine = round_machine();
    for (const char* name : {"v2-lite", "r1"}) {
        const ModelSize model = sized(name, "q4");
        double last = 0;
        for (double memory = 4e9; memory < 600e9; memory *= 1.3) {
            const Forecast f = forecast(model, machine, with_memory(memory));
            EXPECT_GE(f.decode_tokens_per_second, 0.999 * last) << name << " at " << memory;
            last = f.decode_tokens_per_second;
            MachineFigures faster = machine;
            faster.disk_random_bytes_per_second *= 2;
            EXPECT_GE(forecast(model, faster, with_memory(memory)).decode_tokens_per_second, last);
            EXPECT_GE(
                forecast(sized(name, "q2"), machine, with_memory(memory)).decode_tokens_per_second,
                0.999 * last);
        }
    }
}

TEST(Forecast, a_longer_context_takes_memory_and_a_longer_prompt_time) {
    const ModelSize model = sized("v2-lite", "q4");
    ForecastRequest request = with_memory(6e9);
    const Forecast near = forecast(model, round_machine(), request);
    request.n_context = 32768;
    const Forecast far = forecast(model, round_machine(), request);
    EXPECT_EQ(far.placement.cache_bytes, 8 * near.placement.cache_bytes);
    EXPECT_LT(far.share_cached, near.share_cached);
    request.n_prompt = 4096;
    EXPECT_GT(forecast(model, round_machine(), request).first_token_seconds,
              far.first_token_seconds);
}

TEST(Forecast, larger_chunks_sweep_the_experts_less_often) {
    const ModelSize model = sized("v2-lite", "q4");
    ForecastRequest request = with_memory(4e9);
    request.chunk = 128;
    const Forecast often = forecast(model, round_machine(), request);
    request.chunk = 512;
    const Forecast once = forecast(model, round_machine(), request);
    EXPECT_NEAR(often.prefill.disk / once.prefill.disk, 4, 0.3);
}

TEST(Forecast, a_drive_that_is_slower_for_one_read_at_a_time_lies_between_by_how_many_miss) {
    const ModelSize model = sized("r1", "q4");
    MachineFigures machine = round_machine();
    const Forecast many = forecast(model, machine, with_memory(64e9));
    machine.disk_single_bytes_per_second = 0.5e9;
    const Forecast few = forecast(model, machine, with_memory(64e9));
    EXPECT_EQ(few.disk_bytes, many.disk_bytes) << "the same bytes";
    // 8 experts a layer, of which this many miss: 1 is read at 0.5 GB/s, 8 at 2 GB/s.
    const double asked = 8 * (1 - many.hit_rate);
    const double rate = 0.5e9 + (asked - 1) / 7 * 1.5e9;
    EXPECT_GT(asked, 1);
    EXPECT_NEAR(few.decode.disk, few.disk_bytes / rate, 1e-9);
    // Nearly all in memory: less than one a layer misses, and that one is alone.
    const Forecast alone = forecast(model, machine, with_memory(400e9));
    EXPECT_LT(8 * (1 - alone.hit_rate), 1);
    EXPECT_NEAR(alone.decode.disk, alone.disk_bytes / 0.5e9, 1e-9);
}

TEST(Forecast, the_first_token_is_the_prompt_and_one_token_and_loading_is_what_stays_in_memory) {
    const ModelSize model = sized("v2-lite", "q4");
    MachineFigures machine = round_machine();
    const Forecast f = forecast(model, machine, with_memory(6e9));
    EXPECT_DOUBLE_EQ(f.first_token_seconds, f.prefill.total() + f.decode.total());
    EXPECT_DOUBLE_EQ(f.load_seconds,
                     static_cast<double>(f.placement.dense_bytes + f.placement.expert_bytes) / 4e9);
    machine.disk_sequential_bytes_per_second = 0;
    EXPECT_EQ(forecast(model, machine, with_memory(6e9)).load_seconds, 0) << "not measured";
}

TEST(Forecast, what_takes_longest_is_named) {
    const ModelSize model = sized("r1-distill-llama-8b", "q4");
    const auto limit = [&](const MachineFigures& machine) {
        return speed_limit_name(forecast(model, machine, with_memory(32e9)).limit);
    };
    // 4.5 bits of a weight in 1e-11 s are 56 GB/s, near the 60 of the memory.
    EXPECT_EQ(limit(round_machine()), "memory");
    MachineFigures machine = round_machine();
    machine.speed.read_bytes_per_second = 600e9;
    EXPECT_EQ(limit(machine), "compute");
    machine.speed.verb_seconds = 1e-3;
    EXPECT_EQ(limit(machine), "overhead");
    EXPECT_EQ(speed_limit_name(forecast(sized("r1", "q4"), machine, with_memory(40e9)).limit),
              "disk");
}

TEST(Forecast, rows_already_cached_slow_attention_and_nothing_else) {
    const ModelSize model = sized("v2-lite", "q4");
    ForecastRequest request = with_memory(16e9);
    request.n_context = 32768;
    const Forecast near = forecast(model, round_machine(), request);
    request.n_visible = 16384;
    const Forecast far = forecast(model, round_machine(), request);
    EXPECT_EQ(near.decode.dense, far.decode.dense);
    EXPECT_EQ(near.decode.experts, far.decode.experts);
    EXPECT_EQ(near.prefill.dense, far.prefill.dense);
    // Rows seen in the middle of decoding: 512 + 32.5, and 16384 more.
    EXPECT_NEAR(far.decode.attention / near.decode.attention, (16384 + 544.5) / 544.5, 1e-9);
    EXPECT_GT(far.prefill.attention, near.prefill.attention);
}

TEST(NeedsOf, are_the_parts_of_the_size_and_the_rows_that_its_format_caches) {
    const ModelSize q4 = sized("v2-lite", "q4");
    const MemoryNeeds needs = needs_of(q4);
    EXPECT_NEAR(static_cast<double>(needs.dense_bytes + needs.expert_bytes), q4.n_bytes(), 2);
    EXPECT_EQ(needs.n_experts, 26 * 64);
    EXPECT_EQ(needs.n_experts_min, 6);
    EXPECT_GE(static_cast<double>(needs.slot_bytes), q4.expert_bytes());
    EXPECT_EQ(needs.kv_bytes_per_token, 27U * 664) << "int8 rows beside panels";
    EXPECT_EQ(needs_of(sized("v2-lite", "bf16")).kv_bytes_per_token, 27U * 4 * 576);
    const MemoryNeeds dense = needs_of(sized("r1-distill-llama-8b", "q4"));
    EXPECT_EQ(dense.n_experts, 0);
    EXPECT_EQ(dense.expert_bytes, 0U);
}

TEST(Remedies, name_what_helps_most_first_and_leave_out_what_does_not) {
    const ModelSize q4 = sized("r1", "q4");
    const ModelSize q2 = sized("r1", "q2");
    const auto found = remedies(q4, round_machine(), with_memory(64e9), &q2);
    ASSERT_GE(found.size(), 2U);
    for (size_t i = 1; i < found.size(); ++i) {
        EXPECT_GE(found[i - 1].decode_tokens_per_second, found[i].decode_tokens_per_second);
    }
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](const Remedy& remedy) {
        return remedy.what.find("drive twice as fast (4.00 GB/s)") != std::string::npos;
    }));
    EXPECT_EQ(found[0].what, "fewer bits (q2)");
    // All in memory: a drive cannot help any more.
    for (const Remedy& remedy :
         remedies(sized("v2-lite", "q4"), round_machine(), with_memory(32e9), nullptr)) {
        EXPECT_EQ(remedy.what.find("drive"), std::string::npos);
        EXPECT_EQ(remedy.what.find("memory ("), std::string::npos);
    }
}

TEST(HitRate, grows_from_nothing_to_all_and_is_never_below_the_share) {
    EXPECT_EQ(expected_hit_rate(0), 0);
    EXPECT_EQ(expected_hit_rate(1), 1);
    EXPECT_EQ(expected_hit_rate(-1), 0);
    EXPECT_EQ(expected_hit_rate(2), 1);
    double last = 0;
    for (double share = 0.01; share < 1; share += 0.01) {
        EXPECT_GT(expected_hit_rate(share), last);
        EXPECT_GT(expected_hit_rate(share), share);
        last = expected_hit_rate(share);
    }
}

TEST(HitRate, is_what_the_replay_of_the_recorded_traces_measured) {
    const std::string path = std::string(NEREUS_SOURCE_DIR) + "/docs/measurements/cache.json";
    const Json report = parse_json(read_file(path, 1 << 20).value(), path).value();
    const Json& all = report["traces"].back();
    ASSERT_EQ(all["trace"], "all, one after the other");
    for (const Json& row : all["rows"]) {
        if (row["policy"] != report["default"]) {
            continue;
        }
        for (size_t i = 0; i < report["shares"].size(); ++i) {
            EXPECT_NEAR(expected_hit_rate(report["shares"][i].get<double>()),
                        row["hit_rates"][i].get<double>(), 1e-3);
        }
        return;
    }
    FAIL() << "the default policy is not in the table";
}

}  // namespace
}  // namespace nereus

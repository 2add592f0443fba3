// inspect against the files themselves: headers of safetensors read here, sizes worked out here.

#include <gmock/gmock.h>

#include <cstring>
#include <map>

#include "tests/support/golden.h"
#include "tests/support/in_process.h"
#include "tests/support/scratch.h"

namespace nereus {
namespace {

using test::expect_error;
using test::json_result;
using test::must;
using test::run_command;
using test::source_path;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kGoldens = {"llama3", "qwen2",  "v2_group", "v2_lite",
                                           "v3",     "v3_fp8", "v3_long",  "v3_norope"};

/// name: shape and bytes, of all shards of a folder.
struct StoredEntry {
    std::vector<int64_t> shape;
    std::string dtype;
    int64_t n_bytes = 0;
    int64_t n_values() const {
        int64_t n = 1;
        for (const int64_t size : shape) {
            n *= size;
        }
        return n;
    }
};

void read_shard(const std::filesystem::path& path, std::map<std::string, StoredEntry>& entries) {
    const std::string bytes = file_text(path);
    uint64_t n_header = 0;
    std::memcpy(&n_header, bytes.data(), sizeof n_header);
    const Json header = must(parse_json(bytes.substr(8, n_header), path.string()));
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") {
            continue;
        }
        const auto ends = entry["data_offsets"].get<std::vector<int64_t>>();
        entries[name] = {entry["shape"].get<std::vector<int64_t>>(), entry["dtype"],
                         ends[1] - ends[0]};
    }
}

std::map<std::string, StoredEntry> stored_entries(const std::string& folder) {
    std::map<std::string, StoredEntry> entries;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        const std::string name = file.path().filename();
        if (name.starts_with("model") && name.ends_with(".safetensors")) {
            read_shard(file.path(), entries);
        }
    }
    return entries;
}

Json config_of_folder(const std::string& folder) {
    return must(parse_json(file_text(folder + "/config.json"), folder));
}

/// The number of the layer in "model.layers.N.", or -1.
int64_t layer_of(const std::string& name) {
    constexpr std::string_view kStart = "model.layers.";
    return name.starts_with(kStart) ? std::stoll(name.substr(kStart.size())) : -1;
}

/// Layers after the last are for multi-token prediction.
bool is_mtp(const std::string& name, const Json& config) {
    return layer_of(name) >= config["num_hidden_layers"].get<int64_t>();
}

bool is_scale(const std::string& name) { return name.ends_with("_scale_inv"); }

TEST(Inspect, counts_every_stored_parameter_of_every_golden_model_once) {
    for (const std::string& golden : kGoldens) {
        SCOPED_TRACE(golden);
        const std::string folder = source_path("tests/golden/" + golden);
        const Json config = config_of_folder(folder);
        int64_t total = 0;
        for (const auto& [name, entry] : stored_entries(folder)) {
            total += is_mtp(name, config) || is_scale(name) ? 0 : entry.n_values();
        }
        EXPECT_EQ(json_result({"inspect", folder, "--json"})["parameters"]["total"], total);
    }
}

TEST(Inspect, the_bytes_are_the_bytes_in_the_files) {
    for (const std::string& golden : kGoldens) {
        SCOPED_TRACE(golden);
        const std::string folder = source_path("tests/golden/" + golden);
        int64_t total = 0;
        for (const auto& [name, entry] : stored_entries(folder)) {
            total += entry.n_bytes;
        }
        const Json report = json_result({"inspect", folder, "--json"});
        EXPECT_EQ(report["bytes"]["total"], total);
        EXPECT_EQ(report["weights"], "stored");
        int64_t by_part = 0, by_format = 0;
        for (const auto& [part, n] : report["bytes"]["by_part"].items()) {
            by_part += n.get<int64_t>();
        }
        for (const auto& [format, totals] : report["formats"].items()) {
            by_format += totals["bytes"].get<int64_t>();
        }
        EXPECT_EQ(by_part, total);
        EXPECT_EQ(by_format, total);
    }
}

TEST(Inspect, active_parameters_leave_out_the_experts_a_token_does_not_choose) {
    for (const std::string& golden : kGoldens) {
        SCOPED_TRACE(golden);
        const std::string folder = source_path("tests/golden/" + golden);
        const Json config = config_of_folder(folder);
        const int64_t n_experts = config.value("n_routed_experts", int64_t{1});
        const int64_t n_chosen = config.value("num_experts_per_tok", int64_t{1});
        int64_t active = 0;
        for (const auto& [name, entry] : stored_entries(folder)) {
            if (is_mtp(name, config) || is_scale(name)) {
                continue;
            }
            const bool routed = name.find(".mlp.experts.") != std::string::npos;
            active += routed ? entry.n_values() * n_chosen : entry.n_values() * n_experts;
        }
        EXPECT_EQ(json_result({"inspect", folder, "--json"})["parameters"]["active"],
                  active / n_experts);
    }
}

TEST(Inspect, the_cache_of_a_token_is_the_latent_or_the_heads) {
    for (const std::string& golden : kGoldens) {
        SCOPED_TRACE(golden);
        const std::string folder = source_path("tests/golden/" + golden);
        const Json config = config_of_folder(folder);
        const auto at = [&](const char* key) { return config[key].get<int64_t>(); };
        const int64_t row =
            config.contains("kv_lora_rank")
                ? at("kv_lora_rank") + at("qk_rope_head_dim")
                : 2 * at("num_key_value_heads") * (at("hidden_size") / at("num_attention_heads"));
        const Json report = json_result({"inspect", folder, "--json"});
        EXPECT_EQ(report["kv_bytes_per_token"], row * at("num_hidden_layers") * 4);
        EXPECT_EQ(report["kv_format"], "f32");
    }
}

TEST(Inspect, dimensions_are_those_of_the_config) {
    for (const std::string& golden : kGoldens) {
        SCOPED_TRACE(golden);
        const std::string folder = source_path("tests/golden/" + golden);
        const Json config = config_of_folder(folder);
        const Json report = json_result({"inspect", folder, "--json"});
        for (const auto& [name, value] : report["dimensions"].items()) {
            if (name != "head_dim" && name != "v_head_dim") {  // derived in two families
                EXPECT_EQ(value, config[name]) << name;
            }
        }
        for (const char* name : {"vocab_size", "hidden_size", "num_hidden_layers"}) {
            EXPECT_TRUE(report["dimensions"].contains(name)) << name;
        }
    }
}

TEST(Inspect, the_parts_of_v3_are_these_numbers) {
    // By hand from config.json: 128 wide, 3 layers of which 1 dense, 4 heads, q_lora 48, kv_lora
    // 64, nope 32, rope 16, v 32, 16 experts of 80 and a shared one, vocabulary 320.
    const Json parts =
        json_result({"inspect", source_path("tests/golden/v3"), "--json"})["parameters"]["by_part"];
    EXPECT_EQ(parts["embedding"], 320 * 128);
    EXPECT_EQ(parts["head"], 320 * 128);
    EXPECT_EQ(parts["attention"],
              3 * (48 * 128 + 4 * 48 * 48 + (64 + 16) * 128 + 4 * (32 + 32) * 64 + 128 * 4 * 32));
    EXPECT_EQ(parts["dense_ffn"], 3 * 288 * 128);
    EXPECT_EQ(parts["shared_experts"], 2 * 3 * 80 * 128);
    EXPECT_EQ(parts["routed_experts"], 2 * 16 * 3 * 80 * 128);
    EXPECT_EQ(parts["router"], 2 * (16 * 128 + 16));
    EXPECT_EQ(parts["norms"], 3 * (2 * 128 + 48 + 64) + 128);
}

TEST(Inspect, fp8_matrices_cost_one_byte_a_weight_and_four_a_block) {
    const std::string folder = source_path("tests/golden/v3_fp8");
    int64_t n_bytes = 0, n_tensors = 0;
    for (const auto& [name, entry] : stored_entries(folder)) {
        if (entry.dtype == "F8_E4M3") {
            const int64_t n_blocks =
                ((entry.shape[0] + 127) / 128) * ((entry.shape[1] + 127) / 128);
            n_bytes += entry.n_values() + 4 * n_blocks;
            ++n_tensors;
        }
    }
    ASSERT_GT(n_tensors, 0);
    const Json format = json_result({"inspect", folder, "--json"})["formats"]["fp8_block128"];
    EXPECT_EQ(format["bytes"], n_bytes);
    EXPECT_EQ(format["tensors"], n_tensors);
}

TEST(Inspect, a_token_reads_one_row_of_the_embedding_and_the_chosen_experts) {
    const Json report = json_result({"inspect", source_path("tests/golden/v3"), "--json"});
    const Json& bytes = report["bytes"]["by_part"];
    const auto at = [&](const char* part) { return bytes[part].get<int64_t>(); };
    EXPECT_EQ(report["bytes_per_token"], at("embedding") / 320 + at("attention") + at("dense_ffn") +
                                             at("shared_experts") + at("routed_experts") * 4 / 16 +
                                             at("router") + at("norms") + at("head"));
}

TEST(Inspect, a_bare_config_gives_the_same_parameters_without_any_weights) {
    for (const std::string& golden : kGoldens) {
        SCOPED_TRACE(golden);
        const std::string folder = source_path("tests/golden/" + golden);
        const std::string alone =
            scratch_file(golden + "-config.json", file_text(folder + "/config.json"));
        const Json bare = json_result({"inspect", alone, "--json"});
        const Json full = json_result({"inspect", folder, "--json"});
        EXPECT_EQ(bare["parameters"], full["parameters"]);
        EXPECT_EQ(bare["dimensions"], full["dimensions"]);
        EXPECT_EQ(bare["kv_bytes_per_token"], full["kv_bytes_per_token"]);
        EXPECT_EQ(bare["weights"], "estimated");
        EXPECT_FALSE(bare.contains("formats"));
    }
}

TEST(Inspect, the_estimate_of_a_bf16_config_is_two_bytes_a_parameter) {
    const Json report =
        json_result({"inspect", source_path("tests/golden/qwen2/config.json"), "--json"});
    EXPECT_EQ(report["bytes"]["total"], 2 * report["parameters"]["total"].get<int64_t>());
    Json config = config_of_folder(source_path("tests/golden/qwen2"));
    config["torch_dtype"] = "float32";
    const std::string wide = scratch_file("wide.json", dump_json(config));
    EXPECT_EQ(json_result({"inspect", wide, "--json"})["bytes"]["total"],
              4 * report["parameters"]["total"].get<int64_t>());
}

TEST(Inspect, the_published_sizes_of_v3_come_from_its_dimensions_alone) {
    const Json config = {{"model_type", "deepseek_v3"},
                         {"vocab_size", 129280},
                         {"hidden_size", 7168},
                         {"intermediate_size", 18432},
                         {"moe_intermediate_size", 2048},
                         {"num_hidden_layers", 61},
                         {"num_nextn_predict_layers", 1},
                         {"num_attention_heads", 128},
                         {"num_key_value_heads", 128},
                         {"n_shared_experts", 1},
                         {"n_routed_experts", 256},
                         {"num_experts_per_tok", 8},
                         {"n_group", 8},
                         {"topk_group", 4},
                         {"topk_method", "noaux_tc"},
                         {"scoring_func", "sigmoid"},
                         {"norm_topk_prob", true},
                         {"routed_scaling_factor", 2.5},
                         {"kv_lora_rank", 512},
                         {"q_lora_rank", 1536},
                         {"qk_rope_head_dim", 64},
                         {"qk_nope_head_dim", 128},
                         {"v_head_dim", 128},
                         {"first_k_dense_replace", 3},
                         {"moe_layer_freq", 1},
                         {"max_position_embeddings", 163840},
                         {"rms_norm_eps", 1e-6},
                         {"rope_theta", 10000},
                         {"hidden_act", "silu"},
                         {"tie_word_embeddings", false}};
    const std::string path = scratch_file("v3-config.json", dump_json(config));
    const Json report = json_result({"inspect", path, "--json"});
    EXPECT_NEAR(report["parameters"]["total"].get<double>(), 671.0e9, 0.1e9);
    EXPECT_NEAR(report["parameters"]["active"].get<double>(), 37.55e9, 0.1e9);
    EXPECT_EQ(report["kv_bytes_per_token"], (512 + 64) * 61 * 4);
    const auto with_cache = [&](const char* cache) {
        return json_result({"inspect", path, "--cache", cache, "--json"});
    };
    EXPECT_EQ(with_cache("bf16")["kv_bytes_per_token"], (512 + 64) * 61 * 2);
    // int8: the rope part twice, six scales
    EXPECT_EQ(with_cache("int8")["kv_bytes_per_token"], (512 + 2 * 64 + 6 * 4) * 61);
    EXPECT_EQ(with_cache("int8")["kv_format"], "int8");
    const std::string text = run_command({"inspect", path}).out;
    EXPECT_THAT(text, HasSubstr("671.0"));
    EXPECT_THAT(text, HasSubstr("(estimated from the declared type)"));
}

TEST(Inspect, the_text_names_every_part_and_format_that_json_has) {
    for (const std::string golden : {"v3", "v3_fp8", "llama3"}) {
        SCOPED_TRACE(golden);
        const std::string folder = source_path("tests/golden/" + golden);
        const Json report = json_result({"inspect", folder, "--json"});
        const test::CommandResult text = run_command({"inspect", folder});
        EXPECT_EQ(text.exit_code, kExitOk);
        for (const char* group : {"formats", "dimensions"}) {
            for (const auto& [name, value] : report[group].items()) {
                EXPECT_THAT(text.out, HasSubstr(name));
            }
        }
        for (const auto& [part, n] : report["bytes"]["by_part"].items()) {
            EXPECT_THAT(text.out, HasSubstr("  " + part + " "));
        }
        EXPECT_THAT(text.out, HasSubstr("family           " + report["family"].get<std::string>()));
        EXPECT_EQ(text.out.find('\x1b'), std::string::npos);
    }
}

TEST(Inspect, the_text_rounds_to_three_decimals_of_a_million) {
    const std::string text = run_command({"inspect", source_path("tests/golden/v3")}).out;
    EXPECT_THAT(text, HasSubstr("parameters       1.417 million total, 0.680 million active"));
    EXPECT_THAT(text, HasSubstr("MTP              0.616 million more"));
    EXPECT_THAT(text, HasSubstr("weights          4.23 MB\n"));
    EXPECT_THAT(text, HasSubstr("cache per token  0.96 kB (f32)\n"));
    EXPECT_THAT(run_command({"inspect", source_path("tests/golden/qwen2")}).out,
                Not(HasSubstr("MTP")));
}

TEST(Inspect, a_gguf_and_the_folder_it_came_from_are_the_same_model) {
    const Json gguf = json_result({"inspect", source_path("tests/data/seed-q8_0.gguf"), "--json"});
    const Json folder = json_result({"inspect", source_path("models/nereus-seed"), "--json"});
    EXPECT_EQ(gguf["family"], folder["family"]);
    EXPECT_EQ(gguf["parameters"]["total"], folder["parameters"]["total"]);
    EXPECT_EQ(gguf["parameters"]["active"], folder["parameters"]["active"]);
    EXPECT_EQ(gguf["kv_bytes_per_token"], folder["kv_bytes_per_token"]);
    EXPECT_TRUE(gguf["formats"].contains("q8_0"));
}

TEST(Inspect, what_is_no_model_is_refused_by_name) {
    expect_error({"inspect", "/no/such/model"}, "/no/such/model");
    expect_error({"inspect", scratch_file("empty.json", "")}, "empty.json");
    expect_error({"inspect", scratch_file("list.json", "[1]")}, "list.json");
    expect_error({"inspect", scratch_file("object.json", "{}")}, "model_type");
    expect_error({"inspect", scratch_file("foreign.json", R"({"model_type": "gpt2"})")}, "gpt2");
    expect_error({"inspect", scratch_file("notes.txt", "hello")}, "notes.txt");
    std::filesystem::create_directories(scratch_folder() / "hollow");
    expect_error({"inspect", (scratch_folder() / "hollow").string()}, "hollow");
}

TEST(Inspect, needs_exactly_one_model) {
    expect_error({"inspect"}, "MODEL");
    expect_error({"inspect", source_path("tests/golden/v3"), "second"}, "second");
    expect_error({"inspect", source_path("tests/golden/v3"), "--yaml"}, "--yaml");
}

}  // namespace
}  // namespace nereus

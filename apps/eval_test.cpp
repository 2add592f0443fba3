// eval and bench on the golden models: results against the reference, every mistake in a request,
// and the fields of the results.

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "tests/support/golden.h"
#include "tests/support/in_process.h"
#include "tests/support/scratch.h"

namespace nereus {
namespace {

using test::expect_error;
using test::Golden;
using test::json_result;
using test::run_command;
using test::source_path;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kV3 = source_path("tests/golden/v3");
const std::string kSeedGguf = source_path("tests/data/seed-q8_0.gguf");

std::string ids_file(const std::string& json) { return scratch_file("ids.json", json); }

std::string out_file() { return (scratch_folder() / "logits.f32").string(); }

std::vector<float> floats_of(const std::string& path) {
    const std::string bytes = file_text(path);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

/// Names in the folder of the results that are no results.
std::vector<std::string> leftovers(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        if (file.path().string().find(".tmp") != std::string::npos) {
            names.push_back(file.path().filename());
        }
    }
    return names;
}

TEST(EvalLogits, rows_are_the_vocabulary_of_every_token_and_nothing_is_printed) {
    const auto result = run_command(
        {"eval", "logits", kV3, "--tokens", ids_file("[5, 6, 7]"), "--out", out_file()});
    EXPECT_EQ(result.exit_code, kExitOk);
    EXPECT_EQ(result.out + result.err, "");
    EXPECT_EQ(file_text(out_file()).size(), 3U * 320 * 4);
    EXPECT_THAT(leftovers(scratch_folder()), IsEmpty());
}

TEST(EvalLogits, a_row_does_not_depend_on_the_tokens_after_it) {
    run_command({"eval", "logits", kV3, "--tokens", ids_file("[5, 6, 7, 8]"), "--out", out_file()});
    const auto longer = floats_of(out_file());
    run_command({"eval", "logits", kV3, "--tokens", ids_file("[5, 6]"), "--out", out_file()});
    const auto shorter = floats_of(out_file());
    ASSERT_EQ(shorter.size(), 640U);
    EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
}

TEST(EvalLogits, every_chunk_size_writes_the_same_bytes) {
    const Golden golden("v3");
    const std::string tokens = ids_file(dump_json(Json(golden.tokens)));
    run_command({"eval", "logits", kV3, "--tokens", tokens, "--out", out_file()});
    const std::string whole = file_text(out_file());
    for (const std::string chunk : {"1", "2", "13", "100000"}) {
        run_command(
            {"eval", "logits", kV3, "--tokens", tokens, "--out", out_file(), "--chunk", chunk});
        EXPECT_EQ(file_text(out_file()), whole) << chunk;
    }
}

TEST(EvalLogits, the_best_id_of_the_last_row_is_the_first_of_greedy) {
    const Golden golden("qwen2");
    const std::string model = source_path("tests/golden/qwen2");
    const std::string tokens = ids_file(dump_json(Json(golden.tokens)));
    run_command({"eval", "logits", model, "--tokens", tokens, "--out", out_file()});
    const auto logits = floats_of(out_file());
    const auto last = logits.end() - 320;
    const auto best = std::max_element(last, logits.end()) - last;
    EXPECT_EQ(best, golden.greedy.front());
    EXPECT_EQ(json_result({"eval", "greedy", model, "--tokens", tokens, "-n", "1"}),
              Json::array({best}));
}

TEST(EvalLogits, an_unwritable_result_is_an_error_that_names_the_file) {
    const std::string tokens = ids_file("[1, 2]");
    expect_error({"eval", "logits", kV3, "--tokens", tokens, "--out", "/no/such/folder/x"},
                 "/no/such/folder/x");
    expect_error({"eval", "logits", kV3, "--tokens", tokens, "--out", scratch_folder().string()},
                 scratch_folder().string());
    expect_error({"eval", "logits", kV3, "--tokens", tokens, "--out", "/dev/full"}, "/dev/full",
                 kExitFailure);
}

TEST(EvalLogits, a_refused_request_leaves_an_older_result_alone) {
    std::ofstream(out_file()) << "older";
    expect_error({"eval", "logits", kV3, "--tokens", ids_file("[1, 320]"), "--out", out_file()},
                 "320");
    EXPECT_EQ(file_text(out_file()), "older");
    EXPECT_THAT(leftovers(scratch_folder()), IsEmpty());
}

struct BadIds {
    std::string json, words;
};

TEST(EvalTokens, what_is_no_list_of_ids_is_refused_with_place_and_reason) {
    const BadIds kCases[] = {
        {"[1, 2, 320]", "id 2 is 320, expected an integer in [0, 320)"},
        {"[-1]", "id 0 is -1, expected an integer in [0, 320)"},
        {"[1, 99999999999999999999]", "id 1"},
        {"[18446744073709551615]", "id 0 is 18446744073709551615"},
        {"[1.0]", "id 0 is 1.0"},
        {"[\"1\"]", "id 0 is \"1\""},
        {"[null]", "id 0 is null"},
        {"[true]", "id 0 is true"},
        {"[[1, 2]]", "id 0 is [1,2]"},
        {"[]", "at least one token id"},
        {"{}", "expected a JSON array of token ids, found object"},
        {"7", "expected a JSON array of token ids, found number"},
        {"\"1 2\"", "expected a JSON array of token ids, found string"},
        {"null", "expected a JSON array of token ids, found null"},
        {"", "not valid JSON"},
        {"[1, 2", "not valid JSON"},
        {"[1, 2] 3", "not valid JSON"},
        {"[1 2]", "not valid JSON"},
        {"\x93NUMPY", "not valid JSON"},
    };
    for (const BadIds& bad : kCases) {
        SCOPED_TRACE(bad.json);
        const std::string file = ids_file(bad.json);
        expect_error({"eval", "greedy", kV3, "--tokens", file}, bad.words);
        expect_error({"eval", "logits", kV3, "--tokens", file, "--out", out_file()}, bad.words);
    }
}

TEST(EvalTokens, a_missing_file_or_a_folder_is_named) {
    expect_error({"eval", "greedy", kV3, "--tokens", "/no/ids.json"}, "/no/ids.json");
    expect_error({"eval", "greedy", kV3, "--tokens", scratch_folder().string()},
                 scratch_folder().string());
}

TEST(EvalTokens, an_absurd_element_is_not_repeated_at_length) {
    const std::string file = ids_file("[\"" + std::string(5000, 'x') + "\"]");
    const auto result = run_command({"eval", "greedy", kV3, "--tokens", file});
    EXPECT_EQ(result.exit_code, kExitBadInput);
    EXPECT_LT(result.err.size(), 400U);
}

TEST(EvalFlags, numbers_out_of_range_are_refused_by_name) {
    const std::string tokens = ids_file("[1]");
    const std::vector<std::string> logits = {"eval", "logits", kV3,       "--tokens",
                                             tokens, "--out",  out_file()};
    const auto with = [](std::vector<std::string> arguments, const std::string& flag,
                         const std::string& value) {
        arguments.push_back(flag);
        arguments.push_back(value);
        return arguments;
    };
    for (const std::string value : {"0", "-1", "x", "1.5", "99999999999", ""}) {
        expect_error(with(logits, "--chunk", value), "--chunk");
    }
    const std::vector<std::string> greedy = {"eval", "greedy", kV3, "--tokens", tokens};
    for (const std::string value : {"0", "-5", "many"}) {
        expect_error(with(greedy, "-n", value), "-n");
    }
    for (const std::string value : {"0", "-1", "1025", "two", "1e3"}) {
        expect_error(with(greedy, "--threads", value), "--threads");
    }
    for (const std::string value : {"sse2", "AVX2", "avx", "neon", "avx512 "}) {
        expect_error(with(greedy, "--isa", value), value);
    }
}

TEST(EvalFlags, what_is_needed_is_asked_for) {
    expect_error({"eval", "logits", kV3, "--out", out_file()}, "--tokens");
    expect_error({"eval", "logits", kV3, "--tokens", ids_file("[1]")}, "--out");
    expect_error({"eval", "greedy"}, "MODEL");
    expect_error({"eval", "ppl", kSeedGguf}, "TEXT");
    expect_error({"eval", "greedy", "/no/model", "--tokens", ids_file("[1]")}, "/no/model");
}

TEST(EvalFlags, a_wrong_subcommand_is_answered_with_the_right_ones) {
    expect_error({"eval"}, "expected logits, greedy, ppl, kl, found nothing");
    expect_error({"eval", "lgits"}, "did you mean logits?");
    expect_error({"eval", "pll", "x"}, "x");
    expect_error({"eval", "greedy", kV3, "--tokens", ids_file("[1]"), "surplus"},
                 "\"surplus\" was not expected");
    EXPECT_EQ(run_command({"eval", "dance"}).err.find("did you mean"), std::string::npos);
}

TEST(EvalGreedy, continues_golden_models_like_the_reference_with_any_table_and_threads) {
    for (const std::string golden : {"llama3", "v2_lite", "v3_fp8"}) {
        const Golden reference(golden);
        const std::string tokens = ids_file(dump_json(Json(reference.tokens)));
        for (const std::string isa : {"portable", ""}) {
            SCOPED_TRACE(golden + " " + isa);
            EXPECT_EQ(
                json_result({"eval", "greedy", source_path("tests/golden/" + golden), "--tokens",
                             tokens, "-n", std::to_string(reference.greedy.size()), "--isa", isa,
                             "--threads", "1"}),
                Json(reference.greedy));
        }
    }
}

TEST(EvalGreedy, appends_32_ids_unless_told_otherwise_and_does_not_stop_at_eos) {
    const std::string tokens = ids_file("[1]");  // EOS itself
    EXPECT_EQ(json_result({"eval", "greedy", kV3, "--tokens", tokens}).size(), 32U);
    EXPECT_EQ(json_result({"eval", "greedy", kV3, "--tokens", tokens, "-n", "3"}).size(), 3U);
}

TEST(EvalGreedy, more_than_the_context_is_a_limit_with_both_numbers) {
    expect_error({"eval", "greedy", kV3, "--tokens", ids_file("[1, 2]"), "-n", "4095"},
                 "4097 tokens asked for; the model's context (max_position_embeddings) is 4096",
                 kExitLimit);
}

std::string text_of_words(int n) {
    std::string text;
    for (int i = 0; i < n; ++i) {
        text += "the water flows ";
    }
    return scratch_file("words.txt", text);
}

TEST(EvalPerplexity, its_fields_agree_and_windows_are_counted) {
    const Json one = json_result({"eval", "ppl", kSeedGguf, text_of_words(100), "--context", "32",
                                  "--windows", "2", "--json"});
    EXPECT_EQ(one["windows"], 2);
    EXPECT_EQ(one["context"], 32);
    EXPECT_EQ(one["tokens"], 2 * (32 - 1 - 16));
    EXPECT_NEAR(std::log(one["ppl"].get<double>()), one["nll"].get<double>(), 1e-12);
    std::vector<std::string> keys;
    for (const auto& [key, value] : one.items()) {
        keys.push_back(key);
    }
    EXPECT_THAT(keys, ElementsAre("ppl", "nll", "tokens", "windows", "context"));
}

TEST(EvalPerplexity, the_nll_is_the_mean_of_what_eval_logits_says) {
    // One window of llama.cpp's kind, worked out from the logits: positions 16..30 predict 17..31.
    const std::string text = text_of_words(40);
    const std::string strings = scratch_file("s.json", dump_json(Json::array({file_text(text)})));
    Json ids = json_result({"tokenize", kSeedGguf, "--file", strings})[0];
    const Json ppl = json_result(
        {"eval", "ppl", kSeedGguf, text, "--context", "32", "--windows", "1", "--json"});
    Json window = Json::array({0});  // this GGUF asks for a BOS before texts
    for (size_t i = 0; i < 31; ++i) {
        window.push_back(ids[i]);
    }
    run_command({"eval", "logits", kSeedGguf, "--tokens", ids_file(dump_json(window)), "--out",
                 out_file()});
    const auto logits = floats_of(out_file());
    const size_t vocab = logits.size() / 32;
    double with_window = 0;
    for (size_t at = 16; at <= 30; ++at) {
        double sum = 0;
        for (size_t i = 0; i < vocab; ++i) {
            sum += std::exp(static_cast<double>(logits[at * vocab + i]));
        }
        const auto target = window[at + 1].get<size_t>();
        with_window += std::log(sum) - static_cast<double>(logits[at * vocab + target]);
    }
    EXPECT_NEAR(with_window / 15, ppl["nll"].get<double>(), 1e-5);
}

TEST(EvalPerplexity, text_and_json_say_the_same) {
    const std::string text = text_of_words(100);
    const std::vector<std::string> arguments = {"eval",      "ppl", kSeedGguf,   text,
                                                "--context", "64",  "--windows", "1"};
    auto with_json = arguments;
    with_json.push_back("--json");
    const Json json = json_result(with_json);
    EXPECT_EQ(run_command(arguments).out,
              fmt::format("ppl {:.4f}  nll {:.6f}  tokens 31  windows 1\n",
                          json["ppl"].get<double>(), json["nll"].get<double>()));
}

TEST(EvalPerplexity, a_text_shorter_than_a_window_is_refused_with_both_numbers) {
    const std::string text = scratch_file("short.txt", "Hello.");
    const auto result = run_command({"eval", "ppl", kSeedGguf, text, "--context", "100"});
    EXPECT_EQ(result.exit_code, kExitBadInput);
    EXPECT_THAT(result.err, HasSubstr("one window needs 100"));
    expect_error({"eval", "ppl", kSeedGguf, text, "--context", "3"}, "--context");
    expect_error({"eval", "ppl", kSeedGguf, text, "--windows", "0"}, "--windows");
    expect_error({"eval", "ppl", kSeedGguf, "/no/text"}, "/no/text");
    expect_error({"eval", "ppl", kV3, text}, "tokenizer");  // a model without one
}

TEST(Bench, its_json_has_these_fields_and_they_agree) {
    const Json json = json_result({"bench", kV3, "--prompt", "6", "--generate", "4", "--repeat",
                                   "3", "--json", "--threads", "2", "--isa", "portable"});
    EXPECT_EQ(json["model"], kV3);
    EXPECT_EQ(json["isa"], "portable");
    EXPECT_EQ(json["threads"], 2);
    EXPECT_EQ(json["repeat"], 3);
    for (const char* phase : {"prefill", "decode"}) {
        SCOPED_TRACE(phase);
        EXPECT_EQ(json[phase]["tokens"], phase == std::string("prefill") ? 6 : 4);
        const double median = json[phase]["tokens_per_second"];
        EXPECT_GT(json[phase]["low"].get<double>(), 0);
        EXPECT_LE(json[phase]["low"].get<double>(), median);
        EXPECT_GE(json[phase]["high"].get<double>(), median);
    }
    const double speed = json["decode"]["tokens_per_second"];
    EXPECT_NEAR(
        json["gb_per_second"].get<double>(),
        (json["weight_bytes_per_step"].get<double>() + json["cache_bytes_per_step"].get<double>()) *
            speed / 1e9,
        1e-6);
}

TEST(Bench, reads_at_most_what_inspect_says_and_nearly_all_of_it) {
    const double bench = json_result({"bench", kV3, "--prompt", "2", "--generate", "2", "--repeat",
                                      "1", "--json"})["bytes_per_token"];
    const double inspect = json_result({"inspect", kV3, "--json"})["bytes_per_token"];
    EXPECT_LE(bench, inspect);
    EXPECT_GE(bench, 0.99 * inspect);  // the matrices; norms and the embedding's row are not timed
}

TEST(Bench, the_text_has_a_line_a_phase_and_one_for_the_bytes) {
    const auto result = run_command({"bench", kV3, "--prompt", "2", "--generate", "3", "--repeat",
                                     "1", "--threads", "1", "--isa", "portable"});
    EXPECT_THAT(result.out, HasSubstr("prefill       2 tokens"));
    EXPECT_THAT(result.out, HasSubstr("decode        3 tokens"));
    EXPECT_THAT(result.out, HasSubstr("GB/s while decoding (portable, 1 threads)"));
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 3);
    EXPECT_EQ(result.err, "");
}

TEST(Bench, numbers_out_of_range_and_too_small_contexts_are_refused) {
    for (const std::string flag : {"--prompt", "--generate", "--repeat"}) {
        for (const std::string value : {"0", "-1", "x", "2.5"}) {
            expect_error({"bench", kV3, flag, value}, flag);
        }
    }
    expect_error({"bench", kV3, "--repeat", "1001"}, "--repeat");
    expect_error({"bench", kV3, "--prompt", "4000", "--generate", "97"},
                 "--prompt 4000 and --generate 97 make 4097 tokens; the model's context is 4096",
                 kExitLimit);
    expect_error({"bench"}, "MODEL");
    expect_error({"bench", "/no/model"}, "/no/model");
}

}  // namespace
}  // namespace nereus

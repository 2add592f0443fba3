// Which tokenizer, chat format and defaults go with a model: folders made for the purpose, each
// with one thing more or one thing wrong.

#include "apps/open.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/unicode.h"
#include "tests/support/golden.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_model.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using test::must;
using test::source_path;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json added_token(int id, const std::string& text, bool special = true) {
    return {{"id", id},        {"content", text}, {"special", special},  {"normalized", false},
            {"lstrip", false}, {"rstrip", false}, {"single_word", false}};
}

/// A byte-level vocabulary of 256 bytes; these control tokens from 256 on.
Json tokenizer_json(const std::vector<std::string>& controls) {
    Json vocab = Json::object();
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool itself = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
        std::string character;
        append_utf8(character, itself ? byte : next++);
        vocab[character] = static_cast<int>(byte);
    }
    Json added = Json::array();
    for (const std::string& text : controls) {
        added.push_back(added_token(256 + static_cast<int>(added.size()), text));
    }
    return {{"version", "1.0"},
            {"added_tokens", added},
            {"normalizer", nullptr},
            {"pre_tokenizer",
             {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}},
            {"decoder", {{"type", "ByteLevel"}}},
            {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array()}}}};
}

/// A folder with these files.
class Folder {
  public:
    Folder() = default;
    Folder& add(const std::string& name, const std::string& text) {
        std::ofstream(folder_.path() / name) << text;
        return *this;
    }
    Folder& add(const std::string& name, const Json& json) { return add(name, dump_json(json)); }
    Folder& tokenizer(const std::vector<std::string>& controls = {"<s>", "</s>"}) {
        return add("tokenizer.json", tokenizer_json(controls));
    }
    fs::path path() const { return folder_.path(); }
    Result<OpenedText> open(const std::string& format = "") const {
        return open_text(folder_.path(), format);
    }
    std::string error(const std::string& format = "") const {
        const auto opened = open(format);
        return opened.ok() ? "opened" : opened.error().message;
    }

  private:
    test::TemporaryFolder folder_;
};

/// What the chosen format makes of one message.
std::string rendered(const Result<OpenedText>& text) {
    if (!text.ok()) {
        return text.error().message;
    }
    if (text->chat_format == nullptr) {
        return "no format";
    }
    ChatRequest request;
    request.messages = {{{"role", "user"}, {"content", "hi"}}};
    const auto prompt = text->chat_format->render(request);
    return prompt.ok() ? prompt->text() : prompt.error().message;
}

TEST(OpenText, a_template_of_its_own_file_wins_over_the_one_in_tokenizer_config) {
    Folder folder;
    folder.tokenizer().add("tokenizer_config.json",
                           Json{{"chat_template", "config {{ messages[0].content }}"}});
    EXPECT_EQ(rendered(folder.open()), "config hi");
    folder.add("chat_template.jinja", std::string("file {{ messages[0].content }}"));
    EXPECT_EQ(rendered(folder.open()), "file hi");
    EXPECT_EQ(rendered(folder.open("auto")), "file hi");
}

TEST(OpenText, of_several_templates_the_default_is_taken_and_else_the_first) {
    const auto with_names = [](const char* first, const char* second) {
        Folder folder;
        folder.tokenizer().add("tokenizer_config.json",
                               Json{{"chat_template",
                                     {{{"name", first}, {"template", "one"}},
                                      {{"name", second}, {"template", "two"}}}}});
        return rendered(folder.open());
    };
    EXPECT_EQ(with_names("default", "tool_use"), "one");
    EXPECT_EQ(with_names("tool_use", "default"), "two");
    EXPECT_EQ(with_names("rag", "tool_use"), "one");
}

TEST(OpenText, special_tokens_reach_the_template_as_strings_or_objects) {
    Folder folder;
    folder.tokenizer().add(
        "tokenizer_config.json",
        Json{{"bos_token", "<s>"},
             {"eos_token", {{"__type", "AddedToken"}, {"content", "</s>"}}},
             {"pad_token", nullptr},
             {"chat_template", "{{ bos_token }}|{{ eos_token }}|{{ pad_token is defined }}"}});
    const auto text = folder.open();
    EXPECT_EQ(rendered(text), "<s>|</s>|False");
    EXPECT_EQ(text->bos_token, "<s>");
    EXPECT_EQ(text->eos_token, "</s>");
    EXPECT_EQ(text->bos_id, 256);
    EXPECT_EQ(text->eos_id, 257);
}

TEST(OpenText, a_special_token_that_is_not_in_the_vocabulary_has_no_id) {
    Folder folder;
    folder.tokenizer({"<s>"}).add("tokenizer_config.json",
                                  Json{{"bos_token", "<s>"}, {"eos_token", "<gone>"}});
    const auto text = folder.open();
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(text->bos_id, 256);
    EXPECT_FALSE(text->eos_id.has_value());
}

TEST(OpenText, plain_texts_begin_with_bos_only_where_the_config_says_so) {
    for (const Json& flag : {Json(true), Json(false), Json(nullptr), Json("yes")}) {
        Folder folder;
        folder.tokenizer().add("tokenizer_config.json",
                               Json{{"bos_token", "<s>"}, {"add_bos_token", flag}});
        const auto text = folder.open();
        ASSERT_TRUE(text.ok());
        EXPECT_EQ(text->text_needs_bos, flag == Json(true)) << flag;
        EXPECT_FALSE(text->prompt_needs_bos) << "templates of folders write their own";
    }
}

struct FamilyFormat {
    const char* model_type;
    std::vector<std::string> controls;
    const char* format;  ///< name of the native encoder, or ""
};

const FamilyFormat kFamilyFormats[] = {
    {"deepseek_v2", {"<｜User｜>"}, "deepseek-v2.5"},
    {"deepseek_v2", {"<s>"}, "deepseek-v2"},
    {"deepseek_v3", {"<think>", "<｜User｜>"}, "deepseek-r1"},
    {"deepseek_v3", {"<｜User｜>"}, "deepseek-v3"},
    {"qwen2", {"<｜User｜>"}, "r1-distill"},
    {"qwen2", {"<|im_start|>"}, ""},
    {"llama", {"<｜User｜>"}, "r1-distill"},
    {"llama", {"<s>"}, ""},
    {"mistral", {"<｜User｜>"}, ""},
};

TEST(OpenText, without_a_template_the_family_and_its_vocabulary_choose_a_native_format) {
    for (const FamilyFormat& row : kFamilyFormats) {
        Folder folder;
        folder.tokenizer(row.controls).add("config.json", Json{{"model_type", row.model_type}});
        const auto text = folder.open();
        ASSERT_TRUE(text.ok()) << text.error().message;
        const std::string name =
            text->chat_format ? std::string(text->chat_format->name()) : std::string();
        EXPECT_EQ(name, row.format) << row.model_type << " " << row.controls[0];
    }
}

TEST(OpenText, a_format_asked_for_by_name_wins_over_every_file) {
    Folder folder;
    folder.tokenizer().add("chat_template.jinja", std::string("mine"));
    const auto text = folder.open("deepseek-v3.1");
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(text->chat_format->name(), "deepseek-v3.1");
    EXPECT_THAT(folder.error("gpt"), HasSubstr("deepseek-v3"));
}

TEST(OpenText, a_broken_template_is_not_silently_replaced_by_another_format) {
    Folder folder;
    folder.tokenizer({"<｜User｜>"})
        .add("config.json", Json{{"model_type", "deepseek_v3"}})
        .add("chat_template.jinja", std::string("line\n{% if %}"));
    EXPECT_THAT(folder.error(), AllOf(HasSubstr("chat_template.jinja"), HasSubstr("2")));
    EXPECT_EQ(folder.error("deepseek-v3"), "opened") << "unless somebody says which";
}

TEST(OpenText, files_with_something_else_in_them_are_named) {
    const auto error_with = [](const char* name, const char* content) {
        Folder folder;
        folder.tokenizer().add(name, std::string(content));
        return folder.error();
    };
    EXPECT_THAT(error_with("tokenizer_config.json", "[]"),
                AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("object")));
    EXPECT_THAT(error_with("tokenizer_config.json", "{"), HasSubstr("tokenizer_config.json"));
    EXPECT_THAT(error_with("config.json", "3"), HasSubstr("config.json"));
    EXPECT_THAT(error_with("tokenizer.json", "{}"), HasSubstr("tokenizer.json"));
    EXPECT_EQ(error_with("config.json", R"({"model_type": 7})"), "opened");
    EXPECT_EQ(error_with("tokenizer_config.json", R"({"chat_template": 7, "bos_token": []})"),
              "opened");
}

TEST(OpenText, a_template_file_over_a_mebibyte_is_refused_with_both_sizes) {
    Folder folder;
    folder.tokenizer().add("chat_template.jinja", std::string((1 << 20) + 1, 'x'));
    EXPECT_THAT(folder.error(), AllOf(HasSubstr("1048577"), HasSubstr("1048576")));
}

TEST(OpenText, what_has_neither_tokenizer_nor_template_says_what_was_expected) {
    Folder folder;
    folder.add("config.json", Json{{"model_type", "llama"}});
    EXPECT_THAT(folder.error(), AllOf(HasSubstr("neither a tokenizer nor a chat template"),
                                      HasSubstr(folder.path().string())));
    EXPECT_FALSE(open_text(folder.path() / "absent", "").ok());
    EXPECT_FALSE(open_text("", "").ok());
}

TEST(OpenText, a_tokenizer_json_alone_takes_what_lies_beside_it) {
    Folder folder;
    folder.tokenizer().add("tokenizer_config.json",
                           Json{{"bos_token", "<s>"}, {"chat_template", "beside"}});
    const auto text = open_text(folder.path() / "tokenizer.json", "");
    EXPECT_EQ(rendered(text), "beside");
    EXPECT_EQ(text->bos_id, 256);
    fs::rename(folder.path() / "tokenizer.json", folder.path() / "other.json");
    EXPECT_EQ(rendered(open_text(folder.path() / "other.json", "")), "no format");
}

TEST(OpenText, a_jinja_file_takes_constants_from_the_caller_and_files_do_not_override_them) {
    Folder folder;
    folder.add("t.jinja", std::string("{{ bos_token }}{{ messages[0].content }}"));
    EXPECT_EQ(rendered(open_text(folder.path() / "t.jinja", "", {{"bos_token", "<S>"}})), "<S>hi");
    EXPECT_EQ(rendered(open_text(folder.path() / "t.jinja", "")), "hi");
    const auto text = open_text(folder.path() / "t.jinja", "");
    EXPECT_FALSE(need_tokenizer(*text).ok());
    EXPECT_TRUE(need_chat_format(*text).ok());
}

TEST(OpenText, a_gguf_brings_tokenizer_bos_and_template) {
    const auto text = open_text(source_path("tests/data/seed-q8_0.gguf"), "");
    ASSERT_TRUE(text.ok()) << text.error().message;
    ASSERT_NE(text->tokenizer, nullptr);
    EXPECT_EQ(text->bos_token, "<｜begin▁of▁sentence｜>");
    ASSERT_TRUE(text->bos_id.has_value());
    EXPECT_EQ(text->tokenizer->token_bytes(*text->bos_id), text->bos_token);
    EXPECT_THAT(rendered(text), HasSubstr("<｜User｜>hi"));
}

/// A whole model of the qwen2 family that opens in no time.
class SmallModel : public ::testing::Test {
  protected:
    SmallModel() {
        test::TinyModel tiny(
            must(parse_json(R"({"model_type": "qwen2", "vocab_size": 260, "hidden_size": 32,
                "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
                "num_key_value_heads": 1, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
                "rope_theta": 10000.0, "tie_word_embeddings": false, "eos_token_id": 7})",
                            "test")),
            1);
        tiny.write_to(folder_.path());
        folder_.tokenizer();
    }

    GenerationDefaults generation(const char* json) {
        folder_.add("generation_config.json", std::string(json));
        auto opened = open_model(folder_.path(), options_);
        EXPECT_TRUE(opened.ok()) << opened.error().message;
        return opened.ok() ? opened->generation : GenerationDefaults{};
    }

    std::string error(const char* generation_json = "{}") {
        folder_.add("generation_config.json", std::string(generation_json));
        const auto opened = open_model(folder_.path(), options_);
        return opened.ok() ? "opened" : opened.error().message;
    }

    Folder folder_;
    static OpenOptions one_thread() {
        OpenOptions options;
        options.threads = 1;
        return options;
    }
    OpenOptions options_ = one_thread();
};

TEST_F(SmallModel, without_recommendations_samples_as_r1_and_v3_do) {
    const auto opened = open_model(folder_.path(), options_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ(opened->generation.sampling.temperature, 0.6F);
    EXPECT_EQ(opened->generation.sampling.top_p, 0.95F);
    EXPECT_THAT(opened->generation.stop_ids, ElementsAre(7));
}

TEST_F(SmallModel, takes_what_generation_config_recommends) {
    const GenerationDefaults defaults =
        generation(R"({"temperature": 0.3, "top_p": 0.5, "top_k": 20, "min_p": 0.1,
                       "repetition_penalty": 1.2, "do_sample": true})");
    EXPECT_EQ(defaults.sampling.temperature, 0.3F);
    EXPECT_EQ(defaults.sampling.top_p, 0.5F);
    EXPECT_EQ(defaults.sampling.top_k, 20);
    EXPECT_EQ(defaults.sampling.min_p, 0.1F);
    EXPECT_EQ(defaults.sampling.repetition_penalty, 1.2F);
}

TEST_F(SmallModel, do_sample_false_is_greedy_whatever_the_temperature) {
    EXPECT_EQ(generation(R"({"do_sample": false, "temperature": 0.7})").sampling.temperature, 0.0F);
    EXPECT_EQ(generation(R"({"do_sample": null, "temperature": 0.7})").sampling.temperature, 0.7F);
}

TEST_F(SmallModel, fields_of_another_type_are_as_if_absent) {
    const GenerationDefaults defaults =
        generation(R"({"temperature": "hot", "top_k": -1, "top_p": null, "eos_token_id": "x"})");
    EXPECT_EQ(defaults.sampling.temperature, 0.6F);
    EXPECT_EQ(defaults.sampling.top_k, 0);
    EXPECT_EQ(defaults.sampling.top_p, 0.95F);
    EXPECT_THAT(defaults.stop_ids, ElementsAre(7));
}

TEST_F(SmallModel, a_top_k_beyond_every_integer_is_all_tokens_and_never_negative) {
    for (const char* top_k :
         {"2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551615"}) {
        const auto defaults = generation(fmt::format(R"({{"top_k": {}}})", top_k).c_str());
        EXPECT_EQ(defaults.sampling.top_k, INT32_MAX) << top_k;
    }
}

TEST_F(SmallModel, every_file_adds_its_stop_ids_once) {
    folder_.add("tokenizer_config.json", Json{{"eos_token", "</s>"}});
    EXPECT_THAT(generation(R"({"eos_token_id": [9, 7, 9]})").stop_ids, ElementsAre(7, 9, 257));
    EXPECT_THAT(generation(R"({"eos_token_id": 3})").stop_ids, ElementsAre(3, 7, 257));
    EXPECT_THAT(generation(R"({"eos_token_id": [-1, 99999999999, 1.5, "a", null]})").stop_ids,
                ElementsAre(7, 257));
}

TEST_F(SmallModel, absurd_recommendations_are_corrupt_and_named) {
    EXPECT_THAT(error(R"({"top_p": 7})"),
                AllOf(HasSubstr("generation_config.json"), HasSubstr("top_p")));
    EXPECT_THAT(error(R"({"temperature": -1})"), HasSubstr("temperature"));
    EXPECT_THAT(error(R"({"temperature": 1e300})"), HasSubstr("temperature"));
    EXPECT_THAT(error("{"), HasSubstr("generation_config.json"));
}

TEST_F(SmallModel, a_tokenizer_of_another_model_is_refused_with_both_numbers) {
    folder_.tokenizer({"<s>", "</s>", "c", "d", "e"});
    EXPECT_THAT(error(), AllOf(HasSubstr("ids up to 260"), HasSubstr("260 rows")));
}

TEST_F(SmallModel, without_a_tokenizer_it_opens_and_only_ids_can_be_used) {
    fs::remove(folder_.path() / "tokenizer.json");
    const auto opened = open_model(folder_.path(), options_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ(opened->text.tokenizer, nullptr);
    EXPECT_THAT(need_tokenizer(opened->text).error().message, HasSubstr("no tokenizer"));
    EXPECT_THAT(need_chat_format(opened->text).error().message, HasSubstr("--format"));
}

TEST_F(SmallModel, an_unknown_kernel_table_is_refused_with_those_there_are) {
    options_.isa = "sse9";
    EXPECT_THAT(error(), AllOf(HasSubstr("sse9"), HasSubstr("portable")));
}

TEST(OpenOptions, the_words_of_activations_mean_what_help_says) {
    const auto choice = [](const char* word) {
        CommonOptions common;
        common.activations = word;
        return open_options(common).activations;
    };
    EXPECT_EQ(choice("f32"), ActivationsChoice::kF32);
    EXPECT_EQ(choice("int8"), ActivationsChoice::kOfFormat);
    EXPECT_EQ(choice("auto"), ActivationsChoice::kAuto);
    CommonOptions common;
    common.threads = 3;
    common.isa = "avx2";
    common.format = "deepseek-v3";
    EXPECT_EQ(open_options(common).threads, 3);
    EXPECT_EQ(open_options(common).isa, "avx2");
    EXPECT_EQ(open_options(common).format, "deepseek-v3");
}

// ---- prompts to ids

Prompt prompt_of(std::initializer_list<std::pair<const char*, bool>> pieces) {
    Prompt prompt;
    for (const auto& [text, trusted] : pieces) {
        prompt.pieces.push_back({text, trusted});
    }
    return prompt;
}

OpenedText text_with(const std::vector<std::string>& controls, bool needs_bos = false) {
    OpenedText text;
    text.tokenizer = must(tokenizer_from_json(dump_json(tokenizer_json(controls)), "t"));
    text.bos_id = text.tokenizer->find_control(controls[0]);
    text.prompt_needs_bos = needs_bos;
    return text;
}

TEST(ControlTokensOfPrompts, the_longest_control_token_at_a_place_is_meant) {
    const OpenedText text = text_with({"<s>", "<s>x", "<"});
    EXPECT_THAT(encode_prompt(text, prompt_of({{"<s>x", true}})), ElementsAre(257));
    EXPECT_THAT(encode_prompt(text, prompt_of({{"<s>y", true}})), ElementsAre(256, 'y'));
    EXPECT_THAT(encode_prompt(text, prompt_of({{"<s", true}})), ElementsAre(258, 's'));
}

TEST(ControlTokensOfPrompts, a_message_that_makes_a_written_token_longer_leaves_it_as_written) {
    const OpenedText text = text_with({"<s>", "<s>x"});
    EXPECT_THAT(encode_prompt(text, prompt_of({{"<s>", true}, {"xy", false}})),
                ElementsAre(256, 'x', 'y'));
    EXPECT_THAT(encode_prompt(text, prompt_of({{"<s>", true}, {"y", false}})),
                ElementsAre(256, 'y'));
}

TEST(ControlTokensOfPrompts, nothing_typed_is_ever_a_control_token) {
    const OpenedText text = text_with({"<s>", "</s>"});
    EXPECT_THAT(encode_prompt(text, prompt_of({{"<s>", false}})), ElementsAre('<', 's', '>'));
    EXPECT_THAT(encode_prompt(text, prompt_of({{"<s", false}, {">", true}})),
                ElementsAre('<', 's', '>'));
    EXPECT_THAT(encode_prompt(text, prompt_of({{"<s>", true}, {"<s>", false}, {"</s>", true}})),
                ElementsAre(256, '<', 's', '>', 257));
}

TEST(ControlTokensOfPrompts, bos_is_added_where_it_is_needed_and_not_twice) {
    const OpenedText needs = text_with({"<s>"}, true);
    EXPECT_THAT(encode_prompt(needs, prompt_of({{"a", true}})), ElementsAre(256, 'a'));
    EXPECT_THAT(encode_prompt(needs, prompt_of({{"<s>a", true}})), ElementsAre(256, 'a'));
    EXPECT_THAT(encode_prompt(needs, prompt_of({{"<s>a", false}})),
                ElementsAre(256, '<', 's', '>', 'a'));
    EXPECT_THAT(encode_prompt(needs, prompt_of({})), ElementsAre(256));
    EXPECT_TRUE(encode_prompt(text_with({"<s>"}), prompt_of({})).empty());
}

}  // namespace
}  // namespace nereus

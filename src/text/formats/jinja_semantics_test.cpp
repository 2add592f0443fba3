// The engine beside Jinja2 3.1.6: what each small template renders to was written down from a run
// of Jinja2 with Hugging Face's settings (tests/data/templates/semantics.jsonl, made by
// tools/make_jinja_semantics.py; null: an error).

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "text/chat_format.h"

namespace nereus {
namespace {

struct Rendered {
    bool ok = false;
    std::string text;
};

Rendered render(const std::string& source) {
    const Json variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    const auto format = create_jinja_format(source, "semantics.jinja", variables);
    if (!format.ok()) {
        return {false, format.error().message};
    }
    ChatRequest request;
    request.messages = {{{"role", "user"}, {"content", "hi"}}};
    const auto prompt = (*format)->render(request);
    if (!prompt.ok()) {
        return {false, prompt.error().message};
    }
    return {true, prompt->text()};
}

std::vector<Json> rows_of(const std::string& group) {
    std::ifstream lines(NEREUS_SOURCE_DIR "/tests/data/templates/semantics.jsonl");
    std::vector<Json> rows;
    for (std::string line; std::getline(lines, line);) {
        Json row = parse_json(line, "semantics.jsonl").value();
        if (row["group"] == group) {
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

class JinjaSemantics : public testing::TestWithParam<const char*> {};

TEST_P(JinjaSemantics, the_engine_renders_what_jinja2_renders_and_refuses_what_it_refuses) {
    const std::vector<Json> rows = rows_of(GetParam());
    ASSERT_GE(rows.size(), 20U);
    for (const Json& row : rows) {
        const Rendered found = render(row["source"]);
        EXPECT_EQ(found.ok ? Json(found.text) : Json(), row["rendered"])
            << row["source"] << "\nfound " << found.text;
    }
}

INSTANTIATE_TEST_SUITE_P(Groups, JinjaSemantics,
                         testing::Values("arithmetic", "equality", "ordering", "truthiness", "repr",
                                         "precedence", "slices", "text_methods", "filters",
                                         "list_filters", "whitespace", "loops", "calls", "numbers",
                                         "printf", "strings", "lists", "blocks", "complex",
                                         "markup", "wordwrap", "joiners", "named_blocks", "digits"),
                         [](const auto& group) { return std::string(group.param); });

}  // namespace
}  // namespace nereus

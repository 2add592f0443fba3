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

/// Rows with "differs" record where the engine is known to part from Jinja2 (a filter it has not,
/// an argument it lets pass, a value that is wrong); one that starts to agree must lose its mark.
TEST_P(JinjaSemantics, the_engine_renders_what_jinja2_renders_but_for_the_rows_marked) {
    const std::vector<Json> rows = rows_of(GetParam());
    ASSERT_GE(rows.size(), 20U);
    for (const Json& row : rows) {
        const Rendered found = render(row["source"]);
        const Json text = found.ok ? Json(found.text) : Json();
        EXPECT_EQ(text != row["rendered"], row.value("differs", false))
            << row["source"] << "\nfound " << found.text << "\nJinja2 " << row["rendered"];
    }
}

INSTANTIATE_TEST_SUITE_P(Groups, JinjaSemantics,
                         testing::Values("arithmetic", "equality", "ordering", "truthiness", "repr",
                                         "precedence", "slices", "text_methods", "filters",
                                         "list_filters", "whitespace", "loops", "calls", "numbers",
                                         "printf", "strings", "lists", "blocks"),
                         [](const auto& group) { return std::string(group.param); });

}  // namespace
}  // namespace nereus

// A text as windows of ids: whole ones only, as many as asked for, each with BOS where the model
// wants one.

#include "apps/text_windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/golden.h"

namespace nereus::test {
namespace {

using testing::HasSubstr;

std::string words(int n) {
    std::string text;
    for (int i = 0; i < n; ++i) {
        text += fmt::format("word {} and ", i);
    }
    return text;
}

class TextWindows : public testing::TestWithParam<bool> {
  protected:
    TextWindows() : text_(must(open_text(source_path("models/nereus-seed"), ""))) {
        text_.text_needs_bos = GetParam();
    }
    std::vector<int32_t> plain(const std::string& raw) const {
        return text_.tokenizer->encode(raw, ControlTokens::kAsText);
    }
    OpenedText text_;
};

TEST_P(TextWindows, are_the_ids_of_the_text_cut_at_the_context_with_the_rest_left_out) {
    const std::string raw = words(100);
    std::vector<int32_t> expected = plain(raw);
    if (GetParam()) {
        expected.insert(expected.begin(), *text_.bos_id);
    }
    const size_t n_whole = expected.size() / 64;
    expected.resize(n_whole * 64);
    for (size_t at = 0; GetParam() && at < expected.size(); at += 64) {
        expected[at] = *text_.bos_id;  // over the id that is there, as llama.cpp does
    }
    EXPECT_EQ(must(text_windows(text_, raw, 64, 0, "t")), expected);
    EXPECT_EQ(must(text_windows(text_, raw, 64, 1'000'000, "t")), expected);
    expected.resize(2 * 64UL);
    EXPECT_EQ(must(text_windows(text_, raw, 64, 2, "t")), expected);
}

TEST_P(TextWindows, one_newline_at_the_end_does_not_count_and_control_tokens_are_letters) {
    const std::string raw = words(20);
    EXPECT_EQ(must(text_windows(text_, raw + "\n", 16, 0, "t")),
              must(text_windows(text_, raw, 16, 0, "t")));
    const auto forged = must(text_windows(text_, "<think>" + raw, 16, 1, "t"));
    EXPECT_THAT(forged, testing::Not(testing::Contains(*text_.tokenizer->find_control("<think>"))));
}

TEST_P(TextWindows, less_than_a_window_is_refused_with_both_numbers_and_the_text) {
    const auto refused = text_windows(text_, "short", 512, 0, "some.txt");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    const size_t n = plain("short").size() + (GetParam() ? 1 : 0);
    EXPECT_THAT(
        refused.error().message,
        HasSubstr(fmt::format("some.txt: the text has {} tokens, one window needs 512", n)));
    EXPECT_FALSE(text_windows(text_, "", 2, 0, "t").ok());
}

INSTANTIATE_TEST_SUITE_P(bos, TextWindows, testing::Bool(), [](const auto& row) {
    return std::string(row.param ? "wanted" : "not_wanted");
});

}  // namespace
}  // namespace nereus::test

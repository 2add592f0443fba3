// A reply cut into any pieces must give the parts of the reply in one piece. The first two bytes
// choose the start and the cuts.

#include <cstdlib>
#include <string_view>

#include "base/unicode.h"
#include "text/reply_parser.h"

namespace {

using namespace nereus;

void check(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void collect(const std::vector<ReplyEvent>& events, std::string& reasoning, std::string& answer) {
    for (const ReplyEvent& event : events) {
        check(!event.text.empty());
        check(is_valid_utf8(event.text));
        (event.part == ReplyPart::kReasoning ? reasoning : answer) += event.text;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) {
        return 0;
    }
    ReplySyntax syntax;
    syntax.starts_in_thinking = (data[0] & 1) != 0;
    const std::string_view reply(reinterpret_cast<const char*>(data + 2), size - 2);

    ReplyParser whole(syntax);
    std::string reasoning;
    std::string answer;
    collect(whole.feed(reply), reasoning, answer);
    collect(whole.finish(), reasoning, answer);
    check(reasoning == whole.reasoning());
    check(answer == whole.answer());

    ReplyParser cut(syntax);
    std::string cut_reasoning;
    std::string cut_answer;
    uint32_t state = data[1] + 1U;
    for (size_t at = 0; at < reply.size();) {
        state = state * 1664525U + 1013904223U;
        const size_t n = data[1] == 0 ? 1 : 1 + (state >> 24) % 9;
        collect(cut.feed(reply.substr(at, n)), cut_reasoning, cut_answer);
        at += n;
        const size_t emitted = cut.reasoning().size() + cut.answer().size();
        check(data[1] != 0 || emitted + 1 < reply.size() * 3 + 2);
    }
    collect(cut.finish(), cut_reasoning, cut_answer);
    check(cut_reasoning == reasoning);
    check(cut_answer == answer);
    return 0;
}

#include "apps/chat_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace nereus {
namespace {

/// How long a look for events may keep Ctrl+C waiting.
constexpr int64_t kPollMs = 50;

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double rate(int64_t n, double ms) { return ms > 0 ? static_cast<double>(n) * 1000 / ms : 0; }

/// Turns tokens into parts of a reply and counts them.
class ReplyReader {
  public:
    ReplyReader(const Tokenizer& tokenizer, const std::vector<int32_t>& stop_ids,
                ReplySyntax syntax)
        : tokenizer_(tokenizer), stop_ids_(stop_ids), syntax_(syntax), parser_(syntax) {}

    std::vector<ReplyEvent> take(int32_t id, Answer& answer) {
        answer.n_reasoning += parser_.in_reasoning() ? 1 : 0;
        const bool is_stop = std::find(stop_ids_.begin(), stop_ids_.end(), id) != stop_ids_.end();
        const std::string_view bytes = tokenizer_.token_bytes(id);
        const bool is_tag = bytes == syntax_.think_begin || bytes == syntax_.think_end;
        // A </think> in the middle of an answer: the model was told not to think and did.
        const bool stray_end = bytes == syntax_.think_end && !parser_.in_reasoning() &&
                               !parser_.answer().empty() && !is_raw();
        if (is_stop || stray_end || (tokenizer_.is_control(id) && !is_tag)) {
            return {};
        }
        return parser_.feed(bytes);
    }
    std::vector<ReplyEvent> finish() { return parser_.finish(); }
    const ReplyParser& parser() const { return parser_; }

  private:
    bool is_raw() const { return syntax_.think_end.empty(); }

    const Tokenizer& tokenizer_;
    const std::vector<int32_t>& stop_ids_;
    ReplySyntax syntax_;
    ReplyParser parser_;
};

}  // namespace

Result<ModelInput> chat_input(const OpenedText& text, const ChatSession& session) {
    const ChatFormat* format = NEREUS_TRY(need_chat_format(text));
    NEREUS_TRY(need_tokenizer(text));
    const ChatRequest request = session.request();
    Prompt prompt = NEREUS_TRY(format->render(request));
    ModelInput input;
    input.syntax = format->reply_syntax(request, prompt);
    if (!request.thinking.value_or(true) && !input.syntax.empty_thought.empty()) {
        prompt.pieces.push_back({input.syntax.empty_thought, true});
        input.syntax.starts_in_thinking = false;
    }
    input.ids = encode_prompt(text, prompt);
    return input;
}

Result<ModelInput> raw_input(const OpenedText& text, std::string_view prompt) {
    const Tokenizer* tokenizer = NEREUS_TRY(need_tokenizer(text));
    ModelInput input;
    input.syntax.think_begin.clear();
    input.syntax.think_end.clear();
    input.ids = tokenizer->encode(prompt, ControlTokens::kAsText);
    if (text.text_needs_bos && text.bos_id.has_value()) {
        input.ids.insert(input.ids.begin(), *text.bos_id);
    }
    return input;
}

Status check_context(int64_t n_prompt, int64_t max_new_tokens, const EngineLimits& limits) {
    const int64_t n_new = std::max<int64_t>(1, max_new_tokens);
    if (n_new <= limits.context_tokens && n_prompt <= limits.context_tokens - n_new) {
        return {};
    }
    return make_error(ErrorCode::kOutOfMemory,
                      "the prompt of {} tokens and {} new ones exceed the context of {}; shorten "
                      "the prompt, ask for fewer tokens, or forget turns with /undo or /clear",
                      n_prompt, n_new, limits.context_tokens);
}

Result<Answer> generate(const OpenedModel& opened, Engine& engine, ModelInput input,
                        const SamplingParams& sampling, int64_t max_new_tokens,
                        const AnswerCallbacks& callbacks) {
    NEREUS_TRY(
        check_context(static_cast<int64_t>(input.ids.size()), max_new_tokens, engine.limits()));
    ReplyReader reader(*opened.text.tokenizer, opened.generation.stop_ids, input.syntax);
    const auto start = Clock::now();
    const auto stream = NEREUS_TRY(engine.submit({.prompt = std::move(input.ids),
                                                  .sampling = sampling,
                                                  .max_new_tokens = max_new_tokens,
                                                  .stop_ids = opened.generation.stop_ids}));
    Answer answer;
    const auto show = [&](const std::vector<ReplyEvent>& events) {
        for (const ReplyEvent& event : events) {
            if (callbacks.text && !callbacks.text(event, answer)) {
                stream->cancel();
            }
        }
    };
    auto first_token_at = start;
    while (!stream->finished()) {
        if (callbacks.stopped && callbacks.stopped()) {
            stream->cancel();
        }
        const auto event = stream->next_for(kPollMs);
        if (!event.has_value()) {
            continue;
        }
        if (event->kind == StreamEvent::Kind::kPrefill) {
            if (callbacks.prefill) {
                callbacks.prefill(event->n_prefilled, event->n_prompt);
            }
            first_token_at = Clock::now();
        } else if (event->kind == StreamEvent::Kind::kToken) {
            show(reader.take(event->token.id, answer));
            if (reader.parser().in_reasoning()) {
                answer.reasoning_ms = milliseconds_since(first_token_at);
            }
        } else if (event->reason == FinishReason::kError) {
            return event->error;
        } else {
            answer.reason = event->reason;
        }
    }
    show(reader.finish());
    answer.reasoning = reader.parser().reasoning();
    answer.text = reader.parser().answer();
    answer.stats = stream->stats();
    answer.wall_ms = milliseconds_since(start);
    return answer;
}

std::string_view finish_reason_name(FinishReason reason) {
    constexpr std::string_view kNames[] = {"stop", "length", "cancelled", "error"};
    return kNames[static_cast<size_t>(reason)];
}

std::string describe_answer(const Answer& answer, int64_t context_tokens) {
    const RequestStats& stats = answer.stats;
    return fmt::format(
        "prompt {} tokens, {} from the cache, {:.0f} tokens/s; answer {} tokens, {:.1f} tokens/s; "
        "first token after {:.0f} ms; context {} of {}; {}",
        stats.n_prompt, stats.n_cached, rate(stats.n_prompt - stats.n_cached, stats.prefill_ms),
        stats.n_generated, rate(stats.n_generated - 1, stats.decode_ms), stats.first_token_ms,
        stats.n_prompt + stats.n_generated, context_tokens, finish_reason_name(answer.reason));
}

std::string describe_full_context(const Answer& answer, int64_t max_new_tokens,
                                  int64_t context_tokens) {
    const RequestStats& stats = answer.stats;
    const bool as_asked = max_new_tokens > 0 && stats.n_generated >= max_new_tokens;
    if (answer.reason != FinishReason::kLength || as_asked ||
        stats.n_prompt + stats.n_generated < context_tokens) {
        return "";
    }
    return fmt::format(
        "the answer is not complete: {} tokens of prompt and {} of answer fill the context of {}",
        stats.n_prompt, stats.n_generated, context_tokens);
}

std::string describe_thinking(const Answer& answer) {
    return fmt::format("thought for {:.1f} s, {} tokens", answer.reasoning_ms / 1000,
                       answer.n_reasoning);
}

Json answer_to_json(const Answer& answer) {
    const RequestStats& stats = answer.stats;
    const auto rounded = [](double ms) {
        return static_cast<double>(static_cast<int64_t>(ms * 1000)) / 1000;
    };
    return {{"type", "done"},
            {"finish_reason", finish_reason_name(answer.reason)},
            {"usage",
             {{"prompt_tokens", stats.n_prompt},
              {"cached_tokens", stats.n_cached},
              {"completion_tokens", stats.n_generated},
              {"reasoning_tokens", answer.n_reasoning}}},
            {"timing",
             {{"prefill_ms", rounded(stats.prefill_ms)},
              {"first_token_ms", rounded(stats.first_token_ms)},
              {"decode_ms", rounded(stats.decode_ms)},
              {"total_ms", rounded(answer.wall_ms)},
              {"decode_tokens_per_s", rounded(rate(stats.n_generated - 1, stats.decode_ms))}}}};
}

}  // namespace nereus

#pragma once
// One answer: conversation or plain text to ids, ids to the engine, tokens to reasoning and answer.

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "apps/chat_session.h"
#include "apps/open.h"
#include "engine/engine.h"
#include "text/reply_parser.h"

namespace nereus {

/// Ids and how the reply to them is divided.
struct ModelInput {
    std::vector<int32_t> ids;
    ReplySyntax syntax;
};

/// The prompt of a conversation. When thinking is off and the format opens a thinking block all the
/// same, the block is closed at once. errors: those of the chat format
Result<ModelInput> chat_input(const OpenedText& text, const ChatSession& session);
/// A text to be continued as it is.
Result<ModelInput> raw_input(const OpenedText& text, std::string_view prompt);

/// Whether the prompt leaves room for a reply. errors: out_of_memory, with the numbers and what to
/// do; so that it ends with the exit code for limits
Status check_context(int64_t n_prompt, int64_t max_new_tokens, const EngineLimits& limits);

struct Answer {
    std::string reasoning, text;
    FinishReason reason = FinishReason::kStop;
    RequestStats stats;
    int64_t n_reasoning = 0;  ///< tokens
    double reasoning_ms = 0;  ///< from the first token to the end of the reasoning
    double wall_ms = 0;
};

/// What an answer becomes while it streams. Returning false from a callback stops the answer.
struct AnswerCallbacks {
    std::function<void(int64_t n_done, int64_t n_prompt)> prefill;
    std::function<bool(const ReplyEvent& event, const Answer& so_far)> text;
    /// Looked at several times a second.
    std::function<bool()> stopped;
};

/// Runs the request to its end. errors: those of submit, and of the model
Result<Answer> generate(const OpenedModel& opened, Engine& engine, ModelInput input,
                        const SamplingParams& sampling, int64_t max_new_tokens,
                        const AnswerCallbacks& callbacks);

/// "stop", "length", "cancelled", "error": the words of --json and /stats.
std::string_view finish_reason_name(FinishReason reason);
/// One line for people: tokens, times, speeds.
std::string describe_answer(const Answer& answer, int64_t context_tokens);
/// Why an answer ended before the model was done, with the numbers: the context is full; "" when it
/// is not, or when the answer ended by itself or at the number of tokens asked for.
std::string describe_full_context(const Answer& answer, int64_t max_new_tokens,
                                  int64_t context_tokens);
/// "thought for 1.2 s, 45 tokens"
std::string describe_thinking(const Answer& answer);
/// The "done" object of --json.
Json answer_to_json(const Answer& answer);

}  // namespace nereus
